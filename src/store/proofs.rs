//! Proofs that may be used once: client assertions (RFC 7523 §3) and DPoP proofs (RFC 9449 §11.1), on whatever replica they arrive.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::Timestamp;

/// Notes a proof by the SHA-256 of what makes it unique. `false`: it was used before.
///
/// # Errors
/// The database.
pub async fn use_once(db: impl PgExecutor<'_>, key: &[u8; 32], expires_at: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO used_proofs (key, expires_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        &key[..],
        expires_at
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
