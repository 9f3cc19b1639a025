//! Finds PostgreSQL's programs on this machine.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::StartError;

/// The oldest major version that Keystead works with.
const OLDEST: u32 = 14;

/// Programs that are used, all from one folder: those of two versions do not fit together.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// Where packages put the programs outside PATH: folder, beginning of the name in it, and what follows.
const USUAL_PLACES: [(&str, &str, &str); 8] = [
    ("usr/lib/postgresql", "", "bin"),                          // Debian, Ubuntu
    ("opt/homebrew/opt", "postgresql", "bin"),                  // Homebrew on ARM
    ("usr/local/opt", "postgresql", "bin"),                     // Homebrew on Intel
    ("usr", "pgsql-", "bin"),                                   // packages of postgresql.org for Fedora and kin
    ("usr/lib", "postgresql", "bin"),                           // openSUSE
    ("usr/libexec", "postgresql", ""),                          // Alpine
    ("home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),     // Homebrew on Linux
    ("Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
];

/// PostgreSQL in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    folder: PathBuf,
    version: String,
    major: u32,
}

impl Installation {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// As in `15.18`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

/// All that is installed and supported, the preferred one first: PATH, then `pg_config`, then the newest of the rest.
/// Never empty.
pub(super) fn installations(search_path: &OsStr) -> Result<Vec<Installation>, StartError> {
    supported(find(search_path, Path::new("/")))
}

/// The one for a database that was made by this major version.
pub(super) fn matching<'a>(
    installed: &'a [Installation],
    made_by: u32,
    dir: &Path,
) -> Result<&'a Installation, StartError> {
    installed.iter().find(|one| one.major == made_by).ok_or_else(|| StartError::OtherVersion {
        dir: dir.to_owned(),
        made_by,
        installed: list(installed),
    })
}

fn supported(found: Vec<Installation>) -> Result<Vec<Installation>, StartError> {
    if found.is_empty() {
        return Err(StartError::NotInstalled);
    }
    let (good, old): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| one.major >= OLDEST);
    if good.is_empty() {
        return Err(StartError::TooOld { found: list(&old), oldest: OLDEST });
    }
    Ok(good)
}

fn list(installed: &[Installation]) -> String {
    let names: Vec<_> = installed.iter().map(|one| format!("{} in {}", one.version, one.folder.display())).collect();
    names.join(", ")
}

fn find(search_path: &OsStr, root: &Path) -> Vec<Installation> {
    // An entry like `.` would let the current folder decide which program runs, perhaps as root.
    let path: Vec<PathBuf> = std::env::split_paths(search_path).filter(|folder| folder.is_absolute()).collect();
    let mut seen = HashSet::new();
    let mut read = |folders: Vec<PathBuf>| -> Vec<Installation> {
        let real = folders.iter().filter_map(|folder| complete(folder));
        real.filter(|folder| seen.insert(folder.clone())).filter_map(installation).collect()
    };
    let configured = path.iter().filter_map(|folder| ask_pg_config(&folder.join("pg_config"))).collect();
    let mut found = read(path);
    found.extend(read(configured));
    let mut usual = read(usual_folders(root));
    usual.sort_by_key(|one| std::cmp::Reverse(one.major));
    found.extend(usual);
    found
}

fn usual_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix, rest) in USUAL_PLACES {
        let Ok(entries) = std::fs::read_dir(root.join(parent)) else { continue };
        let fitting = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(fitting.map(|entry| entry.path().join(rest)));
    }
    folders
}

/// The folder that really has all the programs; this one may only have links to them, even into different versions.
fn complete(folder: &Path) -> Option<PathBuf> {
    let mut homes = PROGRAMS.iter().map(|program| {
        let real = folder.join(program).canonicalize().ok()?;
        let meta = real.metadata().ok()?;
        let runs = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
        real.parent().filter(|_| runs).map(Path::to_owned)
    });
    let first = homes.next()??;
    homes.all(|home| home.as_ref() == Some(&first)).then_some(first)
}

fn ask_pg_config(program: &Path) -> Option<PathBuf> {
    let mut answer = output(Command::new(program).arg("--bindir"))?;
    answer.truncate(answer.trim_ascii_end().len());
    Some(PathBuf::from(OsString::from_vec(answer))).filter(|folder| folder.is_absolute())
}

/// Asked without our environment, as it will run later. A version manager's stand-in fails here; what it stands for is
/// found through its `pg_config`.
fn installation(folder: PathBuf) -> Option<Installation> {
    let answer = output(Command::new(folder.join("postgres")).arg("--version").env_clear())?;
    let (version, major) = parse_version(&String::from_utf8_lossy(&answer))?;
    Some(Installation { folder, version, major })
}

fn output(command: &mut Command) -> Option<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; also `17beta1` and `18devel`.
fn parse_version(answer: &str) -> Option<(String, u32)> {
    let version = answer.split_once(") ")?.1.split_whitespace().next()?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((version.to_owned(), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    fn install(folder: &Path, version: &str) {
        std::fs::create_dir_all(folder).unwrap();
        for program in PROGRAMS {
            let text = format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n");
            script(&folder.join(program), &text);
        }
    }

    /// Written by another process: a file that this one has open for writing, even in a child that another test has just
    /// forked, cannot be executed.
    fn script(path: &Path, text: &str) {
        let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
        assert!(Command::new("/bin/sh").args(["-c", write]).arg(path).arg(text).status().unwrap().success());
    }

    fn versions(found: &[Installation]) -> Vec<&str> {
        found.iter().map(Installation::version).collect()
    }

    #[test]
    fn versions_of_releases_and_previews_are_read() {
        let read = |text| parse_version(text);
        assert_eq!(read("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(("15.18".into(), 15)));
        assert_eq!(read("postgres (PostgreSQL) 17beta1\n"), Some(("17beta1".into(), 17)));
        assert_eq!(read("postgres (PostgreSQL) 9.6.24\n"), Some(("9.6.24".into(), 9)));
        assert_eq!(read("something else\n"), None);
    }

    #[test]
    fn path_wins_then_pg_config_then_the_newest_of_the_usual_places() {
        let root = Folder::new();
        install(&root.join("usr/lib/postgresql/9.6/bin"), "9.6.24");
        install(&root.join("usr/lib/postgresql/14/bin"), "14.9");
        install(&root.join("opt/homebrew/opt/postgresql@17/bin"), "17.2");
        install(&root.join("usr/pgsql-16/bin"), "16.1");
        install(&root.join("mine"), "15.1");
        install(&root.join("configured"), "18.0");
        std::fs::create_dir_all(root.join("tools")).unwrap();
        script(&root.join("tools/pg_config"), &format!("#!/bin/sh\necho '{}'\n", root.join("configured").display()));
        let path = std::env::join_paths([root.join("tools"), PathBuf::from("."), root.join("mine")]).unwrap();
        let found = supported(find(&path, &root)).unwrap();
        assert_eq!(versions(&found), ["15.1", "18.0", "17.2", "16.1", "14.9"]);
    }

    #[test]
    fn programs_spread_over_two_folders_do_not_count() {
        let root = Folder::new();
        install(&root.join("usr/lib/postgresql/15/bin"), "15.1");
        std::fs::remove_file(root.join("usr/lib/postgresql/15/bin/initdb")).unwrap();
        assert!(find(OsStr::new(""), &root).is_empty());
    }

    #[test]
    fn links_into_two_versions_do_not_count_and_links_into_one_do() {
        let root = Folder::new();
        for version in ["15", "16"] {
            install(&root.join(version), version);
        }
        let links = root.join("links");
        std::fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(root.join("15/initdb"), links.join("initdb")).unwrap();
        std::os::unix::fs::symlink(root.join("16/postgres"), links.join("postgres")).unwrap();
        assert!(find(links.as_os_str(), &root).is_empty());
        std::fs::remove_file(links.join("postgres")).unwrap();
        std::os::unix::fs::symlink(root.join("15/postgres"), links.join("postgres")).unwrap();
        assert_eq!(find(links.as_os_str(), &root)[0].folder, root.join("15"));
    }

    #[test]
    fn what_to_install_is_said() {
        let missing = supported(Vec::new()).unwrap_err().to_string();
        for part in ["apt-get install postgresql", "brew install postgresql@17", "--database-url"] {
            assert!(missing.contains(part), "{missing}");
        }
        let root = Folder::new();
        install(&root.join("usr/lib/postgresql/13/bin"), "13.4");
        let old = supported(find(OsStr::new(""), &root)).unwrap_err().to_string();
        assert!(old.contains("13.4 in ") && old.contains("version 14"), "{old}");
    }

    #[test]
    fn a_database_wants_the_version_that_made_it() {
        let one = |version: &str, major| Installation { folder: "/p".into(), version: version.into(), major };
        let installed = [one("17.2", 17), one("15.1", 15)];
        assert_eq!(matching(&installed, 15, Path::new("/d")).unwrap().version(), "15.1");
        let error = matching(&installed, 14, Path::new("/d")).unwrap_err().to_string();
        assert!(error.contains("made by PostgreSQL 14") && error.contains("17.2 in /p"), "{error}");
    }
}
