//! The folder of a database: who may use it now (the lock), what is in it (the state), and where it is.
//!
//! ```text
//! <folder>/lock               held by the keystead that uses the folder; contains its process number
//! <folder>/postgres.state     `initializing` or `ready`: our mark; without it `postgres/` is not ours
//! <folder>/postgres.log       see `log`
//! <folder>/postgres.location  only when root's folder could not be entered by the database's user: where it is instead
//! <folder>/postgres/          owned by the database's user, nobody else may enter; PostgreSQL's files are in `data/`
//! ```
//!
//! Marks are kept beside `postgres/`, not in it: as root we never write where another user could plant links.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use super::account::Account;
use super::error::StartError;

/// Where databases live whose own folder is closed to the database's user. Not under /var/tmp, which is cleaned by age.
const ELSEWHERE: &str = "/var/lib/keystead-dev";

/// Beginning of the name of folders that are made for one run, and the mark in them.
const TEMPORARY: &str = "keystead-dev-";
const TEMPORARY_MARK: &str = "ephemeral";

/// In the folder that was asked for: where its database is. And the way back, in the folder of the database.
const LOCATION: &str = "postgres.location";
const ORIGIN: &str = "origin";

const STATE: &str = "postgres.state";

/// What is in a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// No database.
    Nothing,
    /// A database whose making was interrupted.
    HalfMade,
    /// A database that was finished.
    Complete,
}

/// A folder that this process alone uses, as long as this value lives. A temporary one is removed with it.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// The folder that was asked for; differs from `folder` when the database had to go elsewhere.
    asked: PathBuf,
    temporary: bool,
    /// Held, never read: closing them gives the folder free.
    locks: Vec<File>,
}

impl Place {
    /// The folder for a database that stays; made when missing.
    pub(super) fn lasting(folder: &Path) -> Result<Self, StartError> {
        let asked = open_folder(folder)?;
        let mut locks = vec![lock(&asked)?];
        let Some(folder) = location(&asked)? else {
            return Ok(Self { folder: asked.clone(), asked, temporary: false, locks });
        };
        locks.push(lock(&folder)?);
        Ok(Self { folder, asked, temporary: false, locks })
    }

    /// The same, elsewhere: for a folder that the database's user cannot enter. Goes away again unless `settle`d.
    pub(super) fn elsewhere(mut self) -> Result<Self, StartError> {
        let parent = Path::new(ELSEWHERE);
        std::fs::create_dir_all(parent).map_err(StartError::io("make", parent))?;
        permit(parent, 0o711)?;
        warn_of_abandoned(parent, &self.asked);
        let folder = make_unique(parent, "database-")?;
        let locks = std::mem::take(&mut self.locks);
        let mut place = Self { folder, asked: self.asked.clone(), temporary: true, locks };
        permit(&place.folder, 0o711)?;
        place.locks.push(lock(&place.folder)?);
        let origin = place.folder.join(ORIGIN);
        replace(&origin, place.asked.as_os_str().as_bytes(), 0o600).map_err(StartError::io("write", origin))?;
        Ok(place)
    }

    /// Records where the database is, if it is not where it was asked for.
    pub(super) fn settle(&mut self) -> Result<(), StartError> {
        if self.folder != self.asked {
            let record = self.asked.join(LOCATION);
            replace(&record, self.folder.as_os_str().as_bytes(), 0o600).map_err(StartError::io("write", record))?;
            self.temporary = false;
        }
        Ok(())
    }

    /// A folder for this run alone.
    pub(super) fn temporary(parent: &Path) -> Result<Self, StartError> {
        let folder = make_unique(parent, TEMPORARY)?;
        let lock = lock(&folder)?;
        let place = Self { asked: folder.clone(), folder, temporary: true, locks: vec![lock] };
        // Only now: whoever clears away leftovers takes the mark and a free lock as the sign of one.
        let mark = place.folder.join(TEMPORARY_MARK);
        replace(&mark, b"", 0o600).map_err(StartError::io("write", mark))?;
        if Uid::effective().is_root() {
            permit(&place.folder, 0o711)?;
        }
        Ok(place)
    }

    /// Temporary places whose keystead died. Dropping them removes them.
    pub(super) fn leftovers(parent: &Path) -> Vec<Self> {
        let us = Uid::effective().as_raw();
        let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
        let named = entries.flatten().filter(|entry| entry.file_name().as_bytes().starts_with(TEMPORARY.as_bytes()));
        let ours = named.map(|entry| entry.path()).filter(|path| {
            path.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == us)
                && path.join(TEMPORARY_MARK).symlink_metadata().is_ok()
        });
        let free = ours.filter_map(|folder| {
            let lock = lock(&folder).ok()?;
            Some(Self { asked: folder.clone(), folder, temporary: true, locks: vec![lock] })
        });
        free.collect()
    }

    /// Ends our use of the folder, but leaves all as it is.
    pub(super) fn leave(mut self) {
        self.temporary = false;
    }

    /// Where the files of this run are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that was asked for.
    pub(super) fn asked(&self) -> &Path {
        &self.asked
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("postgres/data")
    }

    /// Looks what is there, and refuses what we did not make.
    pub(super) fn contents(&self) -> Result<Contents, StartError> {
        let home = self.home();
        let meta = match home.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::Nothing),
            Err(error) => return Err(StartError::io("look at", home)(error)),
        };
        let state = std::fs::read_to_string(self.folder.join(STATE)).unwrap_or_default();
        match state.trim() {
            "ready" if meta.is_dir() => Ok(Contents::Complete),
            "initializing" if meta.is_dir() => Ok(Contents::HalfMade),
            _ => Err(StartError::NotOurs { path: home }),
        }
    }

    /// Who the finished database belongs to.
    pub(super) fn owner(&self) -> Result<Account, StartError> {
        let home = self.home();
        let meta = home.symlink_metadata().map_err(StartError::io("look at", &home))?;
        Account::owning(&home, meta.uid())
    }

    /// The major version that made the finished database.
    pub(super) fn made_by(&self) -> Result<u32, StartError> {
        let text = std::fs::read_to_string(self.data().join("PG_VERSION")).ok();
        let version = text.and_then(|text| text.trim().parse().ok());
        version.ok_or_else(|| StartError::Damaged { path: self.home(), missing: "data/PG_VERSION" })
    }

    /// Makes the empty home of a database. Says whether its user can enter it; if not, nothing is left of it.
    pub(super) fn make_home(&self, account: &Account, program: &Path) -> Result<bool, StartError> {
        let home = self.home();
        self.mark("initializing")?;
        DirBuilder::new().mode(0o700).create(&home).map_err(StartError::io("make", &home))?;
        // A file system that knows no owners (or another machine's, where root counts for nothing) does not serve.
        if account.give(&home).is_ok() && account.can_enter(&home, program)? {
            return Ok(true);
        }
        self.remove_home()?;
        Ok(false)
    }

    pub(super) fn mark_ready(&self) -> Result<(), StartError> {
        self.mark("ready")
    }

    /// Removes a database that was not finished.
    pub(super) fn remove_home(&self) -> Result<(), StartError> {
        let home = self.home();
        std::fs::remove_dir_all(&home).map_err(StartError::io("remove", home))?;
        let state = self.folder.join(STATE);
        std::fs::remove_file(&state).map_err(StartError::io("remove", state))
    }

    fn mark(&self, state: &str) -> Result<(), StartError> {
        let path = self.folder.join(STATE);
        replace(&path, format!("{state}\n").as_bytes(), 0o600).map_err(StartError::io("write", path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.temporary {
            return;
        }
        // A last process of PostgreSQL may still be writing a file while the folder is emptied: try again.
        for _ in 0..20 {
            match std::fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(Duration::from_millis(50)),
                _ => return,
            }
        }
        tracing::warn!(folder = %self.folder.display(), "could not remove the temporary database; the next start tries again");
    }
}

/// Writes a file as a whole: a reader sees the old or the new contents, and a link in its place is not followed.
pub(super) fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(contents)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Makes a folder that did not exist before. That is what makes it ours, so its name may be guessable.
pub(super) fn make_unique(parent: &Path, prefix: &str) -> Result<PathBuf, StartError> {
    let id = std::process::id();
    let mut number = 0;
    loop {
        let folder = parent.join(format!("{prefix}{id}-{number}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(StartError::io("make", folder)(error)),
        }
    }
}

fn open_folder(folder: &Path) -> Result<PathBuf, StartError> {
    match folder.metadata() {
        Ok(meta) if !meta.is_dir() => return Err(StartError::NotAFolder { path: folder.to_owned() }),
        Ok(meta) if meta.mode() & 0o002 != 0 => return Err(StartError::WritableByAll { path: folder.to_owned() }),
        Ok(_) if folder.join("PG_VERSION").exists() => return Err(StartError::NotOurs { path: folder.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(StartError::NotAFolder { path: folder.to_owned() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(StartError::io("make", folder))?;
            // Another user's process has to pass through on its way to `postgres/`, but not to look around.
            permit(folder, if Uid::effective().is_root() { 0o711 } else { 0o700 })?;
        }
        Err(error) => return Err(StartError::io("look at", folder)(error)),
    }
    folder.canonicalize().map_err(StartError::io("look at", folder))
}

fn permit(path: &Path, mode: u32) -> Result<(), StartError> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(StartError::io("set permissions of", path))
}

/// Takes the folder for this process until the file is closed, which the system does even after `kill -9`.
fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&path).map_err(StartError::io("open", &path))?;
    let taken = file.try_lock();
    let mut text = String::new();
    let read = (&file).take(32).read_to_string(&mut text);
    let holder = text.trim().parse().ok();
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StartError::AlreadyRunning { dir: folder.to_owned(), pid: holder });
        }
        Err(TryLockError::Error(error)) => return Err(StartError::io("lock", path)(error)),
    }
    if read.is_err() || (holder.is_none() && !text.is_empty()) {
        return Err(StartError::NotOurs { path });
    }
    let written = file
        .set_len(0)
        .and_then(|()| io::Seek::rewind(&mut file))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(StartError::io("write", path))?;
    Ok(file)
}

/// A folder that was deleted leaves its database elsewhere, and so does one that was moved; only the owner knows which.
fn warn_of_abandoned(parent: &Path, asked: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for folder in entries.flatten().map(|entry| entry.path()) {
        if std::fs::read(folder.join(ORIGIN)).is_ok_and(|origin| origin == asked.as_os_str().as_bytes()) {
            let (folder, asked) = (folder.display(), asked.display());
            tracing::warn!(%folder, %asked, "an older database of this folder is still there; delete it if it is not needed");
        }
    }
}

/// Reads where the database is when it is not in the folder itself. The record counts only if it names a folder of
/// root's in the one place where we put them; it may have come with somebody else's files.
fn location(asked: &Path) -> Result<Option<PathBuf>, StartError> {
    let record = asked.join(LOCATION);
    let folder = match std::fs::read(&record) {
        Ok(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StartError::io("read", record)(error)),
    };
    if folder.parent() != Some(Path::new(ELSEWHERE)) || folder.file_name().is_none() {
        return Err(StartError::NotOurs { path: record });
    }
    match folder.symlink_metadata() {
        Ok(meta) if meta.is_dir() && meta.uid() == Uid::effective().as_raw() => Ok(Some(folder)),
        Ok(_) => Err(StartError::NotOurs { path: folder }),
        Err(_) => Ok(None),
    }
}
