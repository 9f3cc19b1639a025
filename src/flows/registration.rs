//! Clients that register themselves (RFC 7591) and look after their own registration (RFC 7592).

use serde_json::json;
use time::Duration;

use super::admin::clients::{self, ClientDraft, CreatedClient};
use super::admin::{AdminError, Caller, tolerate};
use super::{Engine, FlowError, InternalError, sector};
use crate::crypto::{equal, sha256};
use crate::domain::{
    Actor, AuditEvent, Client, ClientId, ClientMetadata, InitialAccessTokenId, MetadataProblem, Origin,
    RegistrationMode, RegistrationOrigin, Scope, Secret,
};
use crate::outbound::Whose;
use crate::protocol::audience::STANDARD_SCOPES;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::registration::{complete, judge_dynamic, needs_sector_list, refusal};
use crate::store::{self, Tx};

/// Why somebody may not look after a registration, whether or not there is one.
pub const WRONG_TOKEN: &str = "The registration access token is not that of this client; send it in the Authorization header: Bearer, a space, the token.";

/// The clean-up asks once a day whether a client is in use.
const BETWEEN_LOOKS: Duration = Duration::days(1);

/// A client that has just registered itself.
pub struct Registration {
    /// The client and its secret.
    pub created: CreatedClient,
    /// With this it looks after its registration (RFC 7592 §3).
    pub token: Secret,
}

/// What a client wants its registration to be from now on.
pub struct Replacement {
    /// All metadata; what is absent has its default.
    pub metadata: ClientMetadata,
    /// Its secret, where it names it.
    pub client_secret: Option<Secret>,
}

/// Registers a client. `presented` is its initial access token; `wanted` is looked at only when it may register at all.
///
/// # Errors
/// `invalid_token`; what the metadata is refused for; `temporarily_unavailable` where there are too many such clients.
pub async fn register(
    engine: &Engine,
    presented: Option<&str>,
    wanted: Result<ClientMetadata, OAuthError>,
    origin: &Origin,
) -> Result<Registration, FlowError> {
    let rules = &engine.policy.registration;
    if let Ok(wanted) = &wanted {
        judge_sector(engine, presented, wanted).await?;
    }
    let mut tx = engine.store.begin("register client").await?;
    let initial = use_up(engine, &mut tx, presented).await?;
    let wanted = wanted?;
    let id = clients::made_up_id(engine);
    let mut metadata = complete(wanted, &id, None, &usual_scope(engine)?);
    // RFC 7591 §5: people must not take a name that a stranger chose for one that somebody looked at.
    metadata.protocol.registered_openly = initial.is_none();
    refuse_beyond_rules(engine, &metadata, None)?;
    let (now, token) = (engine.clock.now(), engine.random.token("ksg_"));
    let draft = ClientDraft { metadata, disabled: false };
    store::registrations::lock(tx.conn()).await?;
    let new = clients::NewClient { id: Some(id), draft, secret: None };
    let created = clients::add(engine, &mut tx, new).await.map_err(refused)?;
    let client = &created.client;
    let hash = Some(sha256(token.expose().as_bytes()));
    let came = if initial.is_some() { RegistrationOrigin::Token } else { RegistrationOrigin::Open };
    if !store::registrations::insert(tx.conn(), &client.id, came, hash, now, rules.most_clients).await? {
        let sentence = "As many clients have registered themselves as may; an operator has to make room.";
        return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence).into());
    }
    let event = AuditEvent {
        name: "client.registered",
        actor: Actor::Client(client.id.clone()),
        subject: client.id.to_string(),
        details: json!({ "grant_types": client.metadata.grant_types, "scope": client.metadata.scope,
                         "initial_access_token": initial }),
    };
    engine.audit(&mut tx, &event, origin).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(&created.client.id).await);
    Ok(Registration { created, token })
}

/// What is registered (RFC 7592 §2.1).
///
/// # Errors
/// `invalid_token`; `access_denied` where an operator switched the client off.
pub async fn read(engine: &Engine, id: &ClientId, presented: Option<&str>) -> Result<Client, FlowError> {
    authenticate(engine, id, presented).await
}

/// Replaces what is registered (RFC 7592 §2.2). A client that begins to authenticate by a secret gets one. `may_change` counts what
/// would change this client; it is asked once nothing but the list of its sector speaks against the change.
///
/// # Errors
/// As [`read`], and what the metadata is refused for; `temporarily_unavailable` for too many changes, and for another one at the same moment.
pub async fn replace(
    engine: &Engine,
    id: &ClientId,
    presented: Option<&str>,
    wanted: Result<Replacement, OAuthError>,
    may_change: impl FnOnce() -> bool,
    origin: &Origin,
) -> Result<CreatedClient, FlowError> {
    let current = authenticate(engine, id, presented).await?;
    let Replacement { metadata, client_secret } = wanted?;
    if let Some(secret) = client_secret {
        let hash = sha256(secret.expose().as_bytes());
        if !current.secrets.iter().any(|own| equal(&own.sha256, &hash)) {
            // RFC 7592 §2.2: nobody chooses a secret.
            let sentence = "The client_secret is not that of this client; send the present one or leave it out.";
            return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, sentence).into());
        }
    }
    let metadata = complete(metadata, id, Some(&current.metadata), &usual_scope(engine)?);
    refuse_beyond_rules(engine, &metadata, Some(&current.metadata))?;
    if metadata == current.metadata
        && !(metadata.token_endpoint_auth_method.uses_secret() && current.secrets.is_empty())
    {
        return Ok(CreatedClient { client: current, secret: None });
    }
    if !may_change() {
        return Err(later(
            "There were too many changes of this registration lately, refused ones too; try again in a few minutes.",
        )
        .into());
    }
    refuse(&sector::judge(engine, &metadata, Some(&current.metadata), whose(&current.metadata)).await)?;
    // Only now a connection is held and the row locked: everything that needs neither was judged before.
    let mut tx = engine.store.begin("replace registration").await?;
    if store::clients::lock(tx.conn(), id).await?.as_ref() != Some(&current) {
        return Err(
            later("The registration was changed by another request at this moment; read it and try again.").into()
        );
    }
    let draft = ClientDraft { metadata, disabled: false };
    let caller = Caller { actor: Actor::Client(id.clone()), origin: origin.clone() };
    let mut client = clients::apply(engine, &mut tx, &current, draft, &caller).await.map_err(refused)?;
    let secret = clients::add_first_secret(engine, &mut tx, &mut client, None).await.map_err(refused)?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    Ok(CreatedClient { client, secret })
}

/// Removes the client with all that people allowed it (RFC 7592 §2.3).
///
/// # Errors
/// As [`read`].
pub async fn delete(engine: &Engine, id: &ClientId, presented: Option<&str>, origin: &Origin) -> Result<(), FlowError> {
    authenticate(engine, id, presented).await?;
    let mut tx = engine.store.begin("delete registration").await?;
    let caller = Caller { actor: Actor::Client(id.clone()), origin: origin.clone() };
    clients::remove(engine, &mut tx, id, &caller).await.map_err(refused)?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    tolerate(engine.reload_resource_servers().await);
    Ok(())
}

/// One step of the clean-up: clients that registered themselves and that nobody has used for long are removed. `None`: all have been looked
/// at today; otherwise how many went.
///
/// # Errors
/// The database.
pub async fn remove_unused(engine: &Engine, tx: &mut Tx) -> Result<Option<u64>, InternalError> {
    let now = engine.clock.now();
    let rules = &engine.policy.registration;
    let unused_since = now - rules.unused_lifetime;
    let since = [unused_since, now - rules.never_used_lifetime];
    let looked = store::registrations::look(tx.conn(), now, now - BETWEEN_LOOKS, since).await?;
    if looked.clients == 0 {
        return Ok(None);
    }
    let gone = store::registrations::delete_unused(tx.conn(), &looked.unused, unused_since).await?;
    let count = gone.len() as u64;
    for subject in gone {
        let event = AuditEvent { name: "client.expired", actor: Actor::System, subject, details: json!({}) };
        engine.audit(tx, &event, &Origin::default()).await?;
    }
    Ok(Some(count))
}

/// Reads the list of a sector that a client wants to belong to. Only who may register makes this server ask elsewhere, and no connection to
/// the database waits for the answer, so the token is looked at twice and used up later.
async fn judge_sector(engine: &Engine, presented: Option<&str>, wanted: &ClientMetadata) -> Result<(), FlowError> {
    if needs_sector_list(wanted, None).is_none() {
        return Ok(());
    }
    let mut tx = engine.store.begin("look at initial access token").await?;
    use_up(engine, &mut tx, presented).await?;
    drop(tx);
    let whose = if presented.is_some() { Whose::Registered } else { Whose::Stranger };
    Ok(refuse(&sector::judge(engine, wanted, None, whose).await)?)
}

/// Who came without a token is a stranger for good.
fn whose(registered: &ClientMetadata) -> Whose {
    if registered.protocol.registered_openly { Whose::Stranger } else { Whose::Registered }
}

fn refuse(problems: &[MetadataProblem]) -> Result<(), OAuthError> {
    if problems.is_empty() { Ok(()) } else { Err(refusal(problems)) }
}

/// Who may register: takes a use of the token, which comes back when the registration is refused after all.
async fn use_up(
    engine: &Engine,
    tx: &mut Tx,
    presented: Option<&str>,
) -> Result<Option<InitialAccessTokenId>, FlowError> {
    let Some(token) = presented else {
        if engine.policy.registration.mode == RegistrationMode::Open {
            return Ok(None);
        }
        return Err(invalid_token("Registration needs an initial access token; ask an operator for one.").into());
    };
    let hash = sha256(token.as_bytes());
    let used = store::initial_access_tokens::consume(tx.conn(), hash, engine.clock.now()).await?;
    let sentence = "The initial access token is unknown, used up or expired; ask an operator for another.";
    used.map(Some).ok_or_else(|| invalid_token(sentence).into())
}

/// The client whose registration access token this is. RFC 7592 §2: a stranger does not learn whether there is a client of this id.
/// No row is locked, so that whoever looks only keeps nobody waiting.
async fn authenticate(engine: &Engine, id: &ClientId, presented: Option<&str>) -> Result<Client, FlowError> {
    let refused = || invalid_token(WRONG_TOKEN);
    let hash = sha256(presented.ok_or_else(refused)?.as_bytes());
    let own = store::registrations::token_sha256(engine.store.pool(), id).await?;
    if !equal(&own.unwrap_or_default(), &hash) {
        return Err(refused().into());
    }
    let client = store::clients::find(engine.store.pool(), id).await?.ok_or_else(refused)?;
    if client.disabled_at.is_some() {
        let sentence = "An operator has switched this client off; only an operator can change it.";
        return Err(OAuthError::new(ErrorCode::AccessDenied, sentence).into());
    }
    Ok(client)
}

/// What of the allowed scope has a meaning today.
fn usual_scope(engine: &Engine) -> Result<Scope, FlowError> {
    let servers = engine.snapshots.resource_servers()?;
    let known = servers
        .all()
        .iter()
        .fold(Scope::from_tokens(STANDARD_SCOPES).unwrap_or_default(), |known, server| known.union(&server.scope));
    Ok(engine.policy.registration.scope.intersection(&known))
}

fn refuse_beyond_rules(
    engine: &Engine,
    metadata: &ClientMetadata,
    held: Option<&ClientMetadata>,
) -> Result<(), OAuthError> {
    refuse(&judge_dynamic(metadata, &engine.policy.registration, held))
}

pub(super) fn refused(error: AdminError) -> FlowError {
    match error {
        AdminError::Invalid(problems) => refusal(&problems).into(),
        AdminError::NotFound => invalid_token("The client is gone.").into(),
        AdminError::Conflict(sentence) => OAuthError::new(ErrorCode::InvalidClientMetadata, sentence).into(),
        AdminError::Internal(error) => FlowError::Internal(error),
    }
}

fn later(sentence: &str) -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence)
}

fn invalid_token(sentence: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, sentence)
}
