//! `keystead doctor`: is everything in place to serve?

use std::path::PathBuf;

use crate::app;
use crate::config::{self, Environment};
use crate::crypto::Random;
use crate::domain::Clock;
use crate::store::StoreError;

use super::Failure;

/// In seconds.
const MOST_CLOCK_DIFFERENCE: i64 = 30;

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
    // A database that does not answer has failed a check above.
    if let Ok(lead) = engine.store.clock_lead(engine.clock.now()).await {
        match clock_problem(lead.whole_seconds()) {
            None => super::say("ok    clock"),
            Some(problem) => {
                super::say(&format!("FAIL  clock: {problem}"));
                failed += 1;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of the checks failed"))) }
}

/// Tokens, keys and sessions live by the clock.
fn clock_problem(seconds_ahead: i64) -> Option<String> {
    let (seconds, where_to) = (seconds_ahead.abs(), if seconds_ahead < 0 { "behind" } else { "ahead of" });
    (seconds > MOST_CLOCK_DIFFERENCE)
        .then(|| format!("this machine's clock is {seconds} seconds {where_to} the database's; let NTP set both"))
}

#[cfg(test)]
mod tests {
    use super::clock_problem;

    #[test]
    fn clocks_may_differ_a_little() {
        for little in [0, 30, -30] {
            assert_eq!(clock_problem(little), None);
        }
        assert!(clock_problem(31).unwrap().contains("31 seconds ahead of the database's"));
        assert!(clock_problem(-3600).unwrap().contains("3600 seconds behind the database's"));
    }
}
