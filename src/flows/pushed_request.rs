//! Pushed authorization requests (RFC 9126): judged and kept, then found again when a browser names them.

use serde_json::json;
use time::Duration;

use crate::crypto;
use crate::domain::Client;
use crate::protocol::authorize::{AuthorizationRequest, PUSHED};
use crate::protocol::client_auth::{AuthenticatedClient, Credentials};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::store::pushed_requests::{self, NewPushedRequest};

use super::authorize::{Stop, still_registered};
use super::dpop::{self, Occasion};
use super::{Engine, FlowError, InternalError, authorization_request};

/// How long a browser may take to bring the request (RFC 9126 §2.2: 5 to 600 seconds). After that the sign-in pages have their own time.
const LIFETIME: Duration = Duration::seconds(90);

/// Judges and keeps a request. Gives the answer as JSON.
///
/// # Errors
/// All that the authorization endpoint would say, and those of DPoP proofs.
pub async fn push(
    engine: &Engine,
    client: &AuthenticatedClient,
    credentials: &Credentials,
    params: &Params,
) -> Result<String, FlowError> {
    let mut request = authorization_request::judge_pushed(engine, client.client(), params).await?;
    if let Some(proof) = credentials.dpop.as_deref() {
        // RFC 9449 §10.1: the code is bound to the key before anybody could see it. A proof is used up only by a request that holds.
        request.bind_to(Box::pin(dpop::proven_key(engine, proof, Occasion::post("/oauth2/par"))).await?)?;
    }
    // §2.2, §7.1: 256 random bits, so that nobody finds another client's request by guessing.
    let request_uri = engine.random.token(PUSHED);
    let new = NewPushedRequest {
        sha256: crypto::sha256(request_uri.expose().as_bytes()),
        id: request.id,
        client_id: client.id(),
        request: serde_json::to_value(&request).map_err(|_| InternalError::Unwritable("pushed request"))?,
        expires_at: request.received_at + LIFETIME,
    };
    pushed_requests::insert(engine.store.pool(), new).await?;
    Ok(json!({ "request_uri": request_uri.expose(), "expires_in": LIFETIME.whole_seconds() }).to_string())
}

/// The request that a browser names. It stays until it is answered, because browsers reload and fetch ahead.
///
/// # Errors
/// A page: `invalid_request_uri` tells nobody whether such a request exists for another client.
pub(super) async fn find(
    engine: &Engine,
    client: &Client,
    params: &Params,
    request_uri: &str,
) -> Result<AuthorizationRequest, Stop> {
    let invalid = |sentence| Stop::Show(OAuthError::new(ErrorCode::InvalidRequestUri, sentence));
    params.refuse_repetition().map_err(Stop::Show)?;
    let sha256 = crypto::sha256(request_uri.as_bytes());
    let found = pushed_requests::find(engine.store.pool(), sha256, &client.id, engine.clock.now()).await?;
    let found = found.ok_or_else(|| {
        invalid("The request_uri is unknown or has expired, or another client pushed it. Push the request again.")
    })?;
    if found.answered {
        return Err(invalid("The request_uri was used before. Push a new request."));
    }
    let request: AuthorizationRequest = serde_json::from_value(found.request)
        .map_err(|_| invalid("The request was pushed to another version of this server. Push it again."))?;
    if still_registered(client, &request.redirect_uri) {
        Ok(request)
    } else {
        Err(invalid("The redirect_uri of the pushed request was removed from this client meanwhile."))
    }
}

/// A request that the person refused is answered, too.
///
/// # Errors
/// The database.
pub(super) async fn forget(engine: &Engine, request: &AuthorizationRequest) -> Result<(), InternalError> {
    if request.pushed {
        pushed_requests::delete(engine.store.pool(), request.id).await?;
    }
    Ok(())
}
