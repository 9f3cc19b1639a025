//! `keystead serve`: the server as operators run it.

use std::path::PathBuf;

use crate::app::{self, Listeners, ServeOptions, StopSignal};
use crate::config::{self, Environment};
use crate::crypto::Random;
use crate::domain::Clock;
use crate::flows::Engine;

use super::Failure;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings file; environment variables `KEYSTEAD__SECTION__KEY` come after it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// Settings, an address in use, a schema that does not fit, keys that cannot be decrypted.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut stop = StopSignal::listen()?;
    let settings = config::load(args.config.as_deref(), &Environment::of_this_process())?;
    let _log = app::start_telemetry(&settings);
    let options = ServeOptions::new(&settings, false)?;
    let engine = app::engine(settings, Clock::System, Random::system())?;
    // The addresses come first: a port in use is told before anything is changed.
    let mut listeners = Listeners::bind(options.public, options.admin).await?;
    listeners.open_mtls(&options).await?;
    tokio::select! {
        prepared = prepare(&engine) => prepared?,
        () = stop.received() => return Ok(()),
    }
    let Listeners { public_address: public, admin_address: admin, .. } = &listeners;
    tracing::info!(%public, %admin, issuer = engine.policy.issuer, "ready");
    app::serve(engine, listeners, options, stop).await;
    Ok(())
}

/// The schema fits, everything is in memory, and no key is missing.
async fn prepare(engine: &Engine) -> Result<(), Failure> {
    let pending = engine.store.pending_migrations().await?;
    if !pending.is_empty() {
        return Err(Failure::new(format!(
            "the database is not migrated: {} missing; run `keystead migrate` first",
            pending.join(", ")
        )));
    }
    engine.reload_all().await?;
    engine.maintain_keys().await?;
    Ok(())
}
