//! Failed sign-ins in a row, counted before the password is looked at so that parallel guesses are counted too.

use sqlx::PgExecutor;

use crate::domain::Timestamp;

use super::StoreError;

/// The count for one account and kind of browser.
#[derive(Debug, Clone, Copy)]
pub struct Failures {
    /// In a row.
    pub failures: i32,
    /// The latest.
    pub last_failed_at: Timestamp,
}

/// The count, if there is one.
///
/// # Errors
/// The database.
pub async fn find(db: impl PgExecutor<'_>, key: &[u8]) -> Result<Option<Failures>, StoreError> {
    let found = sqlx::query_as!(Failures, "SELECT failures, last_failed_at FROM sign_in_failures WHERE key = $1", key);
    Ok(found.fetch_optional(db).await?)
}

/// Counts one more try as failed, if the count is still what the caller saw. False: somebody else tried at the same moment.
///
/// # Errors
/// The database.
pub async fn count(db: impl PgExecutor<'_>, key: &[u8], seen: i32, now: Timestamp) -> Result<bool, StoreError> {
    let counted = sqlx::query!(
        "INSERT INTO sign_in_failures AS f (key, failures, last_failed_at) VALUES ($1, 1, $3)
         ON CONFLICT (key) DO UPDATE SET failures = f.failures + 1, last_failed_at = $3 WHERE f.failures = $2",
        key,
        seen,
        now,
    )
    .execute(db)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Forgets the count after a success.
///
/// # Errors
/// The database.
pub async fn forget(db: impl PgExecutor<'_>, key: &[u8]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM sign_in_failures WHERE key = $1", key).execute(db).await?;
    Ok(())
}

/// Takes back one counted try that could not be judged after all.
///
/// # Errors
/// The database.
pub async fn take_back(db: impl PgExecutor<'_>, key: &[u8]) -> Result<(), StoreError> {
    sqlx::query!("UPDATE sign_in_failures SET failures = GREATEST(failures - 1, 0) WHERE key = $1", key)
        .execute(db)
        .await?;
    Ok(())
}
