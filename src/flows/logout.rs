//! Logout, started by an application or by the person.

use std::sync::Arc;

use crate::crypto::{self, Expiry};
use crate::domain::{Client, ClientId, Session};
use crate::protocol::claims::{ID_TOKEN_TYPE, IdTokenClaims};
use crate::protocol::error::OAuthError;
use crate::protocol::logout::{self, AfterLogout, Hint, KnownSession, LogoutRequest, Verdict};
use crate::protocol::params::Params;
use crate::store;

use super::browser::Browser;
use super::{Engine, FlowError, InternalError, subject};

const SEAL: &str = "logout request";

/// What the browser sees.
pub enum Logout {
    /// The session is over.
    Done(Ended),
    /// The person must confirm first.
    Ask(Box<Question>),
}

/// What the browser has to do after a logout.
pub struct Ended {
    /// Where it goes then, or our page.
    pub after: AfterLogout,
    /// Addresses of clients that it loads before, in hidden frames (OpenID Connect Front-Channel Logout §2).
    pub frames: Vec<String>,
}

impl Ended {
    fn nothing(after: AfterLogout) -> Self {
        Self { after, frames: Vec::new() }
    }
}

/// What the confirmation page shows and carries.
pub struct Question {
    /// Carries what comes after.
    pub sealed: String,
    /// Who is signed in.
    pub session: Session,
    /// Who asked, if known.
    pub client: Option<Arc<Client>>,
    /// What comes after.
    pub after: AfterLogout,
}

/// Answers an RP-initiated logout request.
///
/// # Errors
/// A refusal: nothing was ended.
pub async fn begin(engine: &Engine, params: &Params, browser: &Browser) -> Result<Logout, FlowError> {
    let request = LogoutRequest::parse(params)?;
    let hint = match &request.id_token_hint {
        Some(token) => verified_hint(engine, token)?,
        None => None,
    };
    let named = hint.as_ref().map(|hint| hint.client_id.as_str()).or(request.client_id.as_deref());
    let client = match named.and_then(ClientId::parse) {
        Some(id) => engine.snapshots.client(&id)?,
        None => None,
    };
    let session = engine.session(browser, None).await?.map(|(session, _)| session);
    let known = session.as_ref().map(|session| known(engine, client.as_deref(), session)).transpose()?;
    // One that is switched off can do nothing, so nobody is sent to it either.
    let client = client.filter(|client| client.disabled_at.is_none());
    match (logout::judge(&request, hint.as_ref(), client.as_deref(), known.as_ref()), session) {
        (Verdict::Refuse(error), _) => Err(error.into()),
        (Verdict::End(after), Some(session)) => Ok(Logout::Done(Ended { after, frames: end(engine, &session).await? })),
        (Verdict::Ask(after), Some(session)) => {
            let sealed = seal(engine, &after)?;
            Ok(Logout::Ask(Box::new(Question { sealed, session, client, after })))
        }
        (Verdict::NothingToEnd(after) | Verdict::End(after) | Verdict::Ask(after), _) => {
            Ok(Logout::Done(Ended::nothing(after)))
        }
    }
}

/// Ends the browser's session after the person confirmed. `sealed` is what the page carried, or empty.
///
/// # Errors
/// A page that was tampered with.
pub async fn confirm(engine: &Engine, sealed: &str, browser: &Browser) -> Result<Ended, FlowError> {
    let keyring = engine.snapshots.keyring()?;
    let after = crypto::unseal(&keyring, SEAL, sealed, engine.clock.now());
    let after = after.and_then(|plain| serde_json::from_slice::<AfterLogout>(&plain).ok());
    let after = after.ok_or_else(|| OAuthError::invalid_request("This page is damaged or very old."))?;
    match engine.session(browser, None).await? {
        Some((session, _)) => Ok(Ended { after, frames: end(engine, &session).await? }),
        None => Ok(Ended::nothing(after)),
    }
}

/// The session as this client knows it; as clients with public ids do where the client is gone.
fn known(engine: &Engine, client: Option<&Client>, session: &Session) -> Result<KnownSession, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    Ok(match client {
        None => KnownSession { sub: session.user_id.to_string(), sid: session.id.to_string() },
        Some(client) => KnownSession {
            sub: subject::person_in(&keyring, client, session.user_id)?,
            sid: subject::session_in(&keyring, client, session.id)?,
        },
    })
}

/// Ends a session, notes which clients this server has to tell, and gives the addresses that the browser has to tell.
async fn end(engine: &Engine, session: &Session) -> Result<Vec<String>, InternalError> {
    let mut tx = engine.store.begin("sign out").await?;
    let is_first = store::sessions::end(tx.conn(), session.id, engine.clock.now()).await?;
    if is_first {
        engine.note_logout(&mut tx, &[session.id]).await?;
    }
    let clients = store::logout_notices::clients_of(tx.conn(), session.user_id, session.id).await?;
    tx.commit().await?;
    let mut frames = Vec::new();
    for id in clients {
        let client = engine.snapshots.client(&id)?.filter(|client| client.disabled_at.is_none());
        let Some(client) = client else { continue };
        if let Some(uri) = &client.metadata.protocol.frontchannel_logout_uri {
            let sid = subject::session_in(&*engine.snapshots.keyring()?, &client, session.id)?;
            frames.push(logout::frame(uri, &engine.policy.issuer, &sid));
        }
    }
    Ok(frames)
}

fn seal(engine: &Engine, after: &AfterLogout) -> Result<String, InternalError> {
    let plain = serde_json::to_vec(after).map_err(|_| InternalError::Unwritable("logout request"))?;
    Ok(crypto::seal(&*engine.snapshots.keyring()?, SEAL, &plain, engine.clock.now(), &engine.random)?)
}

fn verified_hint(engine: &Engine, token: &str) -> Result<Option<Hint>, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let now = engine.clock.now();
    // §2: an expired ID token is still a hint.
    let claims =
        crypto::verify::<IdTokenClaims>(&keyring, token, &[ID_TOKEN_TYPE], &engine.policy.issuer, now, Expiry::Ignore);
    Ok(claims.ok().map(|(_, claims)| Hint { sub: claims.sub, sid: claims.sid, client_id: claims.aud }))
}
