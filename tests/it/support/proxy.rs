//! A network between Keystead and its database that can fail without a word.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

/// Forwards TCP connections to the socket of a private PostgreSQL.
pub struct Network {
    pub database_url: String,
    frozen: watch::Sender<u32>,
    statements: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Network {
    /// Begins to forward.
    pub async fn to(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = Url::parse(database_url).unwrap();
        let folder = url.query_pairs().find(|(name, _)| name == "host").unwrap().1.into_owned();
        let socket = Arc::new(PathBuf::from(folder).join(".s.PGSQL.5432"));
        let (frozen, freezes) = watch::channel(0);
        let statements = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&statements);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(client, Arc::clone(&socket), freezes.clone(), Arc::clone(&counter)));
            }
        });
        let database_url = format!("postgres://keystead@{address}{}?sslmode=disable", url.path());
        Self { database_url, frozen, statements, _tasks: tasks }
    }

    /// Statements that were sent so far, without those of connections that listen.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::SeqCst)
    }

    /// From now on nothing arrives on the connections that exist, and nobody is told; new ones work.
    pub fn lose_connections(&self) {
        self.frozen.send_modify(|times| *times += 1);
    }
}

async fn forward(
    client: TcpStream,
    socket: Arc<PathBuf>,
    mut freezes: watch::Receiver<u32>,
    statements: Arc<AtomicU64>,
) {
    freezes.mark_unchanged();
    let Ok(server) = UnixStream::connect(&*socket).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = speak(&mut from_client, &mut to_server, &statements) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        _ = freezes.changed() => {
            // The primary is gone, and its connections here are left standing.
            drop((from_server, to_server));
            std::future::pending::<()>().await;
        }
    }
}

/// Hands on what the client says, message by message (PostgreSQL's protocol, version 3), and counts what is executed.
async fn speak(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    statements: &AtomicU64,
) -> std::io::Result<()> {
    let mut listens = false;
    // The first message has no type.
    let mut kind = None;
    loop {
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        let head: &[u8] = kind.as_slice();
        to.write_all(&[head, &length.to_be_bytes(), &body].concat()).await?;
        listens |= body.windows(6).any(|part| part == b"LISTEN");
        // Execute, or a simple query; transactions begin and end by those.
        if matches!(kind, Some(b'E' | b'Q')) && !listens {
            statements.fetch_add(1, Ordering::SeqCst);
        }
        kind = Some(from.read_u8().await?);
    }
}
