//! The one key that makes pairwise names, with its secret encrypted.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::{KeyAlgorithm, KeyRecord, Kid};

/// The key; `None`: it was not made yet.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn find(db: impl PgExecutor<'_>) -> Result<Option<KeyRecord>, StoreError> {
    let row = sqlx::query!("SELECT kid, wrapped, encryption_key_id, created_at FROM pairwise_key").fetch_optional(db);
    let Some(row) = row.await? else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt { table: "pairwise_key", id: format!("{:02x?}", row.kid), field: "kid" };
    Ok(Some(KeyRecord {
        kid: <[u8; 8]>::try_from(row.kid.as_slice()).map(Kid).map_err(corrupt)?,
        algorithm: KeyAlgorithm::PairwiseNames,
        wrapped: row.wrapped,
        encryption_key_id: row.encryption_key_id,
        created_at: row.created_at,
        activates_at: row.created_at,
        retires_at: None,
        expires_at: None,
        revoked_at: None,
    }))
}

/// Keeps the key.
///
/// # Errors
/// Constraint `pairwise_key_pkey`: there is one. It is never replaced.
pub async fn insert(db: impl PgExecutor<'_>, key: &KeyRecord) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO pairwise_key (kid, wrapped, encryption_key_id, created_at) VALUES ($1, $2, $3, $4)",
        &key.kid.0[..],
        key.wrapped,
        key.encryption_key_id,
        key.created_at
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps the same secret under another key-encryption key. `false`: there is no key of this name.
///
/// # Errors
/// The database.
pub async fn replace_wrapped(
    db: impl PgExecutor<'_>,
    kid: Kid,
    wrapped: &[u8],
    encryption_key_id: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE pairwise_key SET wrapped = $2, encryption_key_id = $3 WHERE kid = $1",
        &kid.0[..],
        wrapped,
        encryption_key_id
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
