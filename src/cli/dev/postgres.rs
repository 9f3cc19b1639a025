//! The private PostgreSQL of `keystead dev`: found on this machine, made when missing, started, and stopped again.
//!
//! Owns: which programs run and as whom, the folder of the database, who may connect, recovery after a crash of an
//! earlier run. Does not own: migrations, seeds, and connections to the database; `app` makes those from `database_url`.
//!
//! Nothing listens on TCP. The socket is in a folder that only the user of the database can enter, and the kernel names
//! who connects (`peer`), so no other user of the machine gets in and no password exists. When Keystead runs as root,
//! PostgreSQL runs as `postgres` or else `nobody`; other programs of that same user could read its files.

mod account;
mod cluster;
mod error;
mod locate;
mod log;
mod place;
mod recover;
mod server;
mod socket;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

pub use error::{StartError, StopError};

use account::Account;
use cluster::Tools;
use locate::Installation;
use log::Log;
use place::{Contents, Place};
use server::Server;
use socket::SocketFolder;

/// What a killed ephemeral run left is not worth a longer wait.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The folder of a database that stays; made when missing. Not used by an ephemeral one.
    pub data_dir: PathBuf,
    /// A database in a temporary folder that is removed when it stops.
    pub ephemeral: bool,
    /// The value of `PATH`, where the programs of PostgreSQL are looked for first.
    pub search_path: OsString,
}

/// A running PostgreSQL that accepts connections. Call [`stop`](Self::stop); dropping it stops it as well, but blocks.
#[derive(Debug)]
pub struct PrivatePostgres {
    // The order is that of dropping: the process ends before its folders go.
    server: Server,
    socket: SocketFolder,
    log: Log,
    place: Place,
    account: Account,
    installation: Installation,
    url: String,
}

impl PrivatePostgres {
    /// Starts it and returns when the database `keystead` accepts connections, about a second after the call when all is
    /// new. If the future is dropped before, all processes end and what was begun is made again by the next start.
    ///
    /// # Errors
    ///
    /// Each says what happened and what to do next; see [`StartError`].
    pub async fn start(options: StartOptions) -> Result<Self, StartError> {
        let installed = locate::installations(&options.search_path)?;
        clear_leftovers().await;
        let prepared = if options.ephemeral {
            prepare_temporary(&installed).await?
        } else {
            prepare_lasting(&options.data_dir, &installed).await?
        };
        let Prepared { place, log, account, installation, complete } = prepared;
        let tools = Tools { installation: &installation, account: &account, place: &place, log: &log };
        if !complete {
            tools.make_cluster().await?;
        }
        let socket = SocketFolder::prepare(&place, &account)?;
        let command = tools.server(socket.path())?;
        let server =
            Server::spawn(command, &log).map_err(|error| log.failure("PostgreSQL could not be run", &error))?;
        server.ready(&place.data(), &log).await?;
        let url = socket.url();
        Ok(Self { server, socket, log, place, account, installation, url })
    }

    /// How to connect, for sqlx and psql alike. Contains no secret.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.url
    }

    /// The folder for files that belong to this database, such as the key that encrypts its keys: `data_dir`, or the
    /// temporary folder, which is removed at the end. Only our own user can read files that are made in it with mode 0600.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.asked()
    }

    /// One sentence for the person who started it: which version runs, where and as whom, and why there.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = format!("PostgreSQL {} in {}", self.installation.version(), self.place.home().display());
        if self.account.is_another() {
            text.extend([" as user ", self.account.name()]);
        }
        if self.place.folder() != self.place.asked() {
            text.extend([" (that user cannot enter ", &self.place.asked().to_string_lossy(), ")"]);
        }
        if self.socket.path() != self.place.home() {
            text.extend([", socket in ", &*self.socket.path().to_string_lossy()]);
        }
        text
    }

    /// Returns when PostgreSQL has ended without being asked to; what it returns says how, with the end of its log.
    pub async fn died(&self) -> StartError {
        let how = self.server.ended().await;
        self.log.failure("PostgreSQL ended unexpectedly", &how)
    }

    /// Closes all connections, writes everything down, waits for the end, and removes what was temporary.
    ///
    /// # Errors
    ///
    /// When PostgreSQL still runs half a minute later.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.server.stop().await
    }
}

/// A place of which we are the only user, and who runs what in it.
struct Prepared {
    place: Place,
    log: Log,
    account: Account,
    installation: Installation,
    /// The database exists already.
    complete: bool,
}

async fn prepare_lasting(data_dir: &Path, installed: &[Installation]) -> Result<Prepared, StartError> {
    let place = Place::lasting(data_dir)?;
    let contents = place.contents()?;
    let log = recover::end_earlier_run(&place).await?;
    match contents {
        Contents::Complete => {
            let account = place.owner()?;
            let installation = locate::matching(installed, place.made_by()?, &place.home())?.clone();
            if !account.can_enter(&place.home(), &installation.program("postgres"))? {
                return Err(StartError::Unreachable { path: place.home(), user: account.name().to_owned() });
            }
            return Ok(Prepared { place, log, account, installation, complete: true });
        }
        Contents::HalfMade => {
            tracing::info!(home = %place.home().display(), "removing a database whose making was interrupted");
            place.remove_home()?;
        }
        Contents::Nothing => {}
    }
    let account = Account::for_new_database()?;
    let installation = preferred(installed)?;
    if place.make_home(&account, &installation.program("postgres"))? {
        return Ok(Prepared { place, log, account, installation, complete: false });
    }
    // It has said nothing here, and nobody should look for it here.
    std::fs::remove_file(log.path()).map_err(StartError::io("remove", log.path()))?;
    let mut place = place.elsewhere()?;
    if !place.make_home(&account, &installation.program("postgres"))? {
        return Err(StartError::Unreachable { path: place.home(), user: account.name().to_owned() });
    }
    place.settle()?;
    let log = recover::end_earlier_run(&place).await?;
    Ok(Prepared { place, log, account, installation, complete: false })
}

async fn prepare_temporary(installed: &[Installation]) -> Result<Prepared, StartError> {
    let account = Account::for_new_database()?;
    let installation = preferred(installed)?;
    let mut closed = PathBuf::new();
    for parent in temporary_parents() {
        let place = Place::temporary(&parent)?;
        if place.make_home(&account, &installation.program("postgres"))? {
            let log = recover::end_earlier_run(&place).await?;
            return Ok(Prepared { place, log, account, installation, complete: false });
        }
        closed = place.home();
    }
    Err(StartError::Unreachable { path: closed, user: account.name().to_owned() })
}

/// Removes temporary databases of runs that were killed.
async fn clear_leftovers() {
    for parent in temporary_parents() {
        for place in Place::leftovers(&parent) {
            let folder = place.folder().to_owned();
            if let Ok(Ok(_)) = timeout(LEFTOVER_PATIENCE, recover::end_earlier_run(&place)).await {
                tracing::info!(folder = %folder.display(), "removing what a killed run left behind");
            } else {
                tracing::warn!(folder = %folder.display(), "PostgreSQL of a killed run does not stop; end it by hand");
                place.leave();
            }
        }
    }
}

/// The second serves when TMPDIR is missing or closed to the user of the database.
fn temporary_parents() -> Vec<PathBuf> {
    let mut parents = vec![PathBuf::from("/tmp")];
    let own = std::env::temp_dir();
    if own.is_absolute() && own.is_dir() && own != parents[0] {
        parents.insert(0, own);
    }
    parents
}

fn preferred(installed: &[Installation]) -> Result<Installation, StartError> {
    installed.first().cloned().ok_or(StartError::NotInstalled)
}

#[cfg(test)]
mod tests;
