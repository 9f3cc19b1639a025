//! Tokens with which clients register themselves; only their SHA-256 is kept.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{InitialAccessToken, InitialAccessTokenId, Timestamp};

/// At most `limit` tokens made after `after`, oldest first, also those that are used up, until the clean-up removes them.
///
/// # Errors
/// The database.
pub async fn page(
    db: impl PgExecutor<'_>,
    after: Option<InitialAccessTokenId>,
    limit: i64,
) -> Result<Vec<InitialAccessToken>, StoreError> {
    let rows = sqlx::query_as!(
        InitialAccessToken,
        r#"SELECT id AS "id: Uuid", description, uses, uses_left, created_at, expires_at
           FROM initial_access_tokens WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2"#,
        after.map(|id| id.0),
        limit
    );
    Ok(rows.fetch_all(db).await?)
}

/// Keeps a new token.
///
/// # Errors
/// The database.
pub async fn insert(db: impl PgExecutor<'_>, token: &InitialAccessToken, sha256: [u8; 32]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO initial_access_tokens (id, sha256, description, uses, uses_left, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        token.id.0,
        &sha256[..],
        token.description,
        token.uses,
        token.uses_left,
        token.created_at,
        token.expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes one use. `None`: there is no such token, it is used up, or it has expired.
///
/// # Errors
/// The database.
pub async fn consume(
    db: impl PgExecutor<'_>,
    sha256: [u8; 32],
    now: Timestamp,
) -> Result<Option<InitialAccessTokenId>, StoreError> {
    let id = sqlx::query_scalar!(
        "UPDATE initial_access_tokens SET uses_left = uses_left - 1
         WHERE sha256 = $1 AND uses_left > 0 AND expires_at > $2
         RETURNING id",
        &sha256[..],
        now
    );
    Ok(id.fetch_optional(db).await?.map(InitialAccessTokenId))
}

/// Removes a token. `false`: there was none.
///
/// # Errors
/// The database.
pub async fn delete(db: impl PgExecutor<'_>, id: InitialAccessTokenId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM initial_access_tokens WHERE id = $1", id.0).execute(db).await?;
    Ok(done.rows_affected() == 1)
}
