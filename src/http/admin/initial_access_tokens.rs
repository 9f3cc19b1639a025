//! `/initial-access-tokens`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

use super::body::JsonBody;
use super::created;
use super::documents::{CreatedInitialAccessTokenView, InitialAccessTokenDocument, InitialAccessTokenView};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::Id;
use super::problem::{ChangeRefusals, Problem, Refusals};
use crate::domain::InitialAccessTokenId;
use crate::flows::SharedEngine;
use crate::flows::admin::{Caller, initial_access_tokens};

/// Tokens with which clients register themselves, oldest first; those that are used up too, until a day after they have expired.
#[utoipa::path(get, path = "/initial-access-tokens", tag = "clients", operation_id = "list_initial_access_tokens",
    params(ListParameters),
    responses((status = 200, description = "A part of the list", body = List<InitialAccessTokenView>), Refusals))]
pub(super) async fn list(
    State(engine): State<SharedEngine>,
    query: ListQuery,
) -> Result<Json<List<InitialAccessTokenView>>, Problem> {
    let page = initial_access_tokens::list(&engine, query.page()?).await?;
    Ok(Json(List::of(page, |token| token.id.to_string(), InitialAccessTokenView::from)))
}

/// Makes a token with which clients register themselves at `/oauth2/register`. It is shown in this answer only.
#[utoipa::path(post, path = "/initial-access-tokens", tag = "clients", operation_id = "create_initial_access_token",
    request_body = InitialAccessTokenDocument,
    responses(
        (status = 201, description = "Made; Location names it", body = CreatedInitialAccessTokenView,
            headers(("Location" = String))),
        ChangeRefusals,
    ))]
pub(super) async fn create(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    JsonBody(document): JsonBody<InitialAccessTokenDocument>,
) -> Result<Response, Problem> {
    let (token, secret) = initial_access_tokens::create(&engine, document.into_draft(), &caller).await?;
    let id = token.id.to_string();
    Ok(created("/initial-access-tokens", &id, CreatedInitialAccessTokenView::new(token, &secret)))
}

/// Removes a token, so that it registers nothing any more. The clients that it registered stay.
#[utoipa::path(delete, path = "/initial-access-tokens/{id}", tag = "clients", operation_id = "delete_initial_access_token",
    params(("id" = uuid::Uuid, Path)), responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn delete(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<InitialAccessTokenId>,
) -> Result<StatusCode, Problem> {
    initial_access_tokens::delete(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
