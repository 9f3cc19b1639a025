//! Cryptography: randomness, digests, keys and their life, JWS, codes and refresh tokens, sealed texts, password hashes.
//!
//! Owns: every use of key material, and the forms of what is made with it. Does not own: which claims a token has, what a
//! position or a sealed request means, when keys rotate, where records lie; all of that arrives as arguments.

mod certificate;
mod digest;
mod error;
mod foreign;
mod generate;
mod jws;
mod kek;
mod keyring;
mod mac_key;
mod pairwise;
mod password;
mod position;
mod random;
mod seal;
mod signing_key;
#[cfg(test)]
mod testing;
mod tls;

pub use certificate::{CertificateRefused, ClientAuthorities, certificate_thumbprint, read_certificate};
pub use digest::{equal, left_half_hash, s256_challenge, sha256};
pub use error::CryptoError;
pub use foreign::{ForeignJwt, ForeignKeys, ForeignRefused};
pub use generate::generate;
pub use jws::{Expiry, TokenRefused, sign, verify};
pub use kek::KeyEncryptionKeys;
pub use keyring::Keyring;
pub use password::{HashError, HashParams, PasswordPool, Verdict};
pub use position::{PositionKind, derive, open};
pub use random::Random;
pub use seal::{check_tag, mac_tag, mac_tags, seal, unseal};
pub use signing_key::SigningKey;
pub use tls::{TlsIdentity, TlsRefused, tls_server};

/// Tells jsonwebtoken which cryptography to use. May be called any number of times; [`Keyring::load`] calls it too.
///
/// jsonwebtoken guesses only while exactly one of its back-ends is compiled in, and panics at its first use otherwise;
/// a dependency that switches on the other one must not be able to cause that.
pub fn install_provider() {
    // The error says that a provider is installed already, which is what we want.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
