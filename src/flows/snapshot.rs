//! Mechanism 3: what everybody reads is in memory, and is not trusted once the database has been silent for too long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};

use super::{Engine, InternalError};
use crate::crypto::Keyring;
use crate::domain::{Client, ClientId, ResourceServer, Scope};
use crate::store::{self, Connection, Pool};

/// How long memory is trusted without a sign of life from the database.
const AGE_LIMIT: Duration = Duration::from_secs(15);

/// Clients, resource servers and keys as of the last change that the database announced.
pub struct Snapshots {
    clients: ArcSwap<HashMap<ClientId, Arc<Client>>>,
    resource_servers: ArcSwap<ResourceServers>,
    keyring: ArcSwap<Keyring>,
    /// One reader at a time: of two, the slower one would put what it read earlier in place of what the other read later.
    reading: Mutex<()>,
    /// Of those who read over the connections of requests one at a time waits for a connection and then for its turn, so that the others
    /// hold none while they wait.
    asking: Mutex<()>,
    started: Instant,
    confirmed: AtomicU64,
}

/// All resource servers, found by audience or by scope token.
#[derive(Debug, Default)]
pub struct ResourceServers {
    all: Vec<Arc<ResourceServer>>,
}

impl ResourceServers {
    /// The one with this audience.
    #[must_use]
    pub fn by_audience(&self, audience: &str) -> Option<&Arc<ResourceServer>> {
        self.all.iter().find(|server| server.audience == audience)
    }

    /// Those to which any of the tokens belongs, in order of registration.
    #[must_use]
    pub fn by_scope(&self, scope: &Scope) -> Vec<Arc<ResourceServer>> {
        self.all.iter().filter(|server| !server.scope.intersection(scope).is_empty()).cloned().collect()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<ResourceServer>] {
        &self.all
    }

    /// Builds the index from rows.
    #[must_use]
    pub fn new(servers: Vec<ResourceServer>) -> Self {
        Self { all: servers.into_iter().map(Arc::new).collect() }
    }
}

impl Snapshots {
    /// Empty and not yet confirmed: nothing is served from it before the first load.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            clients: ArcSwap::default(),
            resource_servers: ArcSwap::default(),
            keyring: ArcSwap::from_pointee(Keyring::empty()),
            reading: Mutex::const_new(()),
            asking: Mutex::const_new(()),
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
        }
    }

    /// The database has just shown that it would have told us of a change.
    pub fn confirm(&self) {
        // Zero means never, so the first millisecond counts as one.
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.confirmed.store(elapsed, Ordering::Release);
    }

    fn check_age(&self) -> Result<(), InternalError> {
        self.check_age_within(AGE_LIMIT)
    }

    fn check_age_within(&self, limit: Duration) -> Result<(), InternalError> {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let age = self.started.elapsed().saturating_sub(Duration::from_millis(confirmed));
        if confirmed == 0 || age > limit { Err(InternalError::Stale) } else { Ok(()) }
    }

    /// The client of this id, disabled or not.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, InternalError> {
        self.check_age()?;
        Ok(self.clients.load().get(id).cloned())
    }

    /// The longest of a duration over all clients.
    #[must_use]
    pub fn longest(&self, of: impl Fn(&Client) -> time::Duration) -> time::Duration {
        self.clients.load().values().map(|client| of(client)).max().unwrap_or_default()
    }

    /// The resource servers.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub fn resource_servers(&self) -> Result<Arc<ResourceServers>, InternalError> {
        self.check_age()?;
        Ok(self.resource_servers.load_full())
    }

    /// The resource servers and keys for what is published about this server. Relying parties may hold those documents for
    /// `max_age` anyway, so memory is good enough for as long, and verification elsewhere goes on while the database is away.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub fn published(&self, max_age: time::Duration) -> Result<(Arc<ResourceServers>, Arc<Keyring>), InternalError> {
        self.check_age_within(AGE_LIMIT.saturating_add(max_age.unsigned_abs()))?;
        Ok((self.resource_servers.load_full(), self.keyring.load_full()))
    }

    /// The keys.
    ///
    /// # Errors
    /// [`InternalError::Stale`].
    pub fn keyring(&self) -> Result<Arc<Keyring>, InternalError> {
        self.check_age()?;
        Ok(self.keyring.load_full())
    }
}

impl Engine {
    /// Reads everything again: at start, after the listener lost its connection, and now and then.
    ///
    /// # Errors
    /// The database, or a key that cannot be decrypted.
    pub async fn reload_all(&self) -> Result<(), InternalError> {
        let _asking = self.snapshots.asking.lock().await;
        self.read_all(self.store.pool()).await
    }

    /// Reads one client again.
    ///
    /// # Errors
    /// The database.
    pub async fn reload_client(&self, id: &ClientId) -> Result<(), InternalError> {
        let _asking = self.snapshots.asking.lock().await;
        self.read_client(self.store.pool(), id).await
    }

    /// Reads the resource servers again.
    ///
    /// # Errors
    /// The database.
    pub async fn reload_resource_servers(&self) -> Result<(), InternalError> {
        let _asking = self.snapshots.asking.lock().await;
        self.read_resource_servers(self.store.pool()).await
    }

    /// Reads the keys again.
    ///
    /// # Errors
    /// The database, or a key that cannot be decrypted.
    pub async fn reload_keys(&self) -> Result<(), InternalError> {
        let _asking = self.snapshots.asking.lock().await;
        self.read_keys(self.store.pool()).await
    }

    /// As [`Engine::reload_all`], over these connections.
    ///
    /// # Errors
    /// As there.
    pub async fn read_all(&self, from: &Pool) -> Result<(), InternalError> {
        let (mut connection, _turn) = self.turn(from).await?;
        let clients = store::clients::all(&mut connection).await?;
        let clients = clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
        self.snapshots.clients.store(Arc::new(clients));
        self.load_resource_servers(&mut connection).await?;
        self.load_keys(&mut connection).await?;
        self.snapshots.confirm();
        Ok(())
    }

    /// As [`Engine::reload_client`], over these connections.
    ///
    /// # Errors
    /// As there.
    pub async fn read_client(&self, from: &Pool, id: &ClientId) -> Result<(), InternalError> {
        let (mut connection, _turn) = self.turn(from).await?;
        let client = store::clients::find(&mut *connection, id).await?.map(Arc::new);
        self.snapshots.clients.rcu(|current| {
            let mut next = HashMap::clone(current);
            match &client {
                Some(client) => next.insert(id.clone(), Arc::clone(client)),
                None => next.remove(id),
            };
            next
        });
        Ok(())
    }

    /// As [`Engine::reload_resource_servers`], over these connections.
    ///
    /// # Errors
    /// As there.
    pub async fn read_resource_servers(&self, from: &Pool) -> Result<(), InternalError> {
        let (mut connection, _turn) = self.turn(from).await?;
        self.load_resource_servers(&mut connection).await
    }

    /// As [`Engine::reload_keys`], over these connections.
    ///
    /// # Errors
    /// As there.
    pub async fn read_keys(&self, from: &Pool) -> Result<(), InternalError> {
        let (mut connection, _turn) = self.turn(from).await?;
        self.load_keys(&mut connection).await
    }

    /// A connection first, then the turn: whoever waits for a connection must keep nobody from reading who has one.
    async fn turn(&self, from: &Pool) -> Result<(Connection, MutexGuard<'_, ()>), InternalError> {
        let connection = store::connection(from).await?;
        Ok((connection, self.snapshots.reading.lock().await))
    }

    async fn load_resource_servers(&self, from: &mut Connection) -> Result<(), InternalError> {
        let servers = store::resource_servers::all(&mut **from).await?;
        self.snapshots.resource_servers.store(Arc::new(ResourceServers::new(servers)));
        Ok(())
    }

    async fn load_keys(&self, from: &mut Connection) -> Result<(), InternalError> {
        let records = store::keys::all(&mut **from).await?;
        let pairwise = store::pairwise_key::find(&mut **from).await?;
        let keyring = Keyring::load(&records, &self.encryption_keys, self.clock.now())?
            .with_pairwise(pairwise.as_ref(), &self.encryption_keys)?;
        self.snapshots.keyring.store(Arc::new(keyring));
        Ok(())
    }
}
