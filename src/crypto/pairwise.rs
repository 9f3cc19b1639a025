//! Pairwise names (OpenID Connect Core §8.1): what the clients of one sector call a person or a session, and nobody else does.

use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::{CryptoError, Keyring};
use crate::domain::{KeyAlgorithm, Kid, SecretBytes, SessionId, UserId};

/// The keys that are derived from the one in the database (HKDF, RFC 5869).
pub(super) struct PairwiseKey {
    people: hmac::Key,
    sessions: hmac::Key,
}

impl PairwiseKey {
    pub(super) fn new(kid: Kid, bytes: &SecretBytes) -> Result<Self, CryptoError> {
        if bytes.expose().len() != 32 {
            return Err(CryptoError::MalformedKey { kid, algorithm: KeyAlgorithm::PairwiseNames.as_str() });
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keystead pairwise names v1").extract(bytes.expose());
        let derive = |purpose: &[u8]| {
            let key = root.expand(&[purpose], hmac::HMAC_SHA256).map(hmac::Key::from);
            key.map_err(|_| CryptoError::Library { operation: "derive a key" })
        };
        Ok(Self { people: derive(b"person")?, sessions: derive(b"session")? })
    }
}

/// 43 characters of base64url. An id has 16 bytes always, so that no sector could take over a part of it.
fn name(key: &hmac::Key, sector: &str, id: Uuid) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(id.as_bytes());
    context.update(sector.as_bytes());
    URL_SAFE_NO_PAD.encode(context.sign())
}

impl Keyring {
    /// What the clients of a sector call a person. `None`: there is no key yet.
    #[must_use]
    pub fn pairwise_subject(&self, sector: &str, person: UserId) -> Option<String> {
        self.pairwise().map(|key| name(&key.people, sector, person.0))
    }

    /// What they call one of the person's sessions, which would otherwise tell sectors whom they have in common at the moment.
    #[must_use]
    pub fn pairwise_session(&self, sector: &str, session: SessionId) -> Option<String> {
        self.pairwise().map(|key| name(&key.sessions, sector, session.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{NOW, keks, mac_record, record, ring};

    #[test]
    fn a_name_depends_on_key_sector_and_person_and_on_nothing_else() {
        let key = record(KeyAlgorithm::PairwiseNames, NOW);
        let with = |records: &[_], key| ring(records).with_pairwise(Some(&key), &keks()).unwrap();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let subject = |ring: &Keyring, sector, id| ring.pairwise_subject(sector, UserId(id)).unwrap();
        let first = with(&[mac_record()], key.clone());
        let name = subject(&first, "a.example", one);
        assert!(name.len() == 43 && !name.contains('='), "{name}");
        // Other MAC keys, as after a rotation or on another replica, change nothing.
        assert_eq!(subject(&with(&[mac_record()], key), "a.example", one), name);
        assert_ne!(subject(&first, "b.example", one), name);
        assert_ne!(subject(&first, "a.example", other), name);
        assert_ne!(first.pairwise_session("a.example", SessionId(one)).unwrap(), name);
        let another = with(&[], record(KeyAlgorithm::PairwiseNames, NOW));
        assert_ne!(subject(&another, "a.example", one), name);
        assert_eq!(ring(&[]).pairwise_subject("a.example", UserId(one)), None);
    }

    #[test]
    fn the_key_survives_another_key_encryption_key_and_no_record_of_another_kind_is_taken_for_it() {
        let key = record(KeyAlgorithm::PairwiseNames, NOW);
        let moved = crate::domain::KeyRecord { algorithm: KeyAlgorithm::PairwiseNames, ..mac_record() };
        assert!(ring(&[]).with_pairwise(Some(&moved), &keks()).is_err());
        let replaced = super::super::KeyEncryptionKeys::new(
            "new".into(),
            SecretBytes::new(vec![9; 32]),
            vec![("test".into(), SecretBytes::new(vec![1; 32]))],
        );
        let replaced = replaced.unwrap();
        let rewrapped = replaced.rewrap(&key, &super::super::Random::seeded(1)).unwrap().unwrap();
        let subject = |record, keks: &_| {
            ring(&[]).with_pairwise(Some(record), keks).unwrap().pairwise_subject("a", UserId(Uuid::nil()))
        };
        assert_eq!(subject(&rewrapped, &replaced), subject(&key, &keks()));
    }
}
