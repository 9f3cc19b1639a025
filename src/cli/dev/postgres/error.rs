//! What can go wrong, said so that the reader knows what to do next.

use std::io;
use std::path::PathBuf;

/// Why the private PostgreSQL could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No directory with all needed programs was found.
    #[error(
        "PostgreSQL is not installed (its programs `initdb` and `postgres` were looked for in PATH, through pg_config \
         and in the usual folders). Install it with `apt-get install postgresql` or `brew install postgresql@17`, or \
         use a server of your own with --database-url"
    )]
    NotInstalled,
    /// Only versions that Keystead does not support were found.
    #[error(
        "the PostgreSQL found here is too old ({found}); version {oldest} or newer is needed. Install one with \
         `apt-get install postgresql` or `brew install postgresql@17`, or use a server of your own with --database-url"
    )]
    TooOld {
        /// Versions and folders that were found.
        found: String,
        /// The first version that is supported.
        oldest: u32,
    },
    /// The data were written by a major version that is not installed.
    #[error(
        "the database in {} was made by PostgreSQL {made_by}, but installed is only {installed}. Install PostgreSQL \
         {made_by}, or start afresh with another folder (--data-dir), or delete this one if its data may be lost",
        dir.display()
    )]
    OtherVersion {
        /// The folder of the database.
        dir: PathBuf,
        /// The major version that made it.
        made_by: u32,
        /// The versions that are installed.
        installed: String,
    },
    /// Another process holds the lock of the folder.
    #[error(
        "another keystead dev is running on {}{}; stop it or choose another folder with --data-dir",
        dir.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    AlreadyRunning {
        /// The folder that is in use.
        dir: PathBuf,
        /// The process that uses it, when it has written its number.
        pid: Option<i32>,
    },
    /// Something is in the way that Keystead did not make and therefore does not touch.
    #[error(
        "{} was not made by keystead dev, so it stays untouched; choose another folder with --data-dir, or move it away",
        path.display()
    )]
    NotOurs {
        /// What is in the way.
        path: PathBuf,
    },
    /// The folder is a file, or a part of its path is.
    #[error("{} is not a folder; choose another one with --data-dir", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// Anybody on this machine could exchange the files.
    #[error(
        "every user of this machine may write to {0}; run `chmod o-w '{0}'` or choose another folder with --data-dir",
        path.display()
    )]
    WritableByAll {
        /// The folder.
        path: PathBuf,
    },
    /// The database was made by somebody else.
    #[error(
        "the database in {} belongs to user {owner}, but this is user {user}; run keystead dev as the user that made it, \
         or choose another folder with --data-dir",
        path.display()
    )]
    OtherOwner {
        /// The folder of the database.
        path: PathBuf,
        /// Who owns it.
        owner: String,
        /// Who asks.
        user: String,
    },
    /// The database is marked as complete, but is not.
    #[error(
        "the database in {0} is damaged ({missing} is missing or unreadable); restore it, or delete {0} to start with an \
         empty one",
        path.display()
    )]
    Damaged {
        /// The folder of the database.
        path: PathBuf,
        /// The file that tells.
        missing: &'static str,
    },
    /// PostgreSQL asks for a name of the user it runs as.
    #[error(
        "user id {uid} has no name on this machine, and PostgreSQL refuses to run without one; add a line for it to \
         /etc/passwd, run as another user, or use a server of your own with --database-url"
    )]
    NamelessUser {
        /// The numeric user id.
        uid: u32,
    },
    /// Running as root, and there is nobody to change to.
    #[error(
        "PostgreSQL refuses to run as root, and no ordinary user was found to run it as (postgres, _postgres, nobody); \
         create one with `useradd --system postgres`, or run keystead dev without root"
    )]
    NoOrdinaryUser,
    /// Running as root, and the ordinary user cannot enter the folder.
    #[error(
        "PostgreSQL has to run as user {user}, who cannot enter {}; make it reachable (`chmod a+x` on each folder above \
         it) or choose another folder with --data-dir",
        path.display()
    )]
    Unreachable {
        /// The folder of the database.
        path: PathBuf,
        /// The user that PostgreSQL runs as.
        user: String,
    },
    /// The installed program cannot be run.
    #[error("user {user} cannot run {}: {source}; install PostgreSQL where that user can reach it", program.display())]
    NotRunnable {
        /// The program.
        program: PathBuf,
        /// The user that PostgreSQL runs as.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// The processes of an earlier run do not end.
    #[error(
        "PostgreSQL of an earlier run still works in {}{} and does not stop; end it (`kill -KILL` and its number), then \
         start again",
        dir.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    EarlierRunStays {
        /// The folder of the database.
        dir: PathBuf,
        /// Its main process, when it is known.
        pid: Option<i32>,
    },
    /// A program of PostgreSQL failed.
    #[error("{what} ({how}). Last lines of {}:\n{tail}\nCorrect what these lines name, or choose another folder with --data-dir", log.display())]
    Failed {
        /// What did not work.
        what: &'static str,
        /// How it ended.
        how: String,
        /// The file with all that PostgreSQL said.
        log: PathBuf,
        /// The end of that file.
        tail: String,
    },
    /// A file or a process could not be handled.
    #[error(
        "cannot {action} {}: {source}; see that this user may do so and that the disk has room, or choose another folder \
         with --data-dir",
        path.display()
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err`: names what was tried with which file.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// PostgreSQL still runs after it was told to stop.
#[derive(Debug, thiserror::Error)]
#[error(
    "PostgreSQL (pid {pid}) did not stop within {seconds} seconds; see {}, and end it with `kill -KILL {pid}`. The next start recovers",
    log.display()
)]
pub struct StopError {
    pub(super) pid: i32,
    pub(super) seconds: u64,
    pub(super) log: PathBuf,
}
