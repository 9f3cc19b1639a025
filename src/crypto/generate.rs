//! New keys.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};

use super::{CryptoError, KeyEncryptionKeys, Random};
use crate::domain::{KeyAlgorithm, KeyRecord, SecretBytes, SigningAlgorithm, Timestamp};

/// Makes a key that will sign from `activates_at` on: RSA with 2048 bits, P-256, Ed25519, or 32 random bytes.
///
/// RSA takes about 50 ms, at times several times as long: keep it off the threads that answer requests.
///
/// # Errors
/// Only when aws-lc fails.
pub fn generate(
    algorithm: KeyAlgorithm,
    now: Timestamp,
    activates_at: Timestamp,
    keks: &KeyEncryptionKeys,
    random: &Random,
) -> Result<KeyRecord, CryptoError> {
    let kid = random.kid();
    let private = private_part(algorithm, random).map_err(|_| CryptoError::Library { operation: "make a key" })?;
    Ok(KeyRecord {
        kid,
        algorithm,
        wrapped: keks.wrap(kid, algorithm, private.expose(), random)?,
        encryption_key_id: keks.current_id().to_owned(),
        created_at: now,
        activates_at,
        retires_at: None,
        expires_at: None,
        revoked_at: None,
    })
}

/// PKCS#8 for key pairs, the bytes themselves for MAC keys.
fn private_part(algorithm: KeyAlgorithm, random: &Random) -> Result<SecretBytes, Unspecified> {
    // aws-lc ignores the generator that it is handed here and uses its own.
    let ignored = SystemRandom::new();
    let bytes = match algorithm {
        KeyAlgorithm::Signing(SigningAlgorithm::Es256) => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &ignored)?.as_ref().to_vec()
        }
        KeyAlgorithm::Signing(SigningAlgorithm::EdDsa) => Ed25519KeyPair::generate_pkcs8(&ignored)?.as_ref().to_vec(),
        KeyAlgorithm::Signing(SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256) => {
            let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            der.as_ref().to_vec()
        }
        KeyAlgorithm::HmacSha256 | KeyAlgorithm::PairwiseNames => random.bytes::<32>().to_vec(),
    };
    Ok(SecretBytes::new(bytes))
}
