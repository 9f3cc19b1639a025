//! `make bench-scale`: what changes when a million people hold ten million grants.
//!
//! Owns: the phases and their order. Does not own: processes and requests, which are those of `make bench`.
//!
//! - `fill`, `rows`: people, sessions and grants by COPY, with grants of the real server amid them
//! - `probe`: refresh and introspection, as people feel them
//! - `clean_up`: the server's own job while people refresh
//! - `rotations`: what refreshes change, by the million, and what vacuum makes of it
//! - `database`: settings, sizes, statistics

mod clean_up;
mod database;
mod fill;
mod probe;
mod report;
mod rotations;
mod rows;

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;
use crate::machine::Description;
use crate::operation::Circle;
use crate::processes::{Folder, Server, Stage};
use crate::run;
use crate::target::Keystead;
use database::Database;
use probe::Probe;
use report::Report;

/// Grants of the real server that are refreshed and introspected, in the small database as in the big one.
const CHAINS: usize = 4096;

/// How big, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// People, each with one session.
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Grants, spread over people and clients.
    #[arg(long, default_value_t = 10_000_000)]
    grants: u64,
    /// How many of the grants have expired, for the clean-up to remove.
    #[arg(long, default_value_t = 200_000)]
    expired: u64,
    /// Rotations of each pattern: spread over all grants, and in a hot hundredth of them. Of neighbours a tenth of it.
    #[arg(long, default_value_t = 10_000_000)]
    rotations: u64,
    /// Seconds for which each workload is measured, without warming up.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Connections, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    connections: Vec<usize>,
    /// Another fillfactor for the table of grants than that of the migration.
    #[arg(long)]
    fillfactor: Option<u8>,
    /// The server's binary; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    keystead: Option<PathBuf>,
    /// Where the server's log is appended; by default it is thrown away, but written.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The result as JSON; by default bench/scale.json in cargo's target folder.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Args {
    fn check(&self) -> Result<(), Failure> {
        if self.connections.is_empty() || self.connections.contains(&0) || self.seconds <= 0.0 {
            return Err(Failure::new("--connections and --seconds must be greater than zero"));
        }
        if self.users == 0 || self.grants < 1000 || self.expired > self.grants / 2 {
            return Err(Failure::new("there must be people, a thousand grants, and at most half of them expired"));
        }
        Ok(())
    }

    fn span(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// Runs all phases. Any answer that is not as it should be ends it.
pub async fn run(args: &Args) -> Result<Report, Failure> {
    args.check()?;
    let machine = Description::read();
    let folder = Folder::make()?;
    let stage = run::stage(&folder, args.keystead.clone(), args.log.clone())?;
    let stopped = run::stop_signal()?;
    let mut postgres = stage.database()?;
    let mut report = Report::new(args, machine, stage.pinning.clone());
    let outcome = tokio::select! {
        outcome = on_database(args, &stage, &mut postgres, &mut report) => outcome,
        () = stopped => Err(Failure::new("stopped before the end")),
    };
    // Whatever happened: PostgreSQL must not be left behind.
    postgres.stop().await?;
    if outcome.is_err() {
        // Filling takes so long that what was found before should not be lost.
        crate::progress(&report.text());
    }
    outcome.map(|()| report)
}

async fn on_database(args: &Args, stage: &Stage, postgres: &mut Server, report: &mut Report) -> Result<(), Failure> {
    postgres.ready("/health/live").await?;
    let (server, admin, _) = stage.serve().await?;
    let keystead = Keystead::prepare(server.address, admin, stage).await.map_err(|failure| failure.at("preparing"))?;
    let mut database = Database::connect(&stage.database_url()?).await?;
    // Until the clean-up is measured, nobody cleans up.
    database.hold_clean_up().await?;
    report.postgresql = database.version().await?;

    let few = Circle::default();
    few.extend(keystead.plain_chains(None, CHAINS).await?);
    let processes = [server.pid, postgres.pid];
    let probe = Probe { keystead: &keystead, processes, connections: &args.connections, measured: args.span() };
    database.vacuum().await?;
    report.small = probe.run("small", few).await?;
    report.took("chains, and measuring the small database");

    let many = Circle::default();
    let filled = fill::fill(&mut database, &keystead, args, &many).await.map_err(|failure| failure.at("fill"))?;
    report.took("fill");
    database.vacuum().await?;
    report.took("VACUUM ANALYZE, checkpoint");
    report.sizes = database.sizes().await?;
    report.big = probe.run("big", many.clone()).await?;
    report.took("measuring the big database");

    if args.expired > 0 {
        report.clean_up = Some(clean_up::measure(&mut database, &probe, &many, args).await?);
        report.took("clean-up");
    }

    for pattern in rotations::patterns(args.rotations) {
        report.rotations.push(rotations::rotate(&mut database, &filled.live, pattern).await?);
        report.took(pattern.name);
    }
    report.rotated = probe.run("rotated", many).await?;
    report.took("measuring after the rotations");
    report.sizes_after = database.sizes().await?;
    server.stop().await
}
