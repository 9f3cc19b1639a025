//! The load: operations on many connections, one thread, and what came of them.
//!
//! Owns: when an operation starts, and what is counted. Does not own: what the operations are.

mod closed;
mod histogram;
mod open;
mod vigil;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use closed::closed;
pub use histogram::Histogram;
pub use open::open;
pub use vigil::idle;

use crate::failure::Failure;

/// A server that has not finished by then will not.
const PATIENCE: Duration = Duration::from_mins(1);
/// Different errors that are kept with their texts.
const MOST_ERRORS: usize = 20;

/// How long a load lasts.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

/// The same, once it has begun.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: Instant,
    from: Instant,
    until: Instant,
}

impl Window {
    fn begin(span: Span) -> Self {
        let begin = Instant::now();
        let from = begin + span.warm_up;
        Self { begin, from, until: from + span.measured }
    }

    fn contains(self, instant: Instant) -> bool {
        self.from <= instant && instant < self.until
    }
}

/// What came of a load.
#[derive(Clone, Default)]
pub struct Sample {
    /// Operations that succeeded, those of the warm-up too.
    pub performed: u64,
    /// How long those within the measured time took.
    pub latency: Histogram,
    /// The measured time; less than was asked for if there was nothing left to do.
    pub took: Duration,
    /// Errors, those of the warm-up too, by their text.
    pub errors: BTreeMap<Failure, u64>,
}

impl Sample {
    fn failed(&mut self, failure: Failure) {
        if self.errors.len() < MOST_ERRORS || self.errors.contains_key(&failure) {
            *self.errors.entry(failure).or_default() += 1;
        } else {
            *self.errors.entry(Failure::new("other errors")).or_default() += 1;
        }
    }

    /// Adds what came of another part of the same load, at the same time or afterwards; `took` is left alone.
    pub fn add(&mut self, other: Self) {
        self.performed += other.performed;
        self.latency.merge(&other.latency);
        for (failure, count) in other.errors {
            *self.errors.entry(failure).or_default() += count;
        }
    }

    /// Adds what came of the same load at another time.
    pub fn append(&mut self, later: Self) {
        self.took += later.took;
        self.add(later);
    }

    /// How many errors there were.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let counted = self.latency.total() as f64;
        if self.took.is_zero() { 0.0 } else { counted / self.took.as_secs_f64() }
    }
}
