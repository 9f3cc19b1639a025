//! Registration by the client itself (RFC 7591, OpenID Connect Registration) and the care of it (RFC 7592).

use std::collections::BTreeMap;
use std::fmt;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::admin::documents::{ClientDocument, ClientView};
use super::admin::member_problem;
use super::body::{authorization, is_json};
use super::{Public, errors};
use crate::domain::{Client, ClientId, ClientMetadata, Origin, Secret};
use crate::flows::FlowError;
use crate::flows::admin::clients::CreatedClient;
use crate::flows::registration::{self, Replacement};
use crate::protocol::claims::TokenType;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::registration::{judge_initiate_login_uri, refusal, refuse_software_statement};

/// What a client may say about itself. Everything else is ignored (RFC 7591 §2), also what only operators decide.
const MEMBERS: [&str; 28] = [
    "application_type",
    "authorization_signed_response_alg",
    "backchannel_logout_uri",
    "client_name",
    "client_uri",
    "dpop_bound_access_tokens",
    "frontchannel_logout_uri",
    "grant_types",
    "id_token_signed_response_alg",
    "introspection_signed_response_alg",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "post_logout_redirect_uris",
    "redirect_uris",
    "request_object_signing_alg",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_modes",
    "response_types",
    "scope",
    "sector_identifier_uri",
    "subject_type",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_signed_response_alg",
];
/// RFC 7592 §2.2: what a client must not send back.
const OURS: [&str; 4] =
    ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"];
/// Until a source that registered too much may go on.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("3600");

/// RFC 7591 §3.1.
pub(super) async fn register(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Response {
    let token = match bearer(request.headers()) {
        Ok(token) => token,
        Err(error) => return errors::protected(error.into(), TokenType::Bearer),
    };
    if token.is_none() && !public.registration_limit.allows(&origin) {
        return too_many_registrations();
    }
    // A token that was refused keeps its use, and could be used without end to make this server read what lies elsewhere.
    if token.is_some() && !public.registration_token_limit.allows(&origin) {
        return errors::too_many();
    }
    let wanted = match members(request).await {
        Ok(wanted) => wanted.and_then(metadata),
        Err(response) => return response,
    };
    match registration::register(&public.engine, token.as_deref(), wanted, &origin).await {
        Ok(made) => show(&public, StatusCode::CREATED, made.created, made.token.expose()),
        Err(error) => refused(error),
    }
}

/// RFC 7592 §2.1.
pub(super) async fn read(
    State(public): State<Public>,
    Path(id): Path<String>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    let (id, token) = match caller(&public, &origin, &id, &headers) {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    match registration::read(&public.engine, &id, Some(&token)).await {
        Ok(client) => show(&public, StatusCode::OK, CreatedClient { client, secret: None }, &token),
        Err(error) => refused(error),
    }
}

/// RFC 7592 §2.2.
pub(super) async fn replace(
    State(public): State<Public>,
    Path(id): Path<String>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Response {
    let (id, token) = match caller(&public, &origin, &id, request.headers()) {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    let wanted = match members(request).await {
        Ok(members) => members.and_then(|members| replacement(&id, members)),
        Err(response) => return response,
    };
    let may_change = || public.registration_change_limit.allows(&id);
    match registration::replace(&public.engine, &id, Some(&token), wanted, may_change, &origin).await {
        Ok(changed) => show(&public, StatusCode::OK, changed, &token),
        Err(error) => refused(error),
    }
}

/// RFC 7592 §2.3.
pub(super) async fn delete(
    State(public): State<Public>,
    Path(id): Path<String>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    let (id, token) = match caller(&public, &origin, &id, &headers) {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    match registration::delete(&public.engine, &id, Some(&token), &origin).await {
        Ok(()) => (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Err(error) => refused(error),
    }
}

/// The only token of a request, if it has one (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let Some(header) = authorization(headers)? else { return Ok(None) };
    let (scheme, token) = header.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        let sentence = "The Authorization header must be: Bearer, a space, the token.";
        return Err(OAuthError::new(ErrorCode::InvalidToken, sentence));
    }
    Ok(Some(token.trim().to_owned()))
}

/// A client that looks after its registration, not too often. A path that names none is answered as a wrong token is.
fn caller(
    public: &Public,
    origin: &Origin,
    id: &str,
    headers: &HeaderMap,
) -> Result<(ClientId, String), Box<Response>> {
    if !public.registration_token_limit.allows(origin) {
        return Err(Box::new(errors::too_many()));
    }
    let unknown = || OAuthError::new(ErrorCode::InvalidToken, registration::WRONG_TOKEN);
    let read = || Ok((ClientId::parse(id).ok_or_else(unknown)?, bearer(headers)?.ok_or_else(unknown)?));
    read().map_err(|error: OAuthError| Box::new(refused(error.into())))
}

/// The members of the body, of which none comes twice.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

/// Reads the body. What is wrong with it is told only to who may register, but for its size.
async fn members(request: Request) -> Result<Result<Map<String, Value>, OAuthError>, Response> {
    let is_json = is_json(request.headers());
    let bytes = Bytes::from_request(request, &()).await.map_err(|_| errors::too_large())?;
    if !is_json {
        return Ok(Err(OAuthError::invalid_request("The Content-Type must be application/json.")));
    }
    let sentence = "The body is not a JSON object of which each member occurs once.";
    let members = serde_json::from_slice::<Members>(&bytes).map(|members| members.0);
    Ok(members.map_err(|_| OAuthError::new(ErrorCode::InvalidClientMetadata, sentence)))
}

/// What a client says about itself.
fn metadata(members: Map<String, Value>) -> Result<ClientMetadata, OAuthError> {
    if let Some(statement) = members.get("software_statement").filter(|value| !value.is_null()) {
        return Err(refuse_software_statement(statement.as_str()));
    }
    if let Some(address) = members.get("initiate_login_uri").filter(|value| !value.is_null()) {
        judge_initiate_login_uri(address.as_str())?;
    }
    let known = members.into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str()));
    let document: ClientDocument = serde_path_to_error::deserialize(Value::Object(known.collect()))
        .map_err(|error| refusal(&[member_problem(&error)]))?;
    document.into_draft().map(|draft| draft.metadata).map_err(|problems| refusal(&problems))
}

/// RFC 7592 §2.2: the whole registration, with the id that it has.
fn replacement(id: &ClientId, members: Map<String, Value>) -> Result<Replacement, OAuthError> {
    let invalid = |sentence: &str| Err(OAuthError::new(ErrorCode::InvalidClientMetadata, sentence));
    if members.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return invalid("The client_id must be sent and cannot be changed.");
    }
    if let Some(name) = OURS.iter().find(|name| members.contains_key(**name)) {
        return invalid(&format!("{name} is made by this server; leave it out."));
    }
    let client_secret = match members.get("client_secret") {
        None | Some(Value::Null) => None,
        Some(Value::String(secret)) => Some(Secret::new(secret.clone())),
        Some(_) => return invalid("The client_secret is not a string; send the present one or leave it out."),
    };
    Ok(Replacement { metadata: metadata(members)?, client_secret })
}

/// RFC 7591 §3.2.1, RFC 7592 §3: everything that is registered, as far as it is the client's to know.
fn show(public: &Public, status: StatusCode, shown: CreatedClient, token: &str) -> Response {
    let CreatedClient { client, secret } = shown;
    let uri = format!("{}/oauth2/register/{}", public.engine.policy.issuer, client.id);
    let mut document = registered(client);
    if let Some(secret) = secret {
        document.insert("client_secret", json!(secret.expose()));
        document.insert("client_secret_expires_at", json!(0));
    }
    document.insert("registration_access_token", json!(token));
    document.insert("registration_client_uri", json!(uri));
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(document)).into_response()
}

fn registered(client: Client) -> BTreeMap<&'static str, Value> {
    let id = client.id.to_string();
    let mut view = serde_json::to_value(ClientView::from(client)).unwrap_or_default();
    let names = MEMBERS.into_iter().chain(["client_id_issued_at"]);
    let mut document: BTreeMap<&str, Value> =
        names.filter_map(|name| Some((name, view.get_mut(name)?.take()))).collect();
    document.insert("client_id", json!(id));
    document
}

fn refused(error: FlowError) -> Response {
    let is_denied = matches!(&error, FlowError::Refused(error) if error.code == ErrorCode::AccessDenied);
    let mut response = errors::protected(error, TokenType::Bearer);
    if is_denied {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

fn too_many_registrations() -> Response {
    let sentence = "This source has registered many clients lately; try again later, or ask an operator for an initial access token.";
    let mut response = errors::oauth_json(&OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ClientMetadata, OAuthError> {
        metadata(serde_json::from_str::<Members>(text).unwrap().0)
    }

    #[test]
    fn section_2_every_member_that_is_read_is_one_of_the_admin_api() {
        let all: Map<String, Value> = MEMBERS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        assert_eq!(metadata(all), Ok(ClientMetadata::default()), "null is as good as absent");
    }

    #[test]
    fn section_2_unknown_members_are_ignored_and_so_is_what_operators_decide() {
        let text = r#"{"client_name#de": "x", "skip_consent": true, "require_pkce": false, "access_token_lifetime": "x", "disabled": 5}"#;
        assert_eq!(read(text), Ok(ClientMetadata::default()));
    }

    #[test]
    fn a_member_that_comes_twice_is_refused() {
        assert!(serde_json::from_str::<Members>(r#"{"a": 1, "a": 2}"#).is_err());
        assert!(serde_json::from_str::<Members>("[]").is_err());
    }

    #[test]
    fn section_3_2_2_each_refusal_names_the_member() {
        for (text, code, named) in [
            (r#"{"redirect_uris": ["https://a.example/#f"]}"#, ErrorCode::InvalidRedirectUri, "redirect_uris[0]"),
            (r#"{"redirect_uris": ["https://a.example", 5]}"#, ErrorCode::InvalidRedirectUri, "redirect_uris[1]"),
            (r#"{"grant_types": ["password"]}"#, ErrorCode::InvalidClientMetadata, "grant_types[0]"),
            (r#"{"response_types": ["token"]}"#, ErrorCode::InvalidClientMetadata, "response_types"),
            (r#"{"software_statement": "a.b.c"}"#, ErrorCode::UnapprovedSoftwareStatement, "software"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.code == code && error.description.contains(named), "{text}: {error:?}");
        }
    }
}
