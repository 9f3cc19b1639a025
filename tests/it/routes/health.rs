//! `/health/live`, `/health/ready`, `/metrics`.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request};
use keystead::http::admin;
use serde_json::{Value, json};

use crate::support::{Answer, Browser, RelyingParty, TestApp, Tokens, send};

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn ready(app: &TestApp) -> Answer {
    app.send_admin(request("/health/ready")).await
}

async fn sql(app: &TestApp, statement: &'static str) {
    sqlx::raw_sql(statement).execute(app.engine.store.pool()).await.unwrap();
}

#[tokio::test]
async fn live_is_answered_on_both_listeners_also_without_a_database() {
    let app = TestApp::start().await;
    app.engine.store.close().await;
    for answer in [app.get("/health/live").await, app.send_admin(request("/health/live")).await] {
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "ok" })));
    }
}

#[tokio::test]
async fn ready_says_what_was_checked() {
    let app = TestApp::start().await;
    let answer = ready(&app).await;
    let checks = json!({ "database": "ok", "migrations": "ok", "keys": "ok" });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "ok", "checks": checks })));
}

/// The server is not ready, for this reason and no other.
async fn not_ready(app: &TestApp, check: &str) -> String {
    let answer = ready(app).await;
    let report = answer.json();
    assert_eq!((answer.status.as_u16(), &report["status"]), (503, &json!("unavailable")), "{report}");
    let bad: Vec<&String> =
        report["checks"].as_object().unwrap().iter().filter(|(_, said)| **said != "ok").map(|(name, _)| name).collect();
    assert_eq!(bad, [check], "{report}");
    report["checks"][check].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn not_ready_while_a_migration_is_missing() {
    let app = TestApp::start().await;
    sql(&app, "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    let said = not_ready(&app, "migrations").await;
    assert!(said.contains("run keystead migrate"), "{said}");
}

#[tokio::test]
async fn still_ready_while_a_newer_version_is_rolled_out_over_the_same_database() {
    let app = TestApp::start().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', true, '\\x00', 0)";
    sql(&app, newer).await;
    assert_eq!(ready(&app).await.status, 200);
}

#[tokio::test]
async fn not_ready_without_a_key_of_every_kind() {
    let app = TestApp::start().await;
    for algorithm in ["PS256", "HMAC-SHA256"] {
        let statement = format!("UPDATE keys SET revoked_at = now() WHERE algorithm = '{algorithm}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(app.engine.store.pool()).await.unwrap();
        app.engine.reload_keys().await.unwrap();
        let said = not_ready(&app, "keys").await;
        assert!(said.contains(algorithm) && said.contains("keystead keys rotate"), "{said}");
        sql(&app, "UPDATE keys SET revoked_at = NULL").await;
    }
}

#[tokio::test]
async fn not_ready_before_everything_was_read_once() {
    let app = TestApp::start().await;
    let answer = send(&app.before_the_first_load(), request("/health/ready")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["checks"]["keys"].as_str().unwrap().contains("has not confirmed"), "{}", answer.body);
}

#[tokio::test]
async fn not_ready_without_a_database_and_nothing_is_told_about_it() {
    let app = TestApp::start().await;
    app.engine.store.close().await;
    let answer = ready(&app).await;
    assert_eq!(answer.status, 503);
    let expected = json!("the database cannot be reached; see the log");
    assert_eq!(answer.json()["checks"]["database"], expected);
    assert!(!answer.body.contains("/tmp") && !answer.body.contains("pool"), "{}", answer.body);
}

/// One line of Prometheus' text form: name, labels, value.
fn parse(line: &str) -> (String, Vec<(String, String)>, String) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
    let labels = pairs.map(|pair| {
        let (label, value) = pair.split_once("=\"").unwrap();
        (label.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect(), value.to_owned())
}

async fn metrics(app: &TestApp) -> Vec<(String, Vec<(String, String)>, String)> {
    let answer = app.send_admin(request("/metrics")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(parse).collect()
}

/// Everything that is counted, at least once, and much that only a stranger would send.
async fn busy_life(app: &TestApp) {
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    Browser::default().try_password(app, "pat@example.com", "a wrong password").await;
    let first = rp.tokens(app, &mut Browser::default(), "pat@example.com").await;
    let second = Tokens(rp.refresh(app, first.refresh()).await.json());
    rp.refresh(app, first.refresh()).await;
    rp.refresh(app, second.refresh()).await;
    rp.refresh(app, first.refresh()).await;
    rp.refresh(app, second.refresh()).await;
    assert!(!rp.is_active(app, second.access()).await);
    for number in 0..50 {
        let method = Method::from_bytes(format!("MARKED{number}").as_bytes()).unwrap();
        let path = format!("/oauth2/marked-{number}");
        app.send(Request::builder().method(method.clone()).uri(&path).body(Body::empty()).unwrap()).await;
        app.send(Request::builder().method(method).uri("/oauth2/token").body(Body::empty()).unwrap()).await;
        app.send_admin(request(&format!("/admin/v1/clients/marked-{number}"))).await;
        app.post("/oauth2/token", &[("grant_type", &format!("marked-{number}"))]).await;
    }
}

#[tokio::test]
async fn metrics_are_named_and_their_labels_are_few() {
    let app = TestApp::start().await;
    metrics(&app).await;
    busy_life(&app).await;
    let seen = metrics(&app).await;
    let mut known: Vec<String> = admin::openapi().paths.paths.into_keys().collect();
    known.extend(PUBLIC_ROUTES.map(str::to_owned));
    for (name, labels, _) in &seen {
        for (label, value) in labels {
            let bounded = match label.as_str() {
                "route" => known.contains(value),
                "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
                "status" => value.len() == 3,
                "method" => value.chars().all(|c| c.is_ascii_uppercase()) && value.len() < 8 || value == "other",
                _ => VALUES.contains(&value.as_str()),
            };
            assert!(bounded && !value.contains("marked"), "{name} {label}={value}");
        }
    }
    let names: BTreeSet<&str> = seen.iter().map(|(name, _, _)| name.as_str()).collect();
    for name in NAMES {
        assert!(names.contains(name), "{name} is missing in {names:?}");
    }
    let unknown: Vec<_> = names.iter().filter(|name| !NAMES.contains(name) && !LATER.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn metrics_tell_what_became_of_refresh_tokens_and_sign_ins() {
    let app = TestApp::start().await;
    metrics(&app).await;
    busy_life(&app).await;
    let seen = metrics(&app).await;
    let counted = |name: &str, label: &str, value: &str| {
        let pair = (label.to_owned(), value.to_owned());
        let found = seen.iter().find(|(n, labels, _)| n == name && labels.contains(&pair));
        found.is_some_and(|(_, _, value)| value.parse::<f64>().unwrap() >= 1.0)
    };
    for outcome in ["rotated", "replayed", "reuse"] {
        assert!(counted("keystead_refresh_total", "outcome", outcome), "{outcome}");
    }
    for result in ["accepted", "refused"] {
        assert!(counted("keystead_sign_ins_total", "result", result), "{result}");
    }
    assert!(counted("keystead_tokens_issued_total", "grant_type", "authorization_code"));
    assert!(counted("keystead_introspections_total", "active", "false"));
    assert!(counted("keystead_http_requests_total", "route", "none"), "paths that do not exist count together");
    assert!(counted("keystead_http_requests_total", "method", "other"), "and so do methods that nobody knows");
}

#[tokio::test]
async fn an_unknown_kind_of_check_never_gets_a_body_that_is_not_json() {
    let app = TestApp::start().await;
    for path in ["/health", "/health/", "/health/ready/x", "/metrics/x"] {
        let answer = app.send_admin(request(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.is_empty() || serde_json::from_str::<Value>(&answer.body).is_ok(), "{path}");
    }
}

const NAMES: [&str; 12] = [
    "keystead_database_connections",
    "keystead_database_connections_idle",
    "keystead_hash_queue_depth",
    "keystead_http_request_duration_seconds_bucket",
    "keystead_http_request_duration_seconds_count",
    "keystead_http_request_duration_seconds_sum",
    "keystead_http_requests_total",
    "keystead_introspections_total",
    "keystead_listener_connected",
    "keystead_refresh_total",
    "keystead_sign_ins_total",
    "keystead_tokens_issued_total",
];

/// What only time or another test brings about.
const LATER: [&str; 5] = [
    "keystead_cleaned_rows_total",
    "keystead_device_authorizations_total",
    "keystead_log_lines_dropped_total",
    "keystead_logout_notices_total",
    "keystead_user_codes_refused_total",
];

const VALUES: [&str; 33] = [
    "accepted",
    "allowed",
    "audit_events",
    "authorization_code",
    "busy",
    "client_credentials",
    "clients",
    "delivered",
    "denied",
    "device_authorizations",
    "failed",
    "false",
    "given_up",
    "grants",
    "initial_access_tokens",
    "keys",
    "pushed_requests",
    "redeemed",
    "refresh_token",
    "refused",
    "replayed",
    "reuse",
    "revoked_tokens",
    "rotated",
    "sessions",
    "sign_in_failures",
    "started",
    "throttled",
    "true",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "used_proofs",
    "wrong",
];

const PUBLIC_ROUTES: [&str; 24] = [
    "none",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/assets/demo.js",
    "/assets/keystead.css",
    "/assets/keystead.js",
    "/cancel",
    "/consent",
    "/demo",
    "/demo/callback",
    "/health/live",
    "/health/ready",
    "/login",
    "/logout",
    "/metrics",
    "/oauth2/authorize",
    "/oauth2/par",
    "/oauth2/end_session",
    "/oauth2/introspect",
    "/oauth2/jwks",
    "/oauth2/revoke",
    "/oauth2/token",
    "/oauth2/userinfo",
    "/admin/v1/",
];
