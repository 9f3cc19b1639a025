//! Staying awake. A server whose answers had to wake this thread would pay for that with its own time, and a slow server more often than a
//! fast one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// A turn that is shorter had nothing to do: to ask the system for news takes less, to read an answer takes more.
const NOTHING_DONE: Duration = Duration::from_micros(2);

/// Nanoseconds of such turns.
static IDLE: AtomicU64 = AtomicU64::new(0);

/// For how long this thread has had nothing to do while it kept awake.
pub fn idle() -> Duration {
    Duration::from_nanos(IDLE.load(Ordering::Relaxed))
}

/// While it lives, this thread does not sleep.
pub struct Vigil(JoinHandle<()>);

impl Vigil {
    /// From now on.
    pub fn begin() -> Self {
        Self(tokio::spawn(async {
            let mut before = Instant::now();
            loop {
                tokio::task::yield_now().await;
                let now = Instant::now();
                let turn = now - before;
                if turn < NOTHING_DONE {
                    IDLE.fetch_add(u64::try_from(turn.as_nanos()).unwrap_or(0), Ordering::Relaxed);
                }
                before = now;
            }
        }))
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        self.0.abort();
    }
}
