//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2, §3).

use serde::{Deserialize, Serialize};

use crate::domain::Client;

use super::authorize::{LONGEST_STATE, bounded};
use super::error::OAuthError;
use super::params::Params;
use super::redirect::append_params;

/// A logout request, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutRequest {
    /// An ID token that this server issued, possibly expired.
    pub id_token_hint: Option<String>,
    /// Where the browser shall go afterwards.
    pub post_logout_redirect_uri: Option<String>,
    /// To be returned as it is.
    pub state: Option<String>,
    /// The client, when the hint does not say it.
    pub client_id: Option<String>,
}

impl LogoutRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `invalid_request`: a repeated parameter, or a state that is too long to be carried through the pages.
    pub fn parse(params: &Params) -> Result<Self, OAuthError> {
        params.refuse_repetition()?;
        let text = |name| params.one(name).map(|value| value.map(str::to_owned));
        Ok(Self {
            id_token_hint: text("id_token_hint")?,
            post_logout_redirect_uri: text("post_logout_redirect_uri")?,
            state: bounded(params.one("state")?, "state", LONGEST_STATE)?,
            client_id: text("client_id")?,
        })
    }
}

/// The verified content of an `id_token_hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Whose session.
    pub sub: String,
    /// Which session.
    pub sid: String,
    /// For which client the ID token was made.
    pub client_id: String,
}

/// Where the browser goes after the logout; only [`judge`] makes one with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AfterLogout(Option<String>);

impl AfterLogout {
    /// The page that says so.
    #[must_use]
    pub fn page() -> Self {
        Self(None)
    }

    /// The address, unless it is our own page.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The address of a hidden frame that tells a client of the end of a session (OpenID Connect Front-Channel Logout §2). The client knows by
/// `sid` which of a person's sessions is meant, so that nobody can sign people out by loading the bare address.
#[must_use]
pub fn frame(uri: &str, issuer: &str, sid: &str) -> String {
    append_params(uri, &[("iss", issuer), ("sid", sid)])
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// End the session now.
    End(AfterLogout),
    /// Nobody is signed in: go on.
    NothingToEnd(AfterLogout),
    /// Ask the person first: the request does not prove that it comes from an application that the person uses.
    Ask(AfterLogout),
    /// Change nothing and say so.
    Refuse(OAuthError),
}

/// The browser's session as the client of the hint knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSession {
    /// What that client calls the person.
    pub sub: String,
    /// What it calls the session.
    pub sid: String,
}

/// Judges a logout request. `hint` is what a valid `id_token_hint` says, `client` the registered client of the hint or of `client_id`.
#[must_use]
pub fn judge(
    request: &LogoutRequest,
    hint: Option<&Hint>,
    client: Option<&Client>,
    session: Option<&KnownSession>,
) -> Verdict {
    let refuse = |sentence: &str| Verdict::Refuse(OAuthError::invalid_request(sentence));
    if request.id_token_hint.is_some() && hint.is_none() {
        return refuse("The id_token_hint is not an ID token of this server.");
    }
    if let (Some(hint), Some(client_id)) = (hint, &request.client_id)
        && hint.client_id != *client_id
    {
        return refuse("The id_token_hint was made for another client than client_id names.");
    }
    let after = match &request.post_logout_redirect_uri {
        None => AfterLogout::page(),
        Some(uri) => {
            // §3: without a hint anybody could send a signed-out person anywhere that some client has registered.
            if hint.is_none() {
                return refuse("post_logout_redirect_uri needs an id_token_hint.");
            }
            let registered =
                client.is_some_and(|c| c.metadata.post_logout_redirect_uris.iter().any(|known| known.as_str() == uri));
            if !registered {
                return refuse("The post_logout_redirect_uri is not registered for this application.");
            }
            let state: Vec<(&str, &str)> = request.state.iter().map(|state| ("state", state.as_str())).collect();
            AfterLogout(Some(append_params(uri, &state)))
        }
    };
    match (session, hint) {
        (None, _) => Verdict::NothingToEnd(after),
        (Some(session), Some(hint)) if hint.sid == session.sid && hint.sub == session.sub => Verdict::End(after),
        // §2, §6: another person's or another session's hint, or none, proves nothing about this browser.
        (Some(_), _) => Verdict::Ask(after),
    }
}
