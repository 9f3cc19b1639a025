//! The room as a whole: files and variables in, settings or a full report out.

mod refusals;
mod secrets;
mod sources;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const DATABASE: &str = "postgres://keystead:hunter2@localhost/keystead";

/// A folder of a test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keystead-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file that only its owner can read.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key_bytes() -> Vec<u8> {
    (1..=32).map(|n: u8| n.wrapping_mul(37)).collect()
}

fn key() -> String {
    STANDARD.encode(key_bytes())
}

/// The least that is needed, and over it `more`.
fn environment(more: &[(&str, &str)]) -> Environment {
    let key = key();
    let least = [
        ("KEYSTEAD__ISSUER", "https://id.example.com"),
        ("DATABASE_URL", DATABASE),
        ("KEYSTEAD__KEYS__ENCRYPTION_KEY", &key),
        ("PATH", "/usr/bin"),
    ];
    least.into_iter().chain(more.iter().copied()).collect()
}

fn settings(more: &[(&str, &str)]) -> Settings {
    load(None, &environment(more)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(result: Result<Settings, Problems>) -> Vec<Problem> {
    result.err().expect("the configuration should be refused").iter().cloned().collect()
}

/// The one problem of a configuration that is otherwise right.
fn problem(more: &[(&str, &str)]) -> Problem {
    let mut all = problems(load(None, &environment(more)));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
