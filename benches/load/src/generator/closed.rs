//! The closed loop: a connection starts its next operation when the one before is answered. It finds out how much can be done.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::task::JoinSet;

use super::vigil::Vigil;
use super::{PATIENCE, Sample, Span, Window};
use crate::failure::Failure;
use crate::http::Connection;
use crate::operation::Operation;

/// Performs each of the operations again and again, each on a connection of its own.
pub async fn closed(address: SocketAddr, operations: Vec<Operation>, span: Span) -> Result<Sample, Failure> {
    let mut pairs = Vec::new();
    for operation in operations {
        pairs.push((Connection::open(address).await?, operation));
    }
    let window = Window::begin(span);
    let mut tasks = JoinSet::new();
    for (connection, operation) in pairs {
        tasks.spawn(repeat(connection, operation, window));
    }
    let vigil = Vigil::begin();
    let joined = tokio::time::timeout(span.warm_up + span.measured + PATIENCE, tasks.join_all());
    let parts = joined.await.map_err(|_| Failure::new("requests were left without an answer for a minute"))?;
    drop(vigil);
    let mut total = Sample::default();
    let mut last = window.from;
    for (part, ended) in parts {
        total.add(part);
        last = last.max(ended);
    }
    total.took = last.min(window.until) - window.from;
    Ok(total)
}

/// What came of it, and when it ended.
async fn repeat(mut connection: Connection, mut operation: Operation, window: Window) -> (Sample, Instant) {
    let mut sample = Sample::default();
    let mut started = Instant::now();
    while started < window.until {
        let outcome = operation.perform(&mut connection).await;
        let ended = Instant::now();
        match outcome {
            Ok(true) => {
                sample.performed += 1;
                // It counts where it ends, so that slow ones count as much as quick ones.
                if window.contains(ended) {
                    sample.latency.record(ended - started);
                }
            }
            Ok(false) => return (sample, started),
            Err(failure) => {
                sample.failed(failure);
                if let Err(failure) = connection.reopen().await {
                    sample.failed(failure.at("the connection could not be opened again"));
                    return (sample, ended);
                }
            }
        }
        started = ended;
    }
    (sample, started)
}
