//! Introspection (RFC 7662), and the check that every use of an access token at this server goes through.

use crate::crypto::{self, Expiry, PositionKind};
use crate::domain::{ClientId, Timestamp};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims, grant_of};
use crate::protocol::introspection::{Answer, may_learn};
use crate::protocol::params::Params;
use crate::protocol::refresh::end_of;
use crate::store;
use crate::telemetry;

use super::client_auth::authenticate_confidential;
use super::{Engine, FlowError, InternalError};

/// Answers an introspection request.
///
/// # Errors
/// `invalid_client`, `invalid_request`.
pub async fn introspect(engine: &Engine, authorization: Option<&str>, params: &Params) -> Result<Answer, FlowError> {
    let caller = authenticate_confidential(engine, authorization, params)?;
    let token = params.required("token")?;
    let answer = if token.starts_with("ksr_") {
        refresh_token(engine, token, caller.id()).await?
    } else {
        access_token(engine, token, caller.id()).await?
    };
    telemetry::introspection(answer.is_active());
    Ok(answer)
}

async fn access_token(engine: &Engine, token: &str, caller: &ClientId) -> Result<Answer, InternalError> {
    let Some(claims) = verified(engine, token)? else { return Ok(Answer::inactive()) };
    let servers = engine.snapshots.resource_servers()?;
    let audience: Vec<_> =
        claims.aud.iter().filter_map(|audience| servers.by_audience(audience)).map(AsRef::as_ref).collect();
    if !may_learn(caller, &claims, &audience) || !is_live(engine, &claims).await? {
        return Ok(Answer::inactive());
    }
    Ok(Answer::access_token(claims))
}

async fn refresh_token(engine: &Engine, token: &str, caller: &ClientId) -> Result<Answer, InternalError> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let Some((position, _)) = crypto::open(&keyring, PositionKind::RefreshToken, token, now) else {
        return Ok(Answer::inactive());
    };
    let grant = store::grants::find(engine.store.pool(), position.grant, now).await?;
    let live = grant.filter(|grant| {
        grant.details.client_id == *caller && grant.generation == position.generation && end_of(grant, now).is_none()
    });
    Ok(live.map_or_else(Answer::inactive, |grant| Answer::refresh_token(&engine.policy.issuer, &grant)))
}

/// Whether an access token is ours, unexpired, and nothing in the database speaks against it. `None`: it is of no use.
///
/// # Errors
/// The database.
pub async fn check_access_token(engine: &Engine, token: &str) -> Result<Option<AccessTokenClaims>, InternalError> {
    let Some(claims) = verified(engine, token)? else { return Ok(None) };
    Ok(is_live(engine, &claims).await?.then_some(claims))
}

fn verified(engine: &Engine, token: &str) -> Result<Option<AccessTokenClaims>, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let now = engine.clock.now();
    Ok(crypto::verify(&keyring, token, &[ACCESS_TOKEN_TYPE], &engine.policy.issuer, now, Expiry::Enforce).ok())
}

async fn is_live(engine: &Engine, claims: &AccessTokenClaims) -> Result<bool, InternalError> {
    let Some(client_id) = ClientId::parse(&claims.client_id) else { return Ok(false) };
    let issued_at = Timestamp::from_unix_timestamp(claims.iat).unwrap_or(Timestamp::UNIX_EPOCH);
    let grant = grant_of(&claims.jti);
    let now = engine.clock.now();
    let state = store::tokens::state(engine.store.pool(), &claims.jti, &client_id, grant, issued_at, now).await?;
    Ok(state.is_live())
}
