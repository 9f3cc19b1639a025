//! HTTP: extract, call one flow, render.
//!
//! Owns: routes, headers, cookies, pages, the translation of errors into responses. Does not own: decisions; they come from `flows`.

pub mod admin;
mod body;
mod context;
mod cookies;
mod discovery;
mod errors;
mod health;
mod oauth;
mod pages;
pub mod server;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, Method, header};
use axum::routing::{get, post};
use governor::{DefaultKeyedRateLimiter, Quota};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::flows::SharedEngine;

/// What the operator decided about HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// After this a request is answered with 503.
    pub request_timeout: Duration,
    /// Sign-in tries from one source in a minute.
    pub sign_ins_per_source_per_minute: u32,
    /// Whether the demo page exists; only in `keystead dev`.
    pub demo: bool,
    /// Whether browsers shall insist on https from now on (RFC 6797); only where the issuer is https.
    pub hsts: bool,
}

/// What all public handlers share.
#[derive(Clone)]
pub struct Public {
    engine: SharedEngine,
    documents: Arc<discovery::Documents>,
    sign_in_limit: Arc<DefaultKeyedRateLimiter<std::net::IpAddr>>,
    demo: bool,
}

/// The public listener: OAuth and OpenID Connect endpoints, pages, liveness.
pub fn public_router(engine: SharedEngine, options: &HttpOptions) -> Router {
    let per_minute = NonZeroU32::new(options.sign_ins_per_source_per_minute).unwrap_or(NonZeroU32::MIN);
    let state = Public {
        engine,
        documents: Arc::default(),
        sign_in_limit: Arc::new(DefaultKeyedRateLimiter::keyed(Quota::per_minute(per_minute))),
        demo: options.demo,
    };
    // SECURITY 12: scripts of any origin may call what takes no cookie; the rest has no CORS at all.
    let api = Router::new()
        .route("/.well-known/openid-configuration", get(discovery::configuration))
        .route("/.well-known/oauth-authorization-server", get(discovery::configuration))
        .route("/oauth2/jwks", get(discovery::jwks))
        .route("/oauth2/token", post(oauth::token))
        .route("/oauth2/introspect", post(oauth::introspect))
        .route("/oauth2/revoke", post(oauth::revoke))
        .route("/oauth2/userinfo", get(oauth::userinfo_get).post(oauth::userinfo_post))
        .method_not_allowed_fallback(errors::method_not_allowed_json)
        .layer(cors());
    let app = Router::new()
        .merge(api)
        .merge(pages::router(state.demo))
        .route("/health/live", get(health::live))
        .method_not_allowed_fallback(pages::method_not_allowed)
        .fallback(pages::not_found)
        .with_state(state);
    with_layers(app, options)
}

/// The admin listener: admin API, metrics, health.
pub fn admin_router(engine: SharedEngine, options: &HttpOptions) -> Router {
    let operations = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(Arc::clone(&engine));
    with_layers(admin::router(engine).merge(operations), options)
}

fn with_layers(router: Router, options: &HttpOptions) -> Router {
    router
        .layer(DefaultBodyLimit::max(options.max_body_bytes))
        .layer(CatchPanicLayer::custom(errors::panicked))
        .layer(axum::middleware::from_fn_with_state(Arc::new(options.clone()), context::around))
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-requested-with")])
        .expose_headers([header::WWW_AUTHENTICATE, HeaderName::from_static("x-correlation-id")])
        .max_age(Duration::from_hours(1))
}
