//! Resource servers, their scope tokens, and the clients that may introspect for them.

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::{ClientId, ResourceServer, ResourceServerId, Scope, SigningAlgorithm, Timestamp};

struct ResourceServerRow {
    id: uuid::Uuid,
    audience: String,
    name: String,
    scope: Vec<String>,
    signing_algorithm: String,
    access_token_lifetime: Option<i32>,
    introspection_clients: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The one list of columns; what follows `FROM resource_servers r` is the caller's.
macro_rules! select_resource_servers {
    ($tail:tt $(, $argument:expr)*) => {
        sqlx::query_as!(
            ResourceServerRow,
            r#"SELECT r.id, r.audience, r.name, r.signing_algorithm, r.access_token_lifetime, r.created_at, r.updated_at,
                      ARRAY(SELECT s.scope FROM resource_server_scopes s WHERE s.resource_server_id = r.id ORDER BY s.scope) AS "scope!",
                      ARRAY(SELECT i.client_id FROM resource_server_introspection_clients i
                            WHERE i.resource_server_id = r.id ORDER BY i.client_id) AS "introspection_clients!"
               FROM resource_servers r "# + $tail
            $(, $argument)*
        )
    };
}

/// Every resource server, in order of registration.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<ResourceServer>, StoreError> {
    let rows = select_resource_servers!("ORDER BY r.id").fetch_all(db).await?;
    rows.into_iter().map(ResourceServer::try_from).collect()
}

/// Like [`all`], and nobody changes one of them until the transaction ends.
///
/// # Errors
/// As [`all`].
pub async fn all_shared(db: impl PgExecutor<'_>) -> Result<Vec<ResourceServer>, StoreError> {
    let rows = select_resource_servers!("ORDER BY r.id FOR SHARE OF r").fetch_all(db).await?;
    rows.into_iter().map(ResourceServer::try_from).collect()
}

/// At most `limit` resource servers registered after `after`, in order of registration.
///
/// # Errors
/// As [`all`].
pub async fn page(
    db: impl PgExecutor<'_>,
    after: Option<ResourceServerId>,
    limit: i64,
) -> Result<Vec<ResourceServer>, StoreError> {
    let rows = select_resource_servers!(
        "WHERE $1::uuid IS NULL OR r.id > $1 ORDER BY r.id LIMIT $2",
        after.map(|id| id.0),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(ResourceServer::try_from).collect()
}

/// The resource server of this id.
///
/// # Errors
/// As [`all`].
pub async fn find(db: impl PgExecutor<'_>, id: ResourceServerId) -> Result<Option<ResourceServer>, StoreError> {
    select_resource_servers!("WHERE r.id = $1", id.0)
        .fetch_optional(db)
        .await?
        .map(ResourceServer::try_from)
        .transpose()
}

/// Like [`find`], and nobody else changes it until the transaction ends.
///
/// # Errors
/// As [`all`].
pub async fn lock(db: impl PgExecutor<'_>, id: ResourceServerId) -> Result<Option<ResourceServer>, StoreError> {
    select_resource_servers!("WHERE r.id = $1 FOR UPDATE OF r", id.0)
        .fetch_optional(db)
        .await?
        .map(ResourceServer::try_from)
        .transpose()
}

/// Adds a resource server without scopes and introspection clients.
///
/// # Errors
/// Constraint `resource_servers_audience_key`: the audience is taken.
pub async fn insert(db: impl PgExecutor<'_>, server: &ResourceServer) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO resource_servers (id, audience, name, signing_algorithm, access_token_lifetime, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        server.id.0,
        server.audience,
        server.name,
        server.signing_algorithm.as_str(),
        server.access_token_lifetime,
        server.created_at,
        server.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes all but scopes and introspection clients of a resource server that [`lock`] has read.
///
/// # Errors
/// Constraint `resource_servers_audience_key`: the audience is taken.
pub async fn update(db: impl PgExecutor<'_>, server: &ResourceServer) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE resource_servers
         SET audience = $2, name = $3, signing_algorithm = $4, access_token_lifetime = $5, updated_at = $6
         WHERE id = $1",
        server.id.0,
        server.audience,
        server.name,
        server.signing_algorithm.as_str(),
        server.access_token_lifetime,
        server.updated_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes away the scope tokens that are not in `scope`.
///
/// # Errors
/// The database.
pub async fn remove_other_scopes(
    db: impl PgExecutor<'_>,
    id: ResourceServerId,
    scope: &Scope,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM resource_server_scopes WHERE resource_server_id = $1 AND scope <> ALL ($2)",
        id.0,
        &scope.to_vec()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Gives it the scope tokens that it lacks of `scope`.
///
/// # Errors
/// Constraint `resource_server_scopes_pkey`: one of them belongs to another resource server.
pub async fn insert_scopes(db: impl PgExecutor<'_>, id: ResourceServerId, scope: &Scope) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO resource_server_scopes (scope, resource_server_id)
         SELECT wanted.scope, $1
         FROM unnest($2::text[]) AS wanted (scope)
         WHERE NOT EXISTS (SELECT FROM resource_server_scopes s WHERE s.scope = wanted.scope AND s.resource_server_id = $1)",
        id.0,
        &scope.to_vec()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes the right to introspect from the clients that are not in `clients`.
///
/// # Errors
/// The database.
pub async fn remove_other_introspection_clients(
    db: impl PgExecutor<'_>,
    id: ResourceServerId,
    clients: &[ClientId],
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM resource_server_introspection_clients WHERE resource_server_id = $1 AND client_id <> ALL ($2)",
        id.0,
        &texts(clients)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets these clients introspect its tokens, beside those that may already.
///
/// # Errors
/// Constraint `resource_server_introspection_clients_client_id_fkey`: one of them does not exist.
pub async fn insert_introspection_clients(
    db: impl PgExecutor<'_>,
    id: ResourceServerId,
    clients: &[ClientId],
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO resource_server_introspection_clients (resource_server_id, client_id)
         SELECT $1, wanted.client_id FROM unnest($2::text[]) AS wanted (client_id)
         ON CONFLICT DO NOTHING",
        id.0,
        &texts(clients)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes the resource server with its scope tokens. `false`: there was none.
///
/// # Errors
/// The database.
pub async fn delete(db: impl PgExecutor<'_>, id: ResourceServerId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM resource_servers WHERE id = $1", id.0).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

fn texts(clients: &[ClientId]) -> Vec<String> {
    clients.iter().map(ToString::to_string).collect()
}

impl TryFrom<ResourceServerRow> for ResourceServer {
    type Error = StoreError;

    fn try_from(row: ResourceServerRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "resource_servers", id: row.id.to_string(), field };
        let clients = row.introspection_clients.iter().map(|id| ClientId::parse(id)).collect::<Option<_>>();
        Ok(Self {
            id: ResourceServerId(row.id),
            audience: row.audience,
            name: row.name,
            scope: Scope::from_tokens(row.scope).map_err(|_| corrupt("scope"))?,
            signing_algorithm: SigningAlgorithm::parse(&row.signing_algorithm)
                .ok_or_else(|| corrupt("signing_algorithm"))?,
            access_token_lifetime: row.access_token_lifetime,
            introspection_clients: clients.ok_or_else(|| corrupt("introspection_clients"))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
