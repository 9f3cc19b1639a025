//! A person's live sessions and grants, one by one.

use serde_json::json;

use super::{AdminError, Caller, Page, PageRequest};
use crate::domain::{ClientId, GrantEnd, GrantId, SessionId, UserId};
use crate::flows::Engine;
use crate::store::{self, live_access::LiveQuery};

pub use crate::store::live_access::{LiveGrant, LiveSession};

/// A person's live sessions in order of creation.
///
/// # Errors
/// There is no such person; the database.
pub async fn sessions(
    engine: &Engine,
    user: UserId,
    request: PageRequest<SessionId>,
) -> Result<Page<LiveSession>, AdminError> {
    super::users::find(engine, user).await?;
    let idle_since = engine.clock.now() - engine.policy.session_idle_lifetime;
    let sessions = store::live_access::sessions(engine.store.pool(), query(engine, user, &request), idle_since).await?;
    Ok(request.page(sessions))
}

/// A person's live grants in order of creation.
///
/// # Errors
/// There is no such person; the database.
pub async fn grants(
    engine: &Engine,
    user: UserId,
    request: PageRequest<GrantId>,
) -> Result<Page<LiveGrant>, AdminError> {
    super::users::find(engine, user).await?;
    let grants = store::live_access::grants(engine.store.pool(), query(engine, user, &request)).await?;
    Ok(request.page(grants))
}

/// Ends one session; grants that are not for offline use are over with it.
///
/// # Errors
/// There is no such session, or it was over before.
pub async fn end_session(engine: &Engine, id: SessionId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("end session").await?;
    let user = store::live_access::end_session(tx.conn(), id, engine.clock.now()).await?.ok_or(AdminError::NotFound)?;
    engine.note_logout(&mut tx, &[id]).await?;
    engine.record(&mut tx, "session.ended", &id, json!({ "user_id": user }), caller).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends one grant: its refresh token and its access tokens are dead.
///
/// # Errors
/// There is no such grant, or it was over before.
pub async fn end_grant(engine: &Engine, id: GrantId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("end grant").await?;
    let ended = store::live_access::end_grant(tx.conn(), id, GrantEnd::EndedByAdmin, engine.clock.now()).await?;
    let user = ended.ok_or(AdminError::NotFound)?;
    engine.record(&mut tx, "grant.ended", &id, json!({ "user_id": user }), caller).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes back what a person allowed a client: it is forgotten, so that the client has to ask again, and every grant given to the client ends,
/// also those for offline use.
///
/// # Errors
/// The person allowed this client nothing, or there is no such person or client.
pub async fn revoke_consent(
    engine: &Engine,
    user: UserId,
    client: &ClientId,
    caller: &Caller,
) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("revoke consent").await?;
    let forgotten = store::consents::forget(tx.conn(), user, client).await?;
    let (reason, now) = (GrantEnd::ConsentRevoked, engine.clock.now());
    let ended = store::live_access::end_grants_to(tx.conn(), user, client, reason, now).await?;
    if !forgotten && ended == 0 {
        return Err(AdminError::NotFound);
    }
    let details = json!({ "client_id": client.as_str(), "grants_ended": ended });
    engine.record(&mut tx, "consent.revoked", &user, details, caller).await?;
    tx.commit().await?;
    Ok(())
}

fn query<K: Copy>(engine: &Engine, user_id: UserId, request: &PageRequest<K>) -> LiveQuery<K> {
    LiveQuery { user_id, after: request.after, limit: request.rows(), now: engine.clock.now() }
}
