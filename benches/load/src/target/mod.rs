//! The two that are compared, Keystead and the reference, as the load generator sees them.
//!
//! Owns: what must be there before a workload can run, and the operations of each workload. Does not own: running them.

mod keystead;
mod reference;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use tokio::task::JoinSet;

pub use keystead::{Keystead, PERSON};
pub use reference::Reference;

use crate::failure::Failure;
use crate::http::Connection;
use crate::operation::{Operation, Stock};
use crate::workload::Kind;

/// How long requests that can be sent only once may be collected; codes live for a minute.
const MOST_COLLECTING: Duration = Duration::from_secs(20);
/// What the answer of the token endpoint holds: the beginning of a JWT.
const TOKEN: &str = r#""access_token":"ey"#;
const ACTIVE: &str = r#""active":true"#;
/// Where codes are sent.
const REDIRECT_URI: &str = "https://bench.example/callback";
/// RFC 7636, appendix B.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// How much is needed of a kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Connections, and so operations.
    pub connections: usize,
    /// For how long the load will last.
    pub load: Duration,
}

impl Need {
    /// For how long to collect what can be used only once. Making it may be slower than using it up.
    fn collecting(self) -> Duration {
        (self.load * 2).min(MOST_COLLECTING)
    }
}

/// One of the two.
pub enum Target {
    /// The server.
    Keystead(Box<Keystead>),
    /// What it is compared with.
    Reference(Reference),
}

impl Target {
    /// One operation for each connection.
    pub async fn operations(&mut self, kind: Kind, need: Need) -> Result<Vec<Operation>, Failure> {
        match self {
            Self::Keystead(keystead) => keystead.operations(kind, need).await,
            Self::Reference(reference) => reference.operations(kind, need).await,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Keystead(keystead) => keystead.public,
            Self::Reference(reference) => reference.address,
        }
    }
}

/// HTTP Basic (RFC 6749 §2.3.1). Ids and secrets of clients here need no form encoding.
fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

/// The same operation on every connection.
fn same(request: &[u8], expected: &'static str, connections: usize) -> Vec<Operation> {
    (0..connections).map(|_| Operation::Same { request: request.to_vec(), expected }).collect()
}

/// The same requests on every connection, from different places on.
fn many(requests: Vec<Vec<u8>>, expected: &'static str, connections: usize) -> Vec<Operation> {
    let step = requests.len() / connections.max(1);
    let requests = std::sync::Arc::new(requests);
    let shared = |index| Operation::Many { requests: std::sync::Arc::clone(&requests), next: index * step, expected };
    (0..connections).map(shared).collect()
}

fn once(stock: &Stock, expected: &'static str, connections: usize) -> Vec<Operation> {
    (0..connections).map(|_| Operation::Once { stock: stock.clone(), expected }).collect()
}

/// Something that makes requests for a stock.
trait Producer: Send + 'static {
    fn produce(&mut self, connection: &mut Connection) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

/// Lets each producer work on a connection of its own for a while.
async fn collect<P: Producer>(address: SocketAddr, producers: Vec<P>, span: Duration) -> Result<Stock, Failure> {
    let stock = Stock::default();
    let until = Instant::now() + span;
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    for mut producer in producers {
        let stock = stock.clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            while Instant::now() < until {
                stock.put(producer.produce(&mut connection).await?);
            }
            Ok(())
        });
    }
    for outcome in tasks.join_all().await {
        outcome?;
    }
    Ok(stock)
}
