//! `keystead migrate`: brings the schema up to this binary.

use std::path::PathBuf;

use crate::app;
use crate::config::{self, Environment};

use super::Failure;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings file; only its `database` section is read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what would be applied and change nothing.
    #[arg(long)]
    plan: bool,
}

/// Applies what is missing.
///
/// # Errors
/// Settings, the database, or a schema from a newer version.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut database = config::load_database(args.config.as_deref(), &Environment::of_this_process())?;
    // A migration may take long, and wait long for another process that is at it; zero means no limit.
    database.statement_timeout = std::time::Duration::ZERO;
    let store = app::store(database)?;
    let pending = store.pending_migrations().await?;
    if pending.is_empty() {
        super::say("The database is up to date.");
        return Ok(());
    }
    if !args.plan {
        store.migrate().await?;
    }
    let verb = if args.plan { "Would apply" } else { "Applied" };
    for migration in &pending {
        super::say(&format!("{verb} {migration}"));
    }
    Ok(())
}
