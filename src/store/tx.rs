//! A named transaction.

use sqlx::{PgConnection, Postgres, Transaction};

use super::{Connection, Pool, Store, StoreError};

/// A transaction that a flow opened. Dropped without [`Tx::commit`], nothing of it happened.
pub struct Tx {
    name: &'static str,
    inner: Transaction<'static, Postgres>,
}

/// A connection for a few reads.
///
/// # Errors
/// None comes free in time, or the database cannot be reached.
pub async fn connection(from: &Pool) -> Result<Connection, StoreError> {
    Ok(from.acquire().await?)
}

impl Store {
    /// Opens a transaction; `name` says in logs what it was for. Only flows and jobs call this.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin(&self, name: &'static str) -> Result<Tx, StoreError> {
        Ok(Tx { name, inner: self.pool.begin().await? })
    }
}

impl Tx {
    /// Statements of the transaction run on this.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Makes it happen.
    ///
    /// # Errors
    /// The database could not commit; nothing happened unless the connection broke just then.
    pub async fn commit(self) -> Result<(), StoreError> {
        let name = self.name;
        self.inner.commit().await.inspect_err(|error| tracing::warn!(transaction = name, %error, "commit failed"))?;
        Ok(())
    }
}
