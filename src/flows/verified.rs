//! Access tokens whose signature was verified before: APIs ask about the same token again and again. What is remembered is what the token
//! says, never whether it still holds; that is read from the database every time.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::crypto::{self, Expiry, Keyring};
use crate::domain::{Kid, Timestamp};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims};
use crate::protocol::introspection::Answer;

/// Some five megabytes when full. The least used ones make way.
const MOST: usize = 4_096;

/// Tokens by the SHA-256 of the whole text, so that a token with another signature is another token.
pub struct VerifiedTokens(Cache<[u8; 32], Arc<VerifiedToken>>);

/// An access token of ours.
pub struct VerifiedToken {
    kid: Kid,
    /// What it says.
    pub claims: AccessTokenClaims,
    /// The answer to introspection while it is live (RFC 7662 §2.2), as JSON.
    pub live_answer: String,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl VerifiedTokens {
    /// The token, if we signed it, its key is accepted and it has not expired.
    #[must_use]
    pub fn verify(&self, keyring: &Keyring, token: &str, issuer: &str, now: Timestamp) -> Option<Arc<VerifiedToken>> {
        let digest = crypto::sha256(token.as_bytes());
        if let Some(seen) = self.0.get(&digest) {
            return (keyring.accepts(seen.kid, now) && now.unix_timestamp() < seen.claims.exp).then_some(seen);
        }
        let verified = crypto::verify(keyring, token, &[ACCESS_TOKEN_TYPE], issuer, now, Expiry::Enforce);
        let (kid, claims) = verified.ok()?;
        let live_answer = serde_json::to_string(&Answer::access_token(&claims)).ok()?;
        let token = Arc::new(VerifiedToken { kid, claims, live_answer });
        self.0.insert(digest, Arc::clone(&token));
        Some(token)
    }
}
