//! A network between Keystead and its database that can fail without a word.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

/// Forwards TCP connections to the socket of a private PostgreSQL.
pub struct Network {
    pub database_url: String,
    frozen: watch::Sender<u32>,
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
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(client, Arc::clone(&socket), freezes.clone()));
            }
        });
        let database_url = format!("postgres://keystead@{address}{}?sslmode=disable", url.path());
        Self { database_url, frozen, _tasks: tasks }
    }

    /// From now on nothing arrives on the connections that exist, and nobody is told; new ones work.
    pub fn lose_connections(&self) {
        self.frozen.send_modify(|times| *times += 1);
    }
}

async fn forward(mut client: TcpStream, socket: Arc<PathBuf>, mut freezes: watch::Receiver<u32>) {
    freezes.mark_unchanged();
    let Ok(mut server) = UnixStream::connect(&*socket).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = freezes.changed() => {
            // The primary is gone, and its connections here are left standing.
            drop(server);
            std::future::pending::<()>().await;
        }
    }
}
