//! From parameters to a judged authorization request, at the authorization endpoint and at the one for pushed requests.

use crate::crypto::{self, Expiry, ForeignJwt};
use crate::domain::{Client, ClientId, RequestId};
use crate::protocol::authorize::{self, Addressee, AuthorizationRequest, Form, Refusal};
use crate::protocol::claims::{ID_TOKEN_TYPE, IdTokenClaims};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::protocol::request_object::{self, Expected};

use super::issue::audience;
use super::{Engine, FlowError, client_keys};

/// Judges a request that a browser brings, in every respect that needs no session.
///
/// # Errors
/// For the person, where nothing tells whom else; for the client otherwise.
pub async fn judge(
    engine: &Engine,
    client: &Client,
    params: &Params,
    form: Form<'_>,
) -> Result<AuthorizationRequest, Refusal> {
    let object = read_object(engine, client, params, form, false).await.map_err(|error| {
        // What the object says is not known. A registered redirect URI beside it is as good as that of a plain request.
        match authorize::addressee(client, params) {
            Ok(addressee) => addressee.refused(error),
            Err(_) => Refusal::Show(error),
        }
    })?;
    let params = object.as_ref().unwrap_or(params);
    let addressee = authorize::addressee(client, params).map_err(Refusal::Show)?;
    let judged =
        authorize::judge_form(client, form, false).and_then(|()| judge_rest(engine, client, &addressee, params));
    judged.map_err(|error| addressee.refused(error))
}

/// Judges a request that a client pushes.
///
/// # Errors
/// For the client.
pub async fn judge_pushed(
    engine: &Engine,
    client: &Client,
    params: &Params,
) -> Result<AuthorizationRequest, OAuthError> {
    // RFC 9126 §2.1: a pushed request cannot stand for another one.
    if params.one("request_uri")?.is_some() {
        return Err(OAuthError::invalid_request("A pushed request must not hold request_uri; send the parameters."));
    }
    let form = authorize::form(params);
    let object = read_object(engine, client, params, form, true).await?;
    let params = object.as_ref().unwrap_or(params);
    let addressee = authorize::addressee(client, params)?;
    authorize::judge_form(client, form, true)?;
    Ok(AuthorizationRequest { pushed: true, ..judge_rest(engine, client, &addressee, params)? })
}

fn judge_rest(
    engine: &Engine,
    client: &Client,
    addressee: &Addressee,
    params: &Params,
) -> Result<AuthorizationRequest, OAuthError> {
    let now = engine.clock.now();
    let id = RequestId(engine.random.uuid_v7(now));
    let request = with_hint(engine, client, authorize::judge(client, addressee, params, id, now)?, params)?;
    // An impossible audience is told now rather than after the person has signed in.
    match audience(engine, &request.scope, &request.resources) {
        Ok(_) | Err(FlowError::Internal(_)) => Ok(request),
        Err(FlowError::Refused(error)) => Err(error),
    }
}

/// The parameters in the request's object, if it has one.
async fn read_object(
    engine: &Engine,
    client: &Client,
    params: &Params,
    form: Form<'_>,
    pushed: bool,
) -> Result<Option<Params>, OAuthError> {
    let Form::Object(object) = form else { return Ok(None) };
    params.refuse_repetition()?;
    let refused = |sentence: String| request_object::invalid(format!("The request object is refused: {sentence}."));
    if client.metadata.protocol.client_assertion_issuer.is_some() {
        // Its registered keys are those of its platform, which signs for others, too.
        return Err(refused("the registered keys are the platform's, so this client cannot sign requests".to_owned()));
    }
    let algorithms = request_object::algorithms(client);
    let jwt = ForeignJwt::read(object, algorithms).map_err(|error| refused(error.to_string()))?;
    let expected = Expected { issuer: &engine.policy.issuer, client, pushed, now: engine.clock.now() };
    let params = request_object::judge(jwt.typ.as_deref(), &jwt.claims, expected)?;
    // The signature comes last: keys that must be fetched are fetched for nothing less.
    let keys = client_keys::of(engine, client, jwt.kid.as_deref()).await.map_err(|error| refused(error.to_string()))?;
    jwt.verify(&keys, algorithms).map_err(|error| refused(error.to_string()))?;
    Ok(Some(params))
}

/// Reads `id_token_hint`: whom the application expects.
fn with_hint(
    engine: &Engine,
    client: &Client,
    request: AuthorizationRequest,
    params: &Params,
) -> Result<AuthorizationRequest, OAuthError> {
    let Some(hint) = params.one("id_token_hint")? else { return Ok(request) };
    let refused = || OAuthError::invalid_request("The id_token_hint is not an ID token that this server issued.");
    // Unread it must not be dropped: the answer could then be about another person than the application expects.
    let unavailable = |_| {
        let sentence = "The id_token_hint cannot be checked now; try again in a moment.";
        OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence)
    };
    let keyring = engine.snapshots.keyring().map_err(unavailable)?;
    let now = engine.clock.now();
    let claims =
        crypto::verify::<IdTokenClaims>(&keyring, hint, &[ID_TOKEN_TYPE], &engine.policy.issuer, now, Expiry::Ignore);
    let (_, claims) = claims.map_err(|_| refused())?;
    // What a client of another sector calls the person says nothing about whom this one means.
    let its_client = ClientId::parse(&claims.aud).map(|id| engine.snapshots.client(&id).map_err(unavailable));
    let its_sector = its_client.transpose()?.flatten().and_then(|client| client.metadata.sector());
    if claims.aud != client.id.as_str() && its_sector != client.metadata.sector() {
        let sentence = "The id_token_hint was made for another client, which knows people by other names; send one of this client's own.";
        return Err(OAuthError::invalid_request(sentence));
    }
    Ok(AuthorizationRequest { expected_user: Some(claims.sub), ..request })
}
