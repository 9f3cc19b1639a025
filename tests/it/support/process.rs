//! The real program: started, watched, signalled, and never left behind.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use super::{ENCRYPTION_KEY, ISSUER, database};

/// Longer than anything takes here, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes away with this value. The user of the database may pass through it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short, because the path of a socket may have about a hundred characters.
        let path = PathBuf::from(format!("/tmp/keystead-it-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file that only its owner can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A last process may still be writing into it.
        for _ in 0..20 {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A `keystead` command that has not been started.
pub struct Program(Command);

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output and standard error.
    pub output: String,
}

impl Program {
    /// `keystead` with these arguments and none of our environment but `PATH`.
    pub fn keystead(arguments: &[&str]) -> Self {
        Self::other(Path::new(env!("CARGO_BIN_EXE_keystead")), arguments)
    }

    /// Another program that ends up running `keystead`.
    pub fn other(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", database::search_path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// `keystead` with complete settings in its environment.
    pub fn configured(arguments: &[&str], database_url: &str) -> Self {
        Self::keystead(arguments).with_settings(database_url)
    }

    /// With complete settings in its environment, on ports that the system chooses.
    pub fn with_settings(self, database_url: &str) -> Self {
        let key = base64::engine::general_purpose::STANDARD.encode(ENCRYPTION_KEY);
        self.env("KEYSTEAD__ISSUER", ISSUER)
            .env("KEYSTEAD__PUBLIC__LISTEN", "127.0.0.1:0")
            .env("KEYSTEAD__ADMIN__LISTEN", "127.0.0.1:0")
            .env("KEYSTEAD__DATABASE__URL", database_url)
            .env("KEYSTEAD__KEYS__ENCRYPTION_KEY", &key)
            .env("KEYSTEAD__KEYS__ENCRYPTION_KEY_ID", "k1")
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// In this folder.
    pub fn within(mut self, folder: &Folder) -> Self {
        self.0.current_dir(&folder.0);
        self
    }

    /// As this user instead of root.
    pub fn run_as(mut self, user: &User) -> Self {
        self.0.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        self
    }

    pub fn start(mut self) -> Running {
        let mut child = self.0.spawn().unwrap();
        let output = Arc::<Output>::default();
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        Running { child, output }
    }

    /// Runs it to its end.
    pub async fn run(self) -> Ended {
        let mut running = self.start();
        let status = running.end().await;
        Ended { status, output: running.output() }
    }
}

#[derive(Default)]
struct Output {
    written: Mutex<Vec<u8>>,
    /// Nobody reads further.
    stalled: AtomicBool,
}

fn collect(mut from: impl Read + Send + 'static, into: &Arc<Output>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.written.lock().unwrap().extend_from_slice(&buffer[..count]);
            while into.stalled.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
}

/// A running program; dropping it stops it in good order and, if that does not help, by force.
pub struct Running {
    child: Child,
    output: Arc<Output>,
}

impl Running {
    /// Everything that it wrote so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.written.lock().unwrap()).into_owned()
    }

    /// From now on nobody reads what it writes, although it still could be read.
    pub fn stop_reading(&self) {
        self.output.stalled.store(true, Ordering::Relaxed);
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until it has written this text.
    pub async fn says(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().unwrap();
            let output = self.output();
            if output.contains(text) {
                return output;
            }
            assert!(ended.is_none() && Instant::now() < deadline, "no {text:?} ({ended:?}) in:\n{output}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it wrote last is still on its way to us.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; it wrote:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to stop and expects that it does so in good order.
    pub async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.end().await;
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", self.output());
    }

    /// The public and the admin address of `keystead serve`, once it is ready.
    pub async fn serves_at(&mut self) -> (SocketAddr, SocketAddr) {
        let output = self.says("\"message\":\"ready\"").await;
        let line = output.lines().find(|line| line.contains("\"message\":\"ready\"")).unwrap();
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let address = |name: &str| event[name].as_str().unwrap().parse().unwrap();
        (address("public"), address("admin"))
    }

    /// The public and the admin address of `keystead dev`, once it is ready.
    pub async fn develops_at(&mut self) -> (SocketAddr, SocketAddr) {
        let output = self.says("Stop with Ctrl-C").await;
        let after = |label: &str| {
            let line = output.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap().trim();
            line.strip_prefix("http://").unwrap().split(['/', ' ']).next().unwrap().parse().unwrap()
        };
        (after("Issuer"), after("Admin API"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.output.stalled.store(false, Ordering::Relaxed);
        for (signal, patience) in [(Signal::SIGTERM, 30), (Signal::SIGKILL, 5)] {
            let deadline = Instant::now() + Duration::from_secs(patience);
            if self.child.try_wait().is_ok_and(|status| status.is_some()) || kill(self.pid(), signal).is_err() {
                return;
            }
            while Instant::now() < deadline && self.child.try_wait().is_ok_and(|status| status.is_none()) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
