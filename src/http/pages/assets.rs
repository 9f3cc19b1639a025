//! Style, scripts and the demo page: bytes that are part of the binary.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::views::Demo;
use super::{PLAIN, Policy, render};
use crate::http::Public;

const CSS: &str = include_str!("../../../templates/assets/keystead.css");
const SCRIPT: &str = include_str!("../../../templates/assets/keystead.js");
const DEMO_SCRIPT: &str = include_str!("../../../templates/assets/demo.js");

fn asset(body: &'static str, content_type: &'static str) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// What every page needs.
pub(super) fn router() -> Router<Public> {
    Router::new()
        .route("/assets/keystead.css", get(|| async { asset(CSS, "text/css; charset=utf-8") }))
        .route("/assets/keystead.js", get(|| async { asset(SCRIPT, "text/javascript; charset=utf-8") }))
}

/// The demo application of `keystead dev`.
pub(super) fn demo_router() -> Router<Public> {
    Router::new()
        .route("/assets/demo.js", get(|| async { asset(DEMO_SCRIPT, "text/javascript; charset=utf-8") }))
        .route("/demo", get(demo))
        .route("/demo/callback", get(demo))
}

async fn demo(State(public): State<Public>) -> Response {
    let page = Demo { issuer: public.engine.policy.issuer.clone(), client_id: "demo-spa".to_owned() };
    render(StatusCode::OK, &page, &Policy { connect: true, ..PLAIN })
}
