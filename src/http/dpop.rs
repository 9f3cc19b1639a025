//! The headers of DPoP (RFC 9449): a proof comes, a nonce goes.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::flows::{self, Engine};
use crate::protocol::dpop;
use crate::protocol::error::OAuthError;

/// The header of a proof (§4.1).
const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The header of a nonce (§8.1).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The only `DPoP` header of a request.
pub(super) fn proof(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let mut all = headers.get_all(PROOF).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(dpop::repeated()),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| dpop::unreadable("the DPoP header is not ASCII"))?;
            Ok(Some(text.to_owned()))
        }
    }
}

/// Gives the nonce for the next proof along, so that a client never has to ask for one (§8.2).
pub(super) fn give_nonce(engine: &Engine, mut response: Response) -> Response {
    if let Some(nonce) = flows::dpop::nonce(engine).and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}
