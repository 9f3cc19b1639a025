//! The authorization endpoint and the pages behind it: from a request to a code.

use std::sync::Arc;

use crate::crypto::{self, Expiry, PositionKind};
use crate::domain::{Client, ClientId, GrantDetails, GrantId, Position, RequestId, Scope, Session};
use crate::protocol::authorize::{self, AuthorizationRequest, RedirectedError, Refusal};
use crate::protocol::claims::{ID_TOKEN_TYPE, IdTokenClaims};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::interaction::{self, Facts, Step};
use crate::protocol::params::Params;
use crate::protocol::redirect::VerifiedRedirectUri;
use crate::store;

use super::browser::Browser;
use super::issue::audience;
use super::{Engine, InternalError};

const SEAL: &str = "authorization request";

/// Where the browser goes next.
pub enum Next {
    /// Back to the application, with a code or an error.
    Application(String),
    /// The sign-in page.
    Login(Box<Pending>),
    /// The consent page.
    Consent(Box<Pending>),
}

/// A request that waits for the person.
pub struct Pending {
    /// The request as it travels through pages and forms.
    pub sealed: String,
    /// The request.
    pub request: AuthorizationRequest,
    /// Who asks.
    pub client: Arc<Client>,
    /// Who is signed in, if anybody.
    pub session: Option<Session>,
}

/// Why a browser sees an error page of ours instead.
#[derive(Debug)]
pub enum Stop {
    /// Client or redirect URI cannot be trusted.
    Show(OAuthError),
    /// The page is too old; the way back to the application leads through this address.
    Expired {
        /// The redirect URI with an error for the application.
        back: String,
    },
    /// The request was answered before; the same way back.
    Answered {
        /// The redirect URI with an error for the application.
        back: String,
    },
    /// Trouble of our own.
    Internal(InternalError),
}

impl<E: Into<InternalError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// Answers an authorization request.
///
/// # Errors
/// [`Stop`]: what the person sees when nothing may be sent to the application.
pub async fn begin(engine: &Engine, params: &Params, browser: &Browser) -> Result<Next, Stop> {
    let show = |refusal| match refusal {
        Refusal::Show(error) => Err(Stop::Show(error)),
        Refusal::Redirect(redirected) => Ok(Next::Application(error_location(engine, &redirected))),
    };
    let client_id = match authorize::client_id(params) {
        Ok(client_id) => client_id,
        Err(refusal) => return show(refusal),
    };
    let client = engine.snapshots.client(&client_id)?;
    let addressee = match authorize::addressee(client.as_deref(), params) {
        Ok(addressee) => addressee,
        Err(refusal) => return show(refusal),
    };
    let Some(client) = client else { return show(authorize::unknown_client()) };
    let now = engine.clock.now();
    let id = RequestId(engine.random.uuid_v7(now));
    let judged = authorize::judge(&client, &addressee, params, id, now);
    let judged = judged.and_then(|request| with_hint(engine, request, params)).and_then(|request| {
        // An impossible audience is told now rather than after the person has signed in.
        match audience(engine, &request.scope, &request.resources) {
            Ok(_) | Err(super::FlowError::Internal(_)) => Ok(request),
            Err(super::FlowError::Refused(error)) => Err(error),
        }
    });
    match judged {
        Ok(request) => advance(engine, request, client, browser, false).await,
        Err(error) => {
            let redirected = RedirectedError { to: addressee.redirect_uri, state: addressee.state, error };
            show(Refusal::Redirect(Box::new(redirected)))
        }
    }
}

/// Goes on with a request that waited on a page.
///
/// # Errors
/// [`Stop`].
pub async fn resume(engine: &Engine, sealed: &str, browser: &Browser) -> Result<Next, Stop> {
    let (request, client) = open(engine, sealed)?;
    advance(engine, request, client, browser, false).await
}

/// Carries out what the person decided on the consent page.
///
/// # Errors
/// [`Stop`].
pub async fn consent(engine: &Engine, sealed: &str, browser: &Browser, allowed: bool) -> Result<Next, Stop> {
    let (request, client) = open(engine, sealed)?;
    if !allowed {
        return Ok(Next::Application(cancelled(engine, &request)));
    }
    advance(engine, request, client, browser, true).await
}

/// The address that tells the application that the person turned back.
#[must_use]
pub fn cancelled(engine: &Engine, request: &AuthorizationRequest) -> String {
    let error = OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it.");
    refused(engine, request, error)
}

fn refused(engine: &Engine, request: &AuthorizationRequest, error: OAuthError) -> String {
    error_location(engine, &RedirectedError { to: request.redirect_uri.clone(), state: request.state.clone(), error })
}

fn error_location(engine: &Engine, redirected: &RedirectedError) -> String {
    let RedirectedError { to, state, error } = redirected;
    let mut params = vec![("error", error.code.as_str()), ("error_description", &error.description)];
    params.extend(state.as_deref().map(|state| ("state", state)));
    // RFC 9207: the client can tell which server answered, so that answers of two servers cannot be mixed up.
    params.push(("iss", &engine.policy.issuer));
    to.with_params(&params)
}

/// Reads `id_token_hint`: whom the application expects.
fn with_hint(
    engine: &Engine,
    request: AuthorizationRequest,
    params: &Params,
) -> Result<AuthorizationRequest, OAuthError> {
    let Some(hint) = params.one("id_token_hint")? else { return Ok(request) };
    let refused = || OAuthError::invalid_request("The id_token_hint is not an ID token that this server issued.");
    // Unread it must not be dropped: the answer could then be about another person than the application expects.
    let keyring = engine.snapshots.keyring().map_err(|_| {
        OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            "The id_token_hint cannot be checked now; try again in a moment.",
        )
    })?;
    let now = engine.clock.now();
    let claims =
        crypto::verify::<IdTokenClaims>(&keyring, hint, &[ID_TOKEN_TYPE], &engine.policy.issuer, now, Expiry::Ignore);
    let (_, claims) = claims.map_err(|_| refused())?;
    let expected = uuid::Uuid::try_parse(&claims.sub).map_err(|_| refused())?;
    Ok(AuthorizationRequest { expected_user: Some(expected), ..request })
}

fn seal(engine: &Engine, request: &AuthorizationRequest) -> Result<String, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let plain = serde_json::to_vec(request).map_err(|_| InternalError::Unwritable("authorization request"))?;
    Ok(crypto::seal(&keyring, SEAL, &plain, engine.clock.now(), &engine.random)?)
}

fn open(engine: &Engine, sealed: &str) -> Result<(AuthorizationRequest, Arc<Client>), Stop> {
    let unreadable = || {
        Stop::Show(OAuthError::invalid_request(
            "This page's address is damaged or very old. Go back to the application and sign in again.",
        ))
    };
    let keyring = engine.snapshots.keyring()?;
    let now = engine.clock.now();
    let plain = crypto::unseal(&keyring, SEAL, sealed, now).ok_or_else(unreadable)?;
    let request: AuthorizationRequest = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
    let client_id = ClientId::parse(&request.client_id).ok_or_else(unreadable)?;
    let client = engine.snapshots.client(&client_id)?.filter(|client| client.disabled_at.is_none());
    let client = client.filter(|client| still_registered(client, &request.redirect_uri));
    let client = client.ok_or_else(|| match authorize::unknown_client() {
        Refusal::Show(error) => Stop::Show(error),
        Refusal::Redirect(redirected) => Stop::Show(redirected.error),
    })?;
    if now - request.received_at > engine.policy.sign_in_page_lifetime {
        return Err(Stop::Expired {
            back: refused(engine, &request, OAuthError::new(ErrorCode::AccessDenied, "The sign-in page expired.")),
        });
    }
    Ok((request, client))
}

/// A redirect URI that an operator removed meanwhile gets no answer any more.
fn still_registered(client: &Client, uri: &VerifiedRedirectUri) -> bool {
    VerifiedRedirectUri::match_registered(client, uri.as_str()).is_some()
}

/// Asks the dispatcher for the next step and takes it.
async fn advance(
    engine: &Engine,
    request: AuthorizationRequest,
    client: Arc<Client>,
    browser: &Browser,
    allowed_now: bool,
) -> Result<Next, Stop> {
    let (session, remembered) = match engine.session(browser, Some(&client.id)).await? {
        Some((session, remembered)) => (Some(session), remembered),
        None => (None, Scope::default()),
    };
    let facts = Facts { session: session.as_ref(), remembered: &remembered, allowed_now, now: engine.clock.now() };
    let step = interaction::next_step(&request, &client, facts);
    match (step, session) {
        (Step::Issue, Some(session)) => {
            let new_scope = (allowed_now && !request.scope.is_within(&remembered)).then_some(&request.scope);
            Ok(Next::Application(issue(engine, &request, &client, &session, new_scope).await?))
        }
        (Step::Consent, session) => {
            Ok(Next::Consent(Box::new(Pending { sealed: seal(engine, &request)?, request, client, session })))
        }
        (Step::Login | Step::Issue, session) => {
            Ok(Next::Login(Box::new(Pending { sealed: seal(engine, &request)?, request, client, session })))
        }
        (Step::Refuse(error), _) => Ok(Next::Application(refused(engine, &request, error))),
    }
}

/// Writes the grant and, where the person has just allowed something new, the consent; then derives the code.
async fn issue(
    engine: &Engine,
    request: &AuthorizationRequest,
    client: &Client,
    session: &Session,
    new_scope: Option<&Scope>,
) -> Result<String, Stop> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let mac_kid = keyring.mac_kid(now).ok_or(InternalError::NoKey("HMAC-SHA256"))?;
    let id = GrantId(engine.random.uuid_v7(now));
    let details = details(engine, request, client, session);
    let inserted = match new_scope {
        None => store::grants::insert(engine.store.pool(), id, &details, mac_kid, now).await,
        Some(scope) => {
            let mut tx = engine.store.begin("consent").await?;
            store::consents::remember(tx.conn(), session.user_id, &client.id, scope, now).await?;
            match store::grants::insert(tx.conn(), id, &details, mac_kid, now).await {
                Ok(true) => tx.commit().await.map(|()| true),
                other => other,
            }
        }
    };
    match inserted {
        Ok(true) => {}
        Ok(false) => {
            let error = OAuthError::new(ErrorCode::AccessDenied, "The person was signed out meanwhile.");
            return Ok(refused(engine, request, error));
        }
        Err(error) if error.is_constraint("grants_request_id_key") => {
            let error = OAuthError::new(ErrorCode::AccessDenied, "This request was answered before.");
            return Err(Stop::Answered { back: refused(engine, request, error) });
        }
        Err(error) => return Err(error.into()),
    }
    let position = Position { grant: id, generation: 0 };
    let code =
        crypto::derive(&keyring, mac_kid, PositionKind::Code, position).ok_or(InternalError::NoKey("HMAC-SHA256"))?;
    let mut params = vec![("code", code.expose())];
    params.extend(request.state.as_deref().map(|state| ("state", state)));
    params.push(("iss", &engine.policy.issuer));
    Ok(request.redirect_uri.with_params(&params))
}

fn details(engine: &Engine, request: &AuthorizationRequest, client: &Client, session: &Session) -> GrantDetails {
    let code_expires_at = engine.clock.now() + engine.policy.authorization_code_lifetime;
    GrantDetails {
        request_id: request.id,
        client_id: client.id.clone(),
        user_id: session.user_id,
        session_id: session.id,
        scope: request.scope.clone(),
        resources: request.resources.clone(),
        authentication: session.authentication.clone(),
        nonce: request.nonce.clone(),
        redirect_uri: request.redirect_uri.to_redirect_uri(),
        code_challenge: request.code_challenge.clone(),
        dpop_jkt: request.dpop_jkt,
        code_expires_at,
        expires_at: code_expires_at,
    }
}

/// The same request, sealed so that it asks for another account than the one that is signed in. Whom the application expects by
/// `id_token_hint` stays: it must not get anybody else (OpenID Connect Core §3.1.2.2).
///
/// # Errors
/// No key.
pub fn for_another_account(engine: &Engine, request: &AuthorizationRequest) -> Result<String, InternalError> {
    let mut request = request.clone();
    request.prompt.select_account = true;
    request.received_at = engine.clock.now();
    seal(engine, &request)
}
