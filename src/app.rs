//! The composition root: settings become an engine, the engine is served, and shutdown is orderly.

mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;
use time::Duration as Span;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::{ClientCertificates, DatabaseSettings, LogFormat, PublicSettings, Settings, TelemetrySettings};
use crate::crypto::{self, HashParams, KeyEncryptionKeys, PasswordPool, Random, tls_server};
use crate::domain::{Clock, RefreshPolicy, RegistrationRules, SecretBytes};
use crate::flows::{
    ClientDocuments, Engine, FetchedKeys, Guesses, InternalError, Policy, SharedEngine, Snapshots, VerifiedTokens,
};
use crate::http::server::Service;
use crate::http::{self, HttpOptions};
use crate::jobs;
use crate::outbound::Outbound;
use crate::store::{Store, StoreError, StoreOptions};
use crate::telemetry::{self, LogWriter};

use tls::Certificate;
pub use tls::TlsUnusable;

/// Operators, health checks and metrics.
const MOST_ADMIN_CONNECTIONS: usize = 128;
/// The listeners, standard output, the connections that listen for changes, and some to spare.
const OTHER_FILES: u64 = 32;
/// What is served even where fewer files than needed may be opened.
const LEAST_CONNECTIONS: u64 = 32;
const ENOUGH_FILES: u64 = 1_048_576;
/// What most systems let a process open unless told otherwise.
const USUAL_FILE_LIMIT: u64 = 1024;
/// Connections to a database that does not answer are not waited for longer at the end.
const CLOSING: Duration = Duration::from_secs(2);

/// Why the program could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Database, keys.
    #[error(transparent)]
    Internal(#[from] InternalError),
    /// The address is in use or not ours.
    #[error("cannot listen on {address}: {source}; choose another address or stop what uses it (see `ss -ltnp`)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No signal can be heard.
    #[error("SIGTERM and Ctrl-C cannot be listened for: {0}; see that the process may use signals")]
    Signal(#[source] std::io::Error),
    /// The files of `public.tls_certificate`, `public.tls_key` and `public.client_ca`.
    #[error("TLS cannot be used: {0}; see public.tls_certificate, public.tls_key and public.client_ca")]
    Tls(#[from] TlsUnusable),
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// Public connections that may be open at once: one for each file that this process may open, beside those that it needs itself.
fn most_connections(database_connections: u32) -> usize {
    let files = raise_file_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files cannot be read or raised");
        USUAL_FILE_LIMIT
    });
    let own = u64::from(database_connections) + MOST_ADMIN_CONNECTIONS as u64 + OTHER_FILES;
    let places = files.saturating_sub(own).max(LEAST_CONNECTIONS);
    usize::try_from(places).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// Sets the soft limit of open files, which shells and service managers keep low for old programs, to the hard one. Gives what holds now.
fn raise_file_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Where there is no hard limit (macOS), more than this is refused all the same.
    let wanted = hard.min(ENOUGH_FILES);
    if soft >= wanted {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    Ok(wanted)
}

fn span(duration: Duration) -> Span {
    Span::try_from(duration).unwrap_or(Span::MAX)
}

fn policy(settings: &Settings) -> Policy {
    let tokens = &settings.tokens;
    Policy {
        issuer: settings.issuer.clone(),
        access_token_lifetime: span(tokens.access_token_lifetime),
        id_token_lifetime: span(tokens.id_token_lifetime),
        authorization_code_lifetime: span(tokens.authorization_code_lifetime),
        device_code_lifetime: span(tokens.device_code_lifetime),
        refresh: RefreshPolicy {
            absolute_lifetime: span(tokens.refresh_token_absolute_lifetime),
            idle_lifetime: span(tokens.refresh_token_idle_lifetime),
            grace_period: span(tokens.refresh_token_grace_period),
        },
        dpop_nonce_required: tokens.dpop_nonce_required,
        certificates: None,
        session_absolute_lifetime: span(settings.sessions.absolute_lifetime),
        session_idle_lifetime: span(settings.sessions.idle_lifetime),
        sign_in_page_lifetime: span(settings.sessions.sign_in_page_lifetime),
        jwks_max_age: span(settings.keys.jwks_max_age),
        key_rotation_interval: span(settings.keys.rotation_interval),
        password_min_length: settings.passwords.min_length,
        registration: RegistrationRules {
            mode: settings.registration.mode,
            scope: settings.registration.allowed_scopes.clone(),
            grant_types: settings.registration.allowed_grant_types.clone(),
            most_clients: settings.registration.max_clients,
            unused_lifetime: span(settings.registration.unused_lifetime),
            never_used_lifetime: span(settings.registration.never_used_lifetime),
            documents: settings.registration.documents.clone(),
        },
        audit_retention: span(settings.audit.retention),
        consecutive_failures: i32::try_from(settings.limits.consecutive_failures_per_account).unwrap_or(i32::MAX),
    }
}

/// A handle on the database of these settings.
///
/// # Errors
/// The URL cannot be read.
pub fn store(database: DatabaseSettings) -> Result<Store, StoreError> {
    Store::prepare(&StoreOptions {
        url: database.url,
        max_connections: database.max_connections,
        acquire_timeout: database.acquire_timeout,
        statement_timeout: database.statement_timeout,
    })
}

/// Builds the engine. Nothing is read from the database yet.
///
/// # Errors
/// The database URL, an encryption key or `public.client_ca` cannot be used.
pub fn engine(settings: Settings, clock: Clock, random: Random) -> Result<SharedEngine, AppError> {
    crypto::install_provider();
    let mut policy = policy(&settings);
    policy.certificates = tls::certificate_policy(&settings.public)?;
    let passwords = &settings.passwords;
    let params = HashParams {
        memory_kib: passwords.argon2_memory_kib,
        iterations: passwords.argon2_iterations,
        parallelism: passwords.argon2_parallelism,
    };
    let pool = PasswordPool::start(params, passwords.hash_threads, passwords.queue_length, random.clone())
        .map_err(InternalError::from)?;
    let previous =
        settings.keys.previous_encryption_keys.into_iter().map(|previous| (previous.id, previous.key)).collect();
    let encryption_keys = encryption_keys(settings.keys.encryption_key_id, settings.keys.encryption_key, previous)?;
    Ok(Arc::new(Engine {
        store: store(settings.database)?,
        clock,
        random,
        passwords: pool,
        encryption_keys,
        snapshots: Snapshots::empty(),
        verified_tokens: VerifiedTokens::default(),
        outbound: Arc::new(Outbound::new(settings.outbound.allow_loopback)),
        fetched_keys: FetchedKeys::default(),
        client_documents: ClientDocuments::default(),
        logout_noted: Notify::new(),
        user_code_guesses: Guesses::default(),
        policy,
    }))
}

fn encryption_keys(
    id: String,
    key: SecretBytes,
    previous: Vec<(String, SecretBytes)>,
) -> Result<KeyEncryptionKeys, InternalError> {
    Ok(KeyEncryptionKeys::new(id, key, previous)?)
}

/// Whether certificate and key of the public listener can be read and belong together, and the authorities of clients are some.
///
/// # Errors
/// Why not.
pub fn check_tls(public: &PublicSettings) -> Result<(), AppError> {
    public.tls.clone().map(Certificate::read).transpose()?;
    tls::certificate_policy(public)?;
    Ok(())
}

/// What remains of the settings for serving, once the engine is built.
pub struct ServeOptions {
    /// Public listener.
    pub public: SocketAddr,
    /// Its certificate, where it has one.
    certificate: Option<Certificate>,
    /// Its handshakes.
    tls: Option<Arc<ServerConfig>>,
    /// The listener that asks for certificates, and its handshakes.
    mtls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// Admin listener.
    pub admin: SocketAddr,
    /// HTTP limits.
    pub http: HttpOptions,
    /// How long requests in flight may take after the stop.
    pub grace: Duration,
    /// Public connections that may be open at once.
    pub most_connections: usize,
}

impl ServeOptions {
    /// Reads them from the settings, and the certificate from its files.
    ///
    /// # Errors
    /// The certificate.
    pub fn new(settings: &Settings, demo: bool) -> Result<Self, AppError> {
        let certificate = settings.public.tls.clone().map(Certificate::read).transpose()?;
        let server = |asks| {
            let server = certificate.as_ref().map(|certificate| tls_server(Arc::clone(&certificate.identity), asks));
            server.transpose().map_err(TlsUnusable::from)
        };
        let tls = server(false)?;
        let mtls = settings.public.mtls_listen.zip(server(true)?);
        let public = &settings.public;
        let by_proxy = public.client_certificates == ClientCertificates::Proxy;
        Ok(Self {
            public: settings.public.listen,
            certificate,
            tls,
            mtls,
            admin: settings.admin.listen,
            grace: settings.shutdown.grace_period,
            most_connections: most_connections(settings.database.max_connections),
            http: HttpOptions {
                trusted_proxies: settings.trusted_proxies.clone(),
                certificate_proxies: public.client_certificate_proxies.clone(),
                client_certificate_header: by_proxy.then(|| public.client_certificate_header.parse().ok()).flatten(),
                max_body_bytes: settings.limits.max_body_bytes,
                request_timeout: settings.limits.request_timeout,
                sign_ins_per_source_per_minute: settings.limits.sign_in_attempts_per_source_per_minute,
                registrations_per_source_per_hour: settings.registration.per_source_per_hour,
                demo,
                hsts: settings.issuer.starts_with("https://"),
            },
        })
    }
}

/// Starts log and metrics. The log ends when its writer is dropped.
pub fn start_telemetry(settings: &Settings) -> LogWriter {
    let TelemetrySettings { log_format, log_filter } = &settings.telemetry;
    let log = telemetry::start_log(*log_format == LogFormat::Json, log_filter.clone());
    if telemetry::start_metrics().is_none() {
        tracing::error!("metrics cannot be recorded");
    }
    log
}

/// Sockets that are open but not yet served.
pub struct Listeners {
    public: TcpListener,
    admin: TcpListener,
    mtls: Option<TcpListener>,
    /// Where the public one listens, with the port that the system chose if it was asked to (port 0).
    pub public_address: SocketAddr,
    /// Where the admin one listens.
    pub admin_address: SocketAddr,
}

impl Listeners {
    /// Opens both sockets.
    ///
    /// # Errors
    /// An address is in use.
    pub async fn bind(public: SocketAddr, admin: SocketAddr) -> Result<Self, AppError> {
        let bind = async |address| {
            let bound = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
            bound.map_err(|source| AppError::Listen { address, source })
        };
        let (public_address, public) = bind(public).await?;
        let (admin_address, admin) = bind(admin).await?;
        Ok(Self { public, admin, mtls: None, public_address, admin_address })
    }

    /// Opens the one that asks for certificates, where there shall be one.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn open_mtls(&mut self, options: &ServeOptions) -> Result<(), AppError> {
        let Some((address, _)) = options.mtls else { return Ok(()) };
        let listener = TcpListener::bind(address).await.map_err(|source| AppError::Listen { address, source })?;
        tracing::info!(
            mtls = listener.local_addr().map_or(address, |bound| bound).to_string(),
            "asking for certificates"
        );
        self.mtls = Some(listener);
        Ok(())
    }
}

/// SIGTERM and Ctrl-C. From the moment this exists neither ends the process by itself, and none is missed.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Starts to listen; the first thing that a server does.
    ///
    /// # Errors
    /// The system lets nobody listen.
    pub fn listen() -> Result<Self, AppError> {
        let listen = |kind| signal(kind).map_err(AppError::Signal);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Ends with the first of them, also if it came before this call.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until SIGTERM or Ctrl-C, then finishes what is in flight.
pub async fn serve(engine: SharedEngine, listeners: Listeners, options: ServeOptions, mut signal: StopSignal) {
    let (stop, stopped) = watch::channel(false);
    let wait = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let mut jobs = jobs::start(&engine);
    if let Some(certificate) = options.certificate {
        jobs.spawn(certificate.keep_fresh());
    }
    // Both live on the same open files.
    let most_connections = options.most_connections / if options.mtls.is_some() { 2 } else { 1 };
    let public = Service {
        listener: listeners.public,
        site: http::public_site(Arc::clone(&engine), &options.http),
        tls: options.tls,
        most_connections,
    };
    let admin = Service {
        listener: listeners.admin,
        site: http::admin_site(Arc::clone(&engine), &options.http),
        tls: None,
        most_connections: MOST_ADMIN_CONNECTIONS,
    };
    let mtls = listeners.mtls.zip(options.mtls).map(|(listener, (_, tls))| Service {
        listener,
        site: http::certificate_site(Arc::clone(&engine), &options.http),
        tls: Some(tls),
        most_connections,
    });
    let all = async {
        tokio::join!(
            http::server::serve(public, wait(stopped.clone()), options.grace),
            http::server::serve(admin, wait(stopped.clone()), options.grace),
            async {
                if let Some(mtls) = mtls {
                    http::server::serve(mtls, wait(stopped.clone()), options.grace).await;
                }
            },
        )
    };
    let signal = async {
        signal.received().await;
        tracing::info!("stopping: no new connections, requests in flight are finished");
        // The listeners hold receivers, so this cannot fail while they run.
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = all => {}
        () = signal => {}
    }
    jobs.shutdown().await;
    if tokio::time::timeout(CLOSING, engine.store.close()).await.is_err() {
        tracing::warn!("the database does not answer; its connections are left to end by themselves");
    }
    tracing::info!("stopped");
}
