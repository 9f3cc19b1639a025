//! The whole of it, with the PostgreSQL of this machine.

use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A temporary folder that goes away with this value.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("keystead-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Deref for Folder {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn lasting(data_dir: PathBuf) -> StartOptions {
    StartOptions { data_dir, ephemeral: false, search_path: option_env!("PATH").unwrap_or_default().into() }
}

/// A place with an empty home and this state.
fn place_in_state(folder: &Path, state: Option<&str>) -> Place {
    let place = Place::lasting(folder).unwrap();
    std::fs::create_dir(place.home()).unwrap();
    if let Some(state) = state {
        std::fs::write(folder.join("postgres.state"), state).unwrap();
    }
    place
}

#[tokio::test]
async fn a_database_starts_stops_and_starts_again() {
    let folder = Folder::new();
    let data_dir = folder.join("new folder, with ü");
    for _ in 0..2 {
        let postgres = PrivatePostgres::start(lasting(data_dir.clone())).await.unwrap();
        assert!(postgres.database_url().starts_with("postgres://keystead@localhost:5432/keystead?host=/"));
        let socket = postgres.socket.path();
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o700, "others could connect");
        assert!(socket.join(".s.PGSQL.5432").exists());

        let error = PrivatePostgres::start(lasting(data_dir.clone())).await.unwrap_err().to_string();
        let expected = format!("another keystead dev is running on {}", data_dir.display());
        assert!(error.starts_with(&expected) && error.contains(&std::process::id().to_string()), "{error}");

        postgres.stop().await.unwrap();
        assert!(!data_dir.join("postgres/data/postmaster.pid").exists());
    }
}

#[tokio::test]
async fn a_lost_process_is_noticed_and_a_dropped_value_leaves_nothing() {
    let postgres = PrivatePostgres::start(StartOptions { ephemeral: true, ..lasting(PathBuf::new()) }).await.unwrap();
    let folder = postgres.folder().to_owned();
    let text = std::fs::read_to_string(postgres.place.data().join("postmaster.pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(text.lines().next().unwrap().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let error = postgres.died().await.to_string();
    assert!(error.contains("ended unexpectedly") && error.contains("database system is shut down"), "{error}");
    drop(postgres);
    assert!(!folder.exists());
}

#[tokio::test]
async fn an_interrupted_first_start_is_made_again() {
    let folder = Folder::new();
    drop(place_in_state(&folder, Some("initializing\n")));
    std::fs::write(folder.join("postgres/rest"), "").unwrap();
    let postgres = PrivatePostgres::start(lasting(folder.to_owned())).await.unwrap();
    assert!(!postgres.place.home().join("rest").exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn what_others_made_stays_untouched() {
    let folder = Folder::new();
    drop(place_in_state(&folder, None));
    let error = PrivatePostgres::start(lasting(folder.to_owned())).await.unwrap_err();
    assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
    assert!(folder.join("postgres").exists());

    let cluster = Folder::new();
    std::fs::write(cluster.join("PG_VERSION"), "15\n").unwrap();
    assert!(matches!(Place::lasting(&cluster), Err(StartError::NotOurs { .. })));

    let locked = Folder::new();
    std::fs::write(locked.join("lock"), "the key of somebody else\n").unwrap();
    assert!(matches!(Place::lasting(&locked), Err(StartError::NotOurs { .. })));
    assert_eq!(std::fs::read_to_string(locked.join("lock")).unwrap(), "the key of somebody else\n");
}

#[test]
fn a_linked_home_or_location_is_refused() {
    let (folder, target) = (Folder::new(), Folder::new());
    let place = Place::lasting(&folder).unwrap();
    std::fs::write(folder.join("postgres.state"), "initializing\n").unwrap();
    std::os::unix::fs::symlink(&*target, place.home()).unwrap();
    assert!(matches!(place.contents(), Err(StartError::NotOurs { .. })));
    drop(place);

    std::fs::write(folder.join("postgres.location"), target.as_os_str().as_encoded_bytes()).unwrap();
    assert!(matches!(Place::lasting(&folder), Err(StartError::NotOurs { .. })));
}

#[test]
fn unsafe_and_impossible_folders_are_refused() {
    let folder = Folder::new();
    std::fs::set_permissions(&*folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Place::lasting(&folder), Err(StartError::WritableByAll { .. })));

    let file = folder.join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Place::lasting(&path).unwrap_err();
        assert!(matches!(error, StartError::NotAFolder { .. }), "{error}");
    }
}

#[test]
fn a_complete_database_without_version_is_called_damaged() {
    let folder = Folder::new();
    let place = place_in_state(&folder, Some("ready\n"));
    assert_eq!(place.contents().unwrap(), Contents::Complete);
    let error = place.made_by().unwrap_err();
    assert!(matches!(error, StartError::Damaged { .. }), "{error}");
}

#[test]
fn only_leftovers_of_the_dead_are_taken() {
    let parent = Folder::new();
    let alive = Place::temporary(&parent).unwrap();
    assert!(Place::leftovers(&parent).is_empty());

    let dead = parent.join("keystead-dev-1-0");
    std::fs::create_dir(&dead).unwrap();
    assert!(Place::leftovers(&parent).is_empty(), "without the mark it may be anything");
    std::fs::write(dead.join("ephemeral"), "").unwrap();
    let found = Place::leftovers(&parent);
    assert_eq!(found.iter().map(Place::folder).collect::<Vec<_>>(), [&*dead]);
    drop(found);
    assert!(!dead.exists() && alive.folder().metadata().unwrap().uid() == nix::unistd::Uid::effective().as_raw());
}

#[tokio::test]
async fn a_living_process_of_an_earlier_run_is_waited_for() {
    let folder = Folder::new();
    let place = Place::lasting(&folder).unwrap();
    let mut first = Log::open(&folder).unwrap();
    assert!(first.claim().unwrap());
    let mut child = std::process::Command::new("/bin/sleep").arg("0.3").stderr(first.stdio().unwrap()).spawn().unwrap();
    drop(first);
    assert!(!Log::open(&folder).unwrap().claim().unwrap(), "the child holds the lock");
    recover::end_earlier_run(&place).await.unwrap();
    assert!(child.try_wait().unwrap().is_some_and(|status| status.success()));
}
