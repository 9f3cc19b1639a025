//! The one place that asks the machine for the time; everything else is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A moment in UTC with the microseconds that PostgreSQL keeps.
pub type Timestamp = time::OffsetDateTime;

/// Tells the time: the machine's, or one that a test holds.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved; microseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock for tests that starts at `start` and moves only by [`Clock::advance`].
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(micros(start))))
    }

    /// The time now, cut to whole microseconds so that it equals itself after a trip through the database.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that may ask the machine")]
            Self::System => micros(Timestamp::now_utc()),
            Self::Manual(at) => at.load(Ordering::SeqCst),
        };
        Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Moves a manual clock, also backwards; the machine's clock is left alone.
    pub fn advance(&self, by: time::Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(i64::try_from(by.whole_microseconds()).unwrap_or(0), Ordering::SeqCst);
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}
