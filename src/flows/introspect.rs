//! Introspection (RFC 7662), and the check that every use of an access token at this server goes through.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::crypto::{self, PositionKind};
use crate::domain::{Client, ClientId, SigningAlgorithm, Timestamp};
use crate::protocol::claims::{grant_of, numeric_date};
use crate::protocol::client_auth::{AuthenticatedClient, Credentials};
use crate::protocol::introspection::{Answer, may_learn};
use crate::protocol::params::Params;
use crate::protocol::refresh::end_of;
use crate::store::{PersonBehind, StoreError, TokenQuestion, TokenStanding};
use crate::telemetry;

use super::client_auth::authenticate_confidential;
use super::issue::sign;
use super::verified::VerifiedToken;
use super::{Engine, FlowError, InternalError, subject};

/// JOSE `typ` of signed answers (RFC 9701 §5), and their media type without `application/`.
pub const INTROSPECTION_TYPE: &str = "token-introspection+jwt";

/// Answers an introspection request as a JWT (RFC 9701 §5), which its caller can show to others as what this server said.
///
/// # Errors
/// As [`introspect`].
pub async fn introspect_signed(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
) -> Result<String, FlowError> {
    let caller = authenticate_confidential(engine, credentials, params).await?;
    let answer = answer(engine, &caller, params).await?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| InternalError::Unwritable("introspection answer"))?;
    let claims = json!({
        "iss": engine.policy.issuer,
        "aud": caller.id(),
        "iat": numeric_date(engine.clock.now()),
        "token_introspection": answer,
    });
    let algorithm = caller.client().metadata.protocol.introspection_signed_response_alg;
    let algorithm = algorithm.unwrap_or(SigningAlgorithm::Rs256);
    Ok(sign(engine, algorithm, INTROSPECTION_TYPE, &claims)?)
}

/// Answers an introspection request, in JSON.
///
/// # Errors
/// `invalid_client`, `invalid_request`.
pub async fn introspect(engine: &Engine, credentials: &Credentials, params: &Params) -> Result<String, FlowError> {
    let caller = authenticate_confidential(engine, credentials, params).await?;
    answer(engine, &caller, params).await
}

async fn answer(engine: &Engine, caller: &AuthenticatedClient, params: &Params) -> Result<String, FlowError> {
    let token = params.required("token")?;
    let answer = if token.starts_with("ksr_") {
        refresh_token(engine, token, caller.client()).await?
    } else {
        access_token(engine, token, caller.id()).await?
    };
    telemetry::introspection(answer.is_some());
    match answer {
        Some(live) => Ok(live),
        None => Ok(json(&Answer::inactive())?),
    }
}

pub(super) fn json(answer: &Answer<'_>) -> Result<String, InternalError> {
    serde_json::to_string(answer).map_err(|_| InternalError::Unwritable("introspection answer"))
}

/// What is said about an access token; `None`: that it is not active.
async fn access_token(engine: &Engine, token: &str, caller: &ClientId) -> Result<Option<String>, InternalError> {
    let Some(token) = verified(engine, token)? else { return Ok(None) };
    let servers = engine.snapshots.resource_servers()?;
    let audience: Vec<_> =
        token.audience.iter().filter_map(|audience| servers.by_audience(audience)).map(AsRef::as_ref).collect();
    let is_live = may_learn(caller, &token.client_id, &audience) && standing(engine, &token, false).await?.is_live;
    Ok(is_live.then(|| token.live_answer.as_ref().to_owned()))
}

/// What is said about a refresh token; `None`: that it is not active.
async fn refresh_token(engine: &Engine, token: &str, caller: &Client) -> Result<Option<String>, InternalError> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let Some((position, _)) = crypto::open(&keyring, PositionKind::RefreshToken, token, now) else {
        return Ok(None);
    };
    let grant = engine.store.grant(position.grant, now).await?;
    let live = grant.filter(|grant| {
        grant.details.client_id == caller.id && grant.generation == position.generation && end_of(grant, now).is_none()
    });
    let Some(grant) = live else { return Ok(None) };
    let sub = subject::person_in(&keyring, caller, grant.details.user_id)?;
    json(&Answer::refresh_token(&engine.policy.issuer, sub, &grant)).map(Some)
}

/// Whether a bearer token is ours, unexpired, and nothing in the database speaks against it. `None`: it is of no use.
///
/// # Errors
/// The database.
pub async fn check_bearer_token(engine: &Engine, token: &str) -> Result<Option<Arc<VerifiedToken>>, InternalError> {
    // RFC 9449 §7.2: a token that is bound to a key is no bearer token; nor is one that is bound to a certificate.
    let Some(token) = verified(engine, token)?.filter(|token| token.bound.is_none()) else { return Ok(None) };
    Ok(standing(engine, &token, false).await?.is_live.then_some(token))
}

/// The person behind a token, if nothing in the database speaks against it.
///
/// # Errors
/// The database.
pub(super) async fn person_behind(
    engine: &Engine,
    token: &VerifiedToken,
) -> Result<Option<Box<PersonBehind>>, InternalError> {
    let TokenStanding { is_live, person } = standing(engine, token, true).await?;
    Ok(person.filter(|_| is_live))
}

/// The token, if it is ours and unexpired. Nobody has asked the database yet, nor whether the right one presents it.
///
/// # Errors
/// Memory that is not confirmed.
pub(super) fn verified(engine: &Engine, token: &str) -> Result<Option<Arc<VerifiedToken>>, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    engine.verified_tokens.verify(&keyring, token, &engine.policy.issuer, engine.clock.now())
}

async fn standing(engine: &Engine, token: &VerifiedToken, with_person: bool) -> Result<TokenStanding, StoreError> {
    let question = TokenQuestion {
        jti: token.jti.as_ref().to_owned(),
        client_id: token.client_id.as_ref().to_owned(),
        grant: grant_of(&token.jti),
        issued_at: Timestamp::from_unix_timestamp(token.issued_at).unwrap_or(Timestamp::UNIX_EPOCH),
        ancestors: token.ancestors.to_vec(),
        with_person,
        now: engine.clock.now(),
    };
    engine.store.token_standing(question).await
}
