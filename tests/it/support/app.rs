//! A whole server in this process.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use keystead::crypto::{HashParams, KeyEncryptionKeys, PasswordPool, Random};
use keystead::domain::{
    Clock, DocumentRules, GrantType, RefreshPolicy, RegistrationMode, RegistrationRules, Scope, SecretBytes, Timestamp,
};
use keystead::flows::{ClientDocuments, Engine, FetchedKeys, Guesses, Policy, SharedEngine, Snapshots, VerifiedTokens};
use keystead::http::{HttpOptions, Site, admin_site, certificate_site, public_site};
use keystead::outbound::Outbound;
use keystead::{jobs, telemetry};
use time::Duration as Span;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::tls::Identity;
use super::{Answer, basic, database, form};

pub const ISSUER: &str = "https://id.example";
/// Encrypts the keys in the test's database, under the id `k1`.
pub const ENCRYPTION_KEY: [u8; 32] =
    *b"v\xe1\x1d\x94K\x07z\xb3.\xd5i\x80\xfc\x12Q\xc8`\xaf9\x03\xe7X\x9a$\xbd\x41o\xf6\x0b\x83-\xd2";

/// One replica of the server; dropping it stops its jobs.
pub struct TestApp {
    pub engine: SharedEngine,
    pub clock: Clock,
    pub public: Router,
    pub admin: Router,
    pub database_url: String,
    _jobs: JoinSet<()>,
}

fn policy() -> Policy {
    Policy {
        issuer: ISSUER.to_owned(),
        access_token_lifetime: Span::minutes(10),
        id_token_lifetime: Span::hours(1),
        authorization_code_lifetime: Span::seconds(60),
        device_code_lifetime: Span::minutes(10),
        refresh: RefreshPolicy {
            absolute_lifetime: Span::days(365),
            idle_lifetime: Span::days(30),
            grace_period: Span::seconds(30),
        },
        dpop_nonce_required: false,
        certificates: None,
        session_absolute_lifetime: Span::days(30),
        session_idle_lifetime: Span::days(1),
        sign_in_page_lifetime: Span::minutes(30),
        jwks_max_age: Span::minutes(5),
        key_rotation_interval: Span::days(90),
        password_min_length: 15,
        consecutive_failures: 100,
        audit_retention: Span::days(400),
        registration: RegistrationRules {
            mode: RegistrationMode::Off,
            scope: Scope::parse("openid profile email address phone offline_access").unwrap(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            most_clients: 10_000,
            unused_lifetime: Span::days(90),
            never_used_lifetime: Span::days(1),
            documents: DocumentRules::default(),
        },
    }
}

fn cold_engine(database_url: &str, clock: Clock, encryption_keys: KeyEncryptionKeys, policy: Policy) -> SharedEngine {
    let random = Random::system();
    let quick = HashParams { memory_kib: 64, iterations: 1, parallelism: 1 };
    Arc::new(Engine {
        store: database::store(database_url),
        clock,
        passwords: PasswordPool::start(quick, 1, 64, random.clone()).unwrap(),
        random,
        encryption_keys,
        snapshots: Snapshots::empty(),
        verified_tokens: VerifiedTokens::default(),
        outbound: Arc::new(Outbound::new(true)),
        fetched_keys: FetchedKeys::default(),
        client_documents: ClientDocuments::default(),
        logout_noted: Notify::new(),
        user_code_guesses: Guesses::default(),
        policy,
    })
}

fn http_options() -> HttpOptions {
    HttpOptions {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        certificate_proxies: Vec::new(),
        client_certificate_header: None,
        max_body_bytes: 65_536,
        request_timeout: Duration::from_secs(20),
        sign_ins_per_source_per_minute: 10_000,
        registrations_per_source_per_hour: 10_000,
        demo: true,
        hsts: true,
    }
}

/// Puts keys into a database that began a while before the tests' clock, and before that of the machine.
pub async fn make_keys(database_url: &str) {
    let clock = Clock::manual(Timestamp::from_unix_timestamp(1_795_000_000).unwrap());
    let engine = cold_engine(database_url, clock, usual_encryption_keys(), policy());
    engine.maintain_keys().await.unwrap();
    engine.store.close().await;
}

/// When every test begins.
fn start_of_time() -> Clock {
    Clock::manual(Timestamp::from_unix_timestamp(1_800_000_000).unwrap())
}

fn usual_encryption_keys() -> KeyEncryptionKeys {
    KeyEncryptionKeys::new("k1".into(), SecretBytes::new(ENCRYPTION_KEY.to_vec()), Vec::new()).unwrap()
}

/// A listener without a socket.
pub fn in_process(site: Site) -> Router {
    Router::new().fallback_service(site)
}

impl TestApp {
    /// A server with a database of its own; its clock stands still until the test moves it.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with keys that were made at this very moment.
    pub async fn start_with_new_keys() -> Self {
        let url = database::empty().await;
        let store = database::store(&url);
        store.migrate().await.unwrap();
        store.close().await;
        Self::over(url, start_of_time(), usual_encryption_keys(), |_| {}).await
    }

    /// The same with other decisions of the operator.
    pub async fn start_with(change: impl FnOnce(&mut Policy)) -> Self {
        let url = database::fresh().await;
        Self::over(url, start_of_time(), usual_encryption_keys(), change).await
    }

    /// Another replica over the same database, with the same clock.
    pub async fn replica(&self) -> Self {
        self.replica_under(usual_encryption_keys()).await
    }

    /// Another replica with other decisions of the operator.
    pub async fn replica_with(&self, change: impl FnOnce(&mut Policy)) -> Self {
        Self::over(self.database_url.clone(), self.clock.clone(), usual_encryption_keys(), change).await
    }

    /// Another replica that knows other key-encryption keys.
    pub async fn replica_under(&self, encryption_keys: KeyEncryptionKeys) -> Self {
        Self::over(self.database_url.clone(), self.clock.clone(), encryption_keys, |_| {}).await
    }

    /// A server over this database that goes by the machine's clock, as a real process beside it does.
    pub async fn beside(database_url: &str) -> Self {
        Self::over(database_url.to_owned(), Clock::System, usual_encryption_keys(), |_| {}).await
    }

    async fn over(
        database_url: String,
        clock: Clock,
        encryption_keys: KeyEncryptionKeys,
        change: impl FnOnce(&mut Policy),
    ) -> Self {
        // Handles on metrics are looked up once for the whole process.
        telemetry::start_metrics().expect("metrics");
        let mut policy = policy();
        change(&mut policy);
        let engine = cold_engine(&database_url, clock.clone(), encryption_keys, policy);
        engine.maintain_keys().await.unwrap();
        engine.reload_all().await.unwrap();
        let options = http_options();
        Self {
            public: in_process(public_site(Arc::clone(&engine), &options)),
            admin: in_process(admin_site(Arc::clone(&engine), &options)),
            _jobs: jobs::start(&engine),
            engine,
            clock,
            database_url,
        }
    }

    /// The same server behind other HTTP options.
    pub fn with_http(mut self, change: impl FnOnce(&mut HttpOptions)) -> Self {
        let mut options = http_options();
        change(&mut options);
        self.public = in_process(public_site(Arc::clone(&self.engine), &options));
        self.admin = in_process(admin_site(Arc::clone(&self.engine), &options));
        self
    }

    /// The admin listener of a process that has not read anything from its database yet.
    pub fn before_the_first_load(&self) -> Router {
        let engine = cold_engine(&self.database_url, self.clock.clone(), usual_encryption_keys(), policy());
        in_process(admin_site(engine, &http_options()))
    }

    /// Both listeners' answers, as a server with sockets has them.
    pub fn sites(&self) -> (Site, Site) {
        let options = http_options();
        (public_site(Arc::clone(&self.engine), &options), admin_site(Arc::clone(&self.engine), &options))
    }

    /// The answers of the listener that asks for certificates.
    pub fn certificate_site(&self) -> Site {
        certificate_site(Arc::clone(&self.engine), &http_options())
    }

    /// Posts a form over a connection that showed this certificate.
    pub async fn post_showing(&self, certificate: &Identity, path: &str, params: &[(&str, &str)]) -> Answer {
        let mut request = form(path, params);
        request.extensions_mut().insert(certificate.chain());
        self.send(request).await
    }

    /// Sends a request to the public listener.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.public, request).await
    }

    /// Sends a request to the admin listener.
    pub async fn send_admin(&self, request: Request<Body>) -> Answer {
        send(&self.admin, request).await
    }

    /// GETs a public path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// GETs a public path with an `Authorization` header.
    pub async fn get_as(&self, path: &str, authorization: &str) -> Answer {
        self.send(Request::get(path).header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap()).await
    }

    /// Posts a form to a public path.
    pub async fn post(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send(form(path, params)).await
    }

    /// Posts a form with HTTP Basic authentication.
    pub async fn post_as(&self, path: &str, client: (&str, &str), params: &[(&str, &str)]) -> Answer {
        let mut request = form(path, params);
        request.headers_mut().insert(header::AUTHORIZATION, basic(client.0, client.1).parse().unwrap());
        self.send(request).await
    }

    /// Lets time pass.
    pub fn wait(&self, span: Span) {
        self.clock.advance(span);
    }
}

/// Sends a request to a listener, by default as a stranger.
pub async fn send(router: &Router, mut request: Request<Body>) -> Answer {
    let peer: std::net::SocketAddr = "192.0.2.1:40000".parse().unwrap();
    request.extensions_mut().get_or_insert_with(|| ConnectInfo(peer));
    Answer::read(router.clone().oneshot(request).await.unwrap()).await
}
