//! Digests and comparisons.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::SigningAlgorithm;

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// The S256 code challenge of a verifier (RFC 7636 §4.2).
#[must_use]
pub fn s256_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

/// The `at_hash` or `c_hash` of a token or code (OpenID Connect Core §3.1.3.6): the left half of its digest under the hash
/// function of the ID token's algorithm. Ed25519 hashes with SHA-512 inside (RFC 8032 §5.1), so that is its function.
#[must_use]
pub fn left_half_hash(token: &str, algorithm: SigningAlgorithm) -> String {
    let function = match algorithm {
        SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => &digest::SHA256,
        SigningAlgorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(function, token.as_bytes());
    let hash = hash.as_ref();
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7636_appendix_b_challenge() {
        let challenge = s256_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn oidc_core_appendix_a_hashes() {
        let cases = [
            ("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "77QmUPtjPfzWtF2AnpK9RQ"),
            ("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "LDktKdoQak3Pk0cnXxCltA"),
        ];
        for (text, hash) in cases {
            assert_eq!(left_half_hash(text, SigningAlgorithm::Rs256), hash);
        }
    }

    #[test]
    fn the_hash_function_follows_the_algorithm() {
        let length = |algorithm| URL_SAFE_NO_PAD.decode(left_half_hash("token", algorithm)).unwrap().len();
        assert_eq!(length(SigningAlgorithm::Es256), 16);
        assert_eq!(length(SigningAlgorithm::Ps256), 16);
        assert_eq!(length(SigningAlgorithm::EdDsa), 32);
    }

    #[test]
    fn comparison_sees_every_byte_and_the_length() {
        assert!(equal(b"", b"") && equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
    }
}
