//! The keys of one moment, decrypted and parsed; replaced as a whole when a key is made, rotated or revoked.

use super::mac_key::MacKey;
use super::pairwise::PairwiseKey;
use super::{CryptoError, KeyEncryptionKeys, SigningKey, TokenRefused};
use crate::domain::{KeyAlgorithm, KeyRecord, KeyState, Kid, SigningAlgorithm, Timestamp};

/// An immutable snapshot of all keys. What each may do follows from the time that is passed in, so that a snapshot stays
/// right until a record changes.
#[derive(Default)]
pub struct Keyring {
    /// Newest first, so that the first active one is the one to sign with.
    records: Vec<KeyRecord>,
    signing: Vec<Held<SigningKey>>,
    mac: Vec<Held<MacKey>>,
    pairwise: Option<PairwiseKey>,
}

/// A usable key and the place of its record.
struct Held<K> {
    record: usize,
    key: K,
}

impl Keyring {
    /// A keyring without keys: it signs nothing and accepts nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Decrypts and parses every key that may still be used at `now` or later. Of retired and revoked keys only the record
    /// is kept, so their key-encryption keys need not be configured any more.
    ///
    /// # Errors
    /// A key that cannot be decrypted or parsed; the sentence names it and says what to configure.
    pub fn load(records: &[KeyRecord], keks: &KeyEncryptionKeys, now: Timestamp) -> Result<Self, CryptoError> {
        super::install_provider();
        let mut ring = Self { records: records.to_vec(), ..Self::default() };
        ring.records.sort_by(|a, b| b.activates_at.cmp(&a.activates_at).then(a.kid.cmp(&b.kid)));
        for (index, record) in ring.records.iter().enumerate() {
            if matches!(record.state(now), KeyState::Retired | KeyState::Revoked) {
                continue;
            }
            let private = keks.unwrap(record)?;
            match record.algorithm {
                KeyAlgorithm::Signing(algorithm) => {
                    let key = SigningKey::parse(record.kid, algorithm, &private)?;
                    ring.signing.push(Held { record: index, key });
                }
                KeyAlgorithm::HmacSha256 => {
                    let key = MacKey::new(record.kid, &private)?;
                    ring.mac.push(Held { record: index, key });
                }
                // It has a place of its own, below.
                KeyAlgorithm::PairwiseNames => {}
            }
        }
        Ok(ring)
    }

    /// The same with the key that makes pairwise names, where there is one already.
    ///
    /// # Errors
    /// As [`Keyring::load`].
    pub fn with_pairwise(mut self, record: Option<&KeyRecord>, keks: &KeyEncryptionKeys) -> Result<Self, CryptoError> {
        self.pairwise = record.map(|record| PairwiseKey::new(record.kid, &keks.unwrap(record)?)).transpose()?;
        Ok(self)
    }

    /// The key that makes pairwise names.
    pub(super) fn pairwise(&self) -> Option<&PairwiseKey> {
        self.pairwise.as_ref()
    }

    /// Every record, the one that activates last first; also those of retired and revoked keys.
    #[must_use]
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// The key to sign with: of the active ones, the one that became active last.
    #[must_use]
    pub fn signing_key(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&SigningKey> {
        let held = self.signing.iter().find(|held| held.key.algorithm() == algorithm && self.is_active(held, now))?;
        Some(&held.key)
    }

    /// The name of the MAC key to derive new codes and refresh tokens with.
    #[must_use]
    pub fn mac_kid(&self, now: Timestamp) -> Option<Kid> {
        self.active_mac_key(now).map(MacKey::kid)
    }

    /// Of the active MAC keys, the one that became active last.
    pub(super) fn active_mac_key(&self, now: Timestamp) -> Option<&MacKey> {
        let held = self.mac.iter().find(|held| self.is_active(held, now))?;
        Some(&held.key)
    }

    /// The MAC key of this name, while what it made is accepted: pending, active or retiring.
    pub(super) fn accepted_mac_key(&self, kid: Kid, now: Timestamp) -> Option<&MacKey> {
        // A pending one too: a replica whose clock runs ahead derives with it a moment before the others think it active.
        let held = self.mac.iter().find(|held| held.key.kid() == kid)?;
        self.is_published(held, now).then_some(&held.key)
    }

    /// Every MAC key of which what it made is accepted.
    pub(super) fn accepted_mac_keys(&self, now: Timestamp) -> impl Iterator<Item = &MacKey> {
        self.mac.iter().filter(move |held| self.is_published(held, now)).map(|held| &held.key)
    }

    /// The MAC key of this name, at whatever stage of life.
    pub(super) fn mac_key(&self, kid: Kid) -> Option<&MacKey> {
        self.mac.iter().map(|held| &held.key).find(|key| key.kid() == kid)
    }

    /// The signing key of this name, while it is published: pending, active or retiring.
    pub(super) fn verification_key(&self, kid: Kid, now: Timestamp) -> Result<&SigningKey, TokenRefused> {
        if let Some(held) = self.signing.iter().find(|held| held.key.kid() == kid) {
            return if self.is_published(held, now) { Ok(&held.key) } else { Err(TokenRefused::UnknownKey) };
        }
        // Names of MAC keys stand inside codes and tokens. One of them in a JOSE header is no signing key, revoked or not.
        let revoked = self.records.iter().any(|record| {
            record.kid == kid && record.revoked_at.is_some() && record.algorithm != KeyAlgorithm::HmacSha256
        });
        Err(if revoked { TokenRefused::RevokedKey } else { TokenRefused::UnknownKey })
    }

    /// The JSON Web Key Set (RFC 7517 §5) of the pending, active and retiring signing keys: public members only, in an
    /// order that depends on nothing but the records.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> String {
        let mut keys = Vec::new();
        for &algorithm in SigningAlgorithm::ALL {
            let published = self.signing.iter().filter(|held| self.is_published(held, now));
            keys.extend(
                published.map(|held| &held.key).filter(|key| key.algorithm() == algorithm).map(SigningKey::jwk),
            );
        }
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Whether tokens that the key of this name signed are accepted.
    #[must_use]
    pub fn accepts(&self, kid: Kid, now: Timestamp) -> bool {
        self.verification_key(kid, now).is_ok()
    }

    /// The next moment at which [`Keyring::jwks`] changes by itself. Keys are published from the start, so that is when the
    /// first of them expires.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.signing.iter().filter_map(|held| self.records[held.record].expires_at);
        ends.filter(|&end| end > now).min()
    }

    fn state<K>(&self, held: &Held<K>, now: Timestamp) -> KeyState {
        self.records[held.record].state(now)
    }

    fn is_active<K>(&self, held: &Held<K>, now: Timestamp) -> bool {
        self.state(held, now) == KeyState::Active
    }

    fn is_published<K>(&self, held: &Held<K>, now: Timestamp) -> bool {
        matches!(self.state(held, now), KeyState::Pending | KeyState::Active | KeyState::Retiring)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;
    use time::Duration;

    use super::*;
    use crate::crypto::testing::{NOW, es256_record, full_ring, keks, mac_record, record, ring, rotated};
    use crate::domain::SecretBytes;

    const ES256: SigningAlgorithm = SigningAlgorithm::Es256;

    fn published(ring: &Keyring, now: Timestamp) -> Vec<Value> {
        let set: Value = serde_json::from_str(&ring.jwks(now)).unwrap();
        set["keys"].as_array().unwrap().clone()
    }

    #[test]
    fn a_key_is_published_signs_and_verifies_by_its_stage_of_life() {
        let (activates, retires) = (NOW, NOW + Duration::days(30));
        let record = rotated(es256_record(), retires);
        let kid = record.kid;
        let expires = record.expires_at.unwrap();
        let ring = Keyring::load(&[record], &keks(), NOW - Duration::hours(1)).unwrap();
        let second = Duration::SECOND;
        let table = [
            // when, published, signs
            (activates - second, true, false),
            (activates, true, true),
            (retires - second, true, true),
            (retires, true, false),
            (expires - second, true, false),
            (expires, false, false),
        ];
        for (now, is_published, signs) in table {
            assert_eq!(published(&ring, now).len() == 1, is_published, "published at {now}");
            assert_eq!(ring.signing_key(ES256, now).is_some(), signs, "signs at {now}");
            assert_eq!(ring.verification_key(kid, now).is_ok(), is_published, "verifies at {now}");
        }
    }

    #[test]
    fn a_mac_key_derives_while_active_and_is_known_from_its_making_until_it_expires() {
        let (activates, retires) = (NOW, NOW + Duration::days(30));
        let record = rotated(mac_record(), retires);
        let (kid, expires) = (record.kid, record.expires_at.unwrap());
        let ring = Keyring::load(&[record], &keks(), NOW - Duration::hours(1)).unwrap();
        let second = Duration::SECOND;
        let table = [
            // when, derives, known
            (activates - second, false, true),
            (activates, true, true),
            (retires, false, true),
            (expires - second, false, true),
            (expires, false, false),
        ];
        for (now, derives, known) in table {
            assert_eq!(ring.mac_kid(now).is_some(), derives, "derives at {now}");
            assert_eq!(ring.accepted_mac_key(kid, now).is_some(), known, "known at {now}");
        }
    }

    #[test]
    fn every_replica_switches_to_the_successor_at_its_activation() {
        let switch = NOW + Duration::hours(1);
        let old = rotated(es256_record(), switch);
        let new = record(KeyAlgorithm::Signing(ES256), switch);
        for records in [[old.clone(), new.clone()], [new.clone(), old.clone()]] {
            let ring = ring(&records);
            let signer = |now| ring.signing_key(ES256, now).unwrap().kid();
            assert_eq!(signer(switch - Duration::MICROSECOND), old.kid);
            assert_eq!(signer(switch), new.kid);
            assert_eq!(published(&ring, NOW).len(), 2);
        }
    }

    #[test]
    fn of_several_active_keys_the_latest_signs() {
        let first = es256_record();
        let second = record(KeyAlgorithm::Signing(ES256), NOW + Duration::minutes(5));
        let ring = ring(&[first, second.clone()]);
        assert_eq!(ring.signing_key(ES256, NOW + Duration::hours(1)).unwrap().kid(), second.kid);
    }

    #[test]
    fn security_42_a_revoked_key_is_neither_published_nor_used() {
        let revoked = KeyRecord { revoked_at: Some(NOW), ..es256_record() };
        let revoked_mac = KeyRecord { revoked_at: Some(NOW), ..mac_record() };
        let ring = ring(&[revoked.clone(), revoked_mac.clone()]);
        assert!(published(&ring, NOW).is_empty());
        assert!(ring.signing_key(ES256, NOW).is_none() && ring.mac_kid(NOW).is_none());
        assert!(ring.accepted_mac_key(revoked_mac.kid, NOW).is_none());
        assert_eq!(ring.verification_key(revoked.kid, NOW).err(), Some(TokenRefused::RevokedKey));
        assert_eq!(ring.verification_key(revoked_mac.kid, NOW).err(), Some(TokenRefused::UnknownKey));
        assert_eq!(ring.verification_key(Kid([0; 8]), NOW).err(), Some(TokenRefused::UnknownKey));
    }

    #[test]
    fn retired_and_revoked_keys_need_no_key_encryption_key() {
        let retired = rotated(es256_record(), NOW - Duration::days(2));
        let revoked = KeyRecord { revoked_at: Some(NOW), ..es256_record() };
        let other = KeyEncryptionKeys::new("other".into(), SecretBytes::new(vec![2; 32]), Vec::new()).unwrap();
        let ring = Keyring::load(&[retired, revoked], &other, NOW).unwrap();
        assert_eq!(ring.records().len(), 2);
        let living = es256_record();
        let error = Keyring::load(std::slice::from_ref(&living), &other, NOW).err().unwrap();
        assert_eq!(error, CryptoError::KeyEncryptionKeyMissing { kid: living.kid, id: "test".into() });
    }

    #[test]
    fn security_47_the_key_set_has_only_public_members_and_unique_kids() {
        let keys = published(full_ring(), NOW);
        let mut kids = HashSet::new();
        let expected = [
            ("ES256", "alg crv kid kty use x y"),
            ("RS256", "alg e kid kty n use"),
            ("PS256", "alg e kid kty n use"),
            ("EdDSA", "alg crv kid kty use x"),
        ];
        assert_eq!(keys.len(), expected.len(), "no MAC key");
        for (key, (algorithm, members)) in keys.iter().zip(expected) {
            let mut names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!((key["alg"].as_str().unwrap(), names.join(" ")), (algorithm, members.to_owned()));
            assert!(kids.insert(key["kid"].as_str().unwrap()), "kids are unique");
            if let Some(modulus) = key["n"].as_str() {
                assert!(modulus.len() >= 342, "2048 bits in base64url");
            }
        }
    }

    #[test]
    fn the_key_set_changes_exactly_when_it_was_foretold() {
        let switch = NOW + Duration::hours(1);
        let old = rotated(es256_record(), switch);
        let new = record(KeyAlgorithm::Signing(ES256), switch);
        let ring = ring(&[mac_record(), rotated(mac_record(), NOW), old.clone(), new]);
        let change = ring.next_change(NOW).unwrap();
        assert_eq!(Some(change), old.expires_at);
        assert_eq!(ring.jwks(NOW), ring.jwks(change - Duration::MICROSECOND));
        assert_ne!(ring.jwks(NOW), ring.jwks(change));
        assert_eq!(ring.next_change(change), None);
    }

    #[test]
    fn an_empty_keyring_has_an_empty_key_set() {
        assert_eq!(Keyring::empty().jwks(NOW), r#"{"keys":[]}"#);
        assert_eq!(Keyring::empty().next_change(NOW), None);
    }
}
