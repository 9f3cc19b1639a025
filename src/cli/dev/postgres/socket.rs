//! The folder of the socket through which alone the database is reached, and the URL that leads there.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::account::Account;
use super::cluster;
use super::error::StartError;
use super::place::{Place, make_unique, replace};

/// Only a part of the socket's name: nothing listens on TCP.
pub(super) const PORT: u16 = 5432;

/// Socket addresses hold 107 bytes on Linux and 103 on macOS.
const LONGEST_ADDRESS: usize = 103;

/// Beginning of the name of folders that are made for a socket.
const PREFIX: &str = "keystead-socket-";

/// In the place: the folder that was made for a socket whose path would have been too long.
const RECORD: &str = "postgres.socket";

/// A folder that only the database's user (and root) can enter, with nothing in it of others.
#[derive(Debug)]
pub(super) struct SocketFolder {
    path: PathBuf,
    /// The record of a folder of its own, which goes away with this value.
    record: Option<PathBuf>,
}

impl SocketFolder {
    /// The home of the database if its path is short enough and can be written in a URL, else a new temporary folder.
    pub(super) fn prepare(place: &Place, account: &Account) -> Result<Self, StartError> {
        let record = place.folder().join(RECORD);
        remove_recorded(&record);
        let home = place.home();
        if fits(&home) {
            // Left by a process that is certainly gone (see `log`), and possibly naming a number that lives again.
            clear(&home);
            return Ok(Self { path: home, record: None });
        }
        let path = make_unique(&short_parent(account), PREFIX)?;
        replace(&record, path.as_os_str().as_bytes(), 0o600).map_err(StartError::io("write", &record))?;
        let folder = Self { path, record: Some(record) };
        account.give(&folder.path).map_err(StartError::io("hand over", &folder.path))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As sqlx and psql read it. Port and sslmode are named because both would else take them from the environment.
    pub(super) fn url(&self) -> String {
        let host = percent_encode(self.path.as_os_str().as_bytes());
        let name = cluster::NAME;
        format!("postgres://{name}@localhost:{PORT}/{name}?host={host}&sslmode=disable")
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            remove_recorded(record);
        }
    }
}

/// TMPDIR may be long, missing, or closed to another user.
fn short_parent(account: &Account) -> PathBuf {
    let temporary = std::env::temp_dir();
    let longest = temporary.join(format!("{PREFIX}4194304-1000"));
    if fits(&longest) && temporary.is_dir() && !account.is_another() { temporary } else { PathBuf::from("/tmp") }
}

/// A comma would do for sqlx, but psql takes it for the end of a host's name.
fn fits(folder: &Path) -> bool {
    let socket = folder.join(format!(".s.PGSQL.{PORT}"));
    let plain = folder.to_str().is_some_and(|text| !text.contains(','));
    folder.is_absolute() && plain && socket.as_os_str().len() <= LONGEST_ADDRESS
}

fn clear(folder: &Path) {
    for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %path.display(), %error, "could not remove a stale socket file");
            }
            _ => {}
        }
    }
}

/// Removes the folder of an earlier socket, if the record really names one: nothing in it but the socket's own files.
fn remove_recorded(record: &Path) {
    let Ok(bytes) = std::fs::read(record) else { return };
    let folder = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let named = folder.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
    let may = folder.symlink_metadata().is_ok_and(|meta| {
        meta.is_dir()
            && meta.mode() & 0o777 == 0o700
            && (Uid::effective().is_root() || meta.uid() == Uid::effective().as_raw())
    });
    if named && may {
        clear(&folder);
        if let Err(error) = std::fs::remove_dir(&folder) {
            tracing::debug!(folder = %folder.display(), %error, "could not remove an earlier socket folder");
        }
    }
    // The folder was ours and is gone, or was never ours: either way the record has served.
    let _ = std::fs::remove_file(record);
}

/// For the value of a query parameter. `+` would be read as a space, so it is encoded like all else.
fn percent_encode(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn a_url_survives_odd_folders() {
        let folder = SocketFolder { path: "/a b/+&%=/ü".into(), record: None };
        assert_eq!(
            folder.url(),
            "postgres://keystead@localhost:5432/keystead?host=/a%20b/%2B%26%25%3D/%C3%BC&sslmode=disable"
        );
    }

    #[test]
    fn a_long_path_does_not_fit() {
        let name = "/.s.PGSQL.5432".len();
        assert!(fits(Path::new(&format!("/{}", "x".repeat(LONGEST_ADDRESS - name - 1)))));
        assert!(!fits(Path::new(&format!("/{}", "x".repeat(LONGEST_ADDRESS - name)))));
        assert!(!fits(Path::new("/a,b")));
    }

    #[test]
    fn a_record_that_names_another_folder_removes_nothing() {
        let folder = Folder::new();
        let victim = folder.join("victim");
        std::fs::create_dir(&victim).unwrap();
        let record = folder.join(RECORD);
        std::fs::write(&record, victim.as_os_str().as_bytes()).unwrap();
        remove_recorded(&record);
        assert!(victim.exists() && !record.exists());
    }
}
