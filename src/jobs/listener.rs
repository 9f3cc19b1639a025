//! Keeps memory fresh: one connection that hears what changes anywhere.

use std::time::Duration;

use crate::flows::{InternalError, SharedEngine, in_time};
use crate::store::listen::Change;
use crate::telemetry;

/// Pause before a lost connection is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// Reading takes milliseconds.
const LONGEST_READ: Duration = Duration::from_secs(10);
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
    in_time(LONGEST_READ, engine.read_all(listener.reads())).await?;
    telemetry::listener(true);
    let mut read_at = tokio::time::Instant::now();
    loop {
        let change = listener.next().await?;
        let reads = listener.reads();
        match change {
            Change::Nothing => {}
            Change::Client(id) => in_time(LONGEST_READ, engine.read_client(reads, &id)).await?,
            Change::ResourceServers => in_time(LONGEST_READ, engine.read_resource_servers(reads)).await?,
            Change::Keys => in_time(LONGEST_READ, engine.read_keys(reads)).await?,
            Change::Everything => in_time(LONGEST_READ, engine.read_all(reads)).await?,
        }
        engine.snapshots.confirm();
        if read_at.elapsed() > FULL_RELOAD {
            in_time(LONGEST_READ, engine.read_all(reads)).await?;
            read_at = tokio::time::Instant::now();
        }
    }
}
