//! The userinfo endpoint (OpenID Connect Core §5.3).

use serde_json::{Map, Value};

use crate::protocol::claims::user_info;
use crate::protocol::error::{ErrorCode, OAuthError};

use super::introspect::check_person_token;
use super::{Engine, FlowError};

/// What the bearer of an access token may know about its person.
///
/// # Errors
/// `invalid_token`, `insufficient_scope`.
pub async fn userinfo(engine: &Engine, token: &str) -> Result<Map<String, Value>, FlowError> {
    let invalid =
        || OAuthError::new(ErrorCode::InvalidToken, "The access token is not valid here, has expired or was revoked.");
    let (token, person) = check_person_token(engine, token).await?.ok_or_else(invalid)?;
    // RFC 9068 §4: a token for an API is not for us, and the other way round.
    if !token.audience.contains(&engine.policy.issuer) {
        return Err(invalid().into());
    }
    if !token.scope.contains("openid") {
        return Err(
            OAuthError::new(ErrorCode::InsufficientScope, "Userinfo needs an access token with scope openid.").into()
        );
    }
    let user = person.ok_or_else(invalid)?;
    Ok(user_info(&user, &token.scope))
}
