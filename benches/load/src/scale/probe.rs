//! Refresh and introspection over the wire, as `make bench` measures them, with chains that are spread over the table.

use std::time::Duration;

use crate::account::{Account, Used};
use crate::failure::Failure;
use crate::generator::{self, Sample, Span};
use crate::http::Connection;
use crate::operation::{Circle, Operation};
use crate::target::Keystead;

/// Long enough for every chain to be used once, so that pages of the table which a checkpoint made dear are paid for before.
const WARM_UP: Duration = Duration::from_secs(1);

/// One workload at one number of connections.
pub struct Measured {
    /// What was asked.
    pub workload: &'static str,
    /// Connections.
    pub connections: usize,
    /// What came of it.
    pub sample: Sample,
    /// Processor time, which stays true where something else keeps the cores busy as well.
    pub used: Used,
}

impl Measured {
    fn shown(self, name: &str) -> Self {
        let (rate, p99) = (self.sample.rate(), self.sample.latency.quantile(0.99).unwrap_or_default());
        crate::progress(&format!("{name}: {} {}: {rate:.0}/s, p99 {p99:.2?}", self.workload, self.connections));
        self
    }

    /// Processor milliseconds of one request in the server and in PostgreSQL.
    pub fn cost(&self) -> Option<f64> {
        let used = self.used.server()? + self.used.database()?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let requests = self.sample.performed as f64;
        (requests > 0.0).then(|| used.as_secs_f64() * 1e3 / requests)
    }
}

/// Who is asked, and how.
pub struct Probe<'a> {
    /// The server.
    pub keystead: &'a Keystead,
    /// Its process, and the one from which PostgreSQL descends.
    pub processes: [u32; 2],
    /// Numbers of connections.
    pub connections: &'a [usize],
    /// How long each is measured.
    pub measured: Duration,
}

impl Probe<'_> {
    /// Both workloads at each number of connections.
    pub async fn run(&self, name: &str, chains: Circle) -> Result<Vec<Measured>, Failure> {
        let mut lines = Vec::new();
        for &connections in self.connections {
            let before = self.account();
            let sample = self.refresh(&chains, connections, self.measured).await?;
            let used = self.account().since(&before);
            lines.push(Measured { workload: "refresh", connections, sample, used }.shown(name));
        }
        // Each chain has a token of its own by now, the one of its last refresh, unless the load was short.
        self.refresh_all(&chains).await?;
        for &connections in self.connections {
            let operations = self.keystead.introspect_each(&chains, connections);
            let before = self.account();
            let sample = self.load(operations, self.measured).await?;
            let used = self.account().since(&before);
            lines.push(Measured { workload: "introspection-many", connections, sample, used }.shown(name));
        }
        Ok(lines)
    }

    /// Refreshes, chain after chain.
    pub async fn refresh(&self, chains: &Circle, connections: usize, measured: Duration) -> Result<Sample, Failure> {
        let operations = (0..connections).map(|_| Operation::RefreshEach(chains.clone())).collect();
        self.load(operations, measured).await
    }

    async fn refresh_all(&self, chains: &Circle) -> Result<(), Failure> {
        let mut connection = Connection::open(self.keystead.public).await?;
        for _ in 0..chains.len() {
            chains.refresh(&mut connection).await?;
        }
        Ok(())
    }

    async fn load(&self, operations: Vec<Operation>, measured: Duration) -> Result<Sample, Failure> {
        let sample = generator::closed(self.keystead.public, operations, Span { warm_up: WARM_UP, measured }).await?;
        match sample.errors.first_key_value() {
            None => Ok(sample),
            Some((failure, _)) => Err(failure.clone().at("a request was not answered as it should")),
        }
    }

    fn account(&self) -> Account {
        let [server, database] = self.processes;
        Account::draw(server, database)
    }
}
