//! Key-encryption keys: what protects private keys in the database (AES-256-GCM).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{CryptoError, Random};
use crate::domain::{KeyAlgorithm, KeyRecord, Kid, SecretBytes};

/// Length of an AES-GCM tag.
pub(super) const TAG_LEN: usize = 16;

/// The key-encryption keys of the configuration: the current one wraps, the current and the previous ones unwrap.
pub struct KeyEncryptionKeys {
    current: NamedKey,
    previous: Vec<NamedKey>,
}

struct NamedKey {
    id: String,
    key: LessSafeKey,
}

impl NamedKey {
    fn new(id: String, bytes: &SecretBytes) -> Result<Self, CryptoError> {
        if id.is_empty() {
            return Err(CryptoError::KeyEncryptionKeyWithoutId);
        }
        match UnboundKey::new(&AES_256_GCM, bytes.expose()) {
            Ok(key) => Ok(Self { id, key: LessSafeKey::new(key) }),
            Err(_) => Err(CryptoError::KeyEncryptionKeyLength { id, length: bytes.expose().len() }),
        }
    }
}

impl KeyEncryptionKeys {
    /// Takes the keys in, each with the id under which records name it.
    ///
    /// # Errors
    /// A key that does not have 32 bytes, an empty id, or an id that occurs twice.
    pub fn new(
        current_id: String,
        current: SecretBytes,
        previous: Vec<(String, SecretBytes)>,
    ) -> Result<Self, CryptoError> {
        let mut keys = Self { current: NamedKey::new(current_id, &current)?, previous: Vec::new() };
        drop(current);
        for (id, bytes) in previous {
            if keys.find(&id).is_some() {
                return Err(CryptoError::KeyEncryptionKeyTwice { id });
            }
            keys.previous.push(NamedKey::new(id, &bytes)?);
        }
        Ok(keys)
    }

    /// The id of the key that wraps.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// Encrypts a private part under the current key: nonce, ciphertext, tag.
    ///
    /// # Errors
    /// Only when aws-lc fails.
    pub fn wrap(
        &self,
        kid: Kid,
        algorithm: KeyAlgorithm,
        plain: &[u8],
        random: &Random,
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce: [u8; NONCE_LEN] = random.bytes();
        // Room for everything at once: a vector that grows would leave copies of the private part behind.
        let mut wrapped = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(associated_data(kid, algorithm));
        let tag = self.current.key.seal_in_place_separate_tag(nonce, aad, &mut wrapped[NONCE_LEN..]);
        let tag = tag.map_err(|_| CryptoError::Library { operation: "encrypt a private key" })?;
        wrapped.extend_from_slice(tag.as_ref());
        Ok(wrapped)
    }

    /// Decrypts the private part of a record.
    ///
    /// # Errors
    /// A key-encryption key that is not configured, or not the one it was, or a record that was altered.
    pub fn unwrap(&self, record: &KeyRecord) -> Result<SecretBytes, CryptoError> {
        let (kid, id) = (record.kid, &record.encryption_key_id);
        let key = self.find(id).ok_or_else(|| CryptoError::KeyEncryptionKeyMissing { kid, id: id.clone() })?;
        let wrong = || CryptoError::WrongKeyEncryptionKey { kid, id: id.clone() };
        let (nonce, sealed) = record.wrapped.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let aad = Aad::from(associated_data(kid, record.algorithm));
        let mut plain = sealed.to_vec();
        let length = key.key.open_in_place(nonce, aad, &mut plain).map_err(|_| wrong())?.len();
        plain.truncate(length);
        Ok(SecretBytes::new(plain))
    }

    /// The record under the current key, or `None` when it already is.
    ///
    /// # Errors
    /// As [`KeyEncryptionKeys::unwrap`] and [`KeyEncryptionKeys::wrap`].
    pub fn rewrap(&self, record: &KeyRecord, random: &Random) -> Result<Option<KeyRecord>, CryptoError> {
        if record.encryption_key_id == self.current.id {
            return Ok(None);
        }
        let plain = self.unwrap(record)?;
        let wrapped = self.wrap(record.kid, record.algorithm, plain.expose(), random)?;
        Ok(Some(KeyRecord { wrapped, encryption_key_id: self.current.id.clone(), ..record.clone() }))
    }

    fn find(&self, id: &str) -> Option<&NamedKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

/// Binds a ciphertext to its row: whoever can write to the database can neither swap two private parts nor make a key that
/// is never published into one that signs.
fn associated_data(kid: Kid, algorithm: KeyAlgorithm) -> Vec<u8> {
    [b"keystead private key v1".as_slice(), &kid.0, algorithm.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{NOW, keks, record};
    use crate::domain::SigningAlgorithm;

    const MAC: KeyAlgorithm = KeyAlgorithm::HmacSha256;

    fn secret(byte: u8) -> SecretBytes {
        SecretBytes::new(vec![byte; 32])
    }

    #[test]
    fn security_47_a_private_part_is_encrypted_and_comes_back() {
        let record = record(MAC, NOW);
        let plain = keks().unwrap(&record).unwrap();
        assert_eq!(plain.expose().len(), 32);
        assert_eq!(record.wrapped.len(), NONCE_LEN + 32 + TAG_LEN);
        assert!(!record.wrapped.windows(32).any(|window| window == plain.expose()));
    }

    #[test]
    fn a_record_that_was_altered_in_any_byte_is_refused() {
        let record = record(MAC, NOW);
        for at in 0..record.wrapped.len() {
            let mut altered = record.clone();
            altered.wrapped[at] ^= 1;
            assert!(keks().unwrap(&altered).is_err(), "byte {at}");
        }
        for length in 0..record.wrapped.len() {
            let cut = KeyRecord { wrapped: record.wrapped[..length].to_vec(), ..record.clone() };
            assert!(keks().unwrap(&cut).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_private_part_cannot_be_moved_to_another_kid_or_algorithm() {
        let record = record(MAC, NOW);
        let moved = KeyRecord { kid: Kid([0; 8]), ..record.clone() };
        assert!(keks().unwrap(&moved).is_err());
        let algorithm = KeyAlgorithm::Signing(SigningAlgorithm::EdDsa);
        assert!(keks().unwrap(&KeyRecord { algorithm, ..record }).is_err());
    }

    #[test]
    fn replacing_the_key_encryption_key_keeps_every_private_part() {
        let random = Random::seeded(1);
        let old = record(MAC, NOW);
        let replaced = KeyEncryptionKeys::new("new".into(), secret(9), vec![("test".into(), secret(1))]).unwrap();
        let new = replaced.rewrap(&old, &random).unwrap().unwrap();
        assert_eq!(new.encryption_key_id, "new");
        assert_eq!(replaced.rewrap(&new, &random).unwrap(), None, "done already");
        let alone = KeyEncryptionKeys::new("new".into(), secret(9), Vec::new()).unwrap();
        assert_eq!(alone.unwrap(&new).unwrap().expose(), keks().unwrap(&old).unwrap().expose());
    }

    #[test]
    fn an_error_names_the_missing_key_encryption_key_and_the_setting() {
        let old = record(MAC, NOW);
        let other = KeyEncryptionKeys::new("other".into(), secret(9), Vec::new()).unwrap();
        let sentence = other.unwrap(&old).err().unwrap().to_string();
        for part in [old.kid.to_string().as_str(), "`test`", "keys.previous_encryption_keys"] {
            assert!(sentence.contains(part), "{part} in {sentence}");
        }
        let same_name = KeyEncryptionKeys::new("test".into(), secret(9), Vec::new()).unwrap();
        let sentence = same_name.unwrap(&old).err().unwrap().to_string();
        assert!(sentence.contains("not the ones"), "{sentence}");
    }

    #[test]
    fn unusable_key_encryption_keys_are_refused() {
        let new = |id: &str, length, previous: &str| {
            let previous = vec![(previous.to_owned(), secret(2))];
            KeyEncryptionKeys::new(id.into(), SecretBytes::new(vec![1; length]), previous).err()
        };
        assert_eq!(new("a", 32, "b"), None);
        assert_eq!(new("a", 31, "b"), Some(CryptoError::KeyEncryptionKeyLength { id: "a".into(), length: 31 }));
        assert_eq!(new("", 32, "b"), Some(CryptoError::KeyEncryptionKeyWithoutId));
        assert_eq!(new("a", 32, "a"), Some(CryptoError::KeyEncryptionKeyTwice { id: "a".into() }));
    }
}
