//! Randomness: the system's, or a sequence that a test can repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::digest;
use crate::domain::{Kid, Secret, Timestamp};

/// Gives random bytes, tokens and identifiers. Cheap to clone; clones of a seeded one share its sequence.
///
/// Key pairs and the nonces inside signatures come from aws-lc's own generator in any case.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded { seed: u64, drawn: Arc<AtomicU64> },
}

impl Random {
    /// The cryptographically secure generator of aws-lc, seeded by the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A sequence that anybody who knows the seed can repeat: for tests only.
    #[doc(hidden)]
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, drawn: Arc::default() })
    }

    /// Fresh random bytes.
    ///
    /// # Panics
    /// When the generator fails. Nothing can be done safely without randomness, and aws-lc fails only where the operating
    /// system has none to give.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => {
                let filled = aws_lc_rs::rand::fill(&mut bytes);
                assert!(filled.is_ok(), "the operating system gives no randomness, so nothing secret can be made");
            }
            Source::Seeded { seed, drawn } => {
                for chunk in bytes.chunks_mut(32) {
                    let count = drawn.fetch_add(1, Ordering::Relaxed);
                    let block = digest::sha256(&[seed.to_be_bytes(), count.to_be_bytes()].concat());
                    chunk.copy_from_slice(&block[..chunk.len()]);
                }
            }
        }
        bytes
    }

    /// A secret with 256 bits of entropy: the prefix, then 43 characters of base64url.
    #[must_use]
    pub fn token(&self, prefix: &str) -> Secret {
        let mut text = String::with_capacity(prefix.len() + 43);
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(self.bytes::<32>(), &mut text);
        Secret::new(text)
    }

    /// A time-ordered UUID (RFC 9562 §5.7) with 74 random bits: unique, but not secret.
    #[must_use]
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A name for a new key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        Kid(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::crypto::testing::NOW;

    #[test]
    fn security_38_tokens_have_256_random_bits_and_never_repeat() {
        let random = Random::system();
        let tokens: HashSet<String> = (0..1000).map(|_| random.token("kss_").expose().to_owned()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in tokens {
            let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("kss_").unwrap()).unwrap();
            assert_eq!(bytes.len(), 32, "{token}");
        }
    }

    #[test]
    fn a_seeded_sequence_repeats_itself_but_its_values_do_not() {
        let draw = |random: Random| (random.bytes::<100>(), random.clone().bytes::<100>(), random.kid());
        let first = draw(Random::seeded(7));
        assert_eq!(first, draw(Random::seeded(7)));
        assert_ne!(first, draw(Random::seeded(8)));
        assert_ne!(first.0, first.1, "a clone goes on where the original was");
        assert_ne!(first.0[..32], first.0[32..64]);
    }

    #[test]
    fn a_uuid_is_of_version_7_and_carries_the_time_it_was_told() {
        let id = Random::system().uuid_v7(NOW);
        assert_eq!(id.get_version(), Some(uuid::Version::SortRand));
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, u64::try_from(NOW.unix_timestamp()).unwrap());
    }
}
