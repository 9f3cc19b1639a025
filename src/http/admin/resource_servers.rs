//! `/resource-servers`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

use super::body::{JsonBody, MergePatch};
use super::created;
use super::documents::{self, ResourceServerDocument, ResourceServerView};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::Id;
use super::problem::{ChangeRefusals, ConflictRefusals, Problem, Refusals};
use crate::domain::ResourceServerId;
use crate::flows::SharedEngine;
use crate::flows::admin::Caller;
use crate::flows::admin::resource_servers::{self, ResourceServerDraft};

/// Resource servers in order of registration.
#[utoipa::path(get, path = "/resource-servers", tag = "resource servers", operation_id = "list_resource_servers",
    params(ListParameters),
    responses((status = 200, description = "A part of the list", body = List<ResourceServerView>), Refusals))]
pub(super) async fn list(
    State(engine): State<SharedEngine>,
    query: ListQuery,
) -> Result<Json<List<ResourceServerView>>, Problem> {
    let page = resource_servers::list(&engine, query.page()?).await?;
    Ok(Json(List::of(page, |server| server.id.to_string(), ResourceServerView::from)))
}

/// Registers a resource server.
#[utoipa::path(post, path = "/resource-servers", tag = "resource servers", operation_id = "create_resource_server",
    request_body = documents::NewResourceServer,
    responses(
        (status = 201, description = "Made; Location names it", body = ResourceServerView, headers(("Location" = String))),
        ChangeRefusals,
    ))]
pub(super) async fn create(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    JsonBody(document): JsonBody<ResourceServerDocument>,
) -> Result<Response, Problem> {
    let draft = document.into_draft().map_err(Problem::invalid_members)?;
    let server = resource_servers::create(&engine, draft, &caller).await?;
    Ok(created("/resource-servers", &server.id.to_string(), ResourceServerView::from(server)))
}

/// One resource server.
#[utoipa::path(get, path = "/resource-servers/{id}", tag = "resource servers", operation_id = "show_resource_server",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "As it is now", body = ResourceServerView),
        Refusals,
    ))]
pub(super) async fn show(
    State(engine): State<SharedEngine>,
    Id(id): Id<ResourceServerId>,
) -> Result<Json<ResourceServerView>, Problem> {
    Ok(Json(resource_servers::find(&engine, id).await?.into()))
}

/// Changes a resource server by a JSON merge patch (RFC 7396): what is absent stays, null goes back to its default.
///
/// A scope token that clients still hold cannot be taken away; take it from the clients first.
#[utoipa::path(patch, path = "/resource-servers/{id}", tag = "resource servers", operation_id = "update_resource_server",
    params(("id" = uuid::Uuid, Path)),
    request_body(content(
        (ResourceServerDocument = "application/merge-patch+json"),
        (ResourceServerDocument = "application/json"),
    )),
    responses((status = 200, description = "As it is now", body = ResourceServerView), ChangeRefusals))]
pub(super) async fn update(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ResourceServerId>,
    patch: MergePatch<ResourceServerDocument>,
) -> Result<Json<ResourceServerView>, Problem> {
    let change = |current: ResourceServerDraft| patch.apply(&ResourceServerDocument::of(current))?.into_draft();
    Ok(Json(resource_servers::update(&engine, id, change, &caller).await?.into()))
}

/// Removes a resource server. Clients must not hold its scope tokens any more.
#[utoipa::path(delete, path = "/resource-servers/{id}", tag = "resource servers", operation_id = "delete_resource_server",
    params(("id" = uuid::Uuid, Path)), responses((status = 204, description = "Done"), ConflictRefusals))]
pub(super) async fn delete(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ResourceServerId>,
) -> Result<StatusCode, Problem> {
    resource_servers::delete(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
