//! The public keys of clients: registered by value, or fetched from where the client publishes them.

use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::Value;
use time::Duration;
use tokio::sync::Mutex;

use super::{Engine, client_certificate};
use crate::crypto::ForeignKeys;
use crate::domain::{AssertionIssuer, Client, ClientMetadata, ClientProtocol, MetadataProblem, Timestamp};
use crate::outbound::{Outbound, OutboundError, Whose};

/// The member that names an issuer.
const ISSUER: &str = "assertion_grant_issuer";
/// Key sets that are remembered; the least used ones make way.
const MOST_SETS: usize = 4_096;
/// The largest key set in bytes.
const LARGEST: usize = 64 * 1024;
/// A set is fetched again after what its server says, within these bounds.
const USUAL: Duration = Duration::seconds(600);
const SHORTEST: Duration = Duration::seconds(60);
const LONGEST: Duration = Duration::seconds(86_400);
/// A set that cannot be fetched again is still good for so long after it should have been: an outage there is no outage here.
const STALE: Duration = Duration::seconds(3_600);
/// Whoever sends unknown key names makes us ask for them this often at most (protocol item 42).
const BETWEEN_TRIES: Duration = Duration::seconds(60);

/// Why a client's keys are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysMissing {
    /// Neither `jwks` nor `jwks_uri` is registered.
    #[error("no jwks or jwks_uri is registered for this client")]
    None,
    /// What is registered or was fetched is no JWK set with usable keys.
    #[error("the registered JWK set holds no usable public key")]
    Unusable,
    /// The set cannot be fetched.
    #[error("the registered jwks_uri cannot be read: {0}")]
    Fetch(#[from] OutboundError),
}

/// Key sets by their address: workloads of one platform share its keys.
pub struct FetchedKeys(Cache<String, Arc<Mutex<Entry>>>);

/// What is known about one address. Its lock is held during a fetch, so that many requests make one.
#[derive(Default)]
struct Entry {
    keys: Option<Arc<ForeignKeys>>,
    fresh_until: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    failure: Option<KeysMissing>,
}

impl Default for FetchedKeys {
    fn default() -> Self {
        Self(Cache::new(MOST_SETS))
    }
}

impl FetchedKeys {
    /// The keys at an address, for whomever. If they do not have the key of this name, or are old, they are fetched again, once a minute at
    /// most.
    ///
    /// # Errors
    /// They cannot be fetched or used.
    pub async fn at(
        &self,
        outbound: &Arc<Outbound>,
        address: &str,
        kid: Option<&str>,
        whose: Whose,
        now: Timestamp,
    ) -> Result<Arc<ForeignKeys>, KeysMissing> {
        let entry = self.0.get_or_insert_with(address, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(entry) = entry;
        let mut entry = entry.lock_owned().await;
        let is_fresh = entry.fresh_until.is_some_and(|until| now < until);
        let has_kid = |keys: &Arc<ForeignKeys>| kid.is_none_or(|kid| keys.names(kid));
        let suffices = is_fresh && entry.keys.as_ref().is_some_and(has_kid);
        if !suffices && entry.tried_at.is_none_or(|at| (now - at).abs() >= BETWEEN_TRIES) {
            let (outbound, address) = (Arc::clone(outbound), address.to_owned());
            // In a task of its own: a stranger who asks and goes away must not keep the keys from everybody else for a minute.
            let fetched = tokio::spawn(async move {
                entry.tried_at = Some(now);
                entry.fetch(&outbound, &address, whose, now).await;
                entry
            });
            entry = fetched.await.map_err(|_| KeysMissing::Unusable)?;
        }
        let is_usable = entry.fresh_until.is_some_and(|until| now < until + STALE);
        match &entry.keys {
            Some(keys) if is_usable => Ok(Arc::clone(keys)),
            _ => Err(entry.failure.clone().unwrap_or(KeysMissing::Unusable)),
        }
    }
}

impl Entry {
    async fn fetch(&mut self, outbound: &Outbound, address: &str, whose: Whose, now: Timestamp) {
        match read(outbound, address, whose).await {
            Ok((keys, max_age)) => {
                self.keys = Some(Arc::new(keys));
                self.fresh_until = Some(now + max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST));
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure),
        }
    }
}

async fn read(
    outbound: &Outbound,
    address: &str,
    whose: Whose,
) -> Result<(ForeignKeys, Option<Duration>), KeysMissing> {
    let fetched = outbound.get(whose, address, LARGEST).await.map_err(OutboundError::as_told)?;
    let set: Value = serde_json::from_slice(&fetched.bytes).map_err(|_| KeysMissing::Unusable)?;
    let keys = ForeignKeys::of_set(&set).map_err(|_| KeysMissing::Unusable)?;
    Ok((keys, fetched.max_age.map(|age| Duration::try_from(age).unwrap_or(LONGEST))))
}

/// What is wrong with the keys that a client shall be registered with, with addresses that this server shall call, and with certificates. Nothing is
/// fetched: the client may publish it later.
#[must_use]
pub fn judge(engine: &Engine, metadata: &ClientMetadata) -> Vec<MetadataProblem> {
    let problem = |field: &str, sentence: String| MetadataProblem { field: field.to_owned(), sentence };
    let ClientProtocol { jwks, jwks_uri, backchannel_logout_uri, sector_identifier_uri, .. } = &metadata.protocol;
    let trusted = metadata.protocol.assertion_grant_issuer.as_ref();
    let sets = [("jwks", jwks.as_ref()), (ISSUER, trusted.and_then(|issuer| issuer.jwks.as_ref()))];
    let sets = sets.into_iter().filter_map(|(field, set)| {
        let error = ForeignKeys::of_set(set?).err()?;
        let remedy = "send a JWK set with at least one public signing key and no private part";
        Some(problem(field, format!("cannot be used: {error}; {remedy}")))
    });
    let addresses = [
        ("jwks_uri", jwks_uri),
        ("backchannel_logout_uri", backchannel_logout_uri),
        ("sector_identifier_uri", sector_identifier_uri),
    ];
    let trusted = (ISSUER, trusted.and_then(|issuer| issuer.jwks_uri.as_ref()));
    let addresses = addresses.map(|(field, address)| (field, address.as_ref()));
    let addresses = addresses.into_iter().chain([trusted]).filter_map(|(field, address)| {
        let error = engine.outbound.check(address?).err()?;
        Some(problem(field, format!("cannot be used: {error}")))
    });
    sets.chain(addresses).chain(client_certificate::judge(engine, metadata)).collect()
}

/// Leaves of keys that were judged only what is of use: every replica holds them.
pub fn tidy(metadata: &mut ClientMetadata) {
    let protocol = &mut metadata.protocol;
    let trusted = protocol.assertion_grant_issuer.as_mut().and_then(|issuer| issuer.jwks.as_mut());
    for set in protocol.jwks.as_mut().into_iter().chain(trusted) {
        if let Ok(tidied) = ForeignKeys::tidy_set(set) {
            *set = tidied;
        }
    }
}

/// The keys of a client, among them the one of this name if it is to be had.
///
/// # Errors
/// None are registered, or they cannot be fetched or used.
pub async fn of(engine: &Engine, client: &Client, kid: Option<&str>) -> Result<Arc<ForeignKeys>, KeysMissing> {
    let protocol = &client.metadata.protocol;
    // Whoever has only published a document waits among strangers, and takes no place from clients that are registered.
    let whose = if engine.has_row(&client.id).unwrap_or(false) { Whose::Registered } else { Whose::Stranger };
    keys(engine, protocol.jwks.as_ref(), protocol.jwks_uri.as_deref(), kid, whose).await
}

/// The same of an issuer that vouches for people.
///
/// # Errors
/// As [`of`].
pub async fn of_issuer(
    engine: &Engine,
    issuer: &AssertionIssuer,
    kid: Option<&str>,
) -> Result<Arc<ForeignKeys>, KeysMissing> {
    keys(engine, issuer.jwks.as_ref(), issuer.jwks_uri.as_deref(), kid, Whose::Registered).await
}

async fn keys(
    engine: &Engine,
    jwks: Option<&Value>,
    jwks_uri: Option<&str>,
    kid: Option<&str>,
    whose: Whose,
) -> Result<Arc<ForeignKeys>, KeysMissing> {
    let now = engine.clock.now();
    match (jwks, jwks_uri) {
        (Some(set), _) => ForeignKeys::of_set(set).map(Arc::new).map_err(|_| KeysMissing::Unusable),
        (None, Some(address)) => engine.fetched_keys.at(&engine.outbound, address, kid, whose, now).await,
        (None, None) => Err(KeysMissing::None),
    }
}
