//! One MAC key and what is derived from it (HKDF, RFC 5869), so that no derived key ever serves two purposes.

use aws_lc_rs::{hkdf, hmac};

use super::{CryptoError, PositionKind};
use crate::domain::{KeyAlgorithm, Kid, SecretBytes};

/// A key that derives codes and refresh tokens and seals short texts; never published.
pub(super) struct MacKey {
    kid: Kid,
    root: hkdf::Prk,
    code: hmac::Key,
    refresh_token: hmac::Key,
}

impl MacKey {
    /// Takes the random bytes in and derives the keys that every token request needs.
    pub(super) fn new(kid: Kid, bytes: &SecretBytes) -> Result<Self, CryptoError> {
        if bytes.expose().len() != 32 {
            return Err(CryptoError::MalformedKey { kid, algorithm: KeyAlgorithm::HmacSha256.as_str() });
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keystead MAC key v1").extract(bytes.expose());
        let position_key = |kind: &'static str| expand(&root, &[b"position", &[0], kind.as_bytes()]);
        let (code, refresh_token) = (position_key("code")?, position_key("refresh token")?);
        Ok(Self { kid, code: tagger(&code), refresh_token: tagger(&refresh_token), root })
    }

    /// The key's name inside codes, refresh tokens and sealed texts.
    pub(super) fn kid(&self) -> Kid {
        self.kid
    }

    /// The key that tags positions of one kind.
    pub(super) fn for_positions(&self, kind: PositionKind) -> &hmac::Key {
        match kind {
            PositionKind::Code => &self.code,
            PositionKind::RefreshToken => &self.refresh_token,
        }
    }

    /// The key that tags for one purpose.
    pub(super) fn for_tags(&self, purpose: &'static str) -> Result<hmac::Key, CryptoError> {
        Ok(tagger(&expand(&self.root, &[b"tag", &[0], purpose.as_bytes()])?))
    }

    /// The 32 bytes that encrypt one text for one purpose.
    pub(super) fn for_sealing(&self, purpose: &'static str, salt: &[u8]) -> Result<SecretBytes, CryptoError> {
        expand(&self.root, &[b"seal", &[0], purpose.as_bytes(), &[0], salt])
    }
}

fn expand(root: &hkdf::Prk, info: &[&[u8]]) -> Result<SecretBytes, CryptoError> {
    let mut bytes = vec![0; 32];
    let filled = root.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut bytes));
    filled.map_err(|_| CryptoError::Library { operation: "derive a key" })?;
    Ok(SecretBytes::new(bytes))
}

fn tagger(bytes: &SecretBytes) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes.expose())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_derived_key_serves_two_purposes() {
        let key = MacKey::new(Kid([1; 8]), &SecretBytes::new(vec![7; 32])).unwrap();
        let probe = |key: &hmac::Key| hmac::sign(key, b"probe").as_ref().to_vec();
        let sealing = |purpose, salt: &[u8]| probe(&tagger(&key.for_sealing(purpose, salt).unwrap()));
        let tags = [
            probe(key.for_positions(PositionKind::Code)),
            probe(key.for_positions(PositionKind::RefreshToken)),
            probe(&key.for_tags("a").unwrap()),
            probe(&key.for_tags("code").unwrap()),
            sealing("a", b"salt"),
            sealing("a", b"tlas"),
            sealing("code", b""),
            sealing("code", b"salt"),
        ];
        assert_eq!(HashSet::from(tags.clone()).len(), tags.len());
    }

    #[test]
    fn a_mac_key_has_exactly_32_bytes() {
        for length in [0, 31, 33] {
            assert!(MacKey::new(Kid([1; 8]), &SecretBytes::new(vec![7; length])).is_err(), "{length}");
        }
    }
}
