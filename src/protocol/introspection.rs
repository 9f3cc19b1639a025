//! What a caller may learn about a token (RFC 7662 §2.2, §4).

use serde::Serialize;

use crate::domain::{ClientId, Grant, ResourceServer, Scope};

use super::claims::{AccessTokenClaims, TokenType, numeric_date};

/// The answer. An inactive token answers `{"active":false}` and nothing more, whatever the reason.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer<'a> {
    /// Unknown, expired, revoked, or none of the caller's business: the same bytes for all.
    Inactive {
        /// Always false.
        active: bool,
    },
    /// A live access token.
    AccessToken {
        /// Always true.
        active: bool,
        /// `Bearer` or `DPoP`.
        token_type: &'static str,
        /// All that the token says.
        #[serde(flatten)]
        claims: &'a AccessTokenClaims,
    },
    /// A live refresh token, shown to its own client only.
    RefreshToken {
        /// Always true.
        active: bool,
        /// `refresh_token`.
        token_type: &'static str,
        /// This server.
        iss: String,
        /// The person.
        sub: String,
        /// The client.
        client_id: ClientId,
        /// What was granted.
        scope: Scope,
        /// Until when it can be used.
        exp: i64,
    },
}

impl<'a> Answer<'a> {
    /// The one negative answer.
    #[must_use]
    pub fn inactive() -> Self {
        Self::Inactive { active: false }
    }

    /// The answer for a live access token.
    #[must_use]
    pub fn access_token(claims: &'a AccessTokenClaims) -> Self {
        let token_type = TokenType::of(claims.cnf).as_str();
        Self::AccessToken { active: true, token_type, claims }
    }

    /// The answer for a live refresh token; `sub` is what its client calls the person.
    #[must_use]
    pub fn refresh_token(issuer: &str, sub: String, grant: &Grant) -> Self {
        Self::RefreshToken {
            active: true,
            token_type: "refresh_token",
            iss: issuer.to_owned(),
            sub,
            client_id: grant.details.client_id.clone(),
            scope: grant.details.scope.clone(),
            exp: numeric_date(grant.idle_expires_at),
        }
    }
}

/// Whether the token is the caller's business: its own, or made for a resource server that it speaks for (§4: otherwise any client
/// could try out tokens that it found).
#[must_use]
pub fn may_learn(caller: &ClientId, client_id: &str, audience: &[&ResourceServer]) -> bool {
    client_id == caller.as_str() || audience.iter().any(|server| server.introspection_clients.contains(caller))
}
