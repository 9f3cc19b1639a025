//! `keystead dev`: a complete server for one developer, with a PostgreSQL of its own.
//!
//! Owns: the private database, the seeds, the table that is printed. Does not own: serving; that is `app`, as in production.

pub mod postgres;
mod seed;

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::app::{self, Listeners, ServeOptions, StopSignal};
use crate::config::{self, DevSettings, Environment};
use crate::crypto::Random;
use crate::domain::{Clock, Secret, SecretBytes};
use crate::flows::SharedEngine;
use crate::telemetry::LogWriter;

use super::Failure;
use postgres::{PrivatePostgres, StartOptions};

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the OAuth endpoints and pages; loopback only.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of the admin API, metrics and health; loopback only.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin_listen: SocketAddr,
    /// The issuer identifier; by default http:// and the listen address.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Folder of the database and the encryption key.
    #[arg(long, value_name = "DIR", default_value = ".keystead")]
    data_dir: PathBuf,
    /// Leave nothing behind.
    #[arg(long)]
    ephemeral: bool,
    /// Use this database instead of a private one.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Serves until Ctrl-C or SIGTERM, then stops the private database.
///
/// # Errors
/// An address in use, no PostgreSQL on this machine, another `dev` on the same folder.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut stop = StopSignal::listen()?;
    let environment = Environment::of_this_process();
    // The addresses come first: a port in use is told before a database is started.
    let listeners = Listeners::bind(args.listen, args.admin_listen).await?;
    let args = Args { listen: listeners.public_address, admin_listen: listeners.admin_address, ..args };
    let started = async {
        match &args.database_url {
            Some(_) => Ok(None),
            None => PrivatePostgres::start(options(&args, &environment)).await.map(Some),
        }
    };
    let postgres = tokio::select! {
        started = started => started?,
        () = stop.received() => return Ok(()),
    };
    let served = serve(&args, &environment, postgres.as_ref(), listeners, stop).await;
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    served
}

fn options(args: &Args, environment: &Environment) -> StartOptions {
    StartOptions {
        data_dir: args.data_dir.clone(),
        ephemeral: args.ephemeral,
        search_path: environment.variable("PATH").unwrap_or_default().to_owned(),
    }
}

async fn serve(
    args: &Args,
    environment: &Environment,
    postgres: Option<&PrivatePostgres>,
    mut listeners: Listeners,
    mut stop: StopSignal,
) -> Result<(), Failure> {
    let Prepared { engine, options, config, log: _log } = tokio::select! {
        prepared = prepare(args, environment, postgres) => prepared?,
        () = stop.received() => return Ok(()),
    };
    listeners.open_mtls(&options).await?;
    announce(&engine.policy.issuer, args, postgres, &config);
    match postgres {
        None => app::serve(engine, listeners, options, stop).await,
        Some(postgres) => tokio::select! {
            () = app::serve(engine, listeners, options, stop) => {}
            error = postgres.died() => return Err(error.into()),
        },
    }
    Ok(())
}

struct Prepared {
    engine: SharedEngine,
    options: ServeOptions,
    config: PathBuf,
    log: LogWriter,
}

/// Migrates, makes keys, seeds, and leaves the settings file for the other commands.
async fn prepare(
    args: &Args,
    environment: &Environment,
    postgres: Option<&PrivatePostgres>,
) -> Result<Prepared, Failure> {
    let database_url = postgres.map(PrivatePostgres::database_url).or(args.database_url.as_deref()).unwrap_or_default();
    let folder = postgres.map_or(args.data_dir.as_path(), PrivatePostgres::folder);
    let settings = config::for_dev(
        DevSettings {
            issuer: args.issuer.clone().unwrap_or_else(|| format!("http://{}", args.listen)),
            public_listen: args.listen,
            admin_listen: args.admin_listen,
            database_url: Secret::new(database_url.to_owned()),
            encryption_key: encryption_key(folder)?,
        },
        environment,
    )?;
    let log = app::start_telemetry(&settings);
    let options = ServeOptions::new(&settings, true)?;
    let engine = app::engine(settings, Clock::System, Random::system())?;
    engine.store.migrate().await?;
    engine.reload_all().await?;
    engine.maintain_keys().await?;
    seed::seed(&engine).await?;
    engine.reload_all().await?;
    let config = write_settings(folder, &engine.policy.issuer, args, database_url)?;
    Ok(Prepared { engine, options, config, log })
}

/// The key that encrypts private keys in the dev database, made at the first start and readable by its owner only.
fn encryption_key(folder: &Path) -> Result<SecretBytes, Failure> {
    let path = folder.join("encryption.key");
    let told =
        |what: &str, error: std::io::Error| Failure::new(format!("{} cannot be {what}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let key = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok().filter(|key| key.len() == 32);
            let sentence = "does not hold 32 bytes in base64; remove the folder to start afresh";
            key.map(SecretBytes::new).ok_or_else(|| Failure::new(format!("{} {sentence}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(|error| told("made", error))?;
            let key: [u8; 32] = Random::system().bytes();
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&path);
            let text = base64::engine::general_purpose::STANDARD.encode(key);
            file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
                .map_err(|error| told("written", error))?;
            Ok(SecretBytes::new(key.to_vec()))
        }
        Err(error) => Err(told("read", error)),
    }
}

/// Leaves a settings file with which the other commands reach this server's database and keys.
fn write_settings(folder: &Path, issuer: &str, args: &Args, database_url: &str) -> Result<PathBuf, Failure> {
    let path = folder.join("keystead.toml");
    let told = |error: std::io::Error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    let text = format!(
        "# Written by `keystead dev` at each start, for the other commands: keystead keys list --config THIS_FILE\n\
         issuer = {issuer:?}\n\n[public]\nlisten = \"{}\"\n\n[admin]\nlisten = \"{}\"\n\n[database]\nurl = {database_url:?}\n\n\
         [keys]\nencryption_key_file = \"encryption.key\"\njwks_max_age = \"5s\"\n",
        args.listen, args.admin_listen,
    );
    let mut options = std::fs::OpenOptions::new();
    // Readable by its owner only: a database URL may hold a password.
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())).map_err(told)?;
    Ok(path)
}

fn announce(issuer: &str, args: &Args, postgres: Option<&PrivatePostgres>, config: &Path) {
    let database = postgres.map_or_else(|| "as given by --database-url".to_owned(), PrivatePostgres::description);
    let people = seed::PEOPLE.map(|(email, password)| format!("\n  Sign in as      {email}  /  {password}")).concat();
    super::say(&format!(
        "\n  Keystead is ready.\n\n  Demo            {issuer}/demo\n  Issuer          {issuer}\n  Discovery       \
         {issuer}/.well-known/openid-configuration\n  Commands        keystead keys list --config {config}\n  Admin API       http://{admin}/admin/v1  (client demo-admin)\n  Health, metrics \
         http://{admin}/health/ready  http://{admin}/metrics\n  Database        {database}{people}\n  Machine client  demo-service / \
         demo-service-secret-00000000000000000000\n\n  Stop with Ctrl-C.\n",
        admin = args.admin_listen,
        config = config.display(),
    ));
}
