//! Registering resource servers.

use serde_json::json;

use super::{AdminError, Caller, Page, PageRequest, changed_fields, refuse_problems, tolerate};
use crate::domain::{ADMIN_AUDIENCE, ClientId, MetadataProblem, ResourceServer, ResourceServerId, Scope, Timestamp};
use crate::flows::Engine;
use crate::protocol::registration;
use crate::store::{self, StoreError, Tx};

pub use crate::protocol::registration::ResourceServerDraft;

/// Resource servers in order of registration.
///
/// # Errors
/// The database.
pub async fn list(engine: &Engine, request: PageRequest<ResourceServerId>) -> Result<Page<ResourceServer>, AdminError> {
    let servers = store::resource_servers::page(engine.store.pool(), request.after, request.rows()).await?;
    Ok(request.page(servers))
}

/// One resource server.
///
/// # Errors
/// There is none of this id; the database.
pub async fn find(engine: &Engine, id: ResourceServerId) -> Result<ResourceServer, AdminError> {
    store::resource_servers::find(engine.store.pool(), id).await?.ok_or(AdminError::NotFound)
}

/// Registers a resource server.
///
/// # Errors
/// It cannot be accepted, or its audience or a scope token is taken.
pub async fn create(
    engine: &Engine,
    draft: ResourceServerDraft,
    caller: &Caller,
) -> Result<ResourceServer, AdminError> {
    let mut tx = engine.store.begin("create resource server").await?;
    judge(engine, &mut tx, &draft).await?;
    let now = engine.clock.now();
    let server = server(ResourceServerId(engine.random.uuid_v7(now)), draft, now);
    store::resource_servers::insert(tx.conn(), &server).await.map_err(explain)?;
    write_lists(&mut tx, &server).await?;
    let details = json!({ "audience": server.audience, "scope": server.scope });
    engine.record(&mut tx, "resource_server.created", &server.id, details, caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_resource_servers().await);
    Ok(server)
}

/// Changes a resource server. `change` gets what is registered and gives what shall be.
///
/// # Errors
/// There is none of this id, it is the admin API itself, `change` or the rules refuse, or a client still has a scope token that
/// would go.
pub async fn update<F>(
    engine: &Engine,
    id: ResourceServerId,
    change: F,
    caller: &Caller,
) -> Result<ResourceServer, AdminError>
where
    F: FnOnce(ResourceServerDraft) -> Result<ResourceServerDraft, Vec<MetadataProblem>>,
{
    let mut tx = engine.store.begin("update resource server").await?;
    let current = lock_changeable(&mut tx, id).await?;
    let wanted = change(draft_of(&current)).map_err(AdminError::Invalid)?;
    let mut updated =
        ResourceServer { created_at: current.created_at, ..server(id, wanted.clone(), current.updated_at) };
    if updated == current {
        return Ok(current);
    }
    judge(engine, &mut tx, &wanted).await?;
    let removed =
        Scope::from_tokens(current.scope.tokens().filter(|token| !updated.scope.contains(token))).unwrap_or_default();
    refuse_if_used(&mut tx, &removed).await?;
    updated.updated_at = engine.clock.now();
    store::resource_servers::update(tx.conn(), &updated).await.map_err(explain)?;
    write_lists(&mut tx, &updated).await?;
    let changed = changed_fields!(
        current,
        updated,
        [audience, name, scope, signing_algorithm, access_token_lifetime, introspection_clients]
    );
    engine.record(&mut tx, "resource_server.updated", &id, json!({ "changed": changed }), caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_resource_servers().await);
    Ok(updated)
}

/// Removes a resource server.
///
/// # Errors
/// There is none of this id, it is the admin API itself, or a client still has one of its scope tokens.
pub async fn delete(engine: &Engine, id: ResourceServerId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("delete resource server").await?;
    let current = lock_changeable(&mut tx, id).await?;
    refuse_if_used(&mut tx, &current.scope).await?;
    store::resource_servers::delete(tx.conn(), id).await?;
    engine.record(&mut tx, "resource_server.deleted", &id, json!({ "audience": current.audience }), caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_resource_servers().await);
    Ok(())
}

/// Without its own resource server nobody could administer this server any more.
async fn lock_changeable(tx: &mut Tx, id: ResourceServerId) -> Result<ResourceServer, AdminError> {
    let server = store::resource_servers::lock(tx.conn(), id).await?.ok_or(AdminError::NotFound)?;
    if server.audience == ADMIN_AUDIENCE {
        return Err(AdminError::Conflict(format!(
            "{ADMIN_AUDIENCE} is this server's own admin API; it cannot be changed or deleted"
        )));
    }
    Ok(server)
}

/// A scope token that clients hold must not become another API's: they would gain what nobody gave them.
async fn refuse_if_used(tx: &mut Tx, removed: &Scope) -> Result<(), AdminError> {
    let holders = store::clients::holding(tx.conn(), removed, 5).await?;
    if holders.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = holders.iter().map(ClientId::as_str).collect();
    Err(AdminError::Conflict(format!(
        "clients still hold one of the scope tokens {removed}, among them {}; take them from the clients' scope first",
        names.join(", ")
    )))
}

async fn judge(engine: &Engine, tx: &mut Tx, draft: &ResourceServerDraft) -> Result<(), AdminError> {
    let mut problems = registration::judge_resource_server(draft, &engine.policy.issuer);
    for (index, id) in draft.introspection_clients.iter().enumerate() {
        let sentence = match store::clients::find(tx.conn(), id).await? {
            None => "does not exist; register the client first, or remove it",
            Some(client) if client.is_public() => {
                "is a public client, which cannot authenticate at introspection; name a confidential one"
            }
            Some(_) => continue,
        };
        problems
            .push(MetadataProblem { field: format!("introspection_clients[{index}]"), sentence: sentence.to_owned() });
    }
    refuse_problems(problems)
}

async fn write_lists(tx: &mut Tx, server: &ResourceServer) -> Result<(), AdminError> {
    store::resource_servers::remove_other_scopes(tx.conn(), server.id, &server.scope).await?;
    store::resource_servers::insert_scopes(tx.conn(), server.id, &server.scope).await.map_err(explain)?;
    store::resource_servers::remove_other_introspection_clients(tx.conn(), server.id, &server.introspection_clients)
        .await?;
    store::resource_servers::insert_introspection_clients(tx.conn(), server.id, &server.introspection_clients)
        .await
        .map_err(explain)?;
    Ok(())
}

fn explain(error: StoreError) -> AdminError {
    let sentence = match &error {
        StoreError::Constraint(name) if name == "resource_servers_audience_key" => {
            "another resource server has this audience; change that one, or choose another audience"
        }
        StoreError::Constraint(name) if name == "resource_server_scopes_pkey" => {
            "one of the scope tokens belongs to another resource server; choose another name for it"
        }
        StoreError::Constraint(name) if name == "resource_server_introspection_clients_client_id_fkey" => {
            "one of the introspection clients was deleted just now; read the list again"
        }
        _ => return error.into(),
    };
    AdminError::Conflict(sentence.to_owned())
}

fn draft_of(server: &ResourceServer) -> ResourceServerDraft {
    ResourceServerDraft {
        audience: server.audience.clone(),
        name: server.name.clone(),
        scope: server.scope.clone(),
        signing_algorithm: server.signing_algorithm,
        access_token_lifetime: server.access_token_lifetime,
        introspection_clients: server.introspection_clients.clone(),
    }
}

fn server(id: ResourceServerId, draft: ResourceServerDraft, now: Timestamp) -> ResourceServer {
    let mut introspection_clients = draft.introspection_clients;
    introspection_clients.sort_unstable();
    ResourceServer {
        id,
        audience: draft.audience,
        name: draft.name,
        scope: draft.scope,
        signing_algorithm: draft.signing_algorithm,
        access_token_lifetime: draft.access_token_lifetime,
        introspection_clients,
        created_at: now,
        updated_at: now,
    }
}
