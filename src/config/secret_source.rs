//! Secrets that stand in files of their own (`*_file`), as orchestrators hand them over.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::problems::Wrong;
use crate::domain::Secret;

/// A file longer than this is not a secret but a mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a secret; line ends after it do not belong to it.
pub(super) fn read_file(path: &Path) -> Result<Secret, Wrong> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // The open file is examined, not the path, so nobody can exchange it in between.
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(Wrong::new(format!("names {}, which is a folder", path.display()), "name the file itself"));
    }
    refuse_open_permissions(path, &metadata)?;

    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    let text = Secret::new(text);
    let trimmed = text.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(Wrong::new(
            format!("names {}, which is empty", path.display()),
            "write the secret into the file, and nothing else",
        ));
    }
    if text.expose().len() as u64 > MAX_BYTES {
        return Err(Wrong::new(
            format!("names {}, which is larger than 64 KiB", path.display()),
            "the file must hold the secret and nothing else",
        ));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

fn unreadable(path: &Path, error: &io::Error) -> Wrong {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "create the file, or correct the path",
        io::ErrorKind::PermissionDenied => "let the user that runs Keystead read the file (chown or chmod)",
        io::ErrorKind::InvalidData => "the file must hold the secret as text, and nothing else",
        _ => "make the file readable for Keystead",
    };
    Wrong::new(format!("names {}, which cannot be read: {error}", path.display()), remedy)
}

/// A secret that every account on the machine can read is not one.
#[cfg(unix)]
fn refuse_open_permissions(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Wrong> {
    use std::os::unix::fs::PermissionsExt as _;

    const OTHERS: u32 = 0o007;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Wrong::new(
        format!("names {path}, which every user of the machine may access (mode {mode:03o})"),
        format!("run: chmod o= {path} (in Kubernetes: defaultMode 0440 with fsGroup)"),
    ))
}

#[cfg(not(unix))]
fn refuse_open_permissions(_: &Path, _: &std::fs::Metadata) -> Result<(), Wrong> {
    Ok(())
}
