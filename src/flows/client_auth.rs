//! Phase 1 of every client request: who is calling?

use std::sync::Arc;

use crate::crypto::{self, ForeignJwt};
use crate::domain::{ClientId, SigningAlgorithm};
use crate::protocol::client_assertion::{self, Audiences};
use crate::protocol::client_auth::{self, AuthenticatedClient, Credentials, Proof};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;

use super::{Engine, FlowError, client_certificate, client_documents, client_keys};
use crate::store;

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
    let secret_sha256 = match &presented.proof {
        Proof::None => None,
        Proof::Secret(secret) => Some(crypto::sha256(secret.expose().as_bytes())),
        // Boxed, so that the usual request does not carry this large future.
        Proof::Assertion(assertion) => return Box::pin(by_assertion(engine, &presented.client_id, assertion)).await,
    };
    let client = match ClientId::parse(&presented.client_id) {
        Some(id) => engine.client(&id)?,
        None => None,
    };
    if let (Proof::None, Some(client)) = (&presented.proof, &client)
        && client.metadata.token_endpoint_auth_method.uses_certificate()
    {
        let shown = credentials.certificate.as_ref();
        return Box::pin(client_certificate::authenticate(engine, Arc::clone(client), shown)).await;
    }
    Ok(client_auth::judge(client, &presented, secret_sha256)?)
}

/// RFC 7523 §3: the JWT is read, its client looked up, its signature and claims checked, and noted so that nobody uses it again.
async fn by_assertion(engine: &Engine, named: &str, assertion: &str) -> Result<AuthenticatedClient, FlowError> {
    let refused = |sentence: String| {
        FlowError::from(OAuthError::new(
            ErrorCode::InvalidClient,
            format!("The client assertion is refused: {sentence}."),
        ))
    };
    let jwt = ForeignJwt::read(assertion, SigningAlgorithm::ALL).map_err(|error| refused(error.to_string()))?;
    let claimed =
        if named.is_empty() { client_assertion::claimed_client(&jwt.claims).unwrap_or_default() } else { named };
    let client = match ClientId::parse(claimed) {
        Some(id) => engine.client(&id)?.ok_or_else(client_auth::refused)?,
        None => return Err(client_auth::refused().into()),
    };
    let client = client_documents::refreshed(engine, client).await?;
    let (token_endpoint, alias) = token_endpoints(engine);
    let audiences =
        Audiences { issuer: &engine.policy.issuer, token_endpoint: &token_endpoint, alias: alias.as_deref() };
    let now = engine.clock.now();
    let accepted = client_assertion::judge(&client, jwt.typ.as_deref(), &jwt.claims, audiences, now)?;
    let keys =
        client_keys::of(engine, &client, jwt.kid.as_deref()).await.map_err(|error| refused(error.to_string()))?;
    jwt.verify(&keys, client_assertion::algorithms(&client)).map_err(|error| refused(error.to_string()))?;
    // A client with a document to which nobody has gone yet has no row and no grant: strangers shall leave nothing behind, and a second use
    // of its assertion would get nothing.
    let has_row = engine.has_row(&client.id)?;
    if let Some(jti) = accepted.jti.as_ref().filter(|_| has_row) {
        let key = crypto::sha256(format!("assertion {} {jti}", client.id).as_bytes());
        if !store::proofs::use_once(engine.store.pool(), &key, accepted.expires_at).await? {
            return Err(refused("it was used before; make a new one for each request".to_owned()));
        }
    }
    Ok(client_auth::judge_assertion(client, &accepted)?)
}

/// The address of the token endpoint, and that for clients that show a certificate (RFC 8705 §5), if there is one.
pub(super) fn token_endpoints(engine: &Engine) -> (String, Option<String>) {
    let at = |origin: &String| format!("{origin}/oauth2/token");
    let certificates = engine.policy.certificates.as_ref();
    (at(&engine.policy.issuer), certificates.and_then(|policy| policy.url.as_ref()).map(at))
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
        return Err(OAuthError::new(ErrorCode::InvalidClient, sentence).into());
    }
    Ok(client)
}
