//! The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1), from parameters to types.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Client, ClientId, ClientProfile, Consent, GrantType, KeyThumbprint, RequestId, RequestedClaims, ResponseMode,
    Scope, Timestamp,
};

use super::audience::STANDARD_SCOPES;
use super::authentication::{self, RequestedAcr, is_plausible_name, parse_max_age, parse_prompt};
use super::claims_parameter;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::pkce;
use super::redirect::VerifiedRedirectUri;
use super::response;
use super::sender;

pub use super::authentication::Prompt;

/// The longest `state` in bytes, at the authorization endpoint and at the logout.
pub(super) const LONGEST_STATE: usize = 2048;

/// The longest request as JSON. Sealed it is a part of the pages' addresses, and common proxies take no line above 8 KiB; better that
/// the client is told than that a person meets a page which cannot be left.
const LONGEST_REQUEST: usize = 6000;

/// A request that passed every check that needs no session. It travels sealed through the sign-in and consent pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Names this request; one request is answered with one code at most.
    pub id: RequestId,
    /// When it came, in microseconds since the epoch.
    #[serde(with = "time::serde::timestamp::microseconds")]
    pub received_at: Timestamp,
    /// Who asks.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: VerifiedRedirectUri,
    /// How the answer gets there.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// To be returned as it is.
    pub state: Option<String>,
    /// To be repeated in the ID token.
    pub nonce: Option<String>,
    /// What is asked for.
    pub scope: Scope,
    /// For which resources (RFC 8707).
    pub resources: Vec<String>,
    /// PKCE S256 challenge.
    pub code_challenge: Option<String>,
    /// The key that will redeem the code (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<KeyThumbprint>,
    /// Which pages are wanted or forbidden.
    pub prompt: Prompt,
    /// Seconds that a sign-in may be old.
    pub max_age: Option<i64>,
    /// How well a person is to be signed in.
    #[serde(default, skip_serializing_if = "RequestedAcr::is_empty")]
    pub acr: RequestedAcr,
    /// Claims about the person that are asked for by name, as far as the client's registered scope releases them.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    /// The `sub` that is expected, any of these, from `claims` (OpenID Connect Core §5.5.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<String>>,
    /// A name to fill into the sign-in page.
    pub login_hint: Option<String>,
    /// The person who is expected, from `id_token_hint`: the `sub` by which the client knows them.
    pub expected_user: Option<String>,
    /// Whether the client pushed it (RFC 9126).
    #[serde(default)]
    pub pushed: bool,
}

impl AuthorizationRequest {
    /// What the person has to allow.
    #[must_use]
    pub fn consent(&self) -> Consent {
        Consent { scope: self.scope.clone(), claims: self.claims.beyond(&self.scope) }
    }
}

/// Why an authorization request gets no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Client or redirect URI cannot be trusted: tell the person on a page of ours and send nothing anywhere (RFC 9700 §4.11.2).
    Show(OAuthError),
    /// Tell the client.
    Redirect(Box<RedirectedError>),
}

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectedError {
    /// Where it goes.
    pub to: VerifiedRedirectUri,
    /// How it gets there.
    pub mode: ResponseMode,
    /// The request's state.
    pub state: Option<String>,
    /// What is wrong.
    pub error: OAuthError,
}

/// The part of a request that decides where an answer may go. Nothing else is read before it holds.
#[derive(Debug)]
pub struct Addressee {
    /// The redirect URI.
    pub redirect_uri: VerifiedRedirectUri,
    /// How an error gets there.
    pub mode: ResponseMode,
    /// The state, unless it was repeated.
    pub state: Option<String>,
}

impl Addressee {
    /// An error on its way there.
    #[must_use]
    pub fn refused(self, error: OAuthError) -> Refusal {
        let Self { redirect_uri, mode, state } = self;
        Refusal::Redirect(Box::new(RedirectedError { to: redirect_uri, mode, state, error }))
    }
}

/// How a request says what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// As plain parameters.
    Plain,
    /// As a signed JWT (RFC 9101), in which alone everything counts.
    Object(&'a str),
    /// By the name of a request that was pushed before (RFC 9126), which alone counts.
    Pushed(&'a str),
}

/// What the name of a pushed request begins with (RFC 9126 §2.2).
pub const PUSHED: &str = "urn:ietf:params:oauth:request_uri:";

/// Which form a request has. What is contradictory, repeated or by reference counts as plain; [`judge`] refuses it there.
#[must_use]
pub fn form(params: &Params) -> Form<'_> {
    match (params.one("request_uri"), params.one("request")) {
        (Ok(Some(uri)), Ok(None)) if uri.starts_with(PUSHED) => Form::Pushed(uri),
        (Ok(None), Ok(Some(object))) => Form::Object(object),
        _ => Form::Plain,
    }
}

/// Whether the client may ask in this form. `pushed`: at the endpoint for pushed requests.
///
/// # Errors
/// `invalid_request`: its registration wants its requests pushed (RFC 9126 §6) or signed (RFC 9101 §10.5). Otherwise whoever can make a
/// person open a link could change what the client asks for.
pub fn judge_form(client: &Client, form: Form<'_>, pushed: bool) -> Result<(), OAuthError> {
    let protocol = &client.metadata.protocol;
    if protocol.require_pushed_authorization_requests && !pushed {
        let sentence = "This client must push its requests: send them to pushed_authorization_request_endpoint first.";
        return Err(OAuthError::invalid_request(sentence));
    }
    if protocol.require_signed_request_object && !matches!(form, Form::Object(_)) {
        let sentence = "This client must sign its requests: send them as a request object in the parameter request.";
        return Err(OAuthError::invalid_request(sentence));
    }
    Ok(())
}

/// Which client does the request name?
///
/// # Errors
/// A page: the client id is missing, repeated, or cannot be one.
pub fn client_id(params: &Params) -> Result<ClientId, OAuthError> {
    let text = params.required("client_id")?;
    ClientId::parse(text).ok_or_else(unknown_client)
}

/// The refusal for a client id that nobody has.
#[must_use]
pub fn unknown_client() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "The client_id is not registered here, or the application was switched off.",
    )
}

/// Where may answers go?
///
/// # Errors
/// A page: redirect URI missing, repeated or not registered. §4.1.2.1: never a redirect.
pub fn addressee(client: &Client, params: &Params) -> Result<Addressee, OAuthError> {
    let requested = params.required("redirect_uri")?;
    let redirect_uri = VerifiedRedirectUri::match_registered(client, requested).ok_or_else(|| {
        let sentence =
            "The redirect_uri is not registered for this application; it must equal a registered one to the letter.";
        OAuthError::invalid_request(sentence)
    })?;
    let mode = response::mode_of_errors(client, &redirect_uri, params);
    Ok(Addressee { redirect_uri, mode, state: params.one("state").ok().flatten().map(str::to_owned) })
}

/// Judges everything else, in the order in which a developer would mend it.
///
/// # Errors
/// Each is sent to the client.
pub fn judge(
    client: &Client,
    addressee: &Addressee,
    params: &Params,
    id: RequestId,
    received_at: Timestamp,
) -> Result<AuthorizationRequest, OAuthError> {
    params.refuse_repetition()?;
    refuse_unsupported(params)?;
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "This client is not registered for the authorization_code grant.",
        ));
    }
    let scope = requested_scope(client, params.one("scope")?)?;
    let code_challenge = pkce::parse_challenge(params.one("code_challenge")?, params.one("code_challenge_method")?)?;
    if code_challenge.is_none() && client.metadata.require_pkce {
        return Err(OAuthError::invalid_request(
            "code_challenge is missing: this client must use PKCE with S256 (RFC 7636).",
        ));
    }
    let parameter = claims_parameter::parse(params.one("claims")?)?;
    // §5.5 asks for claims of ID token and userinfo, and neither is there without openid. What is not registered is nobody's to ask for.
    let releasable = if scope.contains("openid") { client.metadata.scope.clone() } else { Scope::default() };
    let request = AuthorizationRequest {
        id,
        received_at,
        client_id: client.id.as_str().to_owned(),
        redirect_uri: addressee.redirect_uri.clone(),
        response_mode: response::judge_mode(client, &addressee.redirect_uri, params.one("response_mode")?)?,
        state: bounded(addressee.state.as_deref(), "state", LONGEST_STATE)?,
        nonce: bounded(params.one("nonce")?, "nonce", 512)?,
        scope,
        resources: requested_resources(client, params)?,
        code_challenge,
        dpop_jkt: sender::parse_jkt(params)?,
        prompt: parse_prompt(params.one("prompt")?)?,
        max_age: parse_max_age(params.one("max_age")?)?,
        acr: authentication::requested_acr(params.one("acr_values")?, parameter.acr.as_ref())?,
        claims: parameter.claims.released_by(&releasable),
        subjects: parameter.subjects,
        login_hint: params.one("login_hint")?.filter(|hint| is_plausible_name(hint)).map(str::to_owned),
        expected_user: None,
        pushed: false,
    };
    if serde_json::to_vec(&request).is_ok_and(|json| json.len() > LONGEST_REQUEST) {
        let sentence =
            "The request is too long to be carried through the pages; shorten state, nonce, scope, claims or resource.";
        return Err(OAuthError::invalid_request(sentence));
    }
    Ok(request)
}

fn refuse_unsupported(params: &Params) -> Result<(), OAuthError> {
    match params.one("response_type")? {
        Some("code") => {}
        Some(_) => return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "response_type must be code.")),
        None => return Err(OAuthError::invalid_request("response_type is missing; it must be code.")),
    }
    if params.one("request_uri")?.is_some() {
        let (code, sentence) = if params.one("request")?.is_some() {
            (ErrorCode::InvalidRequest, "request and request_uri exclude each other; send one of them.")
        } else {
            (
                ErrorCode::RequestUriNotSupported,
                "request_uri must be one that the endpoint for pushed requests gave; no other address is fetched.",
            )
        };
        return Err(OAuthError::new(code, sentence));
    }
    if params.one("registration")?.is_some() {
        let sentence = "The parameter registration is not supported; register the client first.";
        return Err(OAuthError::new(ErrorCode::RegistrationNotSupported, sentence));
    }
    Ok(())
}

/// The resources that a request names. MCP authorization: each token is for the one server that the client is about to talk to, so it says
/// which.
///
/// # Errors
/// `invalid_target`: a malformed one, or none of a client whose profile wants one.
pub fn requested_resources(client: &Client, params: &Params) -> Result<Vec<String>, OAuthError> {
    let resources = resources(params)?;
    if resources.is_empty() && client.metadata.protocol.profile == ClientProfile::Mcp {
        let sentence =
            "resource is missing: a client of profile mcp names the server that the token is for (RFC 8707).";
        return Err(OAuthError::new(ErrorCode::InvalidTarget, sentence));
    }
    Ok(resources)
}

/// The scope that a client may ask for. What is registered is the limit in every grant.
///
/// # Errors
/// `invalid_scope`: malformed, beyond the registration, or nothing at all.
pub fn requested_scope(client: &Client, text: Option<&str>) -> Result<Scope, OAuthError> {
    let registered = &client.metadata.scope;
    let invalid = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
    let Some(text) = text else {
        // §3.3 allows a default: what is registered for APIs and profile, but not sign-in itself nor offline access.
        let default = registered.tokens().filter(|t| !matches!(*t, "openid" | "offline_access"));
        let default = Scope::from_tokens(default).map_err(|e| invalid(e.to_string()))?;
        return if default.is_empty() { Err(invalid("scope is missing.".into())) } else { Ok(default) };
    };
    let scope = Scope::parse(text).map_err(|e| invalid(e.to_string()))?;
    if let Some(extra) = scope.tokens().find(|token| !registered.contains(token)) {
        return Err(invalid(format!("The scope {extra} is not registered for this client.")));
    }
    if scope.is_empty() { Err(invalid("scope is empty.".into())) } else { Ok(scope) }
}

/// The resource indicators of a request (RFC 8707 §2).
///
/// # Errors
/// `invalid_target`: not an absolute URI, a fragment, or more than 10.
pub fn resources(params: &Params) -> Result<Vec<String>, OAuthError> {
    let resources: Vec<String> = params.all("resource").map(str::to_owned).collect();
    let absolute = |uri: &String| uri.len() <= 500 && !uri.contains('#') && url::Url::parse(uri).is_ok();
    if resources.len() > 10 || !resources.iter().all(absolute) {
        return Err(OAuthError::new(
            ErrorCode::InvalidTarget,
            "resource must be an absolute URI without fragment, at most 10 of them.",
        ));
    }
    Ok(resources)
}

/// The value, unless it is too long: refused rather than cut, because half a value means something else.
///
/// # Errors
/// `invalid_request` that names the parameter.
pub(super) fn bounded(value: Option<&str>, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
    match value {
        Some(value) if value.chars().any(char::is_control) => {
            Err(OAuthError::invalid_request(format!("{name} holds a control character.")))
        }
        Some(value) if value.len() > most => {
            Err(OAuthError::invalid_request(format!("{name} is longer than {most} bytes.")))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

/// Scope tokens of a request that are not for an API.
#[must_use]
pub fn is_standard_scope(token: &str) -> bool {
    STANDARD_SCOPES.contains(&token)
}
