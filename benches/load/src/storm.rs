//! A storm of sign-ins: what it does to everybody else.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::generator::{self, Sample, Span};
use crate::operation::{Guess, Operation, Told};
use crate::workload::{STORM_BAR, STORM_CONNECTIONS, STORM_MIX};

const KINDS: usize = STORM_MIX.len();
/// One operation of each kind for each connection.
type Sets = Vec<[Operation; KINDS]>;

/// The same load at a fixed rate without a storm and in one.
pub struct Storm {
    rate: u32,
    calm: [Sample; KINDS],
    stormy: [Sample; KINDS],
    told: Arc<Told>,
    guesses: Sample,
}

fn p99(sample: &Sample) -> f64 {
    sample.latency.quantile(0.99).unwrap_or_default().as_secs_f64() * 1e3
}

impl Storm {
    /// Nothing has happened yet; `rate` is that of those who suffer, requests a second.
    pub fn new(rate: u32) -> Self {
        let [calm, stormy] = [(); 2].map(|()| std::array::from_fn(|_| Sample::default()));
        Self { rate, calm, stormy, told: Arc::default(), guesses: Sample::default() }
    }

    /// Lets the load arrive twice: alone, and beside connections that guess passwords as fast as they can.
    pub async fn round(&mut self, address: SocketAddr, sets: [Sets; 2], span: Span) -> Result<(), Failure> {
        let [calm, stormy] = sets;
        let calm = generator::open(address, STORM_MIX, calm, self.rate, span).await?;
        let guesses = generator::closed(address, Guess::many(STORM_CONNECTIONS, &self.told), span);
        let (stormy, guesses) = tokio::join!(generator::open(address, STORM_MIX, stormy, self.rate, span), guesses);
        for (all, these) in [(&mut self.calm, calm), (&mut self.stormy, stormy?)] {
            all.iter_mut().zip(these).for_each(|(all, these)| all.append(these));
        }
        self.guesses.append(guesses?);
        Ok(())
    }

    fn ratios(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let pairs = self.calm.iter().zip(&self.stormy);
        STORM_MIX.iter().zip(pairs).map(|((name, _), (calm, stormy))| (*name, p99(calm), p99(stormy)))
    }

    /// Errors of all loads.
    pub fn errors(&self) -> u64 {
        self.calm.iter().chain(&self.stormy).chain([&self.guesses]).map(Sample::error_count).sum()
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let (wrong, busy) = (self.told.wrong.load(Ordering::Relaxed), self.told.busy.load(Ordering::Relaxed));
        let mut text = format!(
            "storm: {STORM_CONNECTIONS} connections guess passwords beside {} other requests a second; {wrong} were hashed, {busy} told to come later\n",
            self.rate
        );
        for (name, calm, stormy) in self.ratios() {
            let verdict = if stormy <= calm * STORM_BAR { "met" } else { "-" };
            let _ = writeln!(
                text,
                "  {name:20} p99 {calm:7.2} ms without, {stormy:7.2} ms in the storm: {:.1} x (bar {STORM_BAR} x {verdict})",
                stormy / calm
            );
        }
        for (failure, count) in self.calm.iter().chain(&self.stormy).chain([&self.guesses]).flat_map(|s| &s.errors) {
            let _ = writeln!(text, "ERROR storm, {count} times: {}", failure.0);
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let kinds: Vec<Value> = self
            .ratios()
            .map(|(name, calm, stormy)| json!({ "workload": name, "p99_ms": calm, "p99_ms_in_the_storm": stormy }))
            .collect();
        json!({
            "requests_per_second": self.rate,
            "hashed": self.told.wrong.load(Ordering::Relaxed),
            "sent_away": self.told.busy.load(Ordering::Relaxed),
            "workloads": kinds,
        })
    }
}
