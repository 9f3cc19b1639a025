//! Form bodies, read once.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;

use crate::flows::introspect::INTROSPECTION_TYPE;
use crate::protocol::client_auth::Credentials;
use crate::protocol::error::OAuthError;
use crate::protocol::params::Params;

use super::{dpop, errors};

/// The parameters of a POST to an endpoint that programs call, and what else says who sends it.
pub(super) struct OAuthForm {
    /// The form.
    pub params: Params,
    /// Whether it asks for a signed answer (RFC 9701 §4).
    pub wants_jwt: bool,
    /// What else says who sends it.
    pub credentials: Credentials,
}

impl<S: Send + Sync> FromRequest<S> for OAuthForm {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let refuse = |error: OAuthError| errors::oauth_json(&error);
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            // A secret or token in an address ends up in logs and histories (RFC 6749 §2.3.1, RFC 9700 §4.3.2).
            return Err(refuse(OAuthError::invalid_request(
                "Send all parameters in the request body, none in the query.",
            )));
        }
        let authorization = authorization(request.headers()).map_err(refuse)?;
        let dpop = dpop::proof(request.headers()).map_err(refuse)?;
        let wants_jwt = wants_jwt(request.headers());
        let certificate = request.extensions().get().cloned();
        let text = form_text(request, state).await?;
        let params = Params::parse(&[&text]).map_err(refuse)?;
        Ok(Self { params, wants_jwt, credentials: Credentials { authorization, dpop, certificate } })
    }
}

/// RFC 9701 §4: `Accept` names the media type of a signed introspection answer.
fn wants_jwt(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let media_type = range.split(';').next().unwrap_or_default().trim();
        media_type.strip_prefix("application/").is_some_and(|subtype| subtype == INTROSPECTION_TYPE)
    })
}

/// The only `Authorization` header of a request.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(OAuthError::invalid_request("The Authorization header occurs more than once.")),
        (Some(value), None) => {
            let text =
                value.to_str().map_err(|_| OAuthError::invalid_request("The Authorization header is not ASCII."))?;
            Ok(Some(text.to_owned()))
        }
    }
}

/// The text of a form body; too large, of another type or not UTF-8 is refused.
pub(super) async fn form_text<S: Send + Sync>(request: Request, state: &S) -> Result<String, Response> {
    if !is_form(request.headers()) {
        let sentence = "The Content-Type must be application/x-www-form-urlencoded.";
        return Err(errors::oauth_json(&OAuthError::invalid_request(sentence)));
    }
    let bytes = Bytes::from_request(request, state).await.map_err(|_| errors::too_large())?;
    String::from_utf8(bytes.into())
        .map_err(|_| errors::oauth_json(&OAuthError::invalid_request("The request body is not UTF-8.")))
}

/// Whether the body is said to be a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_type(headers, "application/x-www-form-urlencoded")
}

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_type(headers, "application/json")
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_headers_are_read_or_refused(values in vec(vec(any::<u8>(), 0..60), 0..3)) {
            let mut headers = HeaderMap::new();
            for value in values.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok()) {
                for name in [header::AUTHORIZATION, header::ACCEPT, header::CONTENT_TYPE] {
                    headers.append(name, value.clone());
                }
            }
            let one = headers.get_all(header::AUTHORIZATION).iter().count() < 2;
            prop_assert!(authorization(&headers).is_err() || one, "two would be read differently by two readers");
            let _ = (wants_jwt(&headers), is_form(&headers), is_json(&headers));
        }

        #[test]
        fn a_media_type_counts_whatever_parameters_follow(parameter in "(; ?[a-z]{1,8}=[a-z0-9.]{1,8}){0,2}", before in "([a-z]{1,8}/[a-z*]{1,8}, ?){0,2}") {
            let value = |text: String| HeaderValue::from_str(&text).unwrap();
            let form = value(format!("application/x-www-form-urlencoded{parameter}"));
            prop_assert!(is_form(&[(header::CONTENT_TYPE, form)].into_iter().collect()));
            let jwt = value(format!("{before}application/{INTROSPECTION_TYPE}{parameter}"));
            prop_assert!(wants_jwt(&[(header::ACCEPT, jwt)].into_iter().collect()));
        }
    }
}
