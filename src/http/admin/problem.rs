//! Refusals as problem documents (RFC 9457). Every one leaves through [`finish`], which also writes the headers of all answers.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};

use crate::domain::MetadataProblem;
use crate::flows::InternalError;
use crate::flows::admin::{AccessRefused, AdminError};
use crate::http::errors;
use crate::protocol::error::ErrorCode;

/// The media type of RFC 9457 §3.
const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldProblem>,
    challenge: Option<&'static str>,
}

/// A refusal (RFC 9457): what kind it is, and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument<'a> {
    /// Names the kind, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:keystead:problem:invalid-request")]
    kind: String,
    /// The kind in a few words; always the same for one kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request and what to do next.
    detail: &'a str,
    /// The path that was asked for, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// The members that cannot be accepted, where it is about them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldProblem],
}

/// One member that cannot be accepted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct FieldProblem {
    /// Its name, with an index where it is a list; or the name of a query parameter.
    #[schema(example = "redirect_uris[1]")]
    field: String,
    /// What is wrong and what to do.
    detail: String,
}

impl From<MetadataProblem> for FieldProblem {
    fn from(problem: MetadataProblem) -> Self {
        Self { field: problem.field, detail: problem.sentence }
    }
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), errors: Vec::new(), challenge: None }
    }

    /// The form in which it is sent.
    pub fn document<'a>(&'a self, instance: Option<&'a str>) -> ProblemDocument<'a> {
        ProblemDocument {
            kind: format!("urn:keystead:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            errors: &self.errors,
        }
    }

    /// The request cannot be understood.
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request cannot be accepted", detail)
    }

    /// Members or parameters of the request cannot be accepted.
    pub fn invalid_members(problems: Vec<MetadataProblem>) -> Self {
        let errors: Vec<FieldProblem> = problems.into_iter().map(FieldProblem::from).collect();
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("See `errors` for what is wrong with {}; nothing was changed.", names.join(", "));
        Self { errors, ..Self::invalid_request(detail) }
    }

    /// One member or parameter cannot be accepted.
    pub fn invalid_member(field: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::invalid_members(vec![MetadataProblem { field: field.into(), sentence: sentence.into() }])
    }

    /// A body that is not JSON at all.
    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON", detail)
    }

    /// There is nothing of this name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", detail)
    }

    /// RFC 6750 §3.1: no token at all is told the scheme and nothing more.
    pub fn no_token() -> Self {
        let detail = "Send an access token for urn:keystead:admin in the header Authorization: Bearer ...";
        Self {
            challenge: Some("Bearer realm=\"keystead\""),
            ..Self::new(StatusCode::UNAUTHORIZED, "no-token", "No access token", detail)
        }
    }

    /// RFC 6750 §2, §3.1: more than one token, or one where it does not belong.
    pub fn misplaced_token(detail: &'static str) -> Self {
        Self {
            challenge: Some("Bearer realm=\"keystead\", error=\"invalid_request\""),
            ..Self::invalid_request(detail)
        }
    }

    /// Trouble of our own: 503 where it will pass, 500 where it is a defect.
    fn trouble(status: StatusCode, detail: impl Into<String>) -> Self {
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::new(status, "temporarily-unavailable", "Try again in a moment", detail)
            }
            _ => Self::new(status, "internal-error", "Something went wrong here", detail),
        }
    }

    /// The body is larger than the server takes.
    pub fn too_large() -> Self {
        let detail = "The body is larger than this server takes; send less.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail)
    }

    /// The body is of a type that the endpoint does not read.
    pub fn unsupported_media_type(expected: &'static str) -> Self {
        let detail = format!("Send the body with the header Content-Type: {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has another type", detail)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound => {
                Self::not_found("There is nothing of this id, or no longer; list the collection to see what is there.")
            }
            AdminError::Invalid(problems) => Self::invalid_members(problems),
            AdminError::Conflict(sentence) => {
                Self::new(StatusCode::CONFLICT, "conflict", "It does not go together with what is there", sentence)
            }
            AdminError::Internal(error) => error.into(),
        }
    }
}

impl From<AccessRefused> for Problem {
    fn from(refused: AccessRefused) -> Self {
        match refused {
            AccessRefused::InvalidToken => Self {
                challenge: Some("Bearer realm=\"keystead\", error=\"invalid_token\""),
                ..Self::new(
                    StatusCode::UNAUTHORIZED,
                    "invalid-token",
                    "The access token does not hold",
                    "It is malformed, expired, revoked or not for urn:keystead:admin alone; ask the token endpoint for another, \
                     with no scope but that of the admin API.",
                )
            },
            AccessRefused::InsufficientScope => Self {
                challenge: Some("Bearer realm=\"keystead\", error=\"insufficient_scope\", scope=\"keystead:admin\""),
                ..Self::new(
                    StatusCode::FORBIDDEN,
                    "insufficient-scope",
                    "The access token is too narrow",
                    "Reading needs keystead:admin.read or keystead:admin, changing needs keystead:admin.",
                )
            },
            AccessRefused::Internal(error) => error.into(),
        }
    }
}

impl From<InternalError> for Problem {
    fn from(error: InternalError) -> Self {
        let shown = errors::conceal(&error);
        match shown.code {
            ErrorCode::TemporarilyUnavailable => Self::trouble(StatusCode::SERVICE_UNAVAILABLE, shown.description),
            _ => Self::trouble(StatusCode::INTERNAL_SERVER_ERROR, shown.description),
        }
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem with the response; [`finish`] writes it out, because only it knows what was asked for.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The outermost layer of the admin API: writes problems out, and lets nobody keep an answer.
pub(super) async fn finish(OriginalUri(uri): OriginalUri, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write(&mut response, &problem, Some(uri.path()));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn write(response: &mut Response, problem: &Problem, instance: Option<&str>) {
    let body = serde_json::to_vec(&problem.document(instance)).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(challenge) = problem.challenge {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    *response.body_mut() = Body::from(body);
}

/// What the admin API answers when no handler of it could; its own layers are passed by then.
pub(in crate::http) fn broken_down(status: StatusCode, sentence: &'static str) -> Response {
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::trouble(status, sentence),
    };
    let mut response = status.into_response();
    write(&mut response, &problem, None);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Unknown paths of the admin API.
pub(super) async fn unknown_route() -> Problem {
    Problem::not_found("The admin API has no such path; GET /admin/v1/openapi.json lists all.")
}

/// Known paths with another method.
pub(super) async fn unknown_method() -> Problem {
    let detail = "This path does not know this method; the header Allow says which it knows.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not know this method", detail)
}

/// For the OpenAPI document: what every operation may answer.
pub(super) struct Refusals;

/// For the OpenAPI document: what an operation may answer that depends on what is there.
pub(super) struct ConflictRefusals;

/// For the OpenAPI document: what an operation with a body may answer.
pub(super) struct ChangeRefusals;

impl utoipa::IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        documented(&[
            ("400", "A parameter cannot be accepted"),
            ("401", "The access token is missing or does not hold"),
            ("403", "The access token is too narrow"),
            ("404", "There is nothing of this id"),
            ("500", "Something went wrong in the server"),
            ("503", "Busy, or the database is away: try again after Retry-After"),
        ])
    }
}

impl utoipa::IntoResponses for ConflictRefusals {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let mut all = Refusals::responses();
        all.extend(documented(&[("409", "It does not go together with what is there; `detail` says what to do")]));
        all
    }
}

impl utoipa::IntoResponses for ChangeRefusals {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let mut all = ConflictRefusals::responses();
        all.extend(documented(&[
            ("400", "The body or one of its members cannot be accepted; `errors` names the members"),
            ("413", "The body is too large"),
            ("415", "The body is not JSON"),
        ]));
        all
    }
}

fn documented(cases: &[(&str, &str)]) -> BTreeMap<String, RefOr<Documented>> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let one = |description: &str| {
        ResponseBuilder::new().description(description).content(PROBLEM_JSON, content.clone()).build()
    };
    cases.iter().map(|(status, description)| ((*status).to_owned(), RefOr::T(one(description)))).collect()
}
