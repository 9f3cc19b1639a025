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
}

struct Idle {
    connections: Vec<PoolConnection<Postgres>>,
    renewed: Instant,
    /// Batches that wait for the pool.
    waiting: usize,
}

impl Kept {
    /// Takes over the pool; nobody else may use it.
    pub(super) fn new(pool: PgPool) -> Self {
        let idle = Idle { connections: Vec::new(), renewed: Instant::now(), waiting: 0 };
        Self { pool, idle: Arc::new(Mutex::new(idle)) }
    }

    /// A connection. Who drops it instead of giving it back, after an error or a timeout, leaves it to the pool to see whether it still works.
    pub(super) async fn take(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let _waiting = {
            let mut idle = self.idle();
            if let Some(connection) = idle.connections.pop() {
                return Ok(connection);
            }
            idle.waiting += 1;
            Waiting(self)
        };
        Ok(self.pool.acquire().await?)
    }

    /// Keeps a connection for the next batch, unless one waits for the pool already.
    pub(super) fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut idle = self.idle();
        if idle.renewed.elapsed() >= RENEWAL {
            idle.connections.clear();
            idle.renewed = Instant::now();
        } else if idle.waiting == 0 && !self.pool.is_closed() {
            idle.connections.push(connection);
        }
    }

    /// Connections of the pool: all, and those that nobody uses at the moment.
    pub(super) fn usage(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle() + self.idle().connections.len())
    }

    /// Gives all back to the pool, and closes it.
    pub(super) async fn close(&self) {
        let closing = self.pool.close();
        self.idle().connections.clear();
        closing.await;
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for the pool, until this goes.
struct Waiting<'a>(&'a Kept);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.idle().waiting -= 1;
    }
}
