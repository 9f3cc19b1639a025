//! Answers to authorization requests on their way to the client, by the mode that it asked for.

use crate::domain::{Client, SigningAlgorithm};
use crate::protocol::authorize::{AuthorizationRequest, RedirectedError};
use crate::protocol::error::OAuthError;
use crate::protocol::redirect::VerifiedRedirectUri;
use crate::protocol::response::{AuthorizationResponse, RESPONSE_TYPE};

use super::issue::sign;
use super::{Engine, InternalError};

/// What the browser is told to do.
#[derive(Debug)]
pub enum Delivery {
    /// Go to this address.
    Redirect(String),
    /// Post these fields.
    Post {
        /// Where to.
        to: VerifiedRedirectUri,
        /// Names and values.
        fields: Vec<(&'static str, String)>,
    },
}

/// Puts an answer into its form; signs it where the client wants that.
///
/// # Errors
/// A key is missing.
pub fn deliver(engine: &Engine, client: &Client, answer: AuthorizationResponse) -> Result<Delivery, InternalError> {
    let issuer = &engine.policy.issuer;
    let fields = if answer.mode.is_signed() {
        let now = engine.clock.now();
        let algorithm = client.metadata.protocol.authorization_signed_response_alg.unwrap_or(SigningAlgorithm::Rs256);
        vec![("response", sign(engine, algorithm, RESPONSE_TYPE, &answer.claims(issuer, &client.id, now))?)]
    } else {
        answer.plain(issuer)
    };
    Ok(if answer.mode.is_posted() {
        Delivery::Post { to: answer.to, fields }
    } else {
        Delivery::Redirect(answer.to.with_params(&fields))
    })
}

/// The answer that refuses a request.
#[must_use]
pub fn refusal(request: &AuthorizationRequest, error: OAuthError) -> AuthorizationResponse {
    AuthorizationResponse::error(&RedirectedError {
        to: request.redirect_uri.clone(),
        mode: request.response_mode,
        state: request.state.clone(),
        error,
    })
}
