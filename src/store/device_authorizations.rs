//! Devices that wait for a person (RFC 8628). Each decision and each poll is one guarded statement.

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{ClientId, DeviceDecision, DevicePoll, DeviceRequest, GrantId, RequestId, Scope, Timestamp};

use super::StoreError;

/// The codes of a device, as they are kept.
#[derive(Debug, Clone, Copy)]
pub struct KeptCodes<'a> {
    /// SHA-256 of the device code, which has 256 random bits.
    pub device_code_sha256: &'a [u8; 32],
    /// A MAC of the user code, which has too few bits for a hash.
    pub user_code_tag: &'a str,
}

/// Keeps a request until it expires.
///
/// # Errors
/// Constraint `device_authorizations_user_code_tag_key`: another device has this user code at the moment.
pub async fn insert(
    db: impl PgExecutor<'_>,
    request: &DeviceRequest,
    codes: KeptCodes<'_>,
    poll_interval: i32,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO device_authorizations
             (id, client_id, device_code_sha256, user_code_tag, scope, resources, created_at, expires_at, poll_interval)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        request.id.0,
        request.client_id.as_str(),
        &codes.device_code_sha256[..],
        codes.user_code_tag,
        &request.scope.to_vec(),
        &request.resources,
        now,
        request.expires_at,
        poll_interval,
    )
    .execute(db)
    .await?;
    Ok(())
}

struct RequestRow {
    id: Uuid,
    client_id: String,
    scope: Vec<String>,
    resources: Vec<String>,
    expires_at: Timestamp,
}

impl TryFrom<RequestRow> for DeviceRequest {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "device_authorizations", id: row.id.to_string(), field };
        Ok(Self {
            id: RequestId(row.id),
            client_id: ClientId::parse(&row.client_id).ok_or_else(|| corrupt("client_id"))?,
            scope: Scope::from_tokens(row.scope).map_err(|_| corrupt("scope"))?,
            resources: row.resources,
            expires_at: row.expires_at,
        })
    }
}

/// The request of a user code, given as its MAC under each key that is accepted. `None`: unknown, expired or decided.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn find_open(
    db: impl PgExecutor<'_>,
    user_code_tags: &[String],
    now: Timestamp,
) -> Result<Option<DeviceRequest>, StoreError> {
    let row = sqlx::query_as!(
        RequestRow,
        "SELECT id, client_id, scope, resources, expires_at FROM device_authorizations
         WHERE user_code_tag = ANY ($1) AND decided_at IS NULL AND expires_at > $2",
        user_code_tags,
        now,
    );
    row.fetch_optional(db).await?.map(DeviceRequest::try_from).transpose()
}

/// Writes down what the person decided; without a grant it is a refusal. `false`: decided before, or expired.
///
/// # Errors
/// The database.
pub async fn decide(
    db: impl PgExecutor<'_>,
    id: RequestId,
    grant: Option<GrantId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE device_authorizations SET decided_at = $3, grant_id = $2 WHERE id = $1 AND decided_at IS NULL AND expires_at > $3",
        id.0,
        grant.map(|grant| grant.0),
        now,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Whether this client was ever given this device code.
///
/// # Errors
/// The database.
pub async fn exists(
    db: impl PgExecutor<'_>,
    device_code_sha256: &[u8; 32],
    client_id: &ClientId,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM device_authorizations WHERE device_code_sha256 = $1 AND client_id = $2) AS "exists!""#,
        &device_code_sha256[..],
        client_id.as_str(),
    );
    Ok(found.fetch_one(db).await?)
}

/// Notes that a device asks, whether it asks too soon (one second of jitter on the way is forgiven), and if so makes its interval five
/// seconds longer (§3.5). `None`: this client has no such code; another client's poll changes nothing.
///
/// # Errors
/// The database.
pub async fn poll(
    db: impl PgExecutor<'_>,
    device_code_sha256: &[u8; 32],
    client_id: &ClientId,
    now: Timestamp,
) -> Result<Option<DevicePoll>, StoreError> {
    let row = sqlx::query!(
        r#"UPDATE device_authorizations
           SET polled_too_soon = COALESCE(polled_at + make_interval(secs => poll_interval - 1) > $3, false),
               poll_interval = poll_interval
                   + CASE WHEN polled_at + make_interval(secs => poll_interval - 1) > $3 THEN 5 ELSE 0 END,
               polled_at = $3
           WHERE device_code_sha256 = $1 AND client_id = $2
           RETURNING expires_at, poll_interval, polled_too_soon, decided_at IS NOT NULL AS "decided!", grant_id"#,
        &device_code_sha256[..],
        client_id.as_str(),
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| DevicePoll {
        expires_at: row.expires_at,
        interval: row.poll_interval,
        too_soon: row.polled_too_soon,
        decision: match row.grant_id {
            Some(grant) => DeviceDecision::Allowed(GrantId(grant)),
            None if row.decided => DeviceDecision::Denied,
            None => DeviceDecision::Pending,
        },
    }))
}
