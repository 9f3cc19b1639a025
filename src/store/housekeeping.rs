//! Removal of rows that are of no use any more, a few at a time so that nobody notices.

use sqlx::PgExecutor;

use crate::domain::Timestamp;

use super::StoreError;

/// Rows that one statement removes at most. They are chosen in an array: with IN the planner might join, and read the whole table for it.
const STEP: i64 = 100;

/// Whether this process may clean up now; the lock lasts as long as the transaction, so one replica cleans at a time.
///
/// # Errors
/// The database.
pub async fn try_lock(db: impl PgExecutor<'_>) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtext('keystead housekeeping')) AS "locked!""#);
    Ok(locked.fetch_one(db).await?)
}

/// Removes one step of access token revocations whose tokens have expired. How many went.
///
/// # Errors
/// The database.
pub async fn revoked_tokens(db: impl PgExecutor<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM revoked_tokens WHERE jti = ANY (ARRAY(SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT $2))",
        now,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of proofs that would be too old by now anyway.
///
/// # Errors
/// The database.
pub async fn used_proofs(db: impl PgExecutor<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM used_proofs WHERE key = ANY (ARRAY(SELECT key FROM used_proofs WHERE expires_at < $1 LIMIT $2))",
        now,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of device authorizations that expired before `before`, decided or not.
///
/// # Errors
/// The database.
pub async fn device_authorizations(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM device_authorizations
         WHERE id = ANY (ARRAY(SELECT id FROM device_authorizations WHERE expires_at < $1 LIMIT $2))",
        before,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of pushed authorization requests that no browser brought in time.
///
/// # Errors
/// The database.
pub async fn pushed_requests(db: impl PgExecutor<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM pushed_requests WHERE sha256 = ANY (ARRAY(SELECT sha256 FROM pushed_requests WHERE expires_at < $1 LIMIT $2))",
        now,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of initial access tokens that have expired.
///
/// # Errors
/// The database.
pub async fn initial_access_tokens(db: impl PgExecutor<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM initial_access_tokens WHERE id = ANY (ARRAY(SELECT id FROM initial_access_tokens WHERE expires_at < $1 LIMIT $2))",
        now,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of grants that expired before `before`. A code that was never redeemed counts as expired with its code.
///
/// # Errors
/// The database.
pub async fn grants(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM grants WHERE id = ANY (ARRAY(SELECT id FROM grants WHERE expires_at < $1 LIMIT $2))",
        before,
        STEP
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of sessions that expired before `before`; one that was ended early stays until then, for the person's own list.
///
/// # Errors
/// The database.
pub async fn sessions(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE id = ANY (ARRAY(SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2))",
        before,
        STEP
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of counts of failed sign-ins that nobody added to since `before`.
///
/// # Errors
/// The database.
pub async fn sign_in_failures(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM sign_in_failures WHERE key = ANY (ARRAY(SELECT key FROM sign_in_failures WHERE last_failed_at < $1 LIMIT $2))",
        before,
        STEP,
    );
    Ok(done.execute(db).await?.rows_affected())
}

/// Removes one step of audit events from before `before`, the oldest first. Their ids begin with their time, so the primary key finds them.
///
/// # Errors
/// The database.
pub async fn audit_events(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let millis = u64::try_from(before.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let first_kept = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    let done = sqlx::query!(
        "DELETE FROM audit_events WHERE id = ANY (ARRAY(SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2))",
        first_kept,
        STEP
    );
    Ok(done.execute(db).await?.rows_affected())
}
