//! `/keys`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::body::OptionalBody;
use super::documents::{KeyView, RotateRequest};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::Id;
use super::problem::{ChangeRefusals, Problem, Refusals};
use crate::domain::{KeyAlgorithm, Kid};
use crate::flows::SharedEngine;
use crate::flows::admin::{Caller, Page, keys};

/// Every key, oldest first, also retired and revoked ones. Private parts are never shown.
#[utoipa::path(get, path = "/keys", tag = "keys", operation_id = "list_keys", params(ListParameters),
    responses((status = 200, description = "A part of the list", body = List<KeyView>), Refusals))]
pub(super) async fn list(State(engine): State<SharedEngine>, query: ListQuery) -> Result<Json<List<KeyView>>, Problem> {
    let page = keys::list(&engine, query.page()?).await?;
    let now = engine.clock.now();
    Ok(Json(List::of(page, |key| key.kid.to_string(), |key| KeyView::new(key, now))))
}

/// Makes a successor for the key of every algorithm, or of one, and shows those that now wait. A successor signs once everybody
/// can have fetched it.
#[utoipa::path(post, path = "/keys/rotate", tag = "keys", operation_id = "rotate_keys", request_body = Option<RotateRequest>,
    responses((status = 200, description = "A part of the list", body = List<KeyView>), ChangeRefusals))]
pub(super) async fn rotate(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    OptionalBody(request): OptionalBody<RotateRequest>,
) -> Result<Json<List<KeyView>>, Problem> {
    let algorithm = match request.and_then(|request| request.algorithm) {
        None => None,
        Some(text) => Some(KeyAlgorithm::parse(&text).ok_or_else(|| {
            let known: Vec<&str> = KeyAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            Problem::invalid_member(
                "algorithm",
                format!("is none of {}; name one or leave it out for all", known.join(", ")),
            )
        })?),
    };
    let items = keys::rotate(&engine, algorithm, &caller).await?;
    let now = engine.clock.now();
    Ok(Json(List::of(Page { items, more: false }, |key| key.kid.to_string(), |key| KeyView::new(key, now))))
}

/// Withdraws a key in an emergency: its tokens are refused from now on, and another key signs at once.
#[utoipa::path(post, path = "/keys/{kid}/revoke", tag = "keys", operation_id = "revoke_key", params(("kid" = String, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn revoke(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(kid): Id<Kid>,
) -> Result<StatusCode, Problem> {
    keys::revoke(&engine, kid, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
