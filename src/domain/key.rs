//! Keys by algorithm and by stage of life.

use serde::{Deserialize, Serialize};

use super::{Kid, Timestamp};

/// Algorithms that sign tokens (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

super::client::text_form!(SigningAlgorithm {
    Es256 => "ES256",
    Rs256 => "RS256",
    Ps256 => "PS256",
    EdDsa => "EdDSA",
});

/// What a stored key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// Signs tokens; its public half is published.
    Signing(SigningAlgorithm),
    /// Derives codes and refresh tokens and seals unfinished requests; never published.
    HmacSha256,
    /// Makes the names by which pairwise clients know people. It has a table of its own and no stages of life: with another key everybody
    /// would be a stranger to those clients.
    PairwiseNames,
}

impl KeyAlgorithm {
    /// Every kind of key that rotates.
    pub const ALL: [Self; 5] = [
        Self::Signing(SigningAlgorithm::Es256),
        Self::Signing(SigningAlgorithm::Rs256),
        Self::Signing(SigningAlgorithm::Ps256),
        Self::Signing(SigningAlgorithm::EdDsa),
        Self::HmacSha256,
    ];

    /// The text form in the database and the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signing(algorithm) => algorithm.as_str(),
            Self::HmacSha256 => "HMAC-SHA256",
            Self::PairwiseNames => "pairwise names",
        }
    }

    /// Reads the text form of a kind that rotates.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "HMAC-SHA256" { Some(Self::HmacSha256) } else { SigningAlgorithm::parse(text).map(Self::Signing) }
    }
}

/// A key's stage of life; it follows from the times in its row, so all replicas agree without talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published so that everybody can fetch it, not signing yet.
    Pending,
    /// Signing.
    Active,
    /// Published so that its tokens can be verified, no longer signing.
    Retiring,
    /// Neither published nor accepted.
    Retired,
    /// Withdrawn in an emergency: its tokens are refused.
    Revoked,
}

super::client::text_form!(KeyState {
    Pending => "pending",
    Active => "active",
    Retiring => "retiring",
    Retired => "retired",
    Revoked => "revoked",
});

/// A key as it lies in the database: the private part is encrypted under a key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name.
    pub kid: Kid,
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// The private part, encrypted (nonce, ciphertext, tag).
    pub wrapped: Vec<u8>,
    /// Which key-encryption key wrapped it.
    pub encryption_key_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it signs.
    pub activates_at: Timestamp,
    /// From when it no longer signs; unknown until a successor exists.
    pub retires_at: Option<Timestamp>,
    /// From when it is no longer published or accepted.
    pub expires_at: Option<Timestamp>,
    /// When it was withdrawn in an emergency.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// The stage of life at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        let passed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if passed(self.expires_at) {
            KeyState::Retired
        } else if passed(self.retires_at) {
            KeyState::Retiring
        } else if self.activates_at <= now {
            KeyState::Active
        } else {
            KeyState::Pending
        }
    }
}
