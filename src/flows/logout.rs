//! Logout, started by an application or by the person.

use std::sync::Arc;

use crate::crypto::{self, Expiry};
use crate::domain::{Client, ClientId, Session};
use crate::protocol::claims::{ID_TOKEN_TYPE, IdTokenClaims};
use crate::protocol::error::OAuthError;
use crate::protocol::logout::{self, AfterLogout, Hint, LogoutRequest, Verdict};
use crate::protocol::params::Params;
use crate::store;

use super::browser::Browser;
use super::{Engine, FlowError, InternalError};

const SEAL: &str = "logout request";

/// What the browser sees.
pub enum Logout {
    /// The session is over: go there, or show the page.
    Done(AfterLogout),
    /// The person must confirm first.
    Ask(Box<Question>),
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
        // One that is switched off can do nothing, so nobody is sent to it either.
        Some(id) => engine.snapshots.client(&id)?.filter(|client| client.disabled_at.is_none()),
        None => None,
    };
    let session = engine.session(browser, None).await?.map(|(session, _)| session);
    match (logout::judge(&request, hint.as_ref(), client.as_deref(), session.as_ref()), session) {
        (Verdict::Refuse(error), _) => Err(error.into()),
        (Verdict::End(after), Some(session)) => {
            store::sessions::end(engine.store.pool(), session.id, engine.clock.now()).await?;
            Ok(Logout::Done(after))
        }
        (Verdict::Ask(after), Some(session)) => {
            let sealed = seal(engine, &after)?;
            Ok(Logout::Ask(Box::new(Question { sealed, session, client, after })))
        }
        (Verdict::NothingToEnd(after) | Verdict::End(after) | Verdict::Ask(after), _) => Ok(Logout::Done(after)),
    }
}

/// Ends the browser's session after the person confirmed. `sealed` is what the page carried, or empty.
///
/// # Errors
/// A page that was tampered with.
pub async fn confirm(engine: &Engine, sealed: &str, browser: &Browser) -> Result<AfterLogout, FlowError> {
    let keyring = engine.snapshots.keyring()?;
    let after = crypto::unseal(&keyring, SEAL, sealed, engine.clock.now());
    let after = after.and_then(|plain| serde_json::from_slice::<AfterLogout>(&plain).ok());
    let after = after.ok_or_else(|| OAuthError::invalid_request("This page is damaged or very old."))?;
    if let Some((session, _)) = engine.session(browser, None).await? {
        store::sessions::end(engine.store.pool(), session.id, engine.clock.now()).await?;
    }
    Ok(after)
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
