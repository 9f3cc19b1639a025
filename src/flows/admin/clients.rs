//! Registering clients and replacing their secrets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{AdminError, Caller, Page, PageRequest, changed_fields, refuse_problems, tolerate};
use crate::crypto::sha256;
use crate::domain::{
    Client, ClientId, ClientMetadata, ClientProtocol, ClientSecret, MetadataProblem, Scope, Secret, SecretId, Timestamp,
};
use crate::flows::{Engine, InternalError, client_keys, sector};
use crate::outbound::Whose;
use crate::protocol::registration;
use crate::store::{self, StoreError, Tx};

/// What an operator decides about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDraft {
    /// What is registered.
    pub metadata: ClientMetadata,
    /// Switched off: it can do nothing, and its tokens are inactive for good.
    pub disabled: bool,
}

/// A client to be made.
pub struct NewClient {
    /// Its id; made up where there is none.
    pub id: Option<ClientId>,
    /// What is registered.
    pub draft: ClientDraft,
    /// The secret of a confidential client. Only the known demo clients of `keystead dev` bring one; it is made up otherwise.
    pub secret: Option<Secret>,
}

/// A client that was just made.
pub struct CreatedClient {
    /// As it is stored.
    pub client: Client,
    /// Its secret, which nobody can read again. Public clients have none.
    pub secret: Option<Secret>,
}

/// Clients in order of their ids.
///
/// # Errors
/// The database.
pub async fn list(engine: &Engine, request: PageRequest<ClientId>) -> Result<Page<Client>, AdminError> {
    let after = request.after.as_ref().map(ClientId::as_str);
    let clients = store::clients::page(engine.store.pool(), after, request.rows()).await?;
    Ok(request.page(clients))
}

/// One client.
///
/// # Errors
/// There is none of this id; the database.
pub async fn find(engine: &Engine, id: &ClientId) -> Result<Client, AdminError> {
    store::clients::find(engine.store.pool(), id).await?.ok_or(AdminError::NotFound)
}

/// Registers a client; one that authenticates by a secret gets its first.
///
/// # Errors
/// The metadata cannot be accepted, or the id is taken.
pub async fn create(engine: &Engine, new: NewClient, caller: &Caller) -> Result<CreatedClient, AdminError> {
    refuse_problems(sector::judge(engine, &new.draft.metadata, None, Whose::Registered).await)?;
    let mut tx = engine.store.begin("create client").await?;
    let created = insert(engine, &mut tx, new, caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(&created.client.id).await);
    Ok(created)
}

/// The part of [`create`] that happens inside a transaction.
pub(super) async fn insert(
    engine: &Engine,
    tx: &mut Tx,
    new: NewClient,
    caller: &Caller,
) -> Result<CreatedClient, AdminError> {
    let created = add(engine, tx, new).await?;
    let metadata = &created.client.metadata;
    let details = json!({ "client_name": metadata.client_name, "grant_types": metadata.grant_types,
                          "scope": metadata.scope });
    engine.record(tx, "client.created", &created.client.id, details, caller).await?;
    Ok(created)
}

/// The same without an audit event.
pub(in crate::flows) async fn add(engine: &Engine, tx: &mut Tx, new: NewClient) -> Result<CreatedClient, AdminError> {
    let now = engine.clock.now();
    let mut metadata = new.draft.metadata;
    refuse_problems(judge(engine, tx, &metadata, &Scope::default()).await?)?;
    client_keys::tidy(&mut metadata);
    let id = new.id.unwrap_or_else(|| made_up_id(engine));
    let disabled_at = new.draft.disabled.then_some(now);
    let mut client = Client { id, metadata, secrets: Vec::new(), disabled_at, created_at: now, updated_at: now };
    store::clients::insert(tx.conn(), &client).await.map_err(|error| explain_taken(error, &client.id))?;
    let secret = add_first_secret(engine, tx, &mut client, new.secret).await?;
    Ok(CreatedClient { client, secret })
}

/// Gives a client that authenticates by a secret its first one: this, or one that is made up.
pub(in crate::flows) async fn add_first_secret(
    engine: &Engine,
    tx: &mut Tx,
    client: &mut Client,
    given: Option<Secret>,
) -> Result<Option<Secret>, AdminError> {
    if !client.metadata.token_endpoint_auth_method.uses_secret() || !client.secrets.is_empty() {
        return Ok(None);
    }
    let secret = given.unwrap_or_else(|| engine.random.token("kss_"));
    let stored = insert_secret(engine, tx, &client.id, &secret, engine.clock.now()).await?;
    client.secrets.push(stored.ok_or_else(both_slots_taken)?);
    Ok(Some(secret))
}

/// Changes a client. `change` gets what is registered and gives what shall be.
///
/// Switching a client off kills its tokens and grants for good, also once it is switched on again; so does another sector. A client that no longer
/// authenticates by a secret loses its secrets.
///
/// # Errors
/// There is none of this id, or `change` or the rules refuse.
pub async fn update<F>(engine: &Engine, id: &ClientId, change: F, caller: &Caller) -> Result<Client, AdminError>
where
    F: FnOnce(ClientDraft) -> Result<ClientDraft, Vec<MetadataProblem>>,
{
    let mut tx = engine.store.begin("update client").await?;
    let current = store::clients::lock(tx.conn(), id).await?.ok_or(AdminError::NotFound)?;
    let draft = ClientDraft { metadata: current.metadata.clone(), disabled: current.disabled_at.is_some() };
    let wanted = change(draft).map_err(AdminError::Invalid)?;
    // Operators are few, so a connection may wait here for the few seconds that the other side has.
    refuse_problems(sector::judge(engine, &wanted.metadata, Some(&current.metadata), Whose::Registered).await)?;
    let updated = apply(engine, &mut tx, &current, wanted, caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    Ok(updated)
}

/// The part of [`update`] that happens once the client is locked.
pub(in crate::flows) async fn apply(
    engine: &Engine,
    tx: &mut Tx,
    current: &Client,
    wanted: ClientDraft,
    caller: &Caller,
) -> Result<Client, AdminError> {
    let (id, now) = (&current.id, engine.clock.now());
    let mut updated = Client {
        metadata: wanted.metadata,
        disabled_at: wanted.disabled.then(|| current.disabled_at.unwrap_or(now)),
        ..current.clone()
    };
    if updated == *current {
        return Ok(updated);
    }
    refuse_problems(judge(engine, tx, &updated.metadata, &current.metadata.scope).await?)?;
    client_keys::tidy(&mut updated.metadata);
    updated.updated_at = now;
    store::clients::update(tx.conn(), &updated).await?;
    let is_renamed = updated.metadata.sector() != current.metadata.sector();
    if is_renamed || (updated.disabled_at.is_some() && current.disabled_at.is_none()) {
        // SECURITY 37: refresh tokens die with the client, they do not sleep until it is switched on again. So they do where it knows
        // people by other names from now on: Core §12.2 wants the `sub` of a refreshed ID token to be that of the first.
        store::clients::kill_tokens_before(tx.conn(), id, now).await?;
    }
    if is_renamed {
        store::logout_notices::forget(tx.conn(), id).await?;
    }
    if !updated.metadata.token_endpoint_auth_method.uses_secret() {
        store::clients::delete_secrets(tx.conn(), id).await?;
        updated.secrets.clear();
    }
    engine.record(tx, "client.updated", id, json!({ "changed": changed(current, &updated) }), caller).await?;
    Ok(updated)
}

/// Removes a client; its secrets, grants and consents go with it, and its tokens are inactive.
///
/// # Errors
/// There is none of this id; the database.
pub async fn delete(engine: &Engine, id: &ClientId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("delete client").await?;
    remove(engine, &mut tx, id, caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    tolerate(engine.reload_resource_servers().await);
    Ok(())
}

/// The part of [`delete`] that happens inside a transaction.
pub(in crate::flows) async fn remove(
    engine: &Engine,
    tx: &mut Tx,
    id: &ClientId,
    caller: &Caller,
) -> Result<(), AdminError> {
    if !store::clients::delete(tx.conn(), id).await? {
        return Err(AdminError::NotFound);
    }
    engine.record(tx, "client.deleted", id, json!({}), caller).await?;
    Ok(())
}

/// Gives a client a second secret, so that it can change over without an outage.
///
/// # Errors
/// There is no such client, it does not authenticate by a secret, or it has two secrets already.
pub async fn add_secret(engine: &Engine, id: &ClientId, caller: &Caller) -> Result<(ClientSecret, Secret), AdminError> {
    let mut tx = engine.store.begin("add client secret").await?;
    let client = store::clients::lock(tx.conn(), id).await?.ok_or(AdminError::NotFound)?;
    if !client.metadata.token_endpoint_auth_method.uses_secret() {
        return Err(AdminError::Conflict(
            "a client with this token_endpoint_auth_method has no secrets; \
             set it to client_secret_basic or client_secret_post first"
                .to_owned(),
        ));
    }
    let secret = engine.random.token("kss_");
    let stored = insert_secret(engine, &mut tx, id, &secret, engine.clock.now()).await?.ok_or_else(both_slots_taken)?;
    engine.record(&mut tx, "client.secret_added", id, json!({ "secret_id": stored.id }), caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    Ok((stored, secret))
}

/// Takes one secret from a client. The last one may go too: a stolen secret must not have to wait for its successor.
///
/// # Errors
/// There is no such client or secret; the database.
pub async fn remove_secret(
    engine: &Engine,
    id: &ClientId,
    secret: SecretId,
    caller: &Caller,
) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("remove client secret").await?;
    store::clients::lock(tx.conn(), id).await?.ok_or(AdminError::NotFound)?;
    if !store::clients::delete_secret(tx.conn(), id, secret).await? {
        return Err(AdminError::NotFound);
    }
    engine.record(&mut tx, "client.secret_removed", id, json!({ "secret_id": secret }), caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    Ok(())
}

/// `None`: both slots are taken.
async fn insert_secret(
    engine: &Engine,
    tx: &mut Tx,
    id: &ClientId,
    secret: &Secret,
    now: Timestamp,
) -> Result<Option<ClientSecret>, InternalError> {
    let sha256 = sha256(secret.expose().as_bytes());
    let stored = ClientSecret { id: SecretId(engine.random.uuid_v7(now)), sha256, created_at: now };
    let inserted = store::clients::insert_secret(tx.conn(), id, &stored).await?;
    Ok(inserted.then_some(stored))
}

/// Judges the metadata by itself, and the scope tokens that it does not hold already against the resource servers, which nobody
/// changes until the transaction ends.
async fn judge(
    engine: &Engine,
    tx: &mut Tx,
    metadata: &ClientMetadata,
    held: &Scope,
) -> Result<Vec<MetadataProblem>, StoreError> {
    let mut problems = registration::judge(metadata);
    problems.extend(client_keys::judge(engine, metadata));
    let servers = store::resource_servers::all_shared(tx.conn()).await?;
    let known = servers.iter().fold(held.clone(), |known, server| known.union(&server.scope));
    problems.extend(registration::judge_scope(&metadata.scope, &known));
    Ok(problems)
}

/// An id that nobody has.
pub(in crate::flows) fn made_up_id(engine: &Engine) -> ClientId {
    use base64::Engine as _;
    let random = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(engine.random.bytes::<12>());
    ClientId::parse(&format!("kc_{random}"))
        .unwrap_or_else(|| unreachable!("base64url is printable and kc_ begins no UUID"))
}

fn explain_taken(error: StoreError, id: &ClientId) -> AdminError {
    if error.is_constraint("clients_pkey") {
        return AdminError::Conflict(format!(
            "a client with client_id {id} exists; choose another client_id or leave it out"
        ));
    }
    error.into()
}

fn both_slots_taken() -> AdminError {
    AdminError::Conflict(
        "the client has two live secrets already; remove the one that is no longer used first".to_owned(),
    )
}

fn changed(old: &Client, new: &Client) -> Vec<String> {
    let names = changed_fields!(
        old.metadata,
        new.metadata,
        [
            client_name,
            client_uri,
            logo_uri,
            policy_uri,
            tos_uri,
            redirect_uris,
            post_logout_redirect_uris,
            application_type,
            token_endpoint_auth_method,
            grant_types,
            scope,
            id_token_signed_response_alg,
            require_pkce,
            skip_consent,
            access_token_lifetime,
            refresh_token_absolute_lifetime,
            refresh_token_idle_lifetime,
            refresh_token_grace_period,
        ]
    );
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.extend(changed_protocol(&old.metadata.protocol, &new.metadata.protocol));
    if old.disabled_at != new.disabled_at {
        names.push("disabled".to_owned());
    }
    names
}

/// The newer members are compared as they are stored, where each has its name.
fn changed_protocol(old: &ClientProtocol, new: &ClientProtocol) -> Vec<String> {
    let members = |protocol| serde_json::to_value(protocol).unwrap_or_default();
    let (old, new) = (members(old), members(new));
    let names: BTreeSet<&String> =
        [&old, &new].into_iter().filter_map(Value::as_object).flat_map(|members| members.keys()).collect();
    names.into_iter().filter(|name| old.get(name.as_str()) != new.get(name.as_str())).cloned().collect()
}
