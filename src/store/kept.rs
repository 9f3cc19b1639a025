//! Connections that batches keep between two statements: one that is given back to the pool is asked first whether it still answers,
//! which is another round trip.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use super::StoreError;

/// After this all go back to the pool, which ends those that are too old. The other end may be a host that is no longer the primary.
const RENEWAL: Duration = Duration::from_mins(5);

/// Clones share the connections.
#[derive(Clone)]
pub(super) struct Kept {
    pool: PgPool,
    idle: Arc<Mutex<Idle>>,
    most: usize,
}

struct Idle {
    connections: Vec<PoolConnection<Postgres>>,
    renewed: Instant,
}

impl Kept {
    /// Keeps at most a quarter of the pool's connections, so that nobody else has to wait for what is kept unused.
    pub(super) fn new(pool: PgPool) -> Self {
        let most = pool.options().get_max_connections() as usize / 4;
        let idle = Idle { connections: Vec::new(), renewed: Instant::now() };
        Self { pool, idle: Arc::new(Mutex::new(idle)), most }
    }

    /// A connection. Who drops it instead of giving it back, after an error or a timeout, leaves it to the pool to see whether it still works.
    pub(super) async fn take(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let kept = self.idle().connections.pop();
        match kept {
            Some(connection) => Ok(connection),
            None => Ok(self.pool.acquire().await?),
        }
    }

    /// Keeps a connection for the next batch.
    pub(super) fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut idle = self.idle();
        if idle.renewed.elapsed() >= RENEWAL {
            idle.connections.clear();
            idle.renewed = Instant::now();
        } else if idle.connections.len() < self.most && !self.pool.is_closed() {
            idle.connections.push(connection);
        }
    }

    /// Gives all back to the pool.
    pub(super) fn release(&self) {
        self.idle().connections.clear();
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
