//! `make bench`: Keystead and a bare reference under the same load, side by side, with a table and JSON as result.
//!
//! ```text
//! core 0   keystead serve · the reference · PostgreSQL (held by a `keystead dev` that nobody asks anything)
//! core 1   this process: one thread that sends requests over kept connections and checks every answer
//! ```
//!
//! `make bench ARGS="--only introspection --seconds 1"` is a quick look, `ARGS="--help"` lists the rest, and `workload` names the workloads.
//! Everything runs as fast as it can at 16 connections and again at 64; only `mixed` has a fixed rate. Each target is measured five
//! times in turn, since what else the machine does must hit both. The JSON holds more than the table.
//!
//! - ratio: requests a second, Keystead's to the reference's.
//! - ratio by CPU: what the reference costs to what Keystead costs, PostgreSQL included. It stays true where the load generator is the
//!   limit or the core has to wait.
//! - bar: the ratio or rate that has to be reached. What falls behind is noted, and does not fail; an answer that is not as expected does.
//!
//! - `generator`: when requests are sent, and what is counted
//! - `operation`: what a connection does, and what a good answer is
//! - `target`: how Keystead and the reference are prepared and asked
//! - `reference`: the reference itself, another process of this program
//! - `scale`: `make bench-scale`, the same server over millions of grants
//! - `storm`: what many who guess passwords do to everybody else
//! - `speed`: what this machine takes for a signature, beside the one for which the bars were set
//! - `run`, `processes`, `machine`, `account`, `report`: a run from its beginning to its table

mod account;
mod failure;
mod generator;
mod http;
mod machine;
mod operation;
mod processes;
mod reference;
mod report;
mod run;
mod scale;
mod speed;
mod storm;
mod target;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Puts Keystead under load and compares it with a bare reference.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    bench: Args,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The reference alone; a run starts it by itself.
    #[command(hide = true)]
    Reference(reference::Args),
    /// `make bench-scale`: fills the database, and measures refresh, introspection, clean-up and vacuum before and after.
    Scale(scale::Args),
}

/// What to run, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the workload of this name, or those whose names begin like this; several are separated by commas.
    #[arg(long, value_name = "WORKLOAD", value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds for which each workload is measured on each of the two, without warming up.
    #[arg(long, default_value_t = 2.5)]
    seconds: f64,
    /// Connections, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    connections: Vec<usize>,
    /// Requests a second of the mixed workload.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// The server's binary; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    keystead: Option<PathBuf>,
    /// Where the server's log is appended; by default it is thrown away, but written.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The result as JSON; by default bench/latest.json in cargo's target folder.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Tells the person at the terminal how far it is.
#[expect(clippy::print_stderr, reason = "a terminal is where progress is shown")]
pub fn progress(sentence: &str) {
    eprintln!("{sentence}");
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
async fn bench(args: &Args) -> Result<(), Failure> {
    if args.connections.is_empty() || args.connections.contains(&0) || args.seconds <= 0.0 {
        return Err(Failure::new("--connections and --seconds must be greater than zero"));
    }
    let report = run::run(args).await?;
    let path = result(args.json.as_ref(), "latest.json")?;
    report.write(&path)?;
    println!("\n{}\n{}", report.text(), path.display());
    match report.errors() {
        0 => Ok(()),
        count => {
            Err(Failure::new(format!("{count} requests were not answered as they should; the numbers mean nothing")))
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
async fn grow(args: &scale::Args) -> Result<(), Failure> {
    let report = scale::run(args).await?;
    let path = result(args.json.as_ref(), "scale.json")?;
    report.write(&path)?;
    println!("\n{}\n{}", report.text(), path.display());
    Ok(())
}

/// Where the JSON goes: where it was told, or into cargo's target folder.
fn result(told: Option<&PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let target = this.parent().and_then(std::path::Path::parent).unwrap_or(&this);
    Ok(told.cloned().unwrap_or_else(|| target.join("bench").join(name)))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = match arguments.part {
        // As many threads as the server has.
        Some(Part::Reference(_)) => tokio::runtime::Builder::new_multi_thread(),
        Some(Part::Scale(_)) | None => tokio::runtime::Builder::new_current_thread(),
    };
    let outcome = builder.enable_all().build().map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            match arguments.part {
                Some(Part::Reference(args)) => reference::run(args).await,
                Some(Part::Scale(args)) => grow(&args).await,
                None => bench(&arguments.bench).await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            progress(&format!("error: {}", failure.0));
            ExitCode::FAILURE
        }
    }
}
