//! The state behind access tokens, read at each use and never cached.

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{GrantId, Timestamp, TokenState, User, UserId, UserState};

use super::StoreError;
use super::kept::Kept;

/// One access token about which something is asked.
#[derive(Debug, Clone)]
pub struct TokenQuestion {
    /// Its `jti`.
    pub jti: String,
    /// Its client.
    pub client_id: String,
    /// Its grant, where a person is behind it.
    pub grant: Option<GrantId>,
    /// Its `iat`.
    pub issued_at: Timestamp,
    /// Whether the person's claims are wanted as well.
    pub with_person: bool,
    /// The time.
    pub now: Timestamp,
}

/// What the database says about an access token.
#[derive(Debug)]
pub struct TokenStanding {
    /// What speaks against it.
    pub state: TokenState,
    /// The person behind it, where they were wanted and are there.
    pub person: Option<User>,
}

#[expect(clippy::struct_excessive_bools, reason = "a row as the statement gives it")]
struct StandingRow {
    token_revoked: bool,
    client_off: bool,
    grant_over: bool,
    user_off: bool,
    session_over: bool,
    user_id: Option<Uuid>,
    username: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    profile: Option<serde_json::Value>,
    has_password: bool,
    user_created_at: Option<Timestamp>,
    user_updated_at: Option<Timestamp>,
}

/// Answers questions about many access tokens in one round trip. Every table is entered by its key, whatever the planner thinks of sizes:
/// a lateral subquery with a limit is never turned into a scan of the whole table.
///
/// # Errors
/// The database.
pub(super) async fn standings(
    db: Kept,
    questions: Vec<TokenQuestion>,
) -> Result<Vec<Result<TokenStanding, StoreError>>, StoreError> {
    let column = |of: fn(&TokenQuestion) -> String| questions.iter().map(of).collect::<Vec<_>>();
    let mut connection = db.take().await?;
    let rows = sqlx::query_as!(
        StandingRow,
        r#"SELECT EXISTS (SELECT FROM revoked_tokens r WHERE r.jti = q.jti) AS "token_revoked!",
                  c.id IS NULL AS "client_off!",
                  q.grant_id IS NOT NULL AND NOT COALESCE(g.ended_at IS NULL AND g.expires_at > q.now, false) AS "grant_over!",
                  q.grant_id IS NOT NULL AND NOT COALESCE(u.id IS NOT NULL AND u.locked_at IS NULL, false) AS "user_off!",
                  q.grant_id IS NOT NULL AND NOT COALESCE('offline_access' = ANY (g.scope), false) AND NOT EXISTS (
                      SELECT FROM sessions s WHERE s.id = g.session_id AND s.ended_at IS NULL AND s.expires_at > q.now) AS "session_over!",
                  CASE WHEN q.with_person THEN u.id END AS user_id, u.username AS "username?", u.email AS "email?",
                  u.email_verified AS "email_verified?", CASE WHEN q.with_person THEN u.profile END AS profile,
                  u.password_hash IS NOT NULL AS "has_password!", u.created_at AS "user_created_at?", u.updated_at AS "user_updated_at?"
           FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::bool[], $6::timestamptz[]) WITH ORDINALITY
                    AS q (jti, client_id, grant_id, issued_at, with_person, now, position)
           LEFT JOIN LATERAL (SELECT id FROM clients WHERE id = q.client_id AND disabled_at IS NULL AND tokens_not_before <= q.issued_at
                              LIMIT 1) c ON true
           LEFT JOIN LATERAL (SELECT user_id, session_id, scope, ended_at, expires_at FROM grants WHERE id = q.grant_id LIMIT 1) g ON true
           LEFT JOIN LATERAL (SELECT id, username, email, email_verified, profile, password_hash, locked_at, created_at, updated_at
                              FROM users WHERE id = g.user_id LIMIT 1) u ON true
           ORDER BY q.position"#,
        &column(|q| q.jti.clone()),
        &column(|q| q.client_id.clone()),
        &questions.iter().map(|q| q.grant.map(|grant| grant.0)).collect::<Vec<_>>() as &[Option<Uuid>],
        &questions.iter().map(|q| q.issued_at).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.with_person).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.now).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *connection)
    .await?;
    db.keep(connection);
    Ok(rows.into_iter().map(TokenStanding::try_from).collect())
}

impl TryFrom<StandingRow> for TokenStanding {
    type Error = StoreError;

    fn try_from(row: StandingRow) -> Result<Self, StoreError> {
        let state = TokenState {
            token_revoked: row.token_revoked,
            client_off: row.client_off,
            grant_over: row.grant_over,
            user_off: row.user_off,
            session_over: row.session_over,
        };
        let person = match (row.user_id, row.email, row.profile, row.user_created_at, row.user_updated_at) {
            (Some(id), Some(email), Some(profile), Some(created_at), Some(updated_at)) => Some(User {
                id: UserId(id),
                username: row.username,
                email,
                email_verified: row.email_verified.unwrap_or(false),
                profile: super::users::profile(id, profile)?,
                // Who is locked has no live token, so the state has told that already.
                state: UserState::Active,
                has_password: row.has_password,
                created_at,
                updated_at,
            }),
            _ => None,
        };
        Ok(Self { state, person })
    }
}

/// Marks one access token as revoked until it would have expired anyway.
///
/// # Errors
/// The database.
pub async fn revoke(db: impl PgExecutor<'_>, jti: &str, expires_at: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
        jti,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(())
}
