//! Clients whose id is the URL of a document about them (draft-ietf-oauth-client-id-metadata-document).
//!
//! Whoever sends a browser here with such a URL makes this server ask there, so what is asked is bounded: by source, by URL, in number and in
//! size. What comes back is only remembered; a row is written once a person who has signed in goes to that client, so strangers fill nothing.
//! From then on the client is one like any other, and the document is read again when somebody goes to it and what is known has become old.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use serde_json::json;
use time::Duration;
use tokio::sync::Mutex;
use url::Url;

use super::admin::clients::{self, ClientDraft, NewClient};
use super::admin::{Caller, tolerate};
use super::{Engine, FlowError, InternalError, client_keys, registration};
use crate::domain::{
    Actor, AuditEvent, Client, ClientId, ClientMetadata, Origin, RegistrationOrigin, Scope, Timestamp,
};
use crate::outbound::{Outbound, Whose};
use crate::protocol::audience::STANDARD_SCOPES;
use crate::protocol::authorize;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::registration::{complete_document, document_url, read_document};
use crate::store;

/// Documents that are remembered; the least used ones make way.
const MOST_DOCUMENTS: usize = 2_048;
/// The largest document in bytes (draft §8.7).
const LARGEST: usize = 5 * 1024;
/// A document is read again after what its server says, within these bounds.
const USUAL: Duration = Duration::seconds(600);
const SHORTEST: Duration = Duration::seconds(300);
const LONGEST: Duration = Duration::seconds(3_600);
/// After a try that failed nobody is asked again for so long; the draft lets no failure be kept, but many tries would be an attack on others.
const BETWEEN_TRIES: Duration = Duration::seconds(15);
/// A client that authenticates goes on with what is known for so long when its document cannot be read: an outage there is no outage here.
const STALE: Duration = Duration::seconds(3_600);

/// Whether the one who asks may make this server ask for a document that it does not know; each call counts.
pub type MayAsk<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// What is remembered of documents, by client id.
pub struct ClientDocuments(Cache<ClientId, Arc<Entry>>);

#[derive(Default)]
struct Entry {
    /// The client as its document describes it, while it has no row.
    client: ArcSwapOption<Client>,
    /// Its lock is held while the document is read, so that many requests make one.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    said: Option<ClientMetadata>,
    fresh_until: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// When what is said was read, until the row was brought up to it.
    not_applied: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    failure: Option<OAuthError>,
}

impl Default for ClientDocuments {
    fn default() -> Self {
        Self(Cache::new(MOST_DOCUMENTS))
    }
}

impl ClientDocuments {
    fn entry(&self, id: &ClientId) -> Arc<Entry> {
        let Ok(entry) = self.0.get_or_insert_with(id, || Ok::<_, std::convert::Infallible>(Arc::default()));
        entry
    }
}

impl Engine {
    /// The client of this id, disabled or not, as far as it is known without asking anybody.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, InternalError> {
        let held = self.snapshots.client(id)?;
        let known = held.or_else(|| self.client_documents.0.get(id).and_then(|entry| entry.client.load_full()));
        Ok(known.filter(|client| self.welcomes(client)))
    }

    /// Whether the client is in the database. One that is known only by its document is not.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub(super) fn has_row(&self, id: &ClientId) -> Result<bool, InternalError> {
        Ok(self.snapshots.client(id)?.is_some())
    }

    /// Whether the operator still takes clients with documents from the host of this one's; others are as welcome as they are registered.
    fn welcomes(&self, client: &Client) -> bool {
        let accepted = || {
            let url = self.document_of(&client.id)?.ok()?;
            Some(self.policy.registration.documents.accepts(url.host_str()?))
        };
        !client.metadata.protocol.metadata_document || accepted().unwrap_or(false)
    }

    fn document_of(&self, id: &ClientId) -> Option<Result<Url, &'static str>> {
        document_url(id.as_str(), self.outbound.allows_loopback())
    }
}

/// The client of this id, disabled or not; one with a document as that says now.
///
/// # Errors
/// A sentence about the document, which holds nothing of it; or that this source has asked for too many.
pub async fn meet(engine: &Engine, id: &ClientId, may_ask: MayAsk<'_>) -> Result<Option<Arc<Client>>, FlowError> {
    let held = engine.snapshots.client(id)?;
    if held.as_ref().is_some_and(|held| !held.metadata.protocol.metadata_document || held.disabled_at.is_some()) {
        return Ok(held);
    }
    let rules = &engine.policy.registration.documents;
    let Some(url) = engine.document_of(id).filter(|_| rules.enabled) else { return Ok(None) };
    let url = url.map_err(|sentence| refused(&format!("The client_id cannot lead to a document: {sentence}.")))?;
    if !rules.accepts(url.host_str().unwrap_or_default()) {
        return Err(refused("This server takes no clients from the host of this client_id.").into());
    }
    let entry = engine.client_documents.entry(id);
    let mut state = Arc::clone(&entry.state).lock_owned().await;
    let now = engine.clock.now();
    if !state.is_fresh(now) {
        if let Some(failure) = state.failure.clone().filter(|_| state.was_tried(now)) {
            return Err(failure.into());
        }
        if held.is_none() && !may_ask() {
            return Err(too_many().into());
        }
        // To whom people have gone before does not wait behind strangers.
        let whose = if held.is_some() { Whose::Registered } else { Whose::Stranger };
        let (outbound, id) = (Arc::clone(&engine.outbound), id.clone());
        // In a task of its own: a stranger who asks and goes away must not leave to the others a try that never ended.
        let read = tokio::spawn(async move {
            state.read(&outbound, &id, whose, now).await;
            state
        });
        state = read.await.map_err(|_| InternalError::Stale)?;
    }
    let Some(said) = state.said.as_ref().filter(|_| state.is_fresh(now)) else {
        if held.is_none() {
            // Who asks for it again asks as for any that is not known.
            entry.client.store(None);
        }
        return Err(state.failure.clone().unwrap_or_else(authorize::unknown_client).into());
    };
    match known(engine, id, &url, said, state.not_applied).await {
        Ok(client) => {
            state.not_applied.take_if(|_| held.is_some());
            entry.client.store(Some(Arc::clone(&client)));
            Ok(Some(client))
        }
        Err(FlowError::Refused(error)) => {
            state.fail(error.clone(), now);
            Err(error.into())
        }
        Err(error) => Err(error),
    }
}

/// A client that authenticates, as its document says now; as it was known, where the document has not been to be had for an hour at most.
///
/// # Errors
/// As [`meet`].
pub async fn refreshed(engine: &Engine, client: Arc<Client>) -> Result<Arc<Client>, FlowError> {
    if !client.metadata.protocol.metadata_document || client.disabled_at.is_some() {
        return Ok(client);
    }
    match Box::pin(meet(engine, &client.id, &|| true)).await {
        Ok(met) => Ok(met.unwrap_or(client)),
        Err(FlowError::Refused(error)) => {
            let failing_since = engine.client_documents.entry(&client.id).state.lock().await.failing_since;
            let short = failing_since.is_some_and(|since| engine.clock.now() - since < STALE);
            if short { Ok(client) } else { Err(error.into()) }
        }
        Err(error) => Err(error),
    }
}

/// Writes the row of a client that is known only by its document: a person who has signed in goes to it.
///
/// # Errors
/// `temporarily_unavailable` where there are too many such clients.
pub async fn settle(engine: &Engine, client: &Client) -> Result<(), FlowError> {
    if !client.metadata.protocol.metadata_document || engine.has_row(&client.id)? {
        return Ok(());
    }
    let mut tx = engine.store.begin("register client by document").await?;
    store::registrations::lock(tx.conn()).await?;
    if store::clients::find(tx.conn(), &client.id).await?.is_none() {
        let draft = ClientDraft { metadata: client.metadata.clone(), disabled: false };
        let new = NewClient { id: Some(client.id.clone()), draft, secret: None };
        clients::add(engine, &mut tx, new).await.map_err(registration::refused)?;
        let (most, now) = (engine.policy.registration.most_clients, engine.clock.now());
        let came = RegistrationOrigin::Document;
        if !store::registrations::insert(tx.conn(), &client.id, came, None, now, most).await? {
            let sentence = "This server knows as many clients with documents as it may; an operator has to make room.";
            return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence).into());
        }
        let event = AuditEvent {
            name: "client.registered",
            actor: Actor::Client(client.id.clone()),
            subject: client.id.to_string(),
            details: json!({ "grant_types": client.metadata.grant_types, "scope": client.metadata.scope,
                             "metadata_document": true }),
        };
        engine.audit(&mut tx, &event, &Origin::default()).await?;
    }
    // Whoever came second has written nothing; in either case the connection is free before another one is wanted.
    tx.commit().await?;
    tolerate(engine.reload_client(&client.id).await);
    Ok(())
}

/// The client that a document describes, with what an operator changed about it. A row that says something else is changed once for each
/// reading, so that a stranger's visits write nothing, and only by a reading that is younger than the row, so that of two replicas the one that
/// read last has the last word.
async fn known(
    engine: &Engine,
    id: &ClientId,
    url: &Url,
    said: &ClientMetadata,
    reading: Option<Timestamp>,
) -> Result<Arc<Client>, FlowError> {
    let held = engine.snapshots.client(id)?;
    let held_metadata = held.as_ref().map(|held| &held.metadata);
    let metadata = judged(engine, id, url, said, held_metadata)?;
    let Some(held) = held else {
        let now = engine.clock.now();
        let client = Client {
            id: id.clone(),
            metadata,
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        return Ok(Arc::new(client));
    };
    let Some(read_at) = reading.filter(|_| held.metadata != metadata) else { return Ok(held) };
    let mut tx = engine.store.begin("renew client by document").await?;
    let Some(current) = store::clients::lock(tx.conn(), id).await? else { return Ok(held) };
    if !current.metadata.protocol.metadata_document || current.disabled_at.is_some() || current.updated_at > read_at {
        return Ok(Arc::new(current));
    }
    let metadata = judged(engine, id, url, said, Some(&current.metadata))?;
    let caller = Caller { actor: Actor::Client(id.clone()), origin: Origin::default() };
    let draft = ClientDraft { metadata, disabled: false };
    let client = clients::apply(engine, &mut tx, &current, draft, &caller).await.map_err(registration::refused)?;
    tx.commit().await?;
    tolerate(engine.reload_client(id).await);
    Ok(Arc::new(client))
}

/// What of a document counts here.
fn judged(
    engine: &Engine,
    id: &ClientId,
    url: &Url,
    said: &ClientMetadata,
    held: Option<&ClientMetadata>,
) -> Result<ClientMetadata, FlowError> {
    let servers = engine.snapshots.resource_servers()?;
    let standard = Scope::from_tokens(STANDARD_SCOPES).unwrap_or_default();
    let known = servers.all().iter().fold(standard, |known, server| known.union(&server.scope));
    let rules = &engine.policy.registration;
    let mut metadata = complete_document(said, id, url, rules, held, &known).map_err(|why| unusable(&why))?;
    if let Some(problem) = client_keys::judge(engine, &metadata).into_iter().next() {
        return Err(unusable(&format!("{} {}", problem.field, problem.sentence)).into());
    }
    client_keys::tidy(&mut metadata);
    Ok(metadata)
}

impl State {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.fresh_until.is_some_and(|until| now < until)
    }

    fn was_tried(&self, now: Timestamp) -> bool {
        self.tried_at.is_some_and(|at| (now - at).abs() < BETWEEN_TRIES)
    }

    async fn read(&mut self, outbound: &Outbound, id: &ClientId, whose: Whose, now: Timestamp) {
        let fetched = outbound.get(whose, id.as_str(), LARGEST).await;
        let said = fetched.map_err(|error| error.as_told().to_string()).and_then(|fetched| {
            let age = fetched.max_age.map_or(USUAL, |age| Duration::try_from(age).unwrap_or(LONGEST));
            fetched.require_json()?;
            Ok((read_document(id, &fetched.bytes)?, age))
        });
        self.tried_at = Some(now);
        match said {
            Ok((said, age)) => {
                self.said = Some(said);
                self.fresh_until = Some(now + age.clamp(SHORTEST, LONGEST));
                self.not_applied = Some(now);
                (self.failing_since, self.failure) = (None, None);
            }
            Err(why) => self.fail(unusable(&why), now),
        }
    }

    /// §5.2: what is invalid is not kept.
    fn fail(&mut self, failure: OAuthError, now: Timestamp) {
        (self.said, self.fresh_until) = (None, None);
        self.failing_since = self.failing_since.or(Some(now));
        (self.tried_at, self.failure) = (Some(now), Some(failure));
    }
}

fn unusable(why: &str) -> OAuthError {
    refused(&format!("The document at the client_id cannot be used: {why}."))
}

fn refused(sentence: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, sentence)
}

fn too_many() -> OAuthError {
    let sentence = "Too many clients that are not known here were asked for from this address; try again in an hour.";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence)
}
