//! `/users`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

use super::body::{JsonBody, MergePatch};
use super::created;
use super::documents::{self, UserDocument, UserView};
use super::lists::{List, ListParameters, ListQuery};
use super::paths::Id;
use super::problem::{ChangeRefusals, Problem, Refusals};
use crate::domain::UserId;
use crate::flows::SharedEngine;
use crate::flows::admin::Caller;
use crate::flows::admin::users::{self, AccountDraft};

/// People in order of creation.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "list_users",
    params(ListParameters, ("email" = Option<String>, Query, description = "Only who has this e-mail address")),
    responses((status = 200, description = "A part of the list", body = List<UserView>), Refusals))]
pub(super) async fn list(
    State(engine): State<SharedEngine>,
    mut query: ListQuery,
) -> Result<Json<List<UserView>>, Problem> {
    let email = query.take("email");
    let page = users::list(&engine, email.as_deref(), query.page()?).await?;
    Ok(Json(List::of(page, |user| user.id.to_string(), UserView::from)))
}

/// Makes an account without a password; the command line sets one.
#[utoipa::path(post, path = "/users", tag = "users", operation_id = "create_user", request_body = documents::NewUser,
    responses(
        (status = 201, description = "Made; Location names it", body = UserView, headers(("Location" = String))),
        ChangeRefusals,
    ))]
pub(super) async fn create(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    JsonBody(document): JsonBody<UserDocument>,
) -> Result<Response, Problem> {
    let user = users::create(&engine, document.into_draft(), &caller).await?;
    Ok(created("/users", &user.id.to_string(), UserView::from(user)))
}

/// One person.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users", operation_id = "show_user",
    params(("user_id" = uuid::Uuid, Path)),
    responses((status = 200, description = "As it is now", body = UserView), Refusals))]
pub(super) async fn show(State(engine): State<SharedEngine>, Id(id): Id<UserId>) -> Result<Json<UserView>, Problem> {
    Ok(Json(users::find(&engine, id).await?.into()))
}

/// Changes an account by a JSON merge patch (RFC 7396): what is absent stays, null goes back to its default.
///
/// A new e-mail address or telephone number counts as not verified unless the patch says otherwise.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users", operation_id = "update_user",
    params(("user_id" = uuid::Uuid, Path)),
    request_body(content((UserDocument = "application/merge-patch+json"), (UserDocument = "application/json"))),
    responses((status = 200, description = "As it is now", body = UserView), ChangeRefusals))]
pub(super) async fn update(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<UserId>,
    patch: MergePatch<UserDocument>,
) -> Result<Json<UserView>, Problem> {
    let change = |current: AccountDraft| {
        let phone_number = current.profile.phone_number.clone();
        let mut wanted = patch.apply(&UserDocument::of(current))?.into_draft();
        if patch.names("/email_verified") {
            wanted.email_verified = Some(wanted.email_verified.unwrap_or(false));
        }
        if wanted.profile.phone_number != phone_number && !patch.names("/profile/phone_number_verified") {
            wanted.profile.phone_number_verified = None;
        }
        Ok(wanted)
    };
    Ok(Json(users::update(&engine, id, change, &caller).await?.into()))
}

/// Removes a person; sessions, grants and consents go with the account, and all tokens are inactive at once.
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users", operation_id = "delete_user",
    params(("user_id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn delete(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<UserId>,
) -> Result<StatusCode, Problem> {
    users::delete(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Locks an account: no sign-in, and every session and grant is ended for good.
#[utoipa::path(post, path = "/users/{user_id}/lock", tag = "users", operation_id = "lock_user",
    params(("user_id" = uuid::Uuid, Path)),
    responses((status = 200, description = "As it is now", body = UserView), Refusals))]
pub(super) async fn lock(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<UserId>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(users::lock(&engine, id, &caller).await?.into()))
}

/// Unlocks an account, and forgets its failed sign-ins. What was ended stays ended.
#[utoipa::path(post, path = "/users/{user_id}/unlock", tag = "users", operation_id = "unlock_user",
    params(("user_id" = uuid::Uuid, Path)),
    responses((status = 200, description = "As it is now", body = UserView), Refusals))]
pub(super) async fn unlock(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<UserId>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(users::unlock(&engine, id, &caller).await?.into()))
}

/// Ends every session and every grant of a person, also those for offline use. The person may sign in again.
#[utoipa::path(post, path = "/users/{user_id}/sign-out", tag = "users", operation_id = "sign_user_out",
    params(("user_id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Done"), Refusals))]
pub(super) async fn sign_out(
    State(engine): State<SharedEngine>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<UserId>,
) -> Result<StatusCode, Problem> {
    users::sign_out(&engine, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
