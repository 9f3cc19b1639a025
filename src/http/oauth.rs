//! The endpoints that programs call: pushed authorization requests, token, device authorization, introspection, revocation, userinfo.

use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::domain::{CertificateChain, ClientId, Origin};
use crate::flows::client_auth::authenticate;
use crate::flows::client_documents;
use crate::flows::introspect::introspect_signed;
use crate::flows::userinfo::{PresentedToken, UserInfo};
use crate::flows::{self, FlowError};
use crate::protocol::claims::TokenType;
use crate::protocol::error::OAuthError;
use crate::protocol::params::Params;

use super::body::{OAuthForm, authorization, form_text};
use super::{Public, dpop, errors};

/// A ready document that nobody may keep.
fn json_no_store(json: String) -> Response {
    no_store("application/json", json)
}

fn no_store(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// RFC 6749 §3.2.
pub(super) async fn token(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    form: OAuthForm,
) -> Response {
    let response = match flows::token::exchange(&public.engine, &form.credentials, &form.params, &origin).await {
        Ok(tokens) => json_no_store(tokens.to_json()),
        Err(error) => errors::flow_json(error),
    };
    if form.credentials.dpop.is_some() { dpop::give_nonce(&public.engine, response) } else { response }
}

/// RFC 8628 §3.1. Strangers can name a public client, so a source makes only so many rows.
pub(super) async fn device_authorization(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    form: OAuthForm,
) -> Response {
    if !public.device_limit.allows(&origin) {
        return errors::too_many();
    }
    match flows::device::begin(&public.engine, &form.credentials, &form.params).await {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response(),
        Err(error) => errors::flow_json(error),
    }
}

/// RFC 9126 §2.
pub(super) async fn pushed_authorization_request(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    form: OAuthForm,
) -> Response {
    if let Err(error) = Box::pin(meet(&public, &form.params, &origin)).await {
        return errors::flow_json(error);
    }
    let client = match authenticate(&public.engine, &form.credentials, &form.params).await {
        Ok(client) => client,
        Err(error) => return errors::flow_json(error),
    };
    // Each makes a row, and a public client could be anybody, as could be one that nobody but itself has registered.
    let by_anybody = client.client().is_public() || client.client().metadata.protocol.registered_openly;
    if by_anybody && !public.push_limit.allows(&origin) {
        return errors::too_many();
    }
    let pushed = flows::pushed_request::push(&public.engine, &client, &form.credentials, &form.params).await;
    let response = match pushed {
        Ok(json) => (StatusCode::CREATED, json_no_store(json)).into_response(),
        Err(error) => errors::flow_json(error),
    };
    if form.credentials.dpop.is_some() { dpop::give_nonce(&public.engine, response) } else { response }
}

/// A client that pushes its first request may be known by its document only.
async fn meet(public: &Public, params: &Params, origin: &Origin) -> Result<(), FlowError> {
    let Some(id) = params.one("client_id")?.and_then(ClientId::parse) else { return Ok(()) };
    client_documents::meet(&public.engine, &id, &|| public.document_limit.allows(origin)).await.map(|_| ())
}

/// RFC 7662 §2.
pub(super) async fn introspect(State(public): State<Public>, form: OAuthForm) -> Response {
    if form.wants_jwt {
        // Boxed, so that the usual request does not carry this future.
        let signed = Box::pin(introspect_signed(&public.engine, &form.credentials, &form.params)).await;
        return signed.map_or_else(errors::flow_json, |jwt| no_store("application/token-introspection+jwt", jwt));
    }
    match flows::introspect::introspect(&public.engine, &form.credentials, &form.params).await {
        Ok(json) => json_no_store(json),
        Err(error) => errors::flow_json(error),
    }
}

/// RFC 7009 §2.
pub(super) async fn revoke(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    form: OAuthForm,
) -> Response {
    match flows::revoke::revoke(&public.engine, &form.credentials, &form.params, &origin).await {
        Ok(()) => (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Err(error) => errors::flow_json(error),
    }
}

/// OpenID Connect Core §5.3.1 by GET.
pub(super) async fn userinfo_get(
    State(public): State<Public>,
    RawQuery(query): RawQuery,
    certificate: Option<Extension<CertificateChain>>,
    headers: HeaderMap,
) -> Response {
    let token = header_token(&headers, query.as_deref(), "GET");
    answer_userinfo(&public, token, certificate.map(|Extension(chain)| chain)).await
}

/// OpenID Connect Core §5.3.1 by POST: the token in the header or in the form.
pub(super) async fn userinfo_post(
    State(public): State<Public>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let in_header = match header_token(request.headers(), query.as_deref(), "POST") {
        Ok(token) => token,
        Err(error) => return errors::protected(error.into(), TokenType::Bearer),
    };
    let certificate = request.extensions().get().cloned();
    let has_body = request.headers().get(header::CONTENT_TYPE).is_some();
    if !has_body {
        return answer_userinfo(&public, Ok(in_header), certificate).await;
    }
    let text = match form_text(request, &()).await {
        Ok(text) => text,
        Err(_) if in_header.is_some() => return answer_userinfo(&public, Ok(in_header), certificate).await,
        Err(response) => return response,
    };
    answer_userinfo(&public, form_token(&text, in_header), certificate).await
}

/// RFC 6750 §2: one way only, and never in the address.
fn header_token(
    headers: &HeaderMap,
    query: Option<&str>,
    method: &'static str,
) -> Result<Option<PresentedToken>, OAuthError> {
    let query = Params::parse(&[query.unwrap_or_default()])?;
    if query.all("access_token").next().is_some() {
        return Err(OAuthError::invalid_request(
            "Send the access token in the Authorization header, not in the address.",
        ));
    }
    let Some(header) = authorization(headers)? else { return Ok(None) };
    let (scheme, token) = header.split_once(' ').unwrap_or_default();
    let token = token.trim().to_owned();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(PresentedToken { token, token_type: TokenType::Bearer, proof: None, method, certificate: None }))
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Ok(Some(PresentedToken {
            token,
            token_type: TokenType::Dpop,
            proof: dpop::proof(headers)?,
            method,
            certificate: None,
        }))
    } else {
        Err(OAuthError::invalid_request("The Authorization header must be: Bearer or DPoP, a space, the access token."))
    }
}

fn form_token(text: &str, in_header: Option<PresentedToken>) -> Result<Option<PresentedToken>, OAuthError> {
    let params = Params::parse(&[text])?;
    match (params.one("access_token")?, in_header) {
        (Some(_), Some(_)) => {
            Err(OAuthError::invalid_request("The access token was sent twice; use only the Authorization header."))
        }
        (Some(token), None) => Ok(Some(PresentedToken {
            token: token.to_owned(),
            token_type: TokenType::Bearer,
            proof: None,
            method: "POST",
            certificate: None,
        })),
        (None, in_header) => Ok(in_header),
    }
}

async fn answer_userinfo(
    public: &Public,
    token: Result<Option<PresentedToken>, OAuthError>,
    certificate: Option<CertificateChain>,
) -> Response {
    let token = match token {
        Ok(Some(token)) => PresentedToken { certificate, ..token },
        Ok(None) => return errors::no_token(),
        Err(error) => return errors::protected(FlowError::Refused(error), TokenType::Bearer),
    };
    let response = match flows::userinfo::userinfo(&public.engine, &token).await {
        Ok(UserInfo::Plain(claims)) => json_no_store(Value::Object(claims).to_string()),
        Ok(UserInfo::Signed(jwt)) => no_store("application/jwt", jwt),
        Err(error) => errors::protected(error, token.token_type),
    };
    match token.token_type {
        TokenType::Bearer => response,
        TokenType::Dpop => dpop::give_nonce(&public.engine, response),
    }
}
