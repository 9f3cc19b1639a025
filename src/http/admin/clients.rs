//! `/clients`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

use super::body::{JsonBody, MergePatch};
use super::created;
use super::documents::{self, ClientDocument, ClientView, CreatedClientView, CreatedSecretView};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::{ClientAnd, Id};
use super::problem::{ChangeRefusals, ConflictRefusals, Problem, Refusals};
use crate::domain::{ClientId, MetadataProblem, SecretId};
use crate::flows::SharedEngine;
use crate::flows::admin::Caller;
use crate::flows::admin::clients::{self, ClientDraft, NewClient};

/// Clients in order of their ids.
#[utoipa::path(get, path = "/clients", tag = "clients", operation_id = "list_clients", params(ListParameters),
    responses((status = 200, description = "A part of the list", body = List<ClientView>), Refusals))]
pub(super) async fn list(
    State(engine): State<SharedEngine>,
    query: ListQuery,
) -> Result<Json<List<ClientView>>, Problem> {
    let page = clients::list(&engine, query.page()?).await?;
    Ok(Json(List::of(page, |client| client.id.to_string(), ClientView::from)))
}

/// Registers a client. A confidential one gets a secret, which is shown in this answer only.
#[utoipa::path(post, path = "/clients", tag = "clients", operation_id = "create_client", request_body = documents::NewClient,
    responses(
        (status = 201, description = "Made; Location names it", body = CreatedClientView, headers(("Location" = String))),
        ChangeRefusals,
    ))]
pub(super) async fn create(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    JsonBody(document): JsonBody<ClientDocument>,
) -> Result<Response, Problem> {
    let (id, draft) = match (document.id(), document.into_draft()) {
        (Ok(id), Ok(draft)) => (id, draft),
        (id, draft) => {
            return Err(Problem::invalid_members([id.err(), draft.err()].into_iter().flatten().flatten().collect()));
        }
    };
    let made = clients::create(&engine, NewClient { id, draft, secret: None }, &caller).await?;
    let id = made.client.id.clone();
    Ok(created("/clients", id.as_str(), CreatedClientView::from(made)))
}

/// One client.
#[utoipa::path(get, path = "/clients/{client_id}", tag = "clients", operation_id = "show_client",
    params(("client_id" = String, Path, description = "The client's id, percent-encoded")),
    responses((status = 200, description = "As it is now", body = ClientView), Refusals))]
pub(super) async fn show(
    State(engine): State<SharedEngine>,
    Id(id): Id<ClientId>,
) -> Result<Json<ClientView>, Problem> {
    Ok(Json(clients::find(&engine, &id).await?.into()))
}

/// Changes a client by a JSON merge patch (RFC 7396): what is absent stays, null goes back to its default.
///
/// Switching a client off kills its tokens and grants for good. A client that becomes public loses its secrets.
#[utoipa::path(patch, path = "/clients/{client_id}", tag = "clients", operation_id = "update_client",
    params(("client_id" = String, Path, description = "The client's id, percent-encoded")),
    request_body(content((ClientDocument = "application/merge-patch+json"), (ClientDocument = "application/json"))),
    responses((status = 200, description = "As it is now", body = ClientView), ChangeRefusals))]
pub(super) async fn update(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ClientId>,
    patch: MergePatch<ClientDocument>,
) -> Result<Json<ClientView>, Problem> {
    let change = |current: ClientDraft| {
        let wanted = patch.apply(&ClientDocument::of(&id, current))?;
        refuse_other_id(&id, &wanted)?;
        wanted.into_draft()
    };
    Ok(Json(clients::update(&engine, &id, change, &caller).await?.into()))
}

/// Removes a client; its secrets, grants and consents go with it, and its tokens are inactive at once.
#[utoipa::path(delete, path = "/clients/{client_id}", tag = "clients", operation_id = "delete_client",
    params(("client_id" = String, Path, description = "The client's id, percent-encoded")),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn delete(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ClientId>,
) -> Result<StatusCode, Problem> {
    clients::delete(&engine, &id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a second secret, so that the client can change over without an outage. It is shown in this answer only.
#[utoipa::path(post, path = "/clients/{client_id}/secrets", tag = "clients", operation_id = "add_client_secret",
    params(("client_id" = String, Path, description = "The client's id, percent-encoded")),
    responses(
        (status = 201, description = "Made; Location names it", body = CreatedSecretView, headers(("Location" = String))),
        ConflictRefusals,
    ))]
pub(super) async fn add_secret(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ClientId>,
) -> Result<Response, Problem> {
    let (stored, secret) = clients::add_secret(&engine, &id, &caller).await?;
    let client: String = form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    Ok(created(&format!("/clients/{client}/secrets"), &stored.id.to_string(), CreatedSecretView::new(&stored, &secret)))
}

/// Removes a secret; it is refused from now on. The last one may go too.
#[utoipa::path(delete, path = "/clients/{client_id}/secrets/{id}", tag = "clients", operation_id = "remove_client_secret",
    params(("client_id" = String, Path, description = "The client's id, percent-encoded"), ("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn remove_secret(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    ClientAnd(id, secret): ClientAnd<SecretId>,
) -> Result<StatusCode, Problem> {
    clients::remove_secret(&engine, &id, secret, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A patch may repeat the id, as RFC 7592 §2.2 wants it for updates, but not change it.
fn refuse_other_id(id: &ClientId, wanted: &ClientDocument) -> Result<(), Vec<MetadataProblem>> {
    if wanted.client_id.as_deref().is_none_or(|wanted| wanted == id.as_str()) {
        return Ok(());
    }
    let sentence = "cannot be changed; register another client and delete this one".to_owned();
    Err(vec![MetadataProblem { field: "client_id".to_owned(), sentence }])
}
