//! The open loop: operations are due at fixed times, whatever became of those before, as with many users who do not know of each other.
//! Latency counts from the moment when an operation was due, so a server that stalls is charged for all who had to wait meanwhile
//! (no coordinated omission).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::{PATIENCE, Sample, Span, Window};
use crate::failure::Failure;
use crate::http::Connection;
use crate::operation::Operation;

/// tokio's timers are as coarse as this; what remains is waited for by looking at the clock.
const TIMER: Duration = Duration::from_millis(2);

/// The kinds of operation, and how many of a hundred arrivals are of each.
type Mix<const N: usize> = [(&'static str, u64); N];

/// Lets operations arrive at this rate. Each connection has one operation of each kind, in the order of the mix. Gives a sample for each
/// kind.
pub async fn open<const N: usize>(
    address: SocketAddr,
    mix: Mix<N>,
    sets: Vec<[Operation; N]>,
    per_second: u32,
    span: Span,
) -> Result<[Sample; N], Failure> {
    let mut workers = Vec::new();
    for operations in sets {
        workers.push((Connection::open(address).await?, operations));
    }
    let window = Window::begin(span);
    let interval = Duration::from_secs(1) / per_second.max(1);
    let arrivals = Arc::new(Mutex::new(Arrivals { next: 0, begin: window.begin, interval, until: window.until }));
    let mut tasks = JoinSet::new();
    for (connection, operations) in workers {
        tasks.spawn(work(connection, operations, mix, Arc::clone(&arrivals), window));
    }
    let joined = tokio::time::timeout(span.warm_up + span.measured + PATIENCE, tasks.join_all());
    let parts = joined.await.map_err(|_| Failure::new("the server falls behind without end; use a lower --rate"))?;
    let mut totals = std::array::from_fn(|_| Sample::default());
    let mut last = window.until;
    for (part, ended) in parts {
        for (total, sample) in totals.iter_mut().zip(part) {
            total.add(sample);
        }
        last = last.max(ended);
    }
    for total in &mut totals {
        // A server that falls behind needs longer for the same work.
        total.took = last - window.from;
    }
    Ok(totals)
}

/// When the next operation is due. One idle connection holds this and waits; the others wait for it.
struct Arrivals {
    next: u64,
    begin: Instant,
    interval: Duration,
    until: Instant,
}

impl Arrivals {
    /// The number of the next arrival and when it was due. `None`: no more.
    async fn wait(&mut self) -> Option<(u64, Instant)> {
        let number = self.next;
        let nanos = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        let due = self.begin + Duration::from_nanos(nanos.saturating_mul(number));
        if due >= self.until {
            return None;
        }
        self.next += 1;
        if let Some(early) = due.checked_sub(TIMER).filter(|early| *early > Instant::now()) {
            tokio::time::sleep_until(early.into()).await;
        }
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        Some((number, due))
    }
}

async fn work<const N: usize>(
    mut connection: Connection,
    mut operations: [Operation; N],
    mix: Mix<N>,
    arrivals: Arc<Mutex<Arrivals>>,
    window: Window,
) -> ([Sample; N], Instant) {
    let mut samples = std::array::from_fn(|_| Sample::default());
    let mut last = window.from;
    loop {
        let arrival = arrivals.lock().await.wait().await;
        let Some((number, due)) = arrival else { return (samples, last) };
        let kind = kind_of(number, &mix);
        let sample: &mut Sample = &mut samples[kind];
        match operations[kind].perform(&mut connection).await {
            Ok(done) => {
                last = Instant::now();
                sample.performed += u64::from(done);
                if done && window.contains(due) {
                    sample.latency.record(last - due);
                }
            }
            Err(failure) => {
                sample.failed(failure);
                if let Err(failure) = connection.reopen().await {
                    sample.failed(failure.at("the connection could not be opened again"));
                    return (samples, last);
                }
            }
        }
    }
}

/// The same order in every run: `SplitMix64` of the number, as a percentage.
fn kind_of<const N: usize>(number: u64, mix: &Mix<N>) -> usize {
    let mut hash = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mut point = (hash ^ (hash >> 31)) % 100;
    for (index, (_, share)) in mix.iter().enumerate() {
        if point < *share {
            return index;
        }
        point -= share;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_arrive_in_the_shares_of_the_mix() {
        let mix = [("a", 70), ("b", 29), ("c", 1)];
        let mut counts = [0_u32; 3];
        for number in 0..100_000 {
            counts[kind_of(number, &mix)] += 1;
        }
        assert!(counts[0].abs_diff(70_000) < 1_000 && counts[2].abs_diff(1_000) < 200, "{counts:?}");
    }
}
