//! The command line.

mod bootstrap;
mod client;
mod config;
pub mod dev;
mod doctor;
mod keys;
mod migrate;
mod openapi;
mod operator;
mod serve;
mod user;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OAuth 2.0 and OpenID Connect authorization server.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A complete server for one developer, with a PostgreSQL of its own.
    Dev(dev::Args),
    /// The server as operators run it.
    Serve(serve::Args),
    /// Bring the schema up to this binary.
    Migrate(migrate::Args),
    /// Is everything in place to serve?
    Doctor(doctor::Args),
    /// Look at the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Make the first administrator; a database allows it once.
    Bootstrap(bootstrap::Args),
    /// Look at keys, replace them, withdraw one.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Register clients and replace their secrets.
    #[command(subcommand)]
    Client(client::Command),
    /// Accounts of people.
    #[command(subcommand)]
    User(user::Command),
    /// Print the admin API's OpenAPI document.
    Openapi,
}

/// What a person at the terminal is told when a command fails.
pub struct Failure(String);

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Prints the command's answer. A reader that is gone, as behind `| head`, has seen enough.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Runs the command.
#[must_use]
#[expect(clippy::print_stderr, reason = "a terminal is where a failed command is told")]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Dev(args) => dev::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Config(command) => config::run(&command),
            Command::Bootstrap(args) => bootstrap::run(args).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Client(command) => client::run(command).await,
            Command::User(command) => user::run(command).await,
            Command::Openapi => openapi::run(),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.0);
            ExitCode::FAILURE
        }
    }
}
