//! `keystead doctor`: is everything in place to serve?

use std::path::PathBuf;

use crate::app;
use crate::config::{self, Environment};
use crate::crypto::Random;
use crate::domain::Clock;

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
    // A database that cannot be reached shows in the checks; keys that cannot be decrypted show here, with their remedy.
    let mut failed = 0;
    if engine.store.ping().await.is_ok()
        && engine.store.pending_migrations().await.is_ok_and(|pending| pending.is_empty())
        && let Err(error) = engine.reload_all().await
    {
        super::say(&format!("FAIL  keys: {error}"));
        failed += 1;
    }
    for check in engine.readiness().await {
        match check.problem {
            None => super::say(&format!("ok    {}", check.name)),
            Some(problem) => {
                super::say(&format!("FAIL  {}: {problem}", check.name));
                failed += 1;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of the checks failed"))) }
}
