//! Phase 1 of every client request: who is calling?

use crate::crypto;
use crate::domain::ClientId;
use crate::protocol::client_auth::{self, AuthenticatedClient, Credentials};
use crate::protocol::error::ErrorCode;
use crate::protocol::params::Params;

use super::{Engine, FlowError};

/// Authenticates the client that a request names in its `Authorization` header or body.
///
/// # Errors
/// `invalid_client`, `invalid_request`, or memory that is not confirmed.
pub async fn authenticate(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
) -> Result<AuthenticatedClient, FlowError> {
    params.refuse_repetition()?;
    let presented = client_auth::presented(credentials, params)?;
    let secret_sha256 = presented.secret.as_ref().map(|secret| crypto::sha256(secret.expose().as_bytes()));
    let client = match ClientId::parse(&presented.client_id) {
        Some(id) => engine.snapshots.client(&id)?,
        None => None,
    };
    Ok(client_auth::judge(client, &presented, secret_sha256)?)
}

/// As [`authenticate`], for endpoints that public clients may not call (RFC 7662 §2.1).
///
/// # Errors
/// As [`authenticate`], and `invalid_client` for a public client.
pub async fn authenticate_confidential(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
) -> Result<AuthenticatedClient, FlowError> {
    let client = authenticate(engine, credentials, params).await?;
    if client.client().is_public() {
        let sentence = "This endpoint needs a confidential client; a public client cannot prove who it is.";
        return Err(crate::protocol::error::OAuthError::new(ErrorCode::InvalidClient, sentence).into());
    }
    Ok(client)
}
