//! The one file that turns errors into responses.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::Origin;
use crate::flows::{FlowError, InternalError};
use crate::protocol::claims::TokenType;
use crate::protocol::dpop::algorithm_names;
use crate::protocol::error::{ErrorCode, OAuthError};

use super::{admin, pages};

/// Seconds after which a caller may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

const BUSY: &str = "The server is busy or its database is away; try again in a moment.";
const HEAD_TOO_LARGE: &str =
    "The address and the headers of the request are too large together; send less, or parameters in the body.";
const TOO_LARGE: &str = "The request body is too large.";
const DEFECT: &str = "Something went wrong here; try again, and report the correlation id if it stays.";

/// The status for an error of an endpoint that programs call (RFC 6749 §5.2, RFC 6750 §3.1).
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidClient | ErrorCode::InvalidToken | ErrorCode::InsufficientUserAuthentication { .. } => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// What a caller is told about trouble of our own, and what the log is told.
pub(super) fn conceal(error: &InternalError) -> OAuthError {
    if error.is_temporary() {
        tracing::warn!(%error, "temporarily unavailable");
        OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            "The server is busy or its database is away; try again in a moment.",
        )
    } else {
        tracing::error!(%error, "internal error");
        OAuthError::new(ErrorCode::ServerError, DEFECT)
    }
}

/// An OAuth error as JSON.
pub(super) fn oauth_json(error: &OAuthError) -> Response {
    let mut body = json!({ "error": error.code.as_str(), "error_description": error.description });
    if let Some(reason) = error.reason {
        body["error_reason"] = json!(reason);
    }
    let mut response = (status(error.code), axum::Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match error.code {
        // RFC 6749 §5.2: a client that used the Authorization header must be told the scheme; it hurts no other.
        ErrorCode::InvalidClient => {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"keystead\", charset=\"UTF-8\""),
            );
        }
        ErrorCode::TemporarilyUnavailable => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    response
}

/// The outcome of a flow at an endpoint that programs call.
pub(super) fn flow_json(error: FlowError) -> Response {
    match error {
        FlowError::Refused(error) => oauth_json(&error),
        FlowError::Internal(error) => oauth_json(&conceal(&error)),
    }
}

/// An error at an endpoint that takes access tokens, presented in this way (RFC 6750 §3, RFC 9449 §7.1).
pub(super) fn protected(error: FlowError, presented: TokenType) -> Response {
    let error = match error {
        FlowError::Refused(error) => error,
        FlowError::Internal(error) => conceal(&error),
    };
    let is_about_proof = matches!(error.code, ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce);
    let mut response = oauth_json(&error);
    if is_about_proof {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    // RFC 9470 §3: what the client has to ask for so that the next token will do.
    let max_age = match error.code {
        ErrorCode::InsufficientUserAuthentication { max_age } => Some(format!(", max_age=\"{max_age}\"")),
        _ => None,
    };
    let is_told =
        matches!(error.code, ErrorCode::InvalidToken | ErrorCode::InsufficientScope | ErrorCode::InvalidRequest);
    if is_told || is_about_proof || max_age.is_some() {
        let mut parameters = format!(
            "realm=\"keystead\", error=\"{}\", error_description=\"{}\"",
            error.code.as_str(),
            error.description
        );
        parameters.push_str(&max_age.unwrap_or_default());
        let challenge = if is_about_proof || presented == TokenType::Dpop {
            format!("DPoP {parameters}, algs=\"{}\"", proof_algorithms())
        } else {
            format!("Bearer {parameters}")
        };
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// RFC 6750 §3.1: a request without any token is told the schemes and nothing more.
pub(super) fn no_token() -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keystead\""));
    if let Ok(challenge) = HeaderValue::from_str(&format!("DPoP realm=\"keystead\", algs=\"{}\"", proof_algorithms())) {
        headers.append(header::WWW_AUTHENTICATE, challenge);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn proof_algorithms() -> String {
    algorithm_names().collect::<Vec<_>>().join(" ")
}

/// A method that an endpoint for programs does not have.
pub(super) async fn method_not_allowed_json() -> Response {
    let error = OAuthError::invalid_request(
        "This endpoint does not know this HTTP method; the Allow header says which it knows.",
    );
    let mut response = oauth_json(&error);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// A path that the listener for certificates does not have.
pub(super) async fn not_found_json() -> Response {
    let sentence = "There is no such endpoint on this listener; use the mtls_endpoint_aliases of discovery, and the issuer for the rest.";
    let mut response = oauth_json(&OAuthError::invalid_request(sentence));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// A body that is larger than allowed.
pub(super) fn too_large() -> Response {
    let mut response = oauth_json(&OAuthError::invalid_request(TOO_LARGE));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

/// More requests of one source than it may send.
pub(super) fn too_many() -> Response {
    let sentence = "This address sends too many of these requests; wait a minute and try again.";
    let mut response = oauth_json(&OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// Who reads an error that no handler made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A person: a page.
    Person,
    /// A client at an OAuth endpoint: RFC 6749 §5.2.
    Client,
    /// An operator's program at the admin API: RFC 9457.
    Operator,
}

/// What went wrong around the handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakdown {
    /// The request ran out of time.
    TooSlow,
    /// A handler panicked: a defect.
    Panicked,
    /// The headers announce a body that is larger than allowed.
    TooLarge,
    /// The address and the headers together are larger than allowed.
    HeadTooLarge,
}

/// The answer after a breakdown, in the form that its reader expects.
pub(super) fn broken_down(breakdown: Breakdown, reader: Reader, origin: &Origin) -> Response {
    let (status, code, sentence) = match breakdown {
        Breakdown::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, BUSY),
        Breakdown::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ServerError, DEFECT),
        Breakdown::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::InvalidRequest, TOO_LARGE),
        Breakdown::HeadTooLarge => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::InvalidRequest, HEAD_TOO_LARGE)
        }
    };
    if matches!(breakdown, Breakdown::TooSlow | Breakdown::Panicked) {
        tracing::error!(
            correlation_id = origin.correlation_id,
            ?breakdown,
            "a request was not answered by its handler"
        );
    }
    let error = OAuthError::new(code, sentence);
    match reader {
        Reader::Person => pages::error(status, &error, origin, None),
        Reader::Client => {
            let mut response = oauth_json(&error);
            *response.status_mut() = status;
            response
        }
        Reader::Operator => admin::broken_down(status, sentence),
    }
}
