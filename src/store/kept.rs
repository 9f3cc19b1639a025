//! Connections that batches keep between two statements: taking one from the pool and giving it back costs as much as a short statement,
//! and another round trip.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use super::StoreError;

/// Clones share the connections.
#[derive(Clone)]
pub(super) struct Kept {
    pool: PgPool,
    idle: Arc<Mutex<Vec<PoolConnection<Postgres>>>>,
    most: usize,
}

impl Kept {
    /// Keeps at most a quarter of the pool's connections, so that nobody else has to wait for what is kept unused.
    pub(super) fn new(pool: PgPool) -> Self {
        let most = pool.options().get_max_connections() as usize / 4;
        Self { pool, idle: Arc::default(), most }
    }

    /// A connection. Who drops it instead of giving it back, after an error or a timeout, leaves it to the pool to see whether it still works.
    pub(super) async fn take(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let kept = self.idle().pop();
        match kept {
            Some(connection) => Ok(connection),
            None => Ok(self.pool.acquire().await?),
        }
    }

    /// Keeps a connection for the next batch.
    pub(super) fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut idle = self.idle();
        if idle.len() < self.most && !self.pool.is_closed() {
            idle.push(connection);
        }
    }

    /// Gives all back to the pool.
    pub(super) fn release(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PoolConnection<Postgres>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
