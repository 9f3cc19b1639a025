//! The authorization endpoint and the pages behind it: from a request to a code.

use std::sync::Arc;

use crate::crypto::{self, PositionKind};
use crate::domain::{Client, ClientId, Consent, GrantDetails, GrantId, Position, ResponseMode, Session};
use crate::protocol::authorize::{self, AuthorizationRequest, Form, Refusal};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::interaction::{self, Facts, Step};
use crate::protocol::params::Params;
use crate::protocol::redirect::VerifiedRedirectUri;
use crate::protocol::response::AuthorizationResponse;
use crate::store;

use super::browser::Browser;
use super::client_documents::MayAsk;
use super::respond::{Delivery, deliver, refusal};
use super::{Engine, FlowError, InternalError, authorization_request, client_documents, pushed_request, subject};

const SEAL: &str = "authorization request";

/// Where the browser goes next.
pub enum Next {
    /// Back to the application, with a code or an error.
    Application(Delivery),
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
        /// An address that brings the application an error.
        back: String,
    },
    /// The request was answered before; the same way back.
    Answered {
        /// An address that brings the application an error.
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

/// Answers an authorization request. `may_ask` counts what makes this server fetch the document of a client that it does not know.
///
/// # Errors
/// [`Stop`]: what the person sees when nothing may be sent to the application.
pub async fn begin(engine: &Engine, params: &Params, browser: &Browser, may_ask: MayAsk<'_>) -> Result<Next, Stop> {
    let client_id = authorize::client_id(params).map_err(Stop::Show)?;
    let client = live_client(engine, &client_id, may_ask).await?;
    let request = match authorize::form(params) {
        Form::Pushed(request_uri) => pushed_request::find(engine, &client, params, request_uri).await?,
        form => match authorization_request::judge(engine, &client, params, form).await {
            Ok(request) => request,
            Err(Refusal::Show(error)) => return Err(Stop::Show(error)),
            Err(Refusal::Redirect(redirected)) => {
                let answer = AuthorizationResponse::error(&redirected);
                return Ok(Next::Application(deliver(engine, &client, answer)?));
            }
        },
    };
    advance(engine, request, client, browser, false).await
}

/// Goes on with a request that waited on a page.
///
/// # Errors
/// [`Stop`].
pub async fn resume(engine: &Engine, sealed: &str, browser: &Browser) -> Result<Next, Stop> {
    let (request, client) = open(engine, sealed).await?;
    advance(engine, request, client, browser, false).await
}

/// Carries out what the person decided on the consent page.
///
/// # Errors
/// [`Stop`].
pub async fn consent(engine: &Engine, sealed: &str, browser: &Browser, allowed: bool) -> Result<Next, Stop> {
    let (request, client) = open(engine, sealed).await?;
    if !allowed {
        pushed_request::forget(engine, &request).await?;
        return Ok(Next::Application(deliver(engine, &client, refusal(&request, turned_back()))?));
    }
    advance(engine, request, client, browser, true).await
}

/// Tells the application that the person turned back, on however old a page.
///
/// # Errors
/// [`Stop`].
pub async fn cancel(engine: &Engine, sealed: &str) -> Result<Next, Stop> {
    let (request, client) = unseal(engine, sealed).await?;
    Ok(Next::Application(deliver(engine, &client, refusal(&request, turned_back()))?))
}

fn turned_back() -> OAuthError {
    OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it.")
}

/// The address of a link by which the person turns back.
///
/// # Errors
/// No key.
pub fn way_back(engine: &Engine, client: &Client, request: &AuthorizationRequest) -> Result<String, InternalError> {
    back_with(engine, client, request, turned_back())
}

/// A link can only lead to an answer in the query, and a signed answer would be too old when it is followed. The others are made when
/// the person comes by [`cancel`].
fn back_with(
    engine: &Engine,
    client: &Client,
    request: &AuthorizationRequest,
    error: OAuthError,
) -> Result<String, InternalError> {
    if request.response_mode == ResponseMode::Query
        && let Delivery::Redirect(address) = deliver(engine, client, refusal(request, error))?
    {
        return Ok(address);
    }
    Ok(format!("/cancel?request={}", seal(engine, request)?))
}

fn seal(engine: &Engine, request: &AuthorizationRequest) -> Result<String, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let plain = serde_json::to_vec(request).map_err(|_| InternalError::Unwritable("authorization request"))?;
    Ok(crypto::seal(&keyring, SEAL, &plain, engine.clock.now(), &engine.random)?)
}

async fn unseal(engine: &Engine, sealed: &str) -> Result<(AuthorizationRequest, Arc<Client>), Stop> {
    let unreadable = || {
        Stop::Show(OAuthError::invalid_request(
            "This page's address is damaged or very old. Go back to the application and sign in again.",
        ))
    };
    let keyring = engine.snapshots.keyring()?;
    let plain = crypto::unseal(&keyring, SEAL, sealed, engine.clock.now()).ok_or_else(unreadable)?;
    let request: AuthorizationRequest = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
    let client_id = ClientId::parse(&request.client_id).ok_or_else(unreadable)?;
    // What is sealed passed `begin` here or at another replica, so nobody makes this server ask at random.
    let client = live_client(engine, &client_id, &|| true).await?;
    if still_registered(&client, &request.redirect_uri) {
        Ok((request, client))
    } else {
        Err(Stop::Show(authorize::unknown_client()))
    }
}

/// The client of this id, which no operator has switched off.
async fn live_client(engine: &Engine, id: &ClientId, may_ask: MayAsk<'_>) -> Result<Arc<Client>, Stop> {
    // Boxed, so that the usual request does not carry what fetching needs.
    let client = match Box::pin(client_documents::meet(engine, id, may_ask)).await {
        Ok(client) => client.filter(|client| client.disabled_at.is_none()),
        Err(FlowError::Refused(error)) => return Err(Stop::Show(error)),
        Err(FlowError::Internal(error)) => return Err(Stop::Internal(error)),
    };
    client.ok_or_else(|| Stop::Show(authorize::unknown_client()))
}

async fn open(engine: &Engine, sealed: &str) -> Result<(AuthorizationRequest, Arc<Client>), Stop> {
    let (request, client) = unseal(engine, sealed).await?;
    if engine.clock.now() - request.received_at > engine.policy.sign_in_page_lifetime {
        let error = OAuthError::new(ErrorCode::AccessDenied, "The sign-in page expired.");
        return Err(Stop::Expired { back: back_with(engine, &client, &request, error)? });
    }
    Ok((request, client))
}

/// A redirect URI that an operator removed meanwhile gets no answer any more.
pub(super) fn still_registered(client: &Client, uri: &VerifiedRedirectUri) -> bool {
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
        None => (None, Consent::default()),
    };
    let subject = session.as_ref().map(|session| subject::of_person(engine, &client, session.user_id)).transpose()?;
    let facts = Facts {
        session: session.as_ref(),
        subject: subject.as_deref(),
        remembered: &remembered,
        allowed_now,
        now: engine.clock.now(),
    };
    let step = interaction::next_step(&request, &client, facts);
    match (step, session) {
        (Step::Issue, Some(session)) => {
            let allowed = Some(request.consent()).filter(|asked| allowed_now && !asked.is_within(&remembered));
            Ok(Next::Application(issue(engine, &request, &client, &session, allowed.as_ref()).await?))
        }
        (Step::Consent, session) => {
            Ok(Next::Consent(Box::new(Pending { sealed: seal(engine, &request)?, request, client, session })))
        }
        (Step::Login | Step::Issue, session) => {
            Ok(Next::Login(Box::new(Pending { sealed: seal(engine, &request)?, request, client, session })))
        }
        (Step::Refuse(error), _) => Ok(Next::Application(deliver(engine, &client, refusal(&request, error))?)),
    }
}

/// Writes the grant and, where the person has just allowed something new, the consent; then derives the code.
async fn issue(
    engine: &Engine,
    request: &AuthorizationRequest,
    client: &Client,
    session: &Session,
    allowed: Option<&Consent>,
) -> Result<Delivery, Stop> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let mac_kid = keyring.mac_kid(now).ok_or(InternalError::NoKey("HMAC-SHA256"))?;
    let id = GrantId(engine.random.uuid_v7(now));
    let details = details(engine, request, client, session);
    if let Err(error) = client_documents::settle(engine, client).await {
        return match error {
            FlowError::Refused(error) => Ok(deliver(engine, client, refusal(request, error))?),
            FlowError::Internal(error) => Err(error.into()),
        };
    }
    let inserted = match allowed {
        None => store::grants::insert(engine.store.pool(), id, &details, mac_kid, now).await,
        Some(consent) => {
            let mut tx = engine.store.begin("consent").await?;
            store::consents::remember(tx.conn(), session.user_id, &client.id, consent, now).await?;
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
            return Ok(deliver(engine, client, refusal(request, error))?);
        }
        Err(error) if error.is_constraint("grants_request_id_key") => {
            let error = OAuthError::new(ErrorCode::AccessDenied, "This request was answered before.");
            return Err(Stop::Answered { back: back_with(engine, client, request, error)? });
        }
        Err(error) => return Err(error.into()),
    }
    let position = Position { grant: id, generation: 0 };
    let code =
        crypto::derive(&keyring, mac_kid, PositionKind::Code, position).ok_or(InternalError::NoKey("HMAC-SHA256"))?;
    Ok(deliver(engine, client, AuthorizationResponse::code(request, code.expose()))?)
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
        requested_claims: request.claims.clone(),
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
