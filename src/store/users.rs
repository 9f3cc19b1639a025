//! People: accounts, claims, password hashes.

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Profile, Timestamp, User, UserId, UserState, normalize_identifier};

struct UserRow {
    id: Uuid,
    username: Option<String>,
    email: String,
    email_verified: bool,
    profile: Value,
    locked_at: Option<Timestamp>,
    has_password: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The one list of columns; what follows `FROM users u` is the caller's.
macro_rules! select_users {
    ($tail:tt $(, $argument:expr)*) => {
        sqlx::query_as!(
            UserRow,
            r#"SELECT u.id, u.username, u.email, u.email_verified, u.profile, u.locked_at,
                      u.password_hash IS NOT NULL AS "has_password!", u.created_at, u.updated_at
               FROM users u "# + $tail
            $(, $argument)*
        )
    };
}

/// The person of this id, locked or not.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn find(db: impl PgExecutor<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    select_users!("WHERE u.id = $1", id.0).fetch_optional(db).await?.map(User::try_from).transpose()
}

/// Like [`find`], and nobody else changes the account until the transaction ends.
///
/// # Errors
/// As [`find`].
pub async fn lock(db: impl PgExecutor<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    select_users!("WHERE u.id = $1 FOR NO KEY UPDATE", id.0).fetch_optional(db).await?.map(User::try_from).transpose()
}

/// The person whose e-mail address or user name, both normalized, is `identifier`, with the password's hash.
/// A user name never holds an `@` and an address always does, so one identifier never means two people.
///
/// # Errors
/// As [`find`].
pub async fn find_for_sign_in(
    db: impl PgExecutor<'_>,
    identifier: &str,
) -> Result<Option<(User, Option<String>)>, StoreError> {
    let found = sqlx::query!(
        "SELECT id, username, email, email_verified, profile, locked_at, password_hash, created_at, updated_at
         FROM users
         WHERE email_normalized = $1 OR username_normalized = $1",
        identifier
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let user = UserRow {
        id: row.id,
        username: row.username,
        email: row.email,
        email_verified: row.email_verified,
        profile: row.profile,
        locked_at: row.locked_at,
        has_password: row.password_hash.is_some(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(Some((User::try_from(user)?, row.password_hash)))
}

/// Whether the person may still sign in with the password that was verified. The answer holds until the transaction ends: a lock or a
/// change of the password either came before and is seen here, or waits and then ends the session that this transaction makes.
///
/// # Errors
/// The database.
pub async fn hold_for_sign_in(db: impl PgExecutor<'_>, id: &UserId, phc: &str) -> Result<bool, StoreError> {
    let held = sqlx::query!(
        "SELECT id FROM users WHERE id = $1 AND locked_at IS NULL AND password_hash = $2 FOR SHARE",
        id.0,
        phc
    );
    Ok(held.fetch_optional(db).await?.is_some())
}

/// At most `limit` people created after `after`, in order of creation; with `email`, only who has that normalized address.
///
/// # Errors
/// As [`find`].
pub async fn page(
    db: impl PgExecutor<'_>,
    email: Option<&str>,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>, StoreError> {
    let rows = select_users!(
        "WHERE ($1::text IS NULL OR u.email_normalized = $1) AND ($2::uuid IS NULL OR u.id > $2) ORDER BY u.id LIMIT $3",
        email,
        after.map(|id| id.0),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(User::try_from).collect()
}

/// The ids of at most `limit` people after this one, in order of creation.
///
/// # Errors
/// The database.
pub async fn ids_after(db: impl PgExecutor<'_>, after: Option<UserId>, limit: i64) -> Result<Vec<UserId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM users WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after.map(|id| id.0),
        limit
    );
    Ok(ids.fetch_all(db).await?.into_iter().map(UserId).collect())
}

/// Adds an account without a password.
///
/// # Errors
/// Constraint `users_email_normalized_key` or `users_username_normalized_key`: somebody else has it.
pub async fn insert(db: impl PgExecutor<'_>, user: &User) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO users (id, username, username_normalized, email, email_normalized, email_verified, profile, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        user.id.0,
        user.username,
        user.username.as_deref().map(normalize_identifier),
        user.email,
        normalize_identifier(&user.email),
        user.email_verified,
        profile_column(&user.profile),
        user.created_at,
        user.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes names, e-mail address and claims of an account that [`lock`] has read.
///
/// # Errors
/// As [`insert`].
pub async fn update(db: impl PgExecutor<'_>, user: &User) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE users
         SET username = $2, username_normalized = $3, email = $4, email_normalized = $5, email_verified = $6, profile = $7, updated_at = $8
         WHERE id = $1",
        user.id.0,
        user.username,
        user.username.as_deref().map(normalize_identifier),
        user.email,
        normalize_identifier(&user.email),
        user.email_verified,
        profile_column(&user.profile),
        user.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks or unlocks an account. `false`: it was so already, or is gone.
///
/// # Errors
/// The database.
pub async fn set_locked(
    db: impl PgExecutor<'_>,
    id: &UserId,
    locked: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE users SET locked_at = CASE WHEN $2 THEN $3::timestamptz END WHERE id = $1 AND (locked_at IS NOT NULL) <> $2",
        id.0,
        locked,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a password's hash (a PHC string). `false`: the account is gone.
///
/// # Errors
/// The database.
pub async fn set_password_hash(
    db: impl PgExecutor<'_>,
    id: &UserId,
    phc: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1", id.0, phc, now)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the same password under better parameters. `false`: the password was changed in the meantime, which stands.
///
/// # Errors
/// The database.
pub async fn replace_password_hash(
    db: impl PgExecutor<'_>,
    id: &UserId,
    old: &str,
    new: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", id.0, old, new)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets the failed sign-ins of an account, in every browser. `false`: there were none.
///
/// # Errors
/// The database.
pub async fn forget_failures(db: impl PgExecutor<'_>, id: &UserId) -> Result<bool, StoreError> {
    // A key is the account's id and, for a known browser, that of its device behind it.
    let done = sqlx::query!("DELETE FROM sign_in_failures WHERE substring(key FOR 16) = $1", &id.0.as_bytes()[..])
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Removes a person with all that hangs on the account: sessions, grants, consents. `false`: there was none.
///
/// # Errors
/// The database.
pub async fn delete(db: impl PgExecutor<'_>, id: &UserId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM users WHERE id = $1", id.0).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

fn profile(id: Uuid, column: Value) -> Result<Profile, StoreError> {
    serde_json::from_value(column).map_err(|_| StoreError::Corrupt {
        table: "users",
        id: id.to_string(),
        field: "profile",
    })
}

fn profile_column(profile: &Profile) -> Value {
    serde_json::to_value(profile).unwrap_or_else(|_| unreachable!("texts and booleans always have a JSON form"))
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let profile = profile(row.id, row.profile)?;
        Ok(Self {
            id: UserId(row.id),
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            profile,
            state: row.locked_at.map_or(UserState::Active, |since| UserState::Locked { since }),
            has_password: row.has_password,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
