//! PostgreSQL's log, which is at the same time the sign of life of its processes.
//!
//! Every program of PostgreSQL that we start has this file as its standard error, and so have all of its children. The
//! file is locked; a lock belongs to the open file, so it lasts until the last of these processes has ended, whatever
//! became of Keystead. That is exact where process numbers are not: a number may be in use again by a stranger.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::fcntl::OFlag;

use super::error::StartError;

/// A log that has grown beyond this is emptied at the next start.
const LARGEST: u64 = 4 << 20;

/// How much of the end is shown when something failed.
const SHOWN_BYTES: u64 = 4096;
const SHOWN_LINES: usize = 15;

/// The log of one database.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Where this run begins.
    start: u64,
}

impl Log {
    pub(super) fn open(folder: &Path) -> Result<Self, StartError> {
        let path = folder.join("postgres.log");
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(&path).map_err(StartError::io("open", &path))?;
        Ok(Self { path, file, start: 0 })
    }

    /// Takes the lock, unless a process of an earlier run still lives.
    pub(super) fn claim(&mut self) -> Result<bool, StartError> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(StartError::io("lock", &self.path)(error)),
        }
        let length = self.file.metadata().map(|meta| meta.len());
        self.start = match length.map_err(StartError::io("look at", &self.path))? {
            length if length <= LARGEST => length,
            _ => {
                self.file.set_len(0).map_err(StartError::io("empty", &self.path))?;
                0
            }
        };
        Ok(true)
    }

    /// The standard error of a new process.
    pub(super) fn stdio(&self) -> Result<Stdio, StartError> {
        self.file.try_clone().map(Stdio::from).map_err(StartError::io("share", &self.path))
    }

    /// The error for a program that failed, with the last lines it wrote.
    pub(super) fn failure(&self, what: &'static str, how: &dyn Display) -> StartError {
        StartError::Failed { what, how: how.to_string(), log: self.path.clone(), tail: self.tail() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines of this run.
    pub(super) fn tail(&self) -> String {
        let text = self.read_end().unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        if shown.is_empty() {
            "  (nothing was written; is the disk full?)".to_owned()
        } else {
            format!("  {}", shown.join("\n  "))
        }
    }

    fn read_end(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(self.start.max(end.saturating_sub(SHOWN_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
