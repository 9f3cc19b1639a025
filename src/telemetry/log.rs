//! The log: one line an event on standard error, written by a thread of its own.

use std::io::{BufWriter, IsTerminal as _};
use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that wait while their reader rests; a few megabytes.
const MOST_WAITING: usize = 16_384;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Dropping it writes what still waits, for at most about a second.
pub struct LogWriter {
    _worker: WorkerGuard,
}

/// Starts to write the log. Requests never wait for who reads it: when it stalls and the queue is full, lines are dropped and counted.
/// In a process that logs already this changes nothing.
#[must_use = "the log ends with it"]
pub fn start_log(json: bool, filter: Targets) -> LogWriter {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MOST_WAITING);
    let (writer, worker) = builder.finish(BufWriter::new(std::io::stderr()));
    let dropped = writer.error_counter();
    let format = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let log = tracing_subscriber::registry().with(filter);
    let started = if json {
        log.with(format.json().flatten_event(true)).try_init()
    } else {
        log.with(format.compact()).try_init()
    };
    if started.is_ok() && DROPPED.set(dropped).is_ok() {
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
    }
    LogWriter { _worker: worker }
}

/// Lines that were dropped since the start because nobody took them.
pub(super) fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |dropped| u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX))
}
