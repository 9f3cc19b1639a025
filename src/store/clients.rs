//! Clients and their secrets.

use sqlx::PgExecutor;
use sqlx::types::Json;
use time::Duration;
use uuid::Uuid;

use super::{Connection, StoreError};
use crate::domain::{
    ApplicationType, Client, ClientAuthMethod, ClientId, ClientMetadata, ClientProtocol, ClientSecret, GrantType,
    RedirectUri, Scope, SecretId, SigningAlgorithm, Timestamp,
};

/// A row of `clients` with the columns of its `client_secrets` beside it, in order of creation.
struct ClientRow {
    id: String,
    client_name: String,
    client_uri: Option<String>,
    logo_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    application_type: String,
    token_endpoint_auth_method: String,
    grant_types: Vec<String>,
    scope: Vec<String>,
    id_token_signed_response_alg: String,
    require_pkce: bool,
    skip_consent: bool,
    access_token_lifetime: Option<i32>,
    refresh_token_absolute_lifetime: Option<i32>,
    refresh_token_idle_lifetime: Option<i32>,
    refresh_token_grace_period: Option<i32>,
    protocol: Json<ClientProtocol>,
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    secret_ids: Vec<Uuid>,
    secret_hashes: Vec<Vec<u8>>,
    secret_times: Vec<Timestamp>,
}

/// The one list of columns; what follows `FROM clients c` is the caller's.
macro_rules! select_clients {
    ($tail:tt $(, $argument:expr)*) => {
        sqlx::query_as!(
            ClientRow,
            r#"SELECT c.id, c.client_name, c.client_uri, c.logo_uri, c.policy_uri, c.tos_uri, c.redirect_uris,
                      c.post_logout_redirect_uris, c.application_type, c.token_endpoint_auth_method, c.grant_types, c.scope,
                      c.id_token_signed_response_alg, c.require_pkce, c.skip_consent, c.access_token_lifetime,
                      c.refresh_token_absolute_lifetime, c.refresh_token_idle_lifetime, c.refresh_token_grace_period,
                      c.protocol AS "protocol: _", c.disabled_at, c.created_at, c.updated_at,
                      ARRAY(SELECT s.id FROM client_secrets s WHERE s.client_id = c.id ORDER BY s.created_at, s.id) AS "secret_ids!",
                      ARRAY(SELECT s.sha256 FROM client_secrets s WHERE s.client_id = c.id ORDER BY s.created_at, s.id) AS "secret_hashes!",
                      ARRAY(SELECT s.created_at FROM client_secrets s WHERE s.client_id = c.id ORDER BY s.created_at, s.id) AS "secret_times!"
               FROM clients c "# + $tail
            $(, $argument)*
        )
    };
}

/// Clients that one statement reads when all are read, so that none takes too long however many there are.
const PAGE: i64 = 500;

/// Every client, page by page. What changes meanwhile is announced.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn all(db: &mut Connection) -> Result<Vec<Client>, StoreError> {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let after = clients.last().map(|last| last.id.as_str().to_owned());
        let next = page(&mut **db, after.as_deref(), PAGE).await?;
        let is_last = next.len() < usize::try_from(PAGE).unwrap_or_default();
        clients.extend(next);
        if is_last {
            return Ok(clients);
        }
    }
}

/// At most `limit` clients whose id comes after `after`, in order of their ids.
///
/// # Errors
/// As [`all`].
pub async fn page(db: impl PgExecutor<'_>, after: Option<&str>, limit: i64) -> Result<Vec<Client>, StoreError> {
    let rows = select_clients!("WHERE $1::text IS NULL OR c.id > $1 ORDER BY c.id LIMIT $2", after, limit)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Client::try_from).collect()
}

/// The client of this id, disabled or not.
///
/// # Errors
/// As [`all`].
pub async fn find(db: impl PgExecutor<'_>, id: &ClientId) -> Result<Option<Client>, StoreError> {
    select_clients!("WHERE c.id = $1", id.as_str()).fetch_optional(db).await?.map(Client::try_from).transpose()
}

/// Like [`find`], and nobody else changes the client or its secrets until the transaction ends.
///
/// # Errors
/// As [`all`].
pub async fn lock(db: impl PgExecutor<'_>, id: &ClientId) -> Result<Option<Client>, StoreError> {
    select_clients!("WHERE c.id = $1 FOR NO KEY UPDATE OF c", id.as_str())
        .fetch_optional(db)
        .await?
        .map(Client::try_from)
        .transpose()
}

/// At most `limit` clients that hold one of these scope tokens.
///
/// # Errors
/// As [`all`].
pub async fn holding(db: impl PgExecutor<'_>, scope: &Scope, limit: i64) -> Result<Vec<ClientId>, StoreError> {
    let ids =
        sqlx::query_scalar!("SELECT id FROM clients WHERE scope && $1 ORDER BY id LIMIT $2", &scope.to_vec(), limit)
            .fetch_all(db)
            .await?;
    let read = |id: String| ClientId::parse(&id).ok_or(StoreError::Corrupt { table: "clients", id, field: "id" });
    ids.into_iter().map(read).collect()
}

/// Adds a client without its secrets. Tokens of an earlier client of the same id stay dead.
///
/// # Errors
/// Constraint `clients_pkey`: the id is taken.
pub async fn insert(db: impl PgExecutor<'_>, client: &Client) -> Result<(), StoreError> {
    let m = &client.metadata;
    // `iat` counts whole seconds, so a token of the first second must not seem older than its client.
    sqlx::query!(
        "INSERT INTO clients (id, client_name, client_uri, logo_uri, policy_uri, tos_uri, redirect_uris, post_logout_redirect_uris,
                              application_type, token_endpoint_auth_method, grant_types, scope, id_token_signed_response_alg,
                              require_pkce, skip_consent, access_token_lifetime, refresh_token_absolute_lifetime,
                              refresh_token_idle_lifetime, refresh_token_grace_period, disabled_at, created_at, updated_at,
                              tokens_not_before, protocol)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                 date_trunc('second', $21::timestamptz), $23)",
        client.id.as_str(),
        m.client_name,
        m.client_uri,
        m.logo_uri,
        m.policy_uri,
        m.tos_uri,
        &texts(&m.redirect_uris),
        &texts(&m.post_logout_redirect_uris),
        m.application_type.as_str(),
        m.token_endpoint_auth_method.as_str(),
        &grant_types(m),
        &m.scope.to_vec(),
        m.id_token_signed_response_alg.as_str(),
        m.require_pkce,
        m.skip_consent,
        m.access_token_lifetime,
        m.refresh_token_absolute_lifetime,
        m.refresh_token_idle_lifetime,
        m.refresh_token_grace_period,
        client.disabled_at,
        client.created_at,
        client.updated_at,
        Json(&m.protocol) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes metadata, `disabled_at` and `updated_at` of a client that [`lock`] has read.
///
/// # Errors
/// The database.
pub async fn update(db: impl PgExecutor<'_>, client: &Client) -> Result<(), StoreError> {
    let m = &client.metadata;
    sqlx::query!(
        "UPDATE clients
         SET client_name = $2, client_uri = $3, logo_uri = $4, policy_uri = $5, tos_uri = $6, redirect_uris = $7,
             post_logout_redirect_uris = $8, application_type = $9, token_endpoint_auth_method = $10, grant_types = $11,
             scope = $12, id_token_signed_response_alg = $13, require_pkce = $14, skip_consent = $15,
             access_token_lifetime = $16, refresh_token_absolute_lifetime = $17, refresh_token_idle_lifetime = $18,
             refresh_token_grace_period = $19, disabled_at = $20, updated_at = $21, protocol = $22
         WHERE id = $1",
        client.id.as_str(),
        m.client_name,
        m.client_uri,
        m.logo_uri,
        m.policy_uri,
        m.tos_uri,
        &texts(&m.redirect_uris),
        &texts(&m.post_logout_redirect_uris),
        m.application_type.as_str(),
        m.token_endpoint_auth_method.as_str(),
        &grant_types(m),
        &m.scope.to_vec(),
        m.id_token_signed_response_alg.as_str(),
        m.require_pkce,
        m.skip_consent,
        m.access_token_lifetime,
        m.refresh_token_absolute_lifetime,
        m.refresh_token_idle_lifetime,
        m.refresh_token_grace_period,
        client.disabled_at,
        client.updated_at,
        Json(&m.protocol) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Kills every token and grant of the client up to now, for good. The moment only moves forward.
///
/// # Errors
/// The database.
pub async fn kill_tokens_before(db: impl PgExecutor<'_>, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
    // `iat` counts whole seconds, so a token of this very second must not seem younger than its end.
    let not_before = now.truncate_to_second() + Duration::SECOND;
    sqlx::query!(
        "UPDATE clients SET tokens_not_before = $2 WHERE id = $1 AND tokens_not_before < $2",
        id.as_str(),
        not_before
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes the client with all that hangs on it: secrets, grants, consents. `false`: there was none.
///
/// # Errors
/// The database.
pub async fn delete(db: impl PgExecutor<'_>, id: &ClientId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM clients WHERE id = $1", id.as_str()).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a secret into a free slot. `false`: both slots are taken.
///
/// # Errors
/// The database.
pub async fn insert_secret(db: impl PgExecutor<'_>, id: &ClientId, secret: &ClientSecret) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO client_secrets (id, client_id, slot, sha256, created_at)
         SELECT $1, $2, free.slot, $3, $4
         FROM (VALUES (1::smallint), (2::smallint)) AS free (slot)
         WHERE NOT EXISTS (SELECT FROM client_secrets s WHERE s.client_id = $2 AND s.slot = free.slot)
         ORDER BY free.slot
         LIMIT 1",
        secret.id.0,
        id.as_str(),
        &secret.sha256[..],
        secret.created_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes one secret. `false`: the client has none of this id.
///
/// # Errors
/// The database.
pub async fn delete_secret(db: impl PgExecutor<'_>, id: &ClientId, secret: SecretId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM client_secrets WHERE client_id = $1 AND id = $2", id.as_str(), secret.0)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes all secrets of a client that no longer authenticates.
///
/// # Errors
/// The database.
pub async fn delete_secrets(db: impl PgExecutor<'_>, id: &ClientId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM client_secrets WHERE client_id = $1", id.as_str()).execute(db).await?;
    Ok(())
}

fn texts(uris: &[RedirectUri]) -> Vec<String> {
    uris.iter().map(ToString::to_string).collect()
}

fn grant_types(metadata: &ClientMetadata) -> Vec<String> {
    metadata.grant_types.iter().map(|grant| grant.as_str().to_owned()).collect()
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "clients", id: row.id.clone(), field };
        let grant_types = row.grant_types.iter().map(|text| GrantType::parse(text)).collect::<Option<Vec<_>>>();
        let secrets = row.secret_ids.into_iter().zip(row.secret_hashes).zip(row.secret_times).map(
            |((id, sha256), created_at)| {
                let sha256 = sha256.try_into().ok()?;
                Some(ClientSecret { id: SecretId(id), sha256, created_at })
            },
        );
        Ok(Self {
            id: ClientId::parse(&row.id).ok_or_else(|| corrupt("id"))?,
            secrets: secrets.collect::<Option<_>>().ok_or_else(|| corrupt("sha256"))?,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            metadata: ClientMetadata {
                application_type: ApplicationType::parse(&row.application_type)
                    .ok_or_else(|| corrupt("application_type"))?,
                token_endpoint_auth_method: ClientAuthMethod::parse(&row.token_endpoint_auth_method)
                    .ok_or_else(|| corrupt("token_endpoint_auth_method"))?,
                grant_types: grant_types.ok_or_else(|| corrupt("grant_types"))?,
                scope: Scope::from_tokens(row.scope).map_err(|_| corrupt("scope"))?,
                id_token_signed_response_alg: SigningAlgorithm::parse(&row.id_token_signed_response_alg)
                    .ok_or_else(|| corrupt("id_token_signed_response_alg"))?,
                client_name: row.client_name,
                client_uri: row.client_uri,
                logo_uri: row.logo_uri,
                policy_uri: row.policy_uri,
                tos_uri: row.tos_uri,
                redirect_uris: row.redirect_uris.into_iter().map(RedirectUri::from_registered).collect(),
                post_logout_redirect_uris: row
                    .post_logout_redirect_uris
                    .into_iter()
                    .map(RedirectUri::from_registered)
                    .collect(),
                require_pkce: row.require_pkce,
                skip_consent: row.skip_consent,
                access_token_lifetime: row.access_token_lifetime,
                refresh_token_absolute_lifetime: row.refresh_token_absolute_lifetime,
                refresh_token_idle_lifetime: row.refresh_token_idle_lifetime,
                refresh_token_grace_period: row.refresh_token_grace_period,
                protocol: row.protocol.0,
            },
        })
    }
}
