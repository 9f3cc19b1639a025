//! Ends what an earlier run left behind: a PostgreSQL that outlived its keystead, and its files of the moment.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::error::StartError;
use super::log::Log;
use super::place::Place;

/// PostgreSQL's own file with the number of its main process, in `data/`.
const PID_FILE: &str = "postmaster.pid";

/// How an earlier PostgreSQL is asked to end, and how long it may take: SIGINT closes connections and writes all down;
/// SIGQUIT ends at once, and the next start repairs from the write-ahead log.
const STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(20)), (Signal::SIGQUIT, Duration::from_secs(10))];

/// Opens the log of a place after every process of an earlier run has ended.
pub(super) async fn end_earlier_run(place: &Place) -> Result<Log, StartError> {
    let data = place.data();
    let mut log = Log::open(place.folder())?;
    for (signal, patience) in STEPS {
        let deadline = Instant::now() + patience;
        let mut told = None;
        loop {
            let main = running_in(&data);
            if main.is_none() && log.claim()? {
                forget_reused_number(&data);
                return Ok(log);
            }
            if let Some(pid) = main
                && told != Some(pid)
            {
                tracing::info!(pid = pid.as_raw(), %signal, "stopping PostgreSQL of an earlier run");
                stop(pid, signal);
                told = Some(pid);
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Err(StartError::EarlierRunStays { dir: place.folder().to_owned(), pid: running_in(&data).map(Pid::as_raw) })
}

fn stop(pid: Pid, signal: Signal) {
    // It may have ended in between, which is what was wanted.
    if let Err(error) = kill(pid, signal) {
        tracing::debug!(pid = pid.as_raw(), %error, "could not signal PostgreSQL of an earlier run");
    }
}

/// The main process of the PostgreSQL that works in this folder now.
fn running_in(data: &Path) -> Option<Pid> {
    recorded(data).filter(|pid| works_in(*pid, data))
}

fn recorded(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data.join(PID_FILE)).ok()?;
    // A negative number is that of a single-user process, which ends by itself.
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1).map(Pid::from_raw)
}

/// The main process of PostgreSQL has its data as its working folder. A process we may not look at is another user's.
#[cfg(target_os = "linux")]
fn works_in(pid: Pid, data: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    let working = place(Path::new(&format!("/proc/{pid}/cwd")));
    working.is_some() && working == place(data)
}

#[cfg(not(target_os = "linux"))]
fn works_in(pid: Pid, _data: &Path) -> bool {
    let output = std::process::Command::new("/bin/ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim_end().ends_with("postgres"))
}

/// PostgreSQL removes its stale file by itself, with more checks than we could make; but not when a stranger has got the
/// number meanwhile. Nobody works in this folder, so then the file is in the way.
fn forget_reused_number(data: &Path) {
    let Some(pid) = recorded(data) else { return };
    if kill(pid, None) != Err(Errno::ESRCH) {
        tracing::info!(pid = pid.as_raw(), "removing a stale postmaster.pid");
        if let Err(error) = std::fs::remove_file(data.join(PID_FILE)) {
            tracing::warn!(%error, "could not remove the stale postmaster.pid");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn a_strangers_process_is_not_taken_for_postgresql() {
        let data = Folder::new();
        let us = std::process::id();
        std::fs::write(data.join(PID_FILE), format!("{us}\n/somewhere\n")).unwrap();
        assert_eq!(running_in(&data), None);
        forget_reused_number(&data);
        assert!(!data.join(PID_FILE).exists());
    }

    #[test]
    fn the_number_of_a_dead_process_is_left_to_postgresql() {
        let data = Folder::new();
        // Larger than any process number of Linux or macOS.
        std::fs::write(data.join(PID_FILE), "999999999\n").unwrap();
        forget_reused_number(&data);
        assert!(data.join(PID_FILE).exists());
    }

    #[test]
    fn nonsense_in_the_file_names_nobody() {
        let data = Folder::new();
        for text in ["", "\n", "x", "0", "1", "-5"] {
            std::fs::write(data.join(PID_FILE), text).unwrap();
            assert_eq!(recorded(&data), None, "{text:?}");
        }
    }
}
