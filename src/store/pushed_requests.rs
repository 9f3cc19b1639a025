//! Pushed authorization requests (RFC 9126): read as often as a browser asks, answered once.

use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::{ClientId, RequestId, Timestamp};

/// A request to be kept.
#[derive(Debug)]
pub struct NewPushedRequest<'a> {
    /// SHA-256 of its `request_uri`.
    pub sha256: [u8; 32],
    /// Its id, which its grant will have.
    pub id: RequestId,
    /// Who pushed it.
    pub client_id: &'a ClientId,
    /// What it asks for.
    pub request: Value,
    /// Until when it can be begun.
    pub expires_at: Timestamp,
}

/// A request that was found.
#[derive(Debug)]
pub struct PushedRequest {
    /// What it asks for.
    pub request: Value,
    /// Whether it was answered with a code.
    pub answered: bool,
}

/// Keeps a request.
///
/// # Errors
/// The database.
pub async fn insert(db: impl PgExecutor<'_>, new: NewPushedRequest<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO pushed_requests (sha256, request_id, client_id, request, expires_at) VALUES ($1, $2, $3, $4, $5)",
        &new.sha256[..],
        new.id.0,
        new.client_id.as_str(),
        Json(new.request) as _,
        new.expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The request of this name, if this client pushed it and it has not expired.
///
/// # Errors
/// The database.
pub async fn find(
    db: impl PgExecutor<'_>,
    sha256: [u8; 32],
    client_id: &ClientId,
    now: Timestamp,
) -> Result<Option<PushedRequest>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT p.request AS "request: Json<Value>", EXISTS (SELECT 1 FROM grants g WHERE g.request_id = p.request_id) AS "answered!"
           FROM pushed_requests p
           WHERE p.sha256 = $1 AND p.client_id = $2 AND p.expires_at > $3"#,
        &sha256[..],
        client_id.as_str(),
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| PushedRequest { request: row.request.0, answered: row.answered }))
}

/// Removes a request that the person refused.
///
/// # Errors
/// The database.
pub async fn delete(db: impl PgExecutor<'_>, id: RequestId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM pushed_requests WHERE request_id = $1", id.0).execute(db).await?;
    Ok(())
}
