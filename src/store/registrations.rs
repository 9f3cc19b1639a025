//! What is kept about clients that registered themselves, beside the clients.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::{ClientId, RegistrationOrigin, Timestamp};

/// Clients that one statement looks at.
const STEP: i64 = 100;

/// Makes further registrations wait until the transaction ends, so that the limit of [`insert`] is exact.
///
/// # Errors
/// The database.
pub async fn lock(db: impl PgExecutor<'_>) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('keystead registration'))").fetch_one(db).await?;
    Ok(())
}

/// Notes how a client came, with the SHA-256 of its registration access token if it has one. `false`: there are `most` that came so already.
///
/// # Errors
/// The database.
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: &ClientId,
    origin: RegistrationOrigin,
    token_sha256: Option<[u8; 32]>,
    now: Timestamp,
    most: u32,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO client_registrations (client_id, token_sha256, last_used_at, looked_at, origin)
         SELECT $1, $2, $3, $3, $5
         WHERE (SELECT count(*) FROM client_registrations WHERE origin = $5) < $4",
        id.as_str(),
        token_sha256.as_ref().map(|sha256| &sha256[..]),
        now,
        i64::from(most),
        origin.as_str()
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The SHA-256 of a client's registration access token. `None`: no client of this id registered itself with one.
///
/// # Errors
/// The database.
pub async fn token_sha256(db: impl PgExecutor<'_>, id: &ClientId) -> Result<Option<Vec<u8>>, StoreError> {
    let sha256 = sqlx::query_scalar!("SELECT token_sha256 FROM client_registrations WHERE client_id = $1", id.as_str());
    Ok(sha256.fetch_optional(db).await?.flatten())
}

/// One step through the clients that registered themselves.
#[derive(Debug)]
pub struct Looked {
    /// How many were looked at.
    pub clients: usize,
    /// Those of them that nobody has used since `unused_since`, or ever since `never_used_since`, and that no operator has taken over.
    pub unused: Vec<String>,
}

/// Looks at clients that were not looked at since `before`, and notes which are in use: people authorized them since the last look, or a
/// grant of theirs can still be used. So no request has to note it.
///
/// # Errors
/// The database.
pub async fn look(
    db: impl PgExecutor<'_>,
    now: Timestamp,
    before: Timestamp,
    [unused_since, never_used_since]: [Timestamp; 2],
) -> Result<Looked, StoreError> {
    let rows = sqlx::query!(
        r#"WITH due AS (
               SELECT client_id, looked_at FROM client_registrations WHERE looked_at < $2 ORDER BY looked_at LIMIT $4 FOR UPDATE SKIP LOCKED
           )
           UPDATE client_registrations r
           SET looked_at = $1,
               last_used_at = CASE WHEN seen.in_use THEN $1 ELSE r.last_used_at END,
               used = r.used OR seen.in_use
           FROM due, LATERAL (
               SELECT EXISTS (
                   SELECT FROM grants g
                   WHERE g.client_id = due.client_id
                     AND (g.created_at >= due.looked_at OR g.ended_at IS NULL AND g.idle_expires_at > $1)
               ) AS in_use
           ) seen
           WHERE r.client_id = due.client_id
           RETURNING r.client_id,
               (r.last_used_at < $3 OR r.last_used_at < $5 AND NOT r.used AND r.origin <> 'token')
               -- What an operator switched off would come back with the next request.
               AND NOT (r.origin = 'document' AND EXISTS (SELECT FROM clients c WHERE c.id = r.client_id AND c.disabled_at IS NOT NULL))
               AND NOT EXISTS (SELECT FROM clients c WHERE c.id = r.client_id AND 'client_credentials' = ANY (c.grant_types))
               AND NOT EXISTS (SELECT FROM resource_server_introspection_clients i WHERE i.client_id = r.client_id) AS "unused!""#,
        now,
        before,
        unused_since,
        STEP,
        never_used_since
    )
    .fetch_all(db)
    .await?;
    let clients = rows.len();
    Ok(Looked { clients, unused: rows.into_iter().filter(|row| row.unused).map(|row| row.client_id).collect() })
}

/// Removes these clients, but for those that somebody has just authorized. Who went.
///
/// # Errors
/// The database.
pub async fn delete_unused(
    db: impl PgExecutor<'_>,
    ids: &[String],
    unused_since: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let gone = sqlx::query_scalar!(
        "DELETE FROM clients c
         WHERE c.id = ANY ($1)
           AND NOT EXISTS (SELECT FROM grants g WHERE g.client_id = c.id AND g.created_at > $2)
         RETURNING c.id",
        ids,
        unused_since
    );
    Ok(gone.fetch_all(db).await?)
}
