//! Revocation (RFC 7009).

use crate::crypto::{self, PositionKind};
use crate::domain::{Actor, AuditEvent, ClientId, GrantEnd, Origin, Timestamp};
use crate::protocol::client_auth::Credentials;
use crate::protocol::params::Params;
use crate::store;

use super::client_auth::authenticate;
use super::{Engine, FlowError, InternalError};

/// Revokes a token of the calling client. A token that is unknown, dead or another client's changes nothing and is no error (§2.2).
///
/// # Errors
/// `invalid_client`, `invalid_request`.
pub async fn revoke(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
    origin: &Origin,
) -> Result<(), FlowError> {
    let client = authenticate(engine, credentials, params).await?;
    let token = params.required("token")?;
    if token.starts_with("ksr_") {
        revoke_family(engine, token, client.id(), origin).await?;
    } else {
        revoke_access_token(engine, token, client.id()).await?;
    }
    Ok(())
}

/// §2.1: with a refresh token its access tokens die too; all of the family hang on one row.
async fn revoke_family(
    engine: &Engine,
    token: &str,
    client_id: &ClientId,
    origin: &Origin,
) -> Result<(), InternalError> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let Some((position, _)) = crypto::open(&keyring, PositionKind::RefreshToken, token, now) else { return Ok(()) };
    let grant = store::grants::find(engine.store.pool(), position.grant, now).await?;
    let Some(grant) = grant.filter(|grant| grant.details.client_id == *client_id) else { return Ok(()) };
    let mut tx = engine.store.begin("revoke family").await?;
    if store::grants::end(tx.conn(), grant.id, GrantEnd::Revoked, now).await? {
        let event = AuditEvent {
            name: "grant.revoked",
            actor: Actor::Client(client_id.clone()),
            subject: grant.id.to_string(),
            details: serde_json::json!({ "client_id": client_id, "user_id": grant.details.user_id }),
        };
        engine.audit(&mut tx, &event, origin).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn revoke_access_token(engine: &Engine, token: &str, client_id: &ClientId) -> Result<(), InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let now = engine.clock.now();
    let verified = engine.verified_tokens.verify(&keyring, token, &engine.policy.issuer, now)?;
    let Some(token) = verified.filter(|token| *token.client_id == *client_id.as_str()) else { return Ok(()) };
    let expires_at = Timestamp::from_unix_timestamp(token.expires_at).unwrap_or(now);
    store::tokens::revoke(engine.store.pool(), &token.jti, expires_at).await?;
    Ok(())
}
