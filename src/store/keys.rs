//! Signing keys and MAC keys, with their private parts encrypted.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::{KeyAlgorithm, KeyRecord, Kid, Timestamp};

/// Names the advisory lock under which keys are made and withdrawn: "keys" in ASCII.
const KEYS_LOCK: i64 = 0x6b65_7973;

struct KeyRow {
    kid: Vec<u8>,
    algorithm: String,
    wrapped: Vec<u8>,
    encryption_key_id: String,
    created_at: Timestamp,
    activates_at: Timestamp,
    retires_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

/// Every key, also retired and revoked ones, oldest first.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<KeyRecord>, StoreError> {
    let rows = sqlx::query_as!(
        KeyRow,
        "SELECT kid, algorithm, wrapped, encryption_key_id, created_at, activates_at, retires_at, expires_at, revoked_at
         FROM keys
         ORDER BY created_at, kid"
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(KeyRecord::try_from).collect()
}

/// Waits until no other replica makes or withdraws keys, and keeps them waiting until the transaction ends.
///
/// # Errors
/// The database.
pub async fn lock(db: impl PgExecutor<'_>) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", KEYS_LOCK).execute(db).await?;
    Ok(())
}

/// Adds a key.
///
/// # Errors
/// Constraint `one_newest_key`: the algorithm has a key whose retirement is not planned yet.
pub async fn insert(db: impl PgExecutor<'_>, key: &KeyRecord) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO keys (kid, algorithm, wrapped, encryption_key_id, created_at, activates_at, retires_at, expires_at, revoked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &key.kid.0[..],
        key.algorithm.as_str(),
        key.wrapped,
        key.encryption_key_id,
        key.created_at,
        key.activates_at,
        key.retires_at,
        key.expires_at,
        key.revoked_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Decides when a key stops signing and when it stops being accepted. `false`: that was decided before, or it was revoked.
///
/// # Errors
/// Constraint `life_goes_forward`: it would retire before it signs, or expire before it retires.
pub async fn plan_retirement(
    db: impl PgExecutor<'_>,
    kid: Kid,
    retires_at: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE keys SET retires_at = $2, expires_at = $3 WHERE kid = $1 AND retires_at IS NULL AND revoked_at IS NULL",
        &kid.0[..],
        retires_at,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Withdraws a key in an emergency. `false`: there is none of this name, or it was withdrawn before.
///
/// # Errors
/// The database.
pub async fn revoke(db: impl PgExecutor<'_>, kid: Kid, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!("UPDATE keys SET revoked_at = $2 WHERE kid = $1 AND revoked_at IS NULL", &kid.0[..], now)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a waiting key sign at once. `false`: it signs already, or was withdrawn.
///
/// # Errors
/// The database.
pub async fn activate_now(db: impl PgExecutor<'_>, kid: Kid, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE keys SET activates_at = $2 WHERE kid = $1 AND activates_at > $2 AND revoked_at IS NULL",
        &kid.0[..],
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a key whose successor was withdrawn sign on. `false`: its end was not planned, or it was withdrawn.
///
/// # Errors
/// Constraint `one_newest_key`: there is a successor.
pub async fn cancel_retirement(db: impl PgExecutor<'_>, kid: Kid) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE keys SET retires_at = NULL, expires_at = NULL WHERE kid = $1 AND retires_at IS NOT NULL AND revoked_at IS NULL",
        &kid.0[..]
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the private part under another key-encryption key. `false`: there is no key of this name.
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
        "UPDATE keys SET wrapped = $2, encryption_key_id = $3 WHERE kid = $1",
        &kid.0[..],
        wrapped,
        encryption_key_id
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "keys", id: format!("{:02x?}", row.kid), field };
        Ok(Self {
            kid: <[u8; 8]>::try_from(row.kid.as_slice()).map(Kid).map_err(|_| corrupt("kid"))?,
            algorithm: KeyAlgorithm::parse(&row.algorithm).ok_or_else(|| corrupt("algorithm"))?,
            wrapped: row.wrapped,
            encryption_key_id: row.encryption_key_id,
            created_at: row.created_at,
            activates_at: row.activates_at,
            retires_at: row.retires_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    }
}
