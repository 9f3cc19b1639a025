//! Composes the layers, reads every section, applies the rules between sections, and gives settings or all problems.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use super::environment::Environment;
use super::layers::{Layers, Origin};
use super::problems::{Problem, Problems};
use super::public;
use super::reader::Reader;
use super::registration;
use super::sections;
use super::settings::{
    AuditSettings, DatabaseSettings, KeySettings, LimitSettings, ListenerSettings, OutboundSettings, PasswordSettings,
    PublicSettings, RegistrationSettings, SessionSettings, Settings, ShutdownSettings, TelemetrySettings,
    TokenSettings,
};
use super::values;
use crate::domain::{Secret, SecretBytes};

/// What `keystead dev` decides itself. Each value replaces whatever the environment says.
pub struct DevSettings {
    /// The issuer, from `--issuer` or made from the listener.
    pub issuer: String,
    /// `--listen`; loopback only.
    pub public_listen: SocketAddr,
    /// `--admin-listen`; loopback only.
    pub admin_listen: SocketAddr,
    /// The private PostgreSQL, or `--database-url`.
    pub database_url: Secret,
    /// The key that `dev` keeps in its data folder: 32 bytes.
    pub encryption_key: SecretBytes,
}

/// Reads the file, if one is given, and over it the environment.
///
/// # Errors
/// Everything that is wrong with either, in one report.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Settings, Problems> {
    let (layers, problems) = gather(file, environment);
    settings(layers, problems, false)
}

/// As [`load`], for commands that need only the database: other settings may be missing or wrong.
///
/// # Errors
/// Everything that is wrong with the file as a whole or with the section `[database]`.
pub fn load_database(file: Option<&Path>, environment: &Environment) -> Result<DatabaseSettings, Problems> {
    let (layers, problems) = gather(file, environment);
    let (sections, mut problems) = Sections::read(layers, problems);
    let of_the_file = file.map(|file| file.display().to_string());
    problems.retain(|problem| problem.key.starts_with("database") || of_the_file.as_ref() == Some(&problem.key));
    match sections.database {
        Some(database) if problems.is_empty() => Ok(database),
        _ => Err(Problems::new(problems)),
    }
}

/// The settings of `keystead dev`: its own values over the environment over defaults that suit a developer (text logs, a JWKS
/// that caches keep for five seconds, so that a rotation can be watched, registration without a token or by a document).
///
/// # Errors
/// Everything that is wrong, and listeners that are not on loopback.
pub fn for_dev(dev: DevSettings, environment: &Environment) -> Result<Settings, Problems> {
    let mut layers = Layers::default();
    let mut problems = Vec::new();
    layers.set("keys.jwks_max_age", "5s", Origin::Dev);
    layers.set("telemetry.log_format", "text", Origin::Dev);
    layers.set("registration.mode", "open", Origin::Dev);
    layers.set("registration.per_source_per_hour", 10_000, Origin::Dev);
    layers.set("registration.metadata_documents", true, Origin::Dev);
    layers.read_environment(environment, &mut problems);
    layers.set("issuer", dev.issuer, Origin::Flag("--issuer"));
    layers.set("public.listen", dev.public_listen.to_string(), Origin::Flag("--listen"));
    layers.set("admin.listen", dev.admin_listen.to_string(), Origin::Flag("--admin-listen"));
    layers.set("database.url", dev.database_url.expose(), Origin::Flag("--database-url"));
    layers.set("keys.encryption_key", STANDARD.encode(dev.encryption_key.expose()), Origin::Dev);
    for (key, listen, flag) in
        [("public.listen", dev.public_listen, "--listen"), ("admin.listen", dev.admin_listen, "--admin-listen")]
    {
        if !listen.ip().is_loopback() {
            problems.push(Problem {
                key: key.to_owned(),
                origin: Some(Origin::Flag(flag).to_string()),
                what: format!("is {listen}, which other machines can reach"),
                remedy: "use 127.0.0.1 or [::1]: dev has accounts with known passwords".to_owned(),
            });
        }
    }
    settings(layers, problems, true)
}

fn gather(file: Option<&Path>, environment: &Environment) -> (Layers, Vec<Problem>) {
    let mut layers = Layers::default();
    let mut problems = Vec::new();
    if let Some(file) = file {
        layers.read_file(file, &mut problems);
    }
    layers.read_environment(environment, &mut problems);
    (layers, problems)
}

fn settings(layers: Layers, problems: Vec<Problem>, in_dev: bool) -> Result<Settings, Problems> {
    let (sections, mut problems) = Sections::read(layers, problems);
    if sections.outbound.allow_loopback && !in_dev {
        problems.push(Problem {
            key: "outbound.allow_loopback".to_owned(),
            origin: None,
            what: "is true, which would let whoever registers a client read from this machine".to_owned(),
            remedy: "leave it out; only keystead dev takes it, for tests".to_owned(),
        });
    }
    match (sections.issuer, sections.database, sections.keys) {
        (Some(issuer), Some(database), Some(keys)) if problems.is_empty() => Ok(Settings {
            issuer,
            trusted_proxies: sections.trusted_proxies,
            public: sections.public,
            admin: sections.admin,
            database,
            keys,
            tokens: sections.tokens,
            sessions: sections.sessions,
            passwords: sections.passwords,
            limits: sections.limits,
            registration: sections.registration,
            outbound: sections.outbound,
            audit: sections.audit,
            telemetry: sections.telemetry,
            shutdown: sections.shutdown,
        }),
        _ => Err(Problems::new(problems)),
    }
}

/// All sections as far as they could be read; what has no default may be missing, and then a problem says so.
pub(super) struct Sections {
    issuer: Option<String>,
    trusted_proxies: Vec<IpNet>,
    public: PublicSettings,
    admin: ListenerSettings,
    database: Option<DatabaseSettings>,
    keys: Option<KeySettings>,
    tokens: TokenSettings,
    sessions: SessionSettings,
    passwords: PasswordSettings,
    limits: LimitSettings,
    registration: RegistrationSettings,
    outbound: OutboundSettings,
    audit: AuditSettings,
    telemetry: TelemetrySettings,
    shutdown: ShutdownSettings,
}

impl Sections {
    fn read(layers: Layers, problems: Vec<Problem>) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(layers, problems);
        let this = Self::read_from(&mut reader);
        this.judge(&mut reader);
        (this, reader.finish())
    }

    pub fn read_from(reader: &mut Reader) -> Self {
        let remedy = "set it to the URL under which browsers reach Keystead, such as \"https://id.example.com\"";
        Self {
            issuer: reader.required("issuer", remedy, |given| values::issuer(given.text()?)),
            trusted_proxies: sections::trusted_proxies(reader),
            public: public::read(reader),
            admin: sections::listener(reader, "admin.listen", 8081),
            database: sections::database(reader),
            keys: sections::keys(reader),
            tokens: sections::tokens(reader),
            sessions: sections::sessions(reader),
            passwords: sections::passwords(reader),
            limits: sections::limits(reader),
            registration: registration::section(reader),
            outbound: sections::outbound(reader),
            audit: sections::audit(reader),
            telemetry: sections::telemetry(reader),
            shutdown: sections::shutdown(reader),
        }
    }

    /// The rules that join two sections.
    fn judge(&self, reader: &mut Reader) {
        let (public, admin) = (self.public.listen, self.admin.listen);
        let overlap = public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
        reader.require(
            public.port() != admin.port() || public.port() == 0 || !overlap,
            "admin.listen",
            format!("is {admin}, which public.listen ({public}) uses already"),
            "give the admin listener a port of its own, which the internet does not reach",
        );
        let request_timeout = self.limits.request_timeout;
        if let Some(database) = &self.database {
            for (key, timeout) in [
                ("database.acquire_timeout", database.acquire_timeout),
                ("database.statement_timeout", database.statement_timeout),
            ] {
                reader.require(
                    timeout < request_timeout,
                    key,
                    "is not shorter than limits.request_timeout",
                    "shorten it: otherwise the request ends before it can say that the database is slow",
                );
            }
        }
        reader.require(
            self.shutdown.grace_period >= request_timeout,
            "shutdown.grace_period",
            "is shorter than limits.request_timeout",
            "lengthen it: otherwise requests in flight are cut off at every restart",
        );
    }
}
