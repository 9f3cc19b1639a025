//! What can go wrong with keys. Every sentence is for operators and says what to do next; none holds key material.

use crate::domain::Kid;

/// Keys that cannot be used, or an operation that the cryptographic library refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A key-encryption key of another size than AES-256 needs.
    #[error(
        "key-encryption key `{id}` has {length} bytes and must have exactly 32: make one with `openssl rand -base64 32`"
    )]
    KeyEncryptionKeyLength {
        /// The key-encryption key.
        id: String,
        /// What it has.
        length: usize,
    },
    /// A key-encryption key whose id is empty.
    #[error("a key-encryption key has an empty id: give each key under `keys` a short name that is never used again")]
    KeyEncryptionKeyWithoutId,
    /// Two key-encryption keys of one id.
    #[error("two key-encryption keys have the id `{id}`: give the newer one, keys.encryption_key, an id of its own")]
    KeyEncryptionKeyTwice {
        /// The id.
        id: String,
    },
    /// A record was wrapped under a key-encryption key that is not configured.
    #[error(
        "keys.encryption_key cannot decrypt key {kid}: it was encrypted under the key-encryption key `{id}`, which is not \
         configured; add that key to keys.previous_encryption_keys"
    )]
    KeyEncryptionKeyMissing {
        /// The record.
        kid: Kid,
        /// The key-encryption key that it names.
        id: String,
    },
    /// The key-encryption key is there by name, but does not decrypt the record.
    #[error(
        "key {kid} cannot be decrypted with the key-encryption key `{id}`: either the configured bytes are not the ones \
         that had this id when the key was made, so configure those again, or the row in table `keys` was altered, so \
         restore it from a backup or revoke the key with `keystead keys revoke {kid}`"
    )]
    WrongKeyEncryptionKey {
        /// The record.
        kid: Kid,
        /// The key-encryption key that it names.
        id: String,
    },
    /// What was decrypted is not a private key of the record's algorithm.
    #[error(
        "key {kid} was decrypted but is not a usable {algorithm} key: revoke it with `keystead keys revoke {kid}` and \
         make another with `keystead keys rotate`"
    )]
    MalformedKey {
        /// The record.
        kid: Kid,
        /// The algorithm that the record names.
        algorithm: &'static str,
    },
    /// No key of this algorithm is active.
    #[error("no {algorithm} key is active: look at `keystead keys list` and make one with `keystead keys rotate`")]
    NoActiveKey {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// Claims that have no JSON form.
    #[error("the claims of a token cannot be written as JSON ({reason}): this is a defect, please report it")]
    Claims {
        /// What serde says.
        reason: String,
    },
    /// Password hash parameters outside the bounds.
    #[error(
        "the password hash parameters memory {memory_kib} KiB, iterations {iterations}, parallelism {parallelism} are out \
         of bounds: use 8 KiB a lane to 1 GiB of memory, 1 to 32 iterations, 1 to 16 lanes (19456, 2, 1 are usual)"
    )]
    HashParams {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        iterations: u32,
        /// Lanes.
        parallelism: u32,
    },
    /// The operating system gave no thread.
    #[error(
        "cannot start a password hash thread ({reason}): raise the limit of processes or lower the number of threads"
    )]
    Thread {
        /// What the operating system says.
        reason: String,
    },
    /// The library failed where only a lack of memory or a defect can make it fail.
    #[error(
        "the cryptographic library could not {operation}: see whether the machine is out of memory, then try again"
    )]
    Library {
        /// What was tried.
        operation: &'static str,
    },
}
