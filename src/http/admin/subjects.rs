//! `/clients/{client_id}/subjects`

use axum::Json;
use axum::extract::State;

use super::documents::SubjectView;
use super::paths::ClientAnd;
use super::problem::{Problem, Refusals};
use crate::flows::SharedEngine;
use crate::flows::admin::subjects;

/// Who is meant by a `sub` of this client, or by which `sub` it knows a person.
///
/// `name` is the one or the person's `user_id`. For a pairwise `sub` all accounts are looked through.
#[utoipa::path(get, path = "/clients/{client_id}/subjects/{name}", tag = "clients", operation_id = "show_subject",
    params(("client_id" = String, Path), ("name" = String, Path, description = "A `sub` of this client, or a `user_id`")),
    responses((status = 200, description = "The person", body = SubjectView), Refusals))]
pub(super) async fn show(
    State(engine): State<SharedEngine>,
    ClientAnd(client, name): ClientAnd<String>,
) -> Result<Json<SubjectView>, Problem> {
    Ok(Json(subjects::find(&engine, &client, &name).await?.into()))
}
