//! Work without a request: hear announcements of changes, rotate keys, clean up, keep measurements small.
//!
//! Owns: when it happens, and that one replica does it at a time. Does not own: what happens; that is in `flows` and `store`.

mod clean_up;
mod listener;

use std::time::Duration;

use tokio::task::JoinSet;

pub use clean_up::{clean_up, remove_expired};

use crate::flows::{SharedEngine, in_time};
use crate::telemetry;

/// Keys are looked after this often.
const KEY_INTERVAL: Duration = Duration::from_mins(1);
/// Rows are cleaned up this often.
const CLEAN_INTERVAL: Duration = Duration::from_mins(1);
/// Measurements are sorted this often.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);

/// Without a sign that there is something to tell, and after trouble, word of a logout is looked for this often.
const LOGOUT_INTERVAL: Duration = Duration::from_secs(5);
/// A job that takes longer is given up until its next turn.
const LONGEST_WORK: Duration = Duration::from_mins(1);

/// Starts all jobs; they end when the set is dropped or shut down.
#[must_use]
pub fn start(engine: &SharedEngine) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    jobs.spawn(listener::run(engine.clone()));
    jobs.spawn(rotate_keys(engine.clone()));
    jobs.spawn(clean_up::run(engine.clone(), CLEAN_INTERVAL));
    jobs.spawn(tell_logouts(engine.clone()));
    jobs.spawn(tidy_metrics());
    jobs
}

async fn tidy_metrics() {
    loop {
        tokio::time::sleep(METRICS_INTERVAL).await;
        telemetry::tidy_metrics();
    }
}

async fn rotate_keys(engine: SharedEngine) {
    loop {
        tokio::time::sleep(KEY_INTERVAL).await;
        if let Err(error) = in_time(LONGEST_WORK, engine.maintain_keys()).await {
            tracing::warn!(%error, "keys could not be looked after; will try again in a minute");
        }
    }
}

async fn tell_logouts(engine: SharedEngine) {
    loop {
        let told = engine.tell_logouts().await;
        if let Err(error) = &told {
            tracing::warn!(%error, "word of a logout could not be looked for; will try again");
        }
        // Whatever ends first: nobody has to be waited for.
        let _ = tokio::time::timeout(LOGOUT_INTERVAL, engine.hear_of_logout()).await;
    }
}
