//! `keystead doctor`: is everything in place to serve?

use std::path::PathBuf;

use crate::app;
use crate::config::{self, Environment};
use crate::crypto::Random;
use crate::domain::Clock;
use crate::store::StoreError;

use super::Failure;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings file; environment variables `KEYSTEAD__SECTION__KEY` come after it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Checks settings, database, schema and keys, changes nothing, and says what to do about each problem.
///
/// # Errors
/// Something is not in place.
pub async fn run(args: Args) -> Result<(), Failure> {
    let settings = config::load(args.config.as_deref(), &Environment::of_this_process())?;
    super::say("ok    settings");
    let engine = app::engine(settings, Clock::System, Random::system())?;
    let schema = engine.store.pending_migrations().await;
    let fits = schema.as_ref().is_ok_and(Vec::is_empty);
    // A process that serves puts up with a newer schema while that is rolled out; `serve` does not start over one.
    let too_new = schema.err().filter(|error| matches!(error, StoreError::Schema(_)));
    // Keys that cannot be decrypted show here, with their remedy; a database that cannot be reached shows in the checks.
    let unreadable = if fits || too_new.is_some() { engine.reload_all().await.err() } else { None };
    let mut failed = 0;
    for check in engine.readiness().await {
        let better = match check.name {
            "migrations" => too_new.as_ref().map(ToString::to_string),
            "keys" => unreadable.as_ref().map(ToString::to_string),
            _ => None,
        };
        match better.or(check.problem) {
            None => super::say(&format!("ok    {}", check.name)),
            Some(problem) => {
                super::say(&format!("FAIL  {}: {problem}", check.name));
                failed += 1;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of the checks failed"))) }
}
