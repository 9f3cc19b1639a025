//! Which user of the machine the database runs as: ourselves, or an ordinary one when we are root.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User};

use super::error::StartError;

/// PostgreSQL refuses to run as root. The first of these that exists takes its place.
const ORDINARY_USERS: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The user that all programs of PostgreSQL run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    /// We are somebody else (root) and change to this user in each new process.
    change: bool,
}

impl Account {
    /// For a database that does not exist yet.
    pub(super) fn for_new_database() -> Result<Self, StartError> {
        if !Uid::effective().is_root() {
            return Ok(Self::of(ourselves()?, false));
        }
        let user = ORDINARY_USERS
            .iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root() && user.gid.as_raw() != 0)
            .ok_or(StartError::NoOrdinaryUser)?;
        Ok(Self::of(user, true))
    }

    /// For a database that exists: PostgreSQL accepts only the owner of its files.
    pub(super) fn owning(path: &Path, owner: u32) -> Result<Self, StartError> {
        let us = ourselves()?;
        let owner = Uid::from_raw(owner);
        if us.uid == owner && !owner.is_root() {
            return Ok(Self::of(us, false));
        }
        let user = User::from_uid(owner).ok().flatten();
        match user {
            Some(user) if us.uid.is_root() && !owner.is_root() => Ok(Self::of(user, true)),
            _ => Err(StartError::OtherOwner {
                path: path.to_owned(),
                owner: user.map_or_else(|| owner.to_string(), |user| user.name),
                user: us.name,
            }),
        }
    }

    fn of(user: User, change: bool) -> Self {
        Self { name: user.name, uid: user.uid, gid: user.gid, change }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the database runs as somebody else than we do.
    pub(super) fn is_another(&self) -> bool {
        self.change
    }

    /// Hands a file or folder that we made to this user.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        if !self.change {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// A program that runs as this user in `folder`, in a process group of its own: Ctrl-C in the terminal is for
    /// Keystead alone, which then stops the database in good order.
    ///
    /// Nothing of our environment goes along: it may hold secrets, and variables like `PGDATA` would change what
    /// PostgreSQL does. `TZ` saves initdb the search for the zone of this machine.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .process_group(0);
        if self.change {
            // Setting a uid as root also empties the list of supplementary groups (std::process does it).
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Tries whether this user can work in `folder`, by doing it: a look at permission bits would miss access lists
    /// and mount options. `program` must be one that only prints its version.
    pub(super) fn can_enter(&self, folder: &Path, program: &Path) -> Result<bool, StartError> {
        if !self.change {
            return Ok(true);
        }
        let attempt = |folder: &Path| {
            self.command(program, folder).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        let not_runnable =
            |source| StartError::NotRunnable { program: program.to_owned(), user: self.name.clone(), source };
        match attempt(folder) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                attempt(Path::new("/")).map_err(not_runnable)?;
                Ok(false)
            }
            Err(error) => Err(not_runnable(error)),
        }
    }
}

/// The user of this process.
pub(super) fn ourselves() -> Result<User, StartError> {
    let uid = Uid::effective();
    User::from_uid(uid).ok().flatten().ok_or(StartError::NamelessUser { uid: uid.as_raw() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_never_runs_as_root() {
        let account = Account::for_new_database().unwrap();
        assert!(!account.uid.is_root());
        assert_eq!(account.is_another(), Uid::effective().is_root());
    }

    #[test]
    fn files_of_root_are_refused() {
        let error = Account::owning(Path::new("/x"), 0).unwrap_err().to_string();
        assert!(error.contains("belongs to user root"), "{error}");
    }

    #[test]
    fn a_program_gets_no_environment_but_ours_and_no_groups() {
        let account = Account::for_new_database().unwrap();
        let output =
            account.command(Path::new("/bin/sh"), Path::new("/")).args(["-c", "env; id -G; id -u"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("HOME=") && !text.contains("CARGO"), "{text}");
        let mut ids = text.lines().rev();
        assert_eq!(ids.next(), Some(account.uid.to_string().as_str()));
        if account.is_another() {
            assert_eq!(ids.next(), Some(account.gid.to_string().as_str()));
        }
    }
}
