//! The state behind access tokens, read at each use and never cached.

use sqlx::PgExecutor;

use crate::domain::{ClientId, GrantId, Timestamp, TokenState};

use super::StoreError;

/// What speaks against an access token; one round trip.
///
/// # Errors
/// The database.
pub async fn state(
    db: impl PgExecutor<'_>,
    jti: &str,
    client_id: &ClientId,
    grant: Option<GrantId>,
    issued_at: Timestamp,
    now: Timestamp,
) -> Result<TokenState, StoreError> {
    let state = sqlx::query_as!(
        TokenState,
        r#"SELECT EXISTS (SELECT FROM revoked_tokens WHERE jti = $1) AS "token_revoked!",
                  NOT EXISTS (SELECT FROM clients
                              WHERE id = $2 AND disabled_at IS NULL AND tokens_not_before <= $4) AS "client_off!",
                  $3::uuid IS NOT NULL AND NOT COALESCE(g.ended_at IS NULL AND g.expires_at > $5, false) AS "grant_over!",
                  $3::uuid IS NOT NULL AND NOT COALESCE(u.locked_at IS NULL AND u.id IS NOT NULL, false) AS "user_off!",
                  $3::uuid IS NOT NULL AND NOT COALESCE('offline_access' = ANY (g.scope), false) AND NOT EXISTS (
                      SELECT FROM sessions s WHERE s.id = g.session_id AND s.ended_at IS NULL AND s.expires_at > $5) AS "session_over!"
           FROM (VALUES (1)) AS one (x)
           LEFT JOIN grants g ON g.id = $3
           LEFT JOIN users u ON u.id = g.user_id"#,
        jti,
        client_id.as_str(),
        grant.map(|grant| grant.0),
        issued_at,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(state)
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
