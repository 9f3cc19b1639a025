//! What keeps a person signed in, as an operator sees and ends it: live sessions and live grants.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Authentication, ClientId, GrantEnd, GrantId, Scope, SessionId, Timestamp, UserId};

/// A live session as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// The `sid` of tokens.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// How and when.
    pub authentication: Authentication,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to within a minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Source address of the sign-in.
    pub ip: Option<String>,
    /// What the browser called itself then.
    pub user_agent: Option<String>,
}

/// A live grant as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGrant {
    /// Its name inside tokens.
    pub id: GrantId,
    /// Who gave it.
    pub user_id: UserId,
    /// To whom.
    pub client_id: ClientId,
    /// In which session.
    pub session_id: SessionId,
    /// What was allowed.
    pub scope: Scope,
    /// When it was given.
    pub created_at: Timestamp,
    /// When its tokens were renewed last.
    pub rotated_at: Timestamp,
    /// When its refresh token dies unused.
    pub idle_expires_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    auth_time: Timestamp,
    acr: String,
    amr: Vec<String>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
}

struct GrantRow {
    id: Uuid,
    user_id: Uuid,
    client_id: String,
    session_id: Uuid,
    scope: Vec<String>,
    created_at: Timestamp,
    rotated_at: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
}

/// Which part of a person's list to read.
#[derive(Debug, Clone, Copy)]
pub struct LiveQuery<K> {
    /// Whose.
    pub user_id: UserId,
    /// Only what was made after this one.
    pub after: Option<K>,
    /// How many at most.
    pub limit: i64,
    /// The time.
    pub now: Timestamp,
}

/// A person's live sessions in order of creation. One that was not used since `idle_since` is over.
///
/// # Errors
/// The database.
pub async fn sessions(
    db: impl PgExecutor<'_>,
    query: LiveQuery<SessionId>,
    idle_since: Timestamp,
) -> Result<Vec<LiveSession>, StoreError> {
    let rows = sqlx::query_as!(
        SessionRow,
        "SELECT id, user_id, auth_time, acr, amr, created_at, last_seen_at, expires_at, ip, user_agent
         FROM sessions
         WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND last_seen_at > $3 AND ($4::uuid IS NULL OR id > $4)
         ORDER BY id
         LIMIT $5",
        query.user_id.0,
        query.now,
        idle_since,
        query.after.map(|id| id.0),
        query.limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(LiveSession::from).collect())
}

/// A person's live grants in order of creation: those that are not ended, expired, or tied to a session that is over. As for
/// their tokens, a session that is merely idle is not over.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn grants(db: impl PgExecutor<'_>, query: LiveQuery<GrantId>) -> Result<Vec<LiveGrant>, StoreError> {
    let rows = sqlx::query_as!(
        GrantRow,
        "SELECT g.id, g.user_id, g.client_id, g.session_id, g.scope, g.created_at, g.rotated_at, g.idle_expires_at, g.expires_at
         FROM grants g
         JOIN clients c ON c.id = g.client_id AND g.created_at >= c.tokens_not_before
         LEFT JOIN sessions s
             ON s.id = g.session_id AND s.ended_at IS NULL AND s.expires_at > $2
         WHERE g.user_id = $1 AND g.ended_at IS NULL AND g.expires_at > $2
           AND (s.id IS NOT NULL OR 'offline_access' = ANY (g.scope))
           AND ($3::uuid IS NULL OR g.id > $3)
         ORDER BY g.id
         LIMIT $4",
        query.user_id.0,
        query.now,
        query.after.map(|id| id.0),
        query.limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(LiveGrant::try_from).collect()
}

/// Ends one session. `None`: there is none, or it was over before.
///
/// # Errors
/// The database.
pub async fn end_session(db: impl PgExecutor<'_>, id: SessionId, now: Timestamp) -> Result<Option<UserId>, StoreError> {
    let user = sqlx::query_scalar!(
        "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING user_id",
        id.0,
        now
    )
    .fetch_optional(db)
    .await?;
    Ok(user.map(UserId))
}

/// Ends all sessions of a person, and names them.
///
/// # Errors
/// The database.
pub async fn end_sessions(db: impl PgExecutor<'_>, user: UserId, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
    let ended = sqlx::query_scalar!(
        "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL RETURNING id",
        user.0,
        now
    );
    Ok(ended.fetch_all(db).await?.into_iter().map(SessionId).collect())
}

/// Ends one grant. `None`: there is none, or it was over before.
///
/// # Errors
/// The database.
pub async fn end_grant(
    db: impl PgExecutor<'_>,
    id: GrantId,
    reason: GrantEnd,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let user = sqlx::query_scalar!(
        "UPDATE grants SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL RETURNING user_id",
        id.0,
        now,
        reason.as_str()
    )
    .fetch_optional(db)
    .await?;
    Ok(user.map(UserId))
}

/// Ends all grants of a person and counts them.
///
/// # Errors
/// The database.
pub async fn end_grants(
    db: impl PgExecutor<'_>,
    user: UserId,
    reason: GrantEnd,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE grants SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at IS NULL",
        user.0,
        now,
        reason.as_str()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Ends all grants that a person gave to one client and counts them.
///
/// # Errors
/// The database.
pub async fn end_grants_to(
    db: impl PgExecutor<'_>,
    user: UserId,
    client: &ClientId,
    reason: GrantEnd,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE grants SET ended_at = $3, end_reason = $4 WHERE user_id = $1 AND client_id = $2 AND ended_at IS NULL",
        user.0,
        client.as_str(),
        now,
        reason.as_str()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

impl From<SessionRow> for LiveSession {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            authentication: Authentication { auth_time: row.auth_time, acr: row.acr, amr: row.amr },
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            ip: row.ip,
            user_agent: row.user_agent,
        }
    }
}

impl TryFrom<GrantRow> for LiveGrant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "grants", id: row.id.to_string(), field };
        Ok(Self {
            id: GrantId(row.id),
            user_id: UserId(row.user_id),
            client_id: ClientId::parse(&row.client_id).ok_or_else(|| corrupt("client_id"))?,
            session_id: SessionId(row.session_id),
            scope: Scope::from_tokens(row.scope).map_err(|_| corrupt("scope"))?,
            created_at: row.created_at,
            rotated_at: row.rotated_at,
            idle_expires_at: row.idle_expires_at,
            expires_at: row.expires_at,
        })
    }
}
