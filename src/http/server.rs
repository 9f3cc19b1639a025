//! Listening: connections with limits on headers and time, and a shutdown that finishes what is in flight.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Site;
use crate::domain::CertificateChain;

/// Address and headers of a request together; more is answered with 431.
pub(super) const MOST_HEADER_BYTES: u32 = 32 * 1024;
/// A client that takes longer for its first request, from the beginning of the connection or handshake to the end of the headers, is cut off.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// The same for each further request. Proxies keep connections open for a minute, and must not send a request into one that closes.
const NEXT_REQUEST: Duration = Duration::from_secs(75);
/// Pause after the system refused a connection, for example because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Pause before a client that has sent very little is looked at again.
const PEEK_PAUSE: Duration = Duration::from_millis(10);

/// A listener and what is served on it.
pub struct Service {
    /// The open socket.
    pub listener: TcpListener,
    /// What answers.
    pub site: Site,
    /// Certificate, versions and suites; none: plain connections, behind a proxy that ends TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections that may be open at once; more wait until one of them ends or is cut off.
    pub most_connections: usize,
}

/// Serves until `stop` ends, then waits at most `grace` for requests in flight.
pub async fn serve(service: Service, stop: impl Future<Output = ()>, grace: Duration) {
    let Service { listener, site, tls, most_connections } = service;
    let acceptor = tls.map(TlsAcceptor::from);
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own timeout of headers would not see who sends nothing at all, and would end the rest between two requests too soon.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MOST_HEADER_BYTES as usize);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(MOST_HEADER_BYTES).max_concurrent_streams(100);
    let builders = Arc::new(Builders { http1: builder.clone().http1_only(), http2: builder.http2_only() });
    let graceful = GracefulShutdown::new();
    let (running, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(most_connections));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, peer, place)) => {
                    let client = Client { stream, peer, stopped: stopped.clone(), _place: place };
                    let serving = Serving { builders: Arc::clone(&builders), watcher: graceful.watcher(), site: site.clone() };
                    match acceptor.clone() {
                        // Each handshake has its own task, so that a slow one holds up nobody.
                        Some(acceptor) => drop(tokio::spawn(handle_tls(serving, client, acceptor))),
                        None => drop(tokio::spawn(handle_plain(serving, client))),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    drop(running);
    let open = graceful.count();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(open, "some connections did not finish in time");
    }
}

/// The next connection, once there is a place for it: who opens them without end shall not take the files that the database
/// and the operators need.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        place
    } else {
        tracing::warn!("as many connections are open as may be; new ones wait");
        Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?
    };
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// One for each version of HTTP. With one for both, hyper would read what tells the version first and then double its buffer for the rest.
struct Builders {
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

/// Who has connected.
struct Client {
    stream: TcpStream,
    peer: SocketAddr,
    /// Changes when the server stops.
    stopped: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

/// What a connection is served with.
struct Serving {
    builders: Arc<Builders>,
    watcher: Watcher,
    site: Site,
}

/// Serves one connection that is not encrypted to its end.
async fn handle_plain(serving: Serving, mut client: Client) {
    client.hurry();
    let activity = Arc::new(Activity::new());
    let begun = tokio::select! {
        begun = begins_with_http2(&client.stream) => begun,
        () = activity.rests_too_long() => return tracing::debug!("a connection without a request was closed"),
        _ = client.stopped.changed() => return,
    };
    match begun {
        Ok(is_http2) => {
            let Client { stream, peer, stopped: _, _place } = client;
            converse(serving, Conversation { stream, peer, is_http2, certificate: None, activity }).await;
        }
        Err(error) => tracing::debug!(%error, "a connection ended early"),
    }
}

/// Serves one connection with TLS to its end; the handshake says which HTTP it is (ALPN).
async fn handle_tls(serving: Serving, mut client: Client, acceptor: TlsAcceptor) {
    client.hurry();
    let activity = Arc::new(Activity::new());
    let Client { stream, peer, ref mut stopped, _place } = client;
    // Boxed, so that a connection does not carry the room for its handshake to its end.
    let shaken = tokio::select! {
        shaken = Box::pin(acceptor.accept(stream)) => shaken,
        () = activity.rests_too_long() => return tracing::debug!("a connection without a request was closed"),
        _ = stopped.changed() => return,
    };
    match shaken {
        Ok(stream) => {
            let session = stream.get_ref().1;
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let shown = session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
            let certificate = CertificateChain::new(shown);
            converse(serving, Conversation { stream, peer, is_http2, certificate, activity }).await;
        }
        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
    }
}

/// A connection that is ready for requests.
struct Conversation<S> {
    stream: S,
    peer: SocketAddr,
    is_http2: bool,
    /// What the client showed in the handshake.
    certificate: Option<CertificateChain>,
    activity: Arc<Activity>,
}

/// Answers requests until either side has enough.
async fn converse<S>(serving: Serving, with: Conversation<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { builders, watcher, site } = serving;
    let Conversation { stream, peer, is_http2, certificate, activity } = with;
    let builder = if is_http2 { &builders.http2 } else { &builders.http1 };
    let seen = Arc::clone(&activity);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let (site, working) = (site.clone(), Working::begin(&seen));
        async move {
            let _working = working;
            Ok::<_, Infallible>(site.answer(request, Some(peer.ip())).await)
        }
    });
    // Boxed, so that it has one place: the futures around it would keep room for it twice.
    let mut connection = Box::pin(watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()));
    tokio::select! {
        ended = &mut connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        },
        () = activity.rests_too_long() => tracing::debug!("a connection without a request was closed"),
    }
}

impl Client {
    /// Answers are small; waiting to fill a packet only adds delay.
    fn hurry(&self) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    }
}

/// Whether the first bytes are those of HTTP/2's preface (RFC 9113 §3.4); they stay where they are. No method of HTTP/1.1 begins like it.
async fn begins_with_http2(stream: &TcpStream) -> std::io::Result<bool> {
    const BEGIN: [u8; 4] = *b"PRI ";
    let mut bytes = [0; BEGIN.len()];
    loop {
        let count = stream.peek(&mut bytes).await?;
        if count == 0 || bytes[..count] != BEGIN[..count] || count == BEGIN.len() {
            return Ok(count == BEGIN.len() && bytes == BEGIN);
        }
        // One or two letters of it: the rest is on its way.
        tokio::time::sleep(PEEK_PAUSE).await;
    }
}

/// Whether anything is asked on a connection.
struct Activity {
    began: Instant,
    requests: AtomicUsize,
    /// Milliseconds from the beginning to the last answer; zero before the first one.
    answered: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { began: Instant::now(), requests: AtomicUsize::new(0), answered: AtomicU64::new(0) }
    }

    /// Ends when the client has taken too long for a request, or for reading an answer.
    async fn rests_too_long(&self) {
        loop {
            let (since, patience) = match self.answered.load(Ordering::Acquire) {
                0 => (Duration::ZERO, FIRST_REQUEST),
                answered => (Duration::from_millis(answered), NEXT_REQUEST),
            };
            let rested = self.began.elapsed().saturating_sub(since);
            if self.requests.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(patience).await;
            } else if rested < patience {
                tokio::time::sleep(patience.saturating_sub(rested)).await;
            } else {
                return;
            }
        }
    }
}

/// A request that is being answered.
struct Working(Arc<Activity>);

impl Working {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.answered.store(elapsed.max(1), Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}
