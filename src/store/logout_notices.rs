//! Which clients have to be told that a session is over.

use sqlx::PgExecutor;
use time::Duration;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{ClientId, SessionId, Timestamp, UserId};

/// Something that a client has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The session that is over.
    pub session_id: SessionId,
    /// Who has to be told.
    pub client_id: ClientId,
    /// Whose session it was.
    pub user_id: UserId,
    /// Since when.
    pub created_at: Timestamp,
    /// How often it was tried, with the try that follows.
    pub attempts: i32,
}

/// Notes every client that got tokens in one of these sessions and wants to be told. How many there are.
///
/// # Errors
/// The database.
pub async fn insert(db: impl PgExecutor<'_>, ended: &[SessionId], now: Timestamp) -> Result<u64, StoreError> {
    if ended.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = ended.iter().map(|id| id.0).collect();
    // Over the person's grants, since they have an index by person and none by session.
    let done = sqlx::query!(
        "INSERT INTO logout_notices (session_id, client_id, user_id, created_at, due_at)
         SELECT DISTINCT s.id, g.client_id, s.user_id, $2::timestamptz, $2::timestamptz
         FROM sessions s
         JOIN grants g ON g.user_id = s.user_id AND g.session_id = s.id AND g.generation > 0
         JOIN clients c ON c.id = g.client_id AND c.disabled_at IS NULL AND jsonb_exists(c.protocol, 'backchannel_logout_uri')
              AND g.created_at >= c.tokens_not_before
         WHERE s.id = ANY ($1)
         ON CONFLICT DO NOTHING",
        &ids,
        now
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// The clients that got tokens in a session.
///
/// # Errors
/// The database.
pub async fn clients_of(
    db: impl PgExecutor<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Vec<ClientId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT client_id FROM grants WHERE user_id = $1 AND session_id = $2 AND generation > 0 ORDER BY client_id",
        user.0,
        session.0
    )
    .fetch_all(db)
    .await?;
    ids.into_iter().map(client_id).collect()
}

/// Takes at most `limit` notices that are due, but for clients that are busy; until `lease` has passed no other replica takes them.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn take(
    db: impl PgExecutor<'_>,
    limit: i64,
    busy: &[String],
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<LogoutNotice>, StoreError> {
    let rows = sqlx::query!(
        "UPDATE logout_notices SET due_at = $3, attempts = attempts + 1
         WHERE (session_id, client_id) IN
             (SELECT session_id, client_id FROM logout_notices WHERE due_at <= $1 AND client_id <> ALL ($4)
              ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING session_id, client_id, user_id, created_at, attempts",
        now,
        limit,
        now + lease,
        busy
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LogoutNotice {
                session_id: SessionId(row.session_id),
                client_id: client_id(row.client_id)?,
                user_id: UserId(row.user_id),
                created_at: row.created_at,
                attempts: row.attempts,
            })
        })
        .collect()
}

/// Removes a notice that was delivered or given up.
///
/// # Errors
/// The database.
pub async fn remove(db: impl PgExecutor<'_>, notice: &LogoutNotice) -> Result<(), StoreError> {
    let (session, client) = (notice.session_id.0, notice.client_id.as_str());
    sqlx::query!("DELETE FROM logout_notices WHERE session_id = $1 AND client_id = $2", session, client)
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets what a client was not told yet: it would be told by names that it never knew.
///
/// # Errors
/// The database.
pub async fn forget(db: impl PgExecutor<'_>, client: &ClientId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM logout_notices WHERE client_id = $1", client.as_str()).execute(db).await?;
    Ok(())
}

/// Puts a notice off, unless it was taken by somebody else in the meantime.
///
/// # Errors
/// The database.
pub async fn put_off(db: impl PgExecutor<'_>, notice: &LogoutNotice, due_at: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE logout_notices SET due_at = $3 WHERE session_id = $1 AND client_id = $2 AND attempts = $4",
        notice.session_id.0,
        notice.client_id.as_str(),
        due_at,
        notice.attempts
    )
    .execute(db)
    .await?;
    Ok(())
}

fn client_id(text: String) -> Result<ClientId, StoreError> {
    ClientId::parse(&text).ok_or(StoreError::Corrupt { table: "grants", id: text, field: "client_id" })
}
