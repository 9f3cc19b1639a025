//! Browser sessions. Only live ones are ever loaded.

use sqlx::PgExecutor;
use time::Duration;
use uuid::Uuid;

use crate::domain::{Authentication, ClaimNames, ClientId, Consent, Scope, Session, SessionId, Timestamp, UserId};

use super::StoreError;

/// A session to be kept.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of the cookie's value.
    pub token_sha256: [u8; 32],
    /// Who signed in.
    pub user_id: UserId,
    /// How and when.
    pub authentication: &'a Authentication,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Source address, for the person's own list.
    pub ip: Option<String>,
    /// Browser, for the person's own list.
    pub user_agent: Option<&'a str>,
}

/// Keeps a new session.
///
/// # Errors
/// The database.
pub async fn insert(db: impl PgExecutor<'_>, session: &NewSession<'_>, now: Timestamp) -> Result<(), StoreError> {
    let user_agent: Option<String> = session.user_agent.map(|text| text.chars().take(400).collect());
    sqlx::query!(
        "INSERT INTO sessions (id, token_sha256, user_id, auth_time, acr, amr, created_at, last_seen_at, expires_at, ip, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)",
        session.id.0,
        &session.token_sha256[..],
        session.user_id.0,
        session.authentication.auth_time,
        session.authentication.acr,
        &session.authentication.amr,
        now,
        session.expires_at,
        session.ip,
        user_agent,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a session of the same person a new cookie value and a new sign-in time; what hangs on the session lives on.
/// `None`: the cookie is of no live session of this person.
///
/// # Errors
/// The database.
pub async fn renew(
    db: impl PgExecutor<'_>,
    old_token_sha256: [u8; 32],
    session: &NewSession<'_>,
    now: Timestamp,
) -> Result<Option<SessionId>, StoreError> {
    let id = sqlx::query_scalar!(
        "UPDATE sessions SET token_sha256 = $3, auth_time = $4, acr = $5, amr = $6, last_seen_at = $7, expires_at = $8
         WHERE token_sha256 = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $7
         RETURNING id",
        &old_token_sha256[..],
        session.user_id.0,
        &session.token_sha256[..],
        session.authentication.auth_time,
        session.authentication.acr,
        &session.authentication.amr,
        now,
        session.expires_at,
    )
    .fetch_optional(db)
    .await?;
    Ok(id.map(SessionId))
}

struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    email: String,
    auth_time: Timestamp,
    acr: String,
    amr: Vec<String>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    consented: Vec<String>,
    consented_claims: Vec<String>,
}

impl SessionRow {
    fn into_parts(self) -> Result<(Session, Consent), StoreError> {
        let scope = Scope::from_tokens(self.consented).map_err(|_| StoreError::Corrupt {
            table: "consents",
            id: self.user_id.to_string(),
            field: "scope",
        })?;
        let session = Session {
            id: SessionId(self.id),
            user_id: UserId(self.user_id),
            email: self.email,
            authentication: Authentication { auth_time: self.auth_time, acr: self.acr, amr: self.amr },
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
            expires_at: self.expires_at,
        };
        Ok((session, Consent { scope, claims: ClaimNames::of(&self.consented_claims) }))
    }
}

/// The live session of a cookie, together with what its person allowed this client before: one round trip.
///
/// A session is live until it is ended, too old, too long unused, or its account is locked. Its use is noted once a minute.
///
/// # Errors
/// The database.
pub async fn find_live(
    db: impl PgExecutor<'_>,
    token_sha256: [u8; 32],
    client_id: Option<&ClientId>,
    idle_lifetime: Duration,
    now: Timestamp,
) -> Result<Option<(Session, Consent)>, StoreError> {
    let row = sqlx::query_as!(
        SessionRow,
        r#"WITH seen AS (
               UPDATE sessions SET last_seen_at = $3
               WHERE token_sha256 = $1 AND ended_at IS NULL AND expires_at > $3 AND last_seen_at > $4 AND last_seen_at < $5)
           SELECT s.id, s.user_id, u.email, s.auth_time, s.acr, s.amr, s.created_at, s.last_seen_at, s.expires_at,
                  COALESCE(c.scope, '{}') AS "consented!", COALESCE(c.claims, '{}') AS "consented_claims!"
           FROM sessions s
           JOIN users u ON u.id = s.user_id AND u.locked_at IS NULL
           LEFT JOIN consents c ON c.user_id = s.user_id AND c.client_id = $2
           WHERE s.token_sha256 = $1 AND s.ended_at IS NULL AND s.expires_at > $3 AND s.last_seen_at > $4"#,
        &token_sha256[..],
        client_id.map(ClientId::as_str),
        now,
        now - idle_lifetime,
        now - Duration::minutes(1),
    )
    .fetch_optional(db)
    .await?;
    row.map(SessionRow::into_parts).transpose()
}

/// Ends a session, if it has not ended before.
///
/// # Errors
/// The database.
pub async fn end(db: impl PgExecutor<'_>, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", id.0, now)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the session of a cookie that is about to be replaced by a new one, so that the old value is of no use to anybody.
/// Names it.
///
/// # Errors
/// The database.
pub async fn end_by_token(
    db: impl PgExecutor<'_>,
    token_sha256: [u8; 32],
    now: Timestamp,
) -> Result<Option<SessionId>, StoreError> {
    let ended = sqlx::query_scalar!(
        "UPDATE sessions SET ended_at = $2 WHERE token_sha256 = $1 AND ended_at IS NULL RETURNING id",
        &token_sha256[..],
        now
    );
    Ok(ended.fetch_optional(db).await?.map(SessionId))
}
