//! Health and metrics for machines.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::flows::SharedEngine;
use crate::telemetry;

/// The process runs. Nothing else is asked, so that a database outage does not make an orchestrator restart healthy processes.
pub(super) async fn live() -> Response {
    (StatusCode::OK, axum::Json(json!({ "status": "ok" }))).into_response()
}

/// The process can serve: database reached, schema current, a key for every algorithm.
pub(super) async fn ready(State(engine): State<SharedEngine>) -> Response {
    let checks = engine.readiness().await;
    let ready = checks.iter().all(|check| check.problem.is_none());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let report: serde_json::Map<_, _> = checks
        .into_iter()
        .map(|check| (check.name.to_owned(), json!(check.problem.unwrap_or_else(|| "ok".to_owned()))))
        .collect();
    (status, axum::Json(json!({ "status": if ready { "ok" } else { "unavailable" }, "checks": report })))
        .into_response()
}

/// Prometheus' text format.
pub(super) async fn metrics(State(engine): State<SharedEngine>) -> Response {
    telemetry::hash_queue(engine.passwords.depth());
    let (size, idle) = engine.store.pool_usage();
    telemetry::pool(size, idle);
    let mut response = telemetry::render_metrics().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
