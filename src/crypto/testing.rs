//! What the tests of this room share.

use std::sync::OnceLock;

use time::Duration;
use time::macros::datetime;

use super::{KeyEncryptionKeys, Keyring, Random, generate};
use crate::domain::{KeyAlgorithm, KeyRecord, SecretBytes, SigningAlgorithm, Timestamp};

/// The time at which tests begin.
pub const NOW: Timestamp = datetime!(2026-11-20 12:00 UTC);

/// The key-encryption key `test`.
pub fn keks() -> KeyEncryptionKeys {
    KeyEncryptionKeys::new("test".into(), SecretBytes::new(vec![1; 32]), Vec::new()).unwrap()
}

/// A fresh key that signs from `activates_at` on.
pub fn record(algorithm: KeyAlgorithm, activates_at: Timestamp) -> KeyRecord {
    generate(algorithm, activates_at - Duration::days(1), activates_at, &keks(), &Random::system()).unwrap()
}

/// A MAC key that is active at [`NOW`].
pub fn mac_record() -> KeyRecord {
    record(KeyAlgorithm::HmacSha256, NOW)
}

/// A keyring of these records as of [`NOW`].
pub fn ring(records: &[KeyRecord]) -> Keyring {
    Keyring::load(records, &keks(), NOW).unwrap()
}

/// A keyring with one active key of each algorithm; made once, because RSA keys take long to make.
pub fn full_ring() -> &'static Keyring {
    static RING: OnceLock<Keyring> = OnceLock::new();
    RING.get_or_init(|| ring(&KeyAlgorithm::ALL.map(|algorithm| record(algorithm, NOW))))
}

/// An ES256 key that is active at [`NOW`].
pub fn es256_record() -> KeyRecord {
    record(KeyAlgorithm::Signing(SigningAlgorithm::Es256), NOW)
}

/// The same key after a rotation at `retires_at`; it lives on for another day.
pub fn rotated(record: KeyRecord, retires_at: Timestamp) -> KeyRecord {
    KeyRecord { retires_at: Some(retires_at), expires_at: Some(retires_at + Duration::days(1)), ..record }
}
