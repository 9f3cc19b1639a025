//! Access tokens whose signature was verified before: APIs ask about the same token again and again. What is remembered is what the token
//! says, never whether it still holds; that is read from the database every time.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

use crate::crypto::{self, Expiry, Keyring};
use crate::domain::{Ancestor, Kid, Scope, Timestamp};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims, Confirmation};
use crate::protocol::introspection::Answer;

use super::InternalError;
use super::introspect::json;

/// Some six megabytes when full. The least used ones make way.
const MOST: usize = 6_144;
/// The share of them that having been asked for again protects from newer ones. Tokens die: with the library's usual 0.97, an API that asked
/// about 4,096 tokens in turn found none of them any more in the third generation, since those of the first two held the places.
const PROTECTED: f64 = 0.1;

/// Tokens by the SHA-256 of the whole text, so that a token with another signature is another token.
pub struct VerifiedTokens(Cache<[u8; 32], Arc<VerifiedToken>>);

/// An access token of ours.
pub struct VerifiedToken {
    kid: Kid,
    /// Until when it is valid, seconds since the epoch.
    pub expires_at: i64,
    /// When it was issued, seconds since the epoch.
    pub issued_at: i64,
    /// When the person behind it signed in, seconds since the epoch.
    pub auth_time: Option<i64>,
    /// Its `jti`.
    pub jti: Box<str>,
    /// Its client.
    pub client_id: Box<str>,
    /// On whose behalf: a person, or the client itself.
    pub subject: Box<str>,
    /// For whom it is.
    pub audience: Box<[String]>,
    /// What it allows.
    pub scope: Scope,
    /// What it is bound to.
    pub bound: Option<Box<Confirmation>>,
    /// From which tokens it was exchanged.
    pub ancestors: Box<[Ancestor]>,
    /// The answer to introspection while it is live (RFC 7662 §2.2), as JSON.
    pub live_answer: Box<str>,
}

impl VerifiedToken {
    fn new(kid: Kid, claims: AccessTokenClaims) -> Result<Self, InternalError> {
        let live_answer = json(&Answer::access_token(&claims))?.into();
        Ok(Self {
            kid,
            expires_at: claims.exp,
            issued_at: claims.iat,
            auth_time: claims.auth_time,
            jti: claims.jti.into(),
            client_id: claims.client_id.into(),
            subject: claims.sub.into(),
            audience: claims.aud.into(),
            scope: claims.scope,
            bound: claims.cnf.map(Box::new),
            ancestors: claims.exchanged_from.into(),
            live_answer,
        })
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(remembering())
    }
}

fn remembering<T: Clone>() -> Cache<[u8; 32], T> {
    let most = u64::try_from(MOST).unwrap_or(u64::MAX);
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(MOST).weight_capacity(most).hot_allocation(PROTECTED);
    options.build().map_or_else(
        |_| Cache::new(MOST),
        |options| {
            Cache::with_options(options, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
        },
    )
}

impl VerifiedTokens {
    /// The token, if we signed it, its key is accepted and it has not expired.
    ///
    /// # Errors
    /// Claims that have no JSON form: a defect.
    pub fn verify(
        &self,
        keyring: &Keyring,
        token: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifiedToken>>, InternalError> {
        let digest = crypto::sha256(token.as_bytes());
        if let Some(seen) = self.0.get(&digest) {
            return Ok((keyring.accepts(seen.kid, now) && now.unix_timestamp() < seen.expires_at).then_some(seen));
        }
        let verified = crypto::verify(keyring, token, &[ACCESS_TOKEN_TYPE], issuer, now, Expiry::Enforce);
        // Why a token is refused is nobody's business.
        let Ok((kid, claims)) = verified else { return Ok(None) };
        let token = Arc::new(VerifiedToken::new(kid, claims)?);
        self.0.insert(digest, Arc::clone(&token));
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_of_tokens_finds_a_place() {
        let tokens = remembering::<()>();
        for generation in 0..5 {
            for turn in 0..=3 {
                let seen = (0..4096).filter(|number: &u64| {
                    let digest = crypto::sha256(&[generation, *number].map(u64::to_be_bytes).concat());
                    let seen = tokens.get(&digest).is_some();
                    tokens.insert(digest, ());
                    seen
                });
                let seen = seen.count();
                // Where a token goes is random, so a part of the cache may be too full for some of them.
                assert!(turn < 3 || seen > 3_000, "{seen} in generation {generation}");
            }
        }
    }
}
