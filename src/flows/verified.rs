//! Access tokens whose signature was verified before: APIs ask about the same token again and again. What is remembered is what the token
//! says, never whether it still holds; that is read from the database every time.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::crypto::{self, Expiry, Keyring};
use crate::domain::{Kid, Timestamp};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims};

/// Some ten megabytes when full. The least used ones make way.
const MOST: usize = 10_000;

/// Claims by the SHA-256 of the whole token, so that a token with another signature is another token.
pub struct VerifiedTokens(Cache<[u8; 32], Arc<Verified>>);

struct Verified {
    kid: Kid,
    claims: Arc<AccessTokenClaims>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl VerifiedTokens {
    /// What a token says, if we signed it, its key is accepted and it has not expired.
    #[must_use]
    pub fn verify(
        &self,
        keyring: &Keyring,
        token: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Option<Arc<AccessTokenClaims>> {
        let digest = crypto::sha256(token.as_bytes());
        if let Some(seen) = self.0.get(&digest) {
            let holds = keyring.accepts(seen.kid, now) && now.unix_timestamp() < seen.claims.exp;
            return holds.then(|| Arc::clone(&seen.claims));
        }
        let verified = crypto::verify(keyring, token, &[ACCESS_TOKEN_TYPE], issuer, now, Expiry::Enforce);
        let (kid, claims) = verified.ok()?;
        let claims = Arc::new(claims);
        self.0.insert(digest, Arc::new(Verified { kid, claims: Arc::clone(&claims) }));
        Some(claims)
    }
}
