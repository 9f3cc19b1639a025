//! A run: processes up, workload after workload on both targets in turn, processes down.

use std::path::PathBuf;
use std::time::Duration;

use crate::Args;
use crate::account::Account;
use crate::failure::Failure;
use crate::generator::{self, Sample, Span};
use crate::machine::{self, Description, Pinning};
use crate::operation::Operation;
use crate::processes::{Folder, Server, Stage};
use crate::report::{Conditions, Line, Report};
use crate::speed::Speed;
use crate::storm::Storm;
use crate::target::{Keystead, Need, Reference, Target};
use crate::workload::{Kind, MIX, MIX_KINDS, MIXED, STORM, STORM_KINDS, WORKLOADS, Workload};

/// Each workload is run in turn on both targets this often, so that what else the machine does hits both.
const ROUNDS: u32 = 5;
const WARM_UP: Duration = Duration::from_millis(300);
/// The mixed workload and sign-ins last this many times as long: at that rate a p99.9 needs many seconds to mean anything, and a sign-in takes as
/// long as half a slice.
const LONGER: u32 = 3;
/// And the storm, of whose requests there are fewer still.
const STORM_LONGER: u32 = 6;
/// Connections of those who suffer a storm.
const CONNECTIONS_IN_STORM: usize = 32;
/// Starts of the server of which the median is told.
const STARTS: usize = 5;

/// Runs what was asked for.
pub async fn run(args: &Args) -> Result<Report, Failure> {
    let workloads = chosen(&args.only)?;
    let machine = Description::read();
    let folder = Folder::make()?;
    let stage = stage(&folder, args.keystead.clone(), args.log.clone())?;
    let stopped = stop_signal()?;
    let mut database = stage.database()?;
    let measured = tokio::select! {
        measured = on_database(args, &workloads, machine, &stage, &mut database) => measured,
        () = stopped => Err(Failure::new("stopped before the end")),
    };
    // Whatever happened: PostgreSQL must not be left behind.
    database.stop().await?;
    measured
}

/// Pins this process, and finds the programs.
pub fn stage(folder: &Folder, keystead: Option<PathBuf>, log: Option<PathBuf>) -> Result<Stage, Failure> {
    let pinning = Pinning::arrange();
    let this = std::env::current_exe()?;
    let keystead = keystead.unwrap_or_else(|| this.with_file_name("keystead"));
    if !keystead.is_file() {
        return Err(Failure::new(format!("{} is missing; use `make bench`, which builds it", keystead.display())));
    }
    let log = log.unwrap_or_else(|| PathBuf::from("/dev/null"));
    Ok(Stage { pinning, keystead, this, folder: folder.path().to_owned(), log })
}

/// Ends with the first SIGTERM or Ctrl-C. Listens from the call on.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What runs: the chosen workloads, and whether the mixed one and the storm are among them.
struct Chosen {
    workloads: Vec<Workload>,
    mixed: bool,
    storm: bool,
}

fn chosen(only: &[String]) -> Result<Chosen, Failure> {
    let exists = |name: &str| WORKLOADS.iter().any(|workload| workload.name == name);
    // A name stands for itself: `refresh` is not `refresh-id-es256` as well.
    let means = |word: &str, name: &str| word == name || (!exists(word) && name.starts_with(word));
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| means(word, name));
    let workloads: Vec<Workload> = WORKLOADS.into_iter().filter(|workload| wanted(workload.name)).collect();
    let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).chain([MIXED, STORM]).collect();
    if let Some(word) = only.iter().find(|word| !names.iter().any(|name| means(word, name))) {
        return Err(Failure::new(format!("no workload is called {word}; there are: {}", names.join(", "))));
    }
    Ok(Chosen { workloads, mixed: wanted(MIXED), storm: wanted(STORM) })
}

async fn on_database(
    args: &Args,
    chosen: &Chosen,
    machine: Description,
    stage: &Stage,
    database: &mut Server,
) -> Result<Report, Failure> {
    database.ready("/health/live").await?;
    let (mut server, mut admin, start) = stage.serve().await?;
    let mut starts = [start; STARTS];
    for start in &mut starts[1..] {
        server.stop().await?;
        (server, admin, *start) = stage.serve().await?;
    }
    starts.sort_unstable();
    let reference = stage.reference().await?;
    let keystead = Keystead::prepare(server.address, admin, stage).await.map_err(|failure| failure.at("preparing"))?;
    let speed = Speed::measure()?;
    let bare = Reference::new(reference.address, keystead.length_of_discovery().await?);
    let postgresql = bare.postgresql().await?;
    let mut bench = Bench {
        keystead: Side { target: Target::Keystead(Box::new(keystead)), pid: server.pid },
        reference: Side { target: Target::Reference(bare), pid: reference.pid },
        database: database.pid,
        slice: Duration::from_secs_f64(args.seconds) / ROUNDS,
    };
    let conditions =
        Conditions { machine, pinning: stage.pinning.clone(), postgresql, start: starts[STARTS / 2], speed };
    let mut report = Report::new(conditions, args);
    for workload in &chosen.workloads {
        for &connections in args.connections.iter().take(places(workload.kind, args)) {
            let line = bench.compare(workload, connections).await.map_err(|failure| failure.at(workload.name))?;
            report.add(line);
        }
    }
    if chosen.mixed {
        let connections = args.connections.iter().copied().max().unwrap_or(64);
        for line in bench.compare_mixed(connections, args.rate).await.map_err(|failure| failure.at(MIXED))? {
            report.add(line);
        }
    }
    if chosen.storm {
        report.storm = Some(bench.storm(args.rate / 2).await.map_err(|failure| failure.at(STORM))?);
    }
    tokio::time::sleep(REST).await;
    report.memory_at_the_end = machine::resident_memory(server.pid);
    server.stop().await?;
    reference.stop().await?;
    Ok(report)
}

/// After this long without a request the server has given back what only the load needed (hash threads: two seconds).
const REST: Duration = Duration::from_secs(3);

/// More connections only make sign-ins wait longer, and at some point the server says so.
fn places(kind: Kind, args: &Args) -> usize {
    if kind == Kind::SignIn { 1 } else { args.connections.len() }
}

/// Both targets under load.
struct Bench {
    keystead: Side,
    reference: Side,
    database: u32,
    slice: Duration,
}

impl Bench {
    async fn compare(&mut self, workload: &Workload, connections: usize) -> Result<Line, Failure> {
        let mut line = Line::new(workload.name, connections, workload.bar);
        let longer = if workload.kind == Kind::SignIn { LONGER } else { 1 };
        let span = Span { warm_up: WARM_UP, measured: self.slice * longer };
        let need = Need { connections, load: span.warm_up + span.measured };
        for _ in 0..ROUNDS {
            for (side, result) in [(&mut self.reference, &mut line.reference), (&mut self.keystead, &mut line.keystead)]
            {
                let operations = side.target.operations(workload.kind, need).await?;
                let before = Account::draw(side.pid, self.database);
                let sample = generator::closed(side.target.address(), operations, span).await?;
                result.add(sample, Account::draw(side.pid, self.database).since(&before));
            }
        }
        line.keystead.memory = machine::resident_memory(self.keystead.pid);
        line.reference.memory = machine::resident_memory(self.reference.pid);
        Ok(line)
    }

    async fn compare_mixed(&mut self, connections: usize, rate: u32) -> Result<Vec<Line>, Failure> {
        let mut total = Line::new(MIXED, connections, None).due(rate);
        let mut lines = MIX.map(|(kind, _)| Line::new(&format!("  {kind}"), connections, None));
        let span = Span { warm_up: WARM_UP, measured: self.slice * LONGER };
        for _ in 0..ROUNDS {
            for is_server in [false, true] {
                let side = if is_server { &mut self.keystead } else { &mut self.reference };
                let sets = side.sets(MIX_KINDS, connections).await?;
                let before = Account::draw(side.pid, self.database);
                let samples = generator::open(side.target.address(), MIX, sets, rate, span).await?;
                let used = Account::draw(side.pid, self.database).since(&before);
                let mut together = Sample { took: samples[0].took, ..Sample::default() };
                for (line, sample) in lines.iter_mut().zip(samples) {
                    together.add(sample.clone());
                    line.side(is_server).sample.append(sample);
                }
                total.side(is_server).add(together, used);
            }
        }
        total.keystead.memory = machine::resident_memory(self.keystead.pid);
        total.reference.memory = machine::resident_memory(self.reference.pid);
        Ok([total].into_iter().chain(lines).collect())
    }

    /// Only Keystead: the reference has nothing that could suffer.
    async fn storm(&mut self, rate: u32) -> Result<Storm, Failure> {
        let mut storm = Storm::new(rate);
        let span = Span { warm_up: WARM_UP, measured: self.slice * STORM_LONGER };
        for _ in 0..ROUNDS {
            let side = &mut self.keystead;
            let calm = side.sets(STORM_KINDS, CONNECTIONS_IN_STORM).await?;
            let stormy = side.sets(STORM_KINDS, CONNECTIONS_IN_STORM).await?;
            storm.round(side.target.address(), [calm, stormy], span).await?;
        }
        Ok(storm)
    }
}

/// One of the two, and its process.
struct Side {
    target: Target,
    pid: u32,
}

impl Side {
    /// For each connection one operation of each kind.
    async fn sets<const N: usize>(
        &mut self,
        of: [Kind; N],
        connections: usize,
    ) -> Result<Vec<[Operation; N]>, Failure> {
        let need = Need { connections, load: Duration::ZERO };
        let mut kinds = Vec::new();
        for kind in of {
            kinds.push(self.target.operations(kind, need).await?.into_iter());
        }
        let mut sets = Vec::new();
        for _ in 0..connections {
            let set: Vec<Operation> = kinds.iter_mut().filter_map(Iterator::next).collect();
            sets.push(set.try_into().map_err(|_| Failure::new("an operation is missing"))?);
        }
        Ok(sets)
    }
}
