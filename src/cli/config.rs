//! `keystead config`: look at the settings as the server would read them.

use std::path::PathBuf;

use crate::app;
use crate::config::{self, Environment};

use super::Failure;

/// What to do with the settings.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Report every problem of the settings, with its remedy.
    Check(Source),
    /// Print every effective setting, secrets masked.
    Print(Source),
}

/// Where the settings are.
#[derive(Debug, clap::Args)]
pub struct Source {
    /// Settings file; environment variables `KEYSTEAD__SECTION__KEY` come after it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Checks or prints.
///
/// # Errors
/// Every problem of the settings.
pub fn run(command: &Command) -> Result<(), Failure> {
    let (Command::Check(source) | Command::Print(source)) = command;
    let settings = config::load(source.config.as_deref(), &Environment::of_this_process())?;
    match command {
        Command::Check(_) => {
            app::check_tls(&settings.public)?;
            super::say("The settings are complete and valid.");
        }
        Command::Print(_) => super::say(config::print(&settings).trim_end()),
    }
    Ok(())
}
