//! The processes of a run: `keystead dev` for its private PostgreSQL, `keystead serve` to be measured, and the reference.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::failure::Failure;
use crate::http::{self, Connection};
use crate::machine::Pinning;

const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// A server that this run started. `stop` it; one that is dropped is killed.
pub struct Server {
    name: &'static str,
    child: Child,
    begin: Instant,
    /// Its process number.
    pub pid: u32,
    /// Where it is asked.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it.
    fn spawn(name: &'static str, command: &mut Command, address: SocketAddr) -> Result<Self, Failure> {
        let begin = Instant::now();
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
        let child = child.map_err(|error| Failure::new(format!("{name} cannot be started: {error}")))?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { name, child, begin, pid, address })
    }

    /// Waits until it answers a GET of this path with 200, and says how long that took from the start on.
    pub async fn ready(&mut self, path: &str) -> Result<Duration, Failure> {
        let request = http::get(path, &[]);
        loop {
            if answers(self.address, &request).await {
                return Ok(self.begin.elapsed());
            }
            let Self { name, address, .. } = self;
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::new(format!("{name} ended before it answered, with {status}; see its log")));
            }
            if self.begin.elapsed() > START_PATIENCE {
                return Err(Failure::new(format!("{name} does not answer {address}{path} after a minute")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Asks it to end, and waits for that.
    pub async fn stop(mut self) -> Result<(), Failure> {
        // Without a number it has ended already.
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        }
        match tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(status) => {
                status?;
                Ok(())
            }
            Err(_) => Err(Failure::new(format!("{} does not stop; end process {} by hand", self.name, self.pid))),
        }
    }
}

async fn answers(address: SocketAddr, request: &[u8]) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    connection.exchange(request).await.is_ok_and(|answer| answer.status == 200)
}

/// Addresses of this machine that nobody uses at the moment.
pub fn free_addresses<const N: usize>() -> Result<[SocketAddr; N], Failure> {
    // All are held until the last is chosen, so that no two are the same.
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    addresses.try_into().map_err(|_| Failure::new("no free address"))
}

/// The programs, the folder and the settings of a run.
#[derive(Clone)]
pub struct Stage {
    /// Who runs where.
    pub pinning: Pinning,
    /// The release binary of Keystead.
    pub keystead: PathBuf,
    /// This program, which is the reference as well.
    pub this: PathBuf,
    /// The folder of the database.
    pub folder: PathBuf,
    /// Where the log of the server under load goes.
    pub log: PathBuf,
}

impl Stage {
    /// PostgreSQL, soon to be migrated and with the demo's people in it. The `keystead dev` that holds it is left in peace afterwards.
    pub fn database(&self) -> Result<Server, Failure> {
        let [public, admin] = free_addresses()?;
        let mut command = self.pinning.command(&self.keystead);
        command.arg("dev").arg("--data-dir").arg(&self.folder).args(["--listen", &public.to_string()]);
        command.args(["--admin-listen", &admin.to_string()]).env("KEYSTEAD__TELEMETRY__LOG_FILTER", "warn");
        Server::spawn("keystead dev", command.stdout(Stdio::null()), public)
    }

    /// The server under load, the address of its admin API, and how long it took to the first answer.
    pub async fn serve(&self) -> Result<(Server, SocketAddr, Duration), Failure> {
        let [public, admin] = free_addresses()?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.pinning.command(&self.keystead);
        command.arg("serve").arg("--config").arg(self.settings()).stdout(Stdio::null()).stderr(log);
        command.env("KEYSTEAD__PUBLIC__LISTEN", public.to_string());
        command.env("KEYSTEAD__ADMIN__LISTEN", admin.to_string());
        // All sign-ins come from one address here.
        command.env("KEYSTEAD__LIMITS__SIGN_IN_ATTEMPTS_PER_SOURCE_PER_MINUTE", "100000");
        let mut server = Server::spawn("keystead serve", &mut command, public)?;
        let start = server.ready("/.well-known/openid-configuration").await?;
        Ok((server, admin, start))
    }

    /// The reference over a database of its own on the same PostgreSQL.
    pub async fn reference(&self) -> Result<Server, Failure> {
        let [address] = free_addresses()?;
        let mut command = self.pinning.command(&self.this);
        command.args(["reference", "--listen", &address.to_string(), "--database-url", &self.database_url()?]);
        let mut server = Server::spawn("the reference", &mut command, address)?;
        server.ready("/about").await?;
        Ok(server)
    }

    /// Makes an account.
    pub async fn make_person(&self, email: &str, password: &str) -> Result<(), Failure> {
        let mut command = self.pinning.command(&self.keystead);
        command.args(["user", "create", "--email", email, "--password-stdin", "--config"]).arg(self.settings());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(password.as_bytes()).await?;
        }
        let status = child.wait().await?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("keystead user create ended with {status}"))) }
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("keystead.toml")
    }

    /// As `keystead dev` wrote it down.
    pub fn database_url(&self) -> Result<String, Failure> {
        let settings: toml::Table = std::fs::read_to_string(self.settings())?.parse()?;
        let url = settings.get("database").and_then(|database| database.get("url")).and_then(toml::Value::as_str);
        url.map(str::to_owned).ok_or_else(|| Failure::new("keystead dev wrote no database URL into its settings file"))
    }
}

/// A folder for the database that goes away with this value. On a disk, since what is measured waits for it.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    pub fn make() -> Result<Self, Failure> {
        let parent = Path::new("/var/tmp");
        let parent = if parent.is_dir() { parent.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("keystead-bench-{}", std::process::id()));
        // `keystead dev` makes the folder itself, with the permissions that the user of the database needs.
        if folder.exists() {
            return Err(Failure::new(format!("{} is in the way; remove it", folder.display())));
        }
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is told by its name, and does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
