//! Keeps memory fresh: one connection that hears what changes anywhere.

use std::time::Duration;

use crate::flows::{InternalError, SharedEngine};
use crate::store::listen::Change;
use crate::telemetry;

/// Pause before a lost connection is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// Even with a healthy connection everything is read again this often.
const FULL_RELOAD: Duration = Duration::from_mins(5);

pub(super) async fn run(engine: SharedEngine) {
    loop {
        if let Err(error) = hear(&engine).await {
            telemetry::listener(false);
            tracing::warn!(%error, "announcements cannot be heard; connecting again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(engine: &SharedEngine) -> Result<(), InternalError> {
    let mut listener = engine.store.listen().await?;
    // What was announced before the connection stood was missed.
    engine.reload_all().await?;
    telemetry::listener(true);
    let mut read_at = tokio::time::Instant::now();
    loop {
        match listener.next().await? {
            Change::Nothing => {}
            Change::Client(id) => engine.reload_client(&id).await?,
            Change::ResourceServers => engine.reload_resource_servers().await?,
            Change::Keys => engine.reload_keys().await?,
            Change::Everything => engine.reload_all().await?,
        }
        engine.snapshots.confirm();
        if read_at.elapsed() > FULL_RELOAD {
            engine.reload_all().await?;
            read_at = tokio::time::Instant::now();
        }
    }
}
