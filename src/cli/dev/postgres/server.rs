//! The running main process of PostgreSQL.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::{StartError, StopError};
use super::log::Log;

/// Long enough to replay what a crash left in the write-ahead log.
const STARTING: Duration = Duration::from_mins(1);

/// As in `recover`: first in good order, then at once.
const STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(20)), (Signal::SIGQUIT, Duration::from_secs(10))];

/// A PostgreSQL that is stopped at the latest when this value is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<String>>,
    log: PathBuf,
    /// All was tried to stop it, in vain.
    given_up: bool,
}

impl Server {
    /// Starts it on a thread of its own that waits for its end. The thread lives as long as the process, which the
    /// death signal needs: Linux sends it when the thread that made the process ends, not when the program does.
    pub(super) fn spawn(mut command: Command, log: &Log) -> io::Result<Self> {
        let (report, started) = mpsc::channel();
        let (end, ended) = watch::channel(None);
        die_with_keystead(&mut command);
        std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(report.send(Err(error))),
            };
            // Close our copies of the log: its lock stands for the processes that hold it.
            drop(command);
            drop(report.send(Ok(child.id())));
            let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            end.send_replace(Some(how));
        })?;
        let id = started.recv().map_err(io::Error::other)??;
        let pid = Pid::from_raw(i32::try_from(id).map_err(io::Error::other)?);
        Ok(Self { pid, ended, log: log.path().to_owned(), given_up: false })
    }

    /// Waits until it accepts connections.
    pub(super) async fn ready(&self, data: &Path, log: &Log) -> Result<(), StartError> {
        let deadline = Instant::now() + STARTING;
        while !self.says_ready(data) {
            if let Some(how) = self.how_it_ended() {
                return Err(log.failure("PostgreSQL ended while it started", &how));
            }
            if Instant::now() >= deadline {
                return Err(log.failure("PostgreSQL did not become ready", &format!("within {STARTING:?}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The eighth line of postmaster.pid is what `pg_ctl` goes by, too.
    fn says_ready(&self, data: &Path) -> bool {
        let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(self.pid.to_string().as_str()) && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }

    /// Returns when the process has ended, saying how.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        // An error would mean that the waiting thread is gone without a word; the process is then nobody's.
        ended.wait_for(Option::is_some).await.ok().and_then(|how| how.clone()).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Stops it in good order and waits for its end.
    pub(super) async fn stop(&mut self) -> Result<(), StopError> {
        for (signal, patience) in STEPS {
            self.signal(signal);
            if timeout(patience, self.ended()).await.is_ok() {
                return Ok(());
            }
        }
        self.given_up = true;
        Err(self.stays())
    }

    fn stop_blocking(&self) -> Result<(), StopError> {
        for (signal, patience) in STEPS {
            let deadline = Instant::now() + patience;
            self.signal(signal);
            while Instant::now() < deadline {
                if self.how_it_ended().is_some() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Err(self.stays())
    }

    fn signal(&self, signal: Signal) {
        if self.how_it_ended().is_some() {
            return;
        }
        if let Err(error) = kill(self.pid, signal) {
            tracing::debug!(pid = self.pid.as_raw(), %error, "could not signal PostgreSQL");
        }
    }

    fn how_it_ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    fn stays(&self) -> StopError {
        let seconds = STEPS.iter().map(|(_, patience)| patience.as_secs()).sum();
        StopError { pid: self.pid.as_raw(), seconds, log: self.log.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.given_up
            && self.how_it_ended().is_none()
            && let Err(error) = self.stop_blocking()
        {
            tracing::error!(%error, "PostgreSQL stays behind");
        }
    }
}

/// After `kill -9` of Keystead the kernel tells PostgreSQL to stop in good order. Other systems have no such thing;
/// there the next start finds and ends it, as it also does on Linux should this not have worked.
#[cfg(target_os = "linux")]
fn die_with_keystead(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let keystead = Pid::this();
    let ask = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
        // Keystead may have died before the line above; then nobody would ever send the signal.
        if nix::unistd::getppid() == keystead { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. `ask` makes two system calls (prctl,
    // getppid) and builds errors that need no memory. std runs it after the change of user, which would clear the signal.
    #[expect(unsafe_code, reason = "the standard library has no safe way to set the death signal of a child")]
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_keystead(_command: &mut Command) {}
