//! The one row that says whether the first administrator was made.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::Timestamp;

/// Claims the one bootstrap that a database has. `false`: it was used before.
///
/// # Errors
/// The database.
pub async fn claim(db: impl PgExecutor<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!("INSERT INTO bootstrap (at) VALUES ($1) ON CONFLICT DO NOTHING", now).execute(db).await?;
    Ok(done.rows_affected() == 1)
}
