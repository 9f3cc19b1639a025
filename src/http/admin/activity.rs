//! Sessions and grants of people, and what happened.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::documents::{AuditEventView, GrantView, SessionView};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::{Id, UserAnd};
use super::problem::{Problem, Refusals};
use crate::domain::{ClientId, GrantId, SessionId, UserId};
use crate::flows::SharedEngine;
use crate::flows::admin::audit::{self, AuditFilter};
use crate::flows::admin::{Caller, live_access};

/// A person's live sessions in order of creation.
#[utoipa::path(get, path = "/users/{user_id}/sessions", tag = "activity", operation_id = "list_sessions",
    params(("user_id" = uuid::Uuid, Path), ListParameters),
    responses((status = 200, description = "A part of the list", body = List<SessionView>), Refusals))]
pub(super) async fn sessions(
    State(engine): State<SharedEngine>,
    Id(user): Id<UserId>,
    query: ListQuery,
) -> Result<Json<List<SessionView>>, Problem> {
    let page = live_access::sessions(&engine, user, query.page()?).await?;
    Ok(Json(List::of(page, |session| session.id.to_string(), SessionView::from)))
}

/// A person's live grants in order of creation.
#[utoipa::path(get, path = "/users/{user_id}/grants", tag = "activity", operation_id = "list_grants",
    params(("user_id" = uuid::Uuid, Path), ListParameters),
    responses((status = 200, description = "A part of the list", body = List<GrantView>), Refusals))]
pub(super) async fn grants(
    State(engine): State<SharedEngine>,
    Id(user): Id<UserId>,
    query: ListQuery,
) -> Result<Json<List<GrantView>>, Problem> {
    let page = live_access::grants(&engine, user, query.page()?).await?;
    Ok(Json(List::of(page, |grant| grant.id.to_string(), GrantView::from)))
}

/// Ends a session; grants that are not for offline use are over with it.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "activity", operation_id = "end_session",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn end_session(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<SessionId>,
) -> Result<StatusCode, Problem> {
    live_access::end_session(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a grant: its refresh token and its access tokens are dead.
#[utoipa::path(delete, path = "/grants/{id}", tag = "activity", operation_id = "end_grant", params(("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn end_grant(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<GrantId>,
) -> Result<StatusCode, Problem> {
    live_access::end_grant(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back what a person allowed a client: its grants of this person end, and it has to ask again.
#[utoipa::path(delete, path = "/users/{user_id}/consents/{client_id}", tag = "activity", operation_id = "revoke_consent",
    params(("user_id" = uuid::Uuid, Path), ("client_id" = String, Path, description = "The client's id, percent-encoded")),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn revoke_consent(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    UserAnd(user, client): UserAnd<ClientId>,
) -> Result<StatusCode, Problem> {
    live_access::revoke_consent(&engine, user, &client, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What happened, newest first.
#[utoipa::path(get, path = "/audit-events", tag = "activity", operation_id = "list_audit_events",
    params(
        ListParameters,
        ("subject" = Option<String>, Query, description = "Only what was done to this client id, user id or kid"),
        ("name" = Option<String>, Query, description = "Only events of this name, such as client.created"),
    ),
    responses((status = 200, description = "A part of the list", body = List<AuditEventView>), Refusals))]
pub(super) async fn audit_events(
    State(engine): State<SharedEngine>,
    mut query: ListQuery,
) -> Result<Json<List<AuditEventView>>, Problem> {
    let filter = AuditFilter { subject: query.take("subject"), name: query.take("name") };
    let page = audit::list(&engine, &filter, query.page()?).await?;
    Ok(Json(List::of(page, |record| record.id.to_string(), AuditEventView::from)))
}
