//! HTTP: extract, call one flow, render.
//!
//! Owns: routes, headers, cookies, pages, the translation of errors into responses. Does not own: decisions; they come from `flows`.

pub mod admin;
mod body;
mod certificate;
mod context;
mod cookies;
mod discovery;
mod dpop;
mod errors;
mod health;
mod oauth;
mod pages;
mod register;
pub mod server;
mod site;
mod sources;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::routing::{MethodRouter, get, post};
use ipnet::IpNet;

use crate::domain::RegistrationMode;
use crate::flows::SharedEngine;
pub use site::Site;
use sources::{ChangeLimit, SourceLimit};

/// What the operator decided about HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Proxies whose certificate header is believed: whoever may write it can be any client, so it is a list of its own.
    pub certificate_proxies: Vec<IpNet>,
    /// Where those proxies write the certificate that a client showed them; from anyone else it is ignored.
    pub client_certificate_header: Option<HeaderName>,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// After this a request is answered with 503.
    pub request_timeout: Duration,
    /// Sign-in tries from one source in a minute.
    pub sign_ins_per_source_per_minute: u32,
    /// Clients that one source may register in an hour where everybody may.
    pub registrations_per_source_per_hour: u32,
    /// Whether the demo page exists; only in `keystead dev`.
    pub demo: bool,
    /// Whether browsers shall insist on https from now on (RFC 6797); only where the issuer is https.
    pub hsts: bool,
}

/// What all public handlers share. One pointer, since the router copies and moves it several times for each request.
#[derive(Clone)]
pub struct Public(Arc<PublicState>);

impl Deref for Public {
    type Target = PublicState;

    fn deref(&self) -> &PublicState {
        &self.0
    }
}

/// The engine, what is served as it is, and who may how often.
pub struct PublicState {
    engine: SharedEngine,
    documents: discovery::Documents,
    sign_in_limit: SourceLimit,
    device_limit: SourceLimit,
    push_limit: SourceLimit,
    registration_limit: SourceLimit,
    document_limit: SourceLimit,
    registration_token_limit: SourceLimit,
    registration_change_limit: ChangeLimit,
    demo: bool,
}

/// The public listener: OAuth and OpenID Connect endpoints, pages, liveness.
pub fn public_site(engine: SharedEngine, options: &HttpOptions) -> Site {
    let state = Public::new(engine, options);
    let (api, paths) = api_routes(&state);
    let pages = pages::router(state.demo).route("/health/live", get(health::live));
    let router = Router::new()
        .merge(api)
        .merge(site::noted(pages).method_not_allowed_fallback(pages::method_not_allowed))
        .fallback(pages::not_found)
        .with_state(state);
    Site::new(router, paths, options)
}

impl Public {
    fn new(engine: SharedEngine, options: &HttpOptions) -> Self {
        Self(Arc::new(PublicState {
            documents: discovery::Documents::new(engine.policy.jwks_max_age.whole_seconds()),
            engine,
            sign_in_limit: SourceLimit::per_minute(options.sign_ins_per_source_per_minute),
            // Each device that somebody sets up comes with a sign-in, so the same bound is as wide as anybody needs.
            device_limit: SourceLimit::per_minute(options.sign_ins_per_source_per_minute),
            push_limit: SourceLimit::per_minute(options.sign_ins_per_source_per_minute),
            registration_limit: SourceLimit::per_hour(options.registrations_per_source_per_hour),
            // Each makes this server ask somewhere.
            document_limit: SourceLimit::per_hour(options.registrations_per_source_per_hour),
            // A change is told to every replica, and a sector list is read elsewhere, so neither must come in floods.
            registration_token_limit: SourceLimit::per_minute(options.sign_ins_per_source_per_minute),
            registration_change_limit: ChangeLimit::new(),
            demo: options.demo,
        }))
    }
}

/// What programs call, with their paths.
fn api_routes(state: &Public) -> (Router<Public>, Vec<&'static str>) {
    let api: [(&'static str, MethodRouter<Public>); 9] = [
        ("/.well-known/openid-configuration", get(discovery::configuration)),
        ("/.well-known/oauth-authorization-server", get(discovery::configuration)),
        ("/oauth2/jwks", get(discovery::jwks)),
        ("/oauth2/par", post(oauth::pushed_authorization_request)),
        ("/oauth2/token", post(oauth::token)),
        ("/oauth2/device_authorization", post(oauth::device_authorization)),
        ("/oauth2/introspect", post(oauth::introspect)),
        ("/oauth2/revoke", post(oauth::revoke)),
        ("/oauth2/userinfo", get(oauth::userinfo_get).post(oauth::userinfo_post)),
    ];
    let registration: [(&'static str, MethodRouter<Public>); 2] = [
        ("/oauth2/register", post(register::register)),
        ("/oauth2/register/{client_id}", get(register::read).put(register::replace).delete(register::delete)),
    ];
    let can_register = state.engine.policy.registration.mode != RegistrationMode::Off;
    let api: Vec<_> = api.into_iter().chain(registration.into_iter().filter(|_| can_register)).collect();
    let paths: Vec<_> = api.iter().map(|(path, _)| *path).collect();
    let api = api.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    (api.method_not_allowed_fallback(errors::method_not_allowed_json), paths)
}

/// The listener that asks clients for certificates (RFC 8705 §5): nothing for browsers, which would ask their users for one.
pub fn certificate_site(engine: SharedEngine, options: &HttpOptions) -> Site {
    let state = Public::new(engine, options);
    let (router, paths) = api_routes(&state);
    Site::new(router.fallback(errors::not_found_json).with_state(state), paths, options)
}

/// The admin listener: admin API, metrics, health.
pub fn admin_site(engine: SharedEngine, options: &HttpOptions) -> Site {
    let operations = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(Arc::clone(&engine));
    Site::new(site::noted(admin::router(engine).merge(operations)), [], options)
}
