//! The admin API under `/admin/v1`: JSON in, JSON out, a bearer token always.
//!
//! Owns: forms of documents, problems, cursors, the OpenAPI document, which is made from this code. Does not own: rules, who may
//! what, the audit trail (`flows::admin`), nor what surrounds every request (`http`).

mod access;
mod activity;
mod body;
mod clients;
pub mod documents;
mod initial_access_tokens;
mod keys;
mod lists;
mod paths;
mod problem;
mod resource_servers;
mod subjects;
mod users;

pub(super) use body::member_problem;
pub(super) use problem::broken_down;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::flows::SharedEngine;

const PREFIX: &str = "/admin/v1";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Keystead admin API",
        description = "Clients, accounts, resource servers, keys, sessions, grants and the audit trail.",
        license(name = "Apache License 2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(problem::ProblemDocument<'static>, problem::FieldProblem)),
    security(("bearer" = [])),
    modifiers(&BearerToken),
    tags(
        (name = "clients", description = "Applications and services"),
        (name = "users", description = "People who sign in"),
        (name = "resource servers", description = "APIs that accept access tokens"),
        (name = "activity", description = "Sessions, grants and what happened"),
        (name = "keys", description = "Keys that sign tokens or derive them"),
    ),
)]
struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "An access token of this server for audience urn:keystead:admin, by grant_type=client_credentials. \
                           Reading needs scope keystead:admin.read or keystead:admin, changing needs keystead:admin.";
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(description))
            .build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The admin API, ready to be merged into the admin listener.
pub fn router(engine: SharedEngine) -> Router {
    let (paths, _) = paths().split_for_parts();
    let gate = from_fn_with_state(SharedEngine::clone(&engine), access::require_token);
    let api = paths
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(gate.clone())
        .layer(from_fn(problem::finish))
        .with_state(engine);
    // `nest` leaves out the prefix with a slash behind it.
    let slash = any(problem::unknown_route).layer(gate).layer(from_fn(problem::finish));
    Router::new().nest(PREFIX, api).route(&format!("{PREFIX}/"), slash)
}

/// The OpenAPI document of the admin API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = OpenApiRouter::with_openapi(Description::openapi()).nest(PREFIX, paths()).into_openapi();
    documents::merge_flattened(document.components.get_or_insert_default());
    document
}

fn paths() -> OpenApiRouter<SharedEngine> {
    OpenApiRouter::new()
        .routes(routes!(clients::list, clients::create))
        .routes(routes!(clients::show, clients::update, clients::delete))
        .routes(routes!(clients::add_secret))
        .routes(routes!(clients::remove_secret))
        .routes(routes!(subjects::show))
        .routes(routes!(initial_access_tokens::list, initial_access_tokens::create))
        .routes(routes!(initial_access_tokens::delete))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::update, users::delete))
        .routes(routes!(users::lock))
        .routes(routes!(users::unlock))
        .routes(routes!(users::sign_out))
        .routes(routes!(activity::sessions))
        .routes(routes!(activity::grants))
        .routes(routes!(activity::revoke_consent))
        .routes(routes!(resource_servers::list, resource_servers::create))
        .routes(routes!(resource_servers::show, resource_servers::update, resource_servers::delete))
        .routes(routes!(activity::end_session))
        .routes(routes!(activity::end_grant))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(activity::audit_events))
        .routes(routes!(document))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), problem::Refusals))]
async fn document() -> impl IntoResponse {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| serde_json::to_vec(&openapi()).unwrap_or_default().into());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], BYTES.clone())
}

/// 201 with the address of what was made.
fn created(collection: &str, id: &str, body: impl serde::Serialize) -> Response {
    // Client ids may hold characters that mean something in a path.
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let location: [(HeaderName, String); 1] = [(header::LOCATION, format!("{PREFIX}{collection}/{id}"))];
    (StatusCode::CREATED, location, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_operation_of_the_contract_is_documented_with_its_refusals() {
        let document = serde_json::to_value(openapi()).unwrap();
        let operations: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
            .collect();
        let contract = [
            ("clients", "get post"),
            ("clients/{client_id}", "get patch delete"),
            ("clients/{client_id}/secrets", "post"),
            ("clients/{client_id}/secrets/{id}", "delete"),
            ("clients/{client_id}/subjects/{name}", "get"),
            ("initial-access-tokens", "get post"),
            ("initial-access-tokens/{id}", "delete"),
            ("users", "get post"),
            ("users/{user_id}", "get patch delete"),
            ("users/{user_id}/lock", "post"),
            ("users/{user_id}/unlock", "post"),
            ("users/{user_id}/sign-out", "post"),
            ("users/{user_id}/sessions", "get"),
            ("users/{user_id}/grants", "get"),
            ("users/{user_id}/consents/{client_id}", "delete"),
            ("resource-servers", "get post"),
            ("resource-servers/{id}", "get patch delete"),
            ("sessions/{id}", "delete"),
            ("grants/{id}", "delete"),
            ("keys", "get"),
            ("keys/rotate", "post"),
            ("keys/{kid}/revoke", "post"),
            ("audit-events", "get"),
            ("openapi.json", "get"),
        ];
        let mut count = 0;
        for (path, methods) in contract {
            for method in methods.split(' ') {
                count += 1;
                let operation = &document["paths"][format!("{PREFIX}/{path}")][method];
                for status in ["400", "401", "403", "503"] {
                    assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
                }
            }
        }
        assert_eq!(count, operations.len(), "{operations:?}");
    }

    #[test]
    fn every_schema_that_is_named_exists() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => members.iter().for_each(|(name, value)| match (name.as_str(), value) {
                    ("$ref", Value::String(target)) => found.push(target.clone()),
                    _ => references(value, found),
                }),
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = serde_json::to_value(openapi()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
