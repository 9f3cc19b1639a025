//! The server's own clean-up of expired grants while people refresh.

use std::time::{Duration, Instant};

use super::Args;
use super::database::Database;
use super::probe::Probe;
use crate::failure::Failure;
use crate::generator::Sample;
use crate::operation::Circle;

/// The job looks once a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long people refresh before somebody looks how much is left.
const SLICE: Duration = Duration::from_secs(3);

/// What it costs.
pub struct CleanUp {
    /// Connections that refreshed.
    pub connections: usize,
    /// Refresh before it began.
    pub without: Sample,
    /// Refresh while it ran.
    pub with: Sample,
    /// Grants that went.
    pub removed: u64,
    /// In this time.
    pub took: Duration,
}

/// Lets the servers clean up, and refreshes until nothing is left.
pub async fn measure(
    database: &mut Database,
    probe: &Probe<'_>,
    chains: &Circle,
    args: &Args,
) -> Result<CleanUp, Failure> {
    let connections = args.connections[0];
    let total = database.expired_grants().await?;
    let without = probe.refresh(chains, connections, args.span().max(SLICE)).await?;
    database.let_clean_up().await?;
    let mut left = total;
    let waiting = Instant::now();
    while left == total && total > 0 {
        if waiting.elapsed() > PATIENCE {
            return Err(Failure::new("no server cleans up"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        left = database.expired_grants().await?;
    }
    let (begin, first, mut with) = (Instant::now(), left, Sample::default());
    let mut took = Duration::ZERO;
    while left > 0 {
        with.append(probe.refresh(chains, connections, SLICE).await?);
        left = database.expired_grants().await?;
        took = begin.elapsed();
        crate::progress(&format!("clean-up: {left} left after {took:.0?}"));
        if took > PATIENCE * 10 {
            return Err(Failure::new("the clean-up does not come to its end"));
        }
    }
    database.hold_clean_up().await?;
    Ok(CleanUp { connections, without, with, removed: first, took })
}
