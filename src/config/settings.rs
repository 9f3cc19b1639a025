//! What the rest of the program gets: every value checked, every default filled in. Defaults and bounds stand in `sections`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::filter::Targets;

use crate::domain::{DocumentRules, GrantType, RegistrationMode, Scope, Secret, SecretBytes};

/// All settings of one process.
pub struct Settings {
    /// The issuer identifier exactly as clients compare it: an origin without a slash at its end.
    pub issuer: String,
    /// Proxies whose `X-Forwarded-For` header is believed; from anyone else it is ignored.
    pub trusted_proxies: Vec<IpNet>,
    /// OAuth and OpenID Connect endpoints and pages.
    pub public: PublicSettings,
    /// Admin API, metrics, readiness.
    pub admin: ListenerSettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// Keys at rest and their rotation.
    pub keys: KeySettings,
    /// Lifetimes of what clients receive.
    pub tokens: TokenSettings,
    /// Lifetimes of what browsers hold.
    pub sessions: SessionSettings,
    /// Password rules and hashing.
    pub passwords: PasswordSettings,
    /// What one request, one source and one account may use.
    pub limits: LimitSettings,
    /// Clients that register themselves.
    pub registration: RegistrationSettings,
    /// Requests to others.
    pub outbound: OutboundSettings,
    /// What is kept of what happened.
    pub audit: AuditSettings,
    /// Logging.
    pub telemetry: TelemetrySettings,
    /// The end of the process.
    pub shutdown: ShutdownSettings,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Address and port; port 0 lets the operating system choose.
    pub listen: SocketAddr,
}

/// The public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicSettings {
    /// Address and port; port 0 lets the operating system choose.
    pub listen: SocketAddr,
    /// Certificate and key; without them a proxy in front ends TLS.
    pub tls: Option<TlsFiles>,
    /// Whether clients are asked for certificates, and by whom.
    pub client_certificates: ClientCertificates,
    /// Proxies whose header is believed; from anyone else it is ignored.
    pub client_certificate_proxies: Vec<IpNet>,
    /// The header in which a proxy hands certificates on.
    pub client_certificate_header: String,
    /// PEM file of the authorities that vouch for clients.
    pub client_ca: Option<PathBuf>,
    /// Address and port of the listener that asks for certificates.
    pub mtls_listen: Option<SocketAddr>,
    /// The origin under which clients reach the one that asks for certificates.
    pub mtls_url: Option<String>,
}

/// Who asks clients for certificates (RFC 8705).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nobody.
    Off,
    /// A listener of our own.
    Native,
    /// The proxy in front.
    Proxy,
}

impl ClientCertificates {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Off, Self::Native, Self::Proxy];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Native => "native",
            Self::Proxy => "proxy",
        }
    }
}

/// PEM files, which are read anew when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those of its issuers.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The connection to PostgreSQL.
pub struct DatabaseSettings {
    /// A `postgres://` URL; secret because it usually holds the password.
    pub url: Secret,
    /// The largest number of pooled connections of this process.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// PostgreSQL ends a statement that takes longer.
    pub statement_timeout: Duration,
}

/// Keys at rest and their rotation.
pub struct KeySettings {
    /// The name stored beside everything that `encryption_key` encrypts.
    pub encryption_key_id: String,
    /// 32 bytes that encrypt private and MAC keys in the database.
    pub encryption_key: SecretBytes,
    /// Earlier encryption keys, which still decrypt.
    pub previous_encryption_keys: Vec<PreviousEncryptionKey>,
    /// The age at which an active key gets a successor.
    pub rotation_interval: Duration,
    /// How long caches may keep the JWKS; a new key is published at least this long before it signs.
    pub jwks_max_age: Duration,
}

/// An encryption key that has been replaced.
pub struct PreviousEncryptionKey {
    /// Its `encryption_key_id` at the time.
    pub id: String,
    /// Its 32 bytes.
    pub key: SecretBytes,
}

/// Lifetimes of what clients receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Access tokens whose resource server sets no lifetime of its own.
    pub access_token_lifetime: Duration,
    /// ID tokens.
    pub id_token_lifetime: Duration,
    /// Authorization codes.
    pub authorization_code_lifetime: Duration,
    /// Device codes and user codes.
    pub device_code_lifetime: Duration,
    /// An unused refresh token dies after this.
    pub refresh_token_idle_lifetime: Duration,
    /// A token family dies this long after its authorization, used or not.
    pub refresh_token_absolute_lifetime: Duration,
    /// How long the previous refresh token still answers with the same successor; zero is strict single use.
    pub refresh_token_grace_period: Duration,
    /// Whether each DPoP proof must repeat a nonce of ours.
    pub dpop_nonce_required: bool,
}

/// Lifetimes of what browsers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// A session that is not used for this long ends.
    pub idle_lifetime: Duration,
    /// A session ends this long after sign-in, used or not.
    pub absolute_lifetime: Duration,
    /// How long a sign-in or consent page can be submitted.
    pub sign_in_page_lifetime: Duration,
}

/// Password rules and hashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Argon2id memory in KiB.
    pub argon2_memory_kib: u32,
    /// Argon2id passes.
    pub argon2_iterations: u32,
    /// Argon2id lanes.
    pub argon2_parallelism: u32,
    /// Threads that hash; at least 1.
    pub hash_threads: usize,
    /// Hashes that may wait; beyond that the answer is 503.
    pub queue_length: usize,
    /// The shortest new password, in Unicode characters.
    pub min_length: usize,
}

/// What one request, one source and one account may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// A request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// Sign-in attempts from one IPv4 address or IPv6 /64 in a minute; as many of whatever else a stranger can make rows or work with.
    pub sign_in_attempts_per_source_per_minute: u32,
    /// Failures in a row after which an account accepts no password from unknown browsers for a day.
    pub consecutive_failures_per_account: u32,
}

/// Clients that register themselves (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Who may.
    pub mode: RegistrationMode,
    /// The widest scope; also that of a client that names none.
    pub allowed_scopes: Scope,
    /// The grants.
    pub allowed_grant_types: Vec<GrantType>,
    /// Registrations from one IPv4 address or IPv6 /64 in an hour, where everybody may.
    pub per_source_per_hour: u32,
    /// How many such clients there may be at once, of each way to come.
    pub max_clients: u32,
    /// A client that nobody uses is removed after this.
    pub unused_lifetime: Duration,
    /// One that nobody has ever used, and for which no operator gave a token, is removed after this.
    pub never_used_lifetime: Duration,
    /// Whether clients may describe themselves by a document, and those of which hosts.
    pub documents: DocumentRules,
}

/// Requests to others: keys and documents of clients, word of a logout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboundSettings {
    /// Lets this server talk to its own machine, by http or with any certificate. Only `keystead dev` takes it.
    pub allow_loopback: bool,
}

/// What is kept of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// How long an audit event is kept.
    pub retention: Duration,
}

/// Logging.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// One JSON object a line, or text for people.
    pub log_format: LogFormat,
    /// A `tracing` filter such as `info` or `info,keystead=debug`.
    pub log_filter: Targets,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// The end of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long requests in flight may take to finish after SIGTERM.
    pub grace_period: Duration,
}
