//! Announcements of changes, from the triggers of migration 7.

use std::time::Duration;

use sqlx::postgres::PgListener;

use crate::domain::ClientId;

use super::{Pool, Store, StoreError};

/// What a replica must read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One client.
    Client(ClientId),
    /// The resource servers.
    ResourceServers,
    /// The keys.
    Keys,
    /// Everything: announcements may have been missed.
    Everything,
    /// Nothing: the connection is alive and there was no announcement for a while.
    Nothing,
}

/// A connection that hears announcements, and one beside it to read what changed, so that a pool that is exhausted stops neither.
pub struct Listener {
    inner: PgListener,
    reads: Pool,
}

/// The longest silence before the connection is asked whether it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Store {
    /// Starts to listen. Read everything once after this, so that no change falls between.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn listen(&self) -> Result<Listener, StoreError> {
        // Anew each time: the connections of a listener that was given up may take long to end.
        let (settings, connect) = self.listening.clone();
        let reads = settings.connect_lazy_with(connect);
        let mut inner = PgListener::connect_with(&reads).await?;
        inner.eager_reconnect(false);
        inner.listen("keystead").await?;
        Ok(Listener { inner, reads })
    }
}

impl Listener {
    /// Where to read what changed.
    #[must_use]
    pub fn reads(&self) -> &Pool {
        &self.reads
    }

    /// The next change, or [`Change::Nothing`] after a few seconds of silence on a connection that is alive.
    ///
    /// # Errors
    /// The connection is lost; listen anew.
    pub async fn next(&mut self) -> Result<Change, StoreError> {
        match tokio::time::timeout(HEARTBEAT, self.inner.try_recv()).await {
            Ok(Ok(Some(notification))) => Ok(parse(notification.payload())),
            Ok(Ok(None)) => Err(sqlx::Error::WorkerCrashed.into()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                let alive = sqlx::query!("SELECT 1 AS one").fetch_one(&mut self.inner);
                tokio::time::timeout(HEARTBEAT, alive)
                    .await
                    .map_err(|_| StoreError::from(sqlx::Error::PoolTimedOut))??;
                Ok(Change::Nothing)
            }
        }
    }
}

fn parse(payload: &str) -> Change {
    match payload.split_once(' ') {
        Some(("client", id)) => ClientId::parse(id).map_or(Change::Everything, Change::Client),
        None if payload == "resource_servers" => Change::ResourceServers,
        None if payload == "keys" => Change::Keys,
        _ => Change::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_that_is_not_understood_means_everything() {
        assert_eq!(parse("keys"), Change::Keys);
        assert_eq!(parse("client demo-web"), Change::Client(ClientId::parse("demo-web").unwrap()));
        assert_eq!(parse("from a newer version"), Change::Everything);
        assert_eq!(parse(""), Change::Everything);
    }
}
