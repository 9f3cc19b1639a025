//! The userinfo endpoint (OpenID Connect Core §5.3).

use serde_json::{Map, Value, json};

use crate::crypto;
use crate::domain::{CertificateChain, ClientId};
use crate::protocol::authentication::judge_age;
use crate::protocol::claims::{Confirmation, ID_TOKEN_TYPE, TokenType, numeric_date, user_info};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::{dpop as proofs, sender};
use crate::store::PersonBehind;

use super::dpop::{Occasion, proven_key};
use super::introspect::{person_behind, verified};
use super::issue::sign;
use super::{Engine, FlowError, VerifiedToken};

/// An access token as a request presents it.
pub struct PresentedToken {
    /// The token.
    pub token: String,
    /// The scheme of its header; a token in a form is a bearer token.
    pub token_type: TokenType,
    /// The one `DPoP` header, beside a token of that scheme.
    pub proof: Option<String>,
    /// The HTTP method.
    pub method: &'static str,
    /// What the client showed on its connection.
    pub certificate: Option<CertificateChain>,
}

/// What is known about a person.
pub enum UserInfo {
    /// As JSON.
    Plain(Map<String, Value>),
    /// As a JWT, for a client that registered `userinfo_signed_response_alg`.
    Signed(String),
}

/// What the bearer of an access token may know about its person.
///
/// # Errors
/// `invalid_token`, `insufficient_scope`, `insufficient_user_authentication`, `invalid_dpop_proof`, `use_dpop_nonce`.
pub async fn userinfo(engine: &Engine, presented: &PresentedToken) -> Result<UserInfo, FlowError> {
    let invalid =
        || OAuthError::new(ErrorCode::InvalidToken, "The access token is not valid here, has expired or was revoked.");
    let token = verified(engine, &presented.token)?.ok_or_else(invalid)?;
    // RFC 9068 §4: a token for an API is not for us, and the other way round.
    if !token.audience.contains(&engine.policy.issuer) {
        return Err(invalid().into());
    }
    let shown = presented.certificate.as_ref().map(crypto::certificate_thumbprint);
    sender::judge_presentation(token.bound.as_deref().copied(), presented.token_type, shown)?;
    if presented.token_type == TokenType::Dpop {
        Box::pin(check_proof(engine, &token, presented)).await?;
    }
    let PersonBehind { user, asked } = *person_behind(engine, &token).await?.ok_or_else(invalid)?;
    if !token.scope.contains("openid") {
        return Err(
            OAuthError::new(ErrorCode::InsufficientScope, "Userinfo needs an access token with scope openid.").into()
        );
    }
    let client = ClientId::parse(&token.client_id).map(|id| engine.snapshots.client(&id)).transpose()?.flatten();
    // The database knows the client of a live token; here it may be heard of a moment later.
    let client = client.ok_or_else(|| OAuthError::new(ErrorCode::TemporarilyUnavailable, "Send the request again."))?;
    let (most, now) = (client.metadata.protocol.userinfo_max_authentication_age, numeric_date(engine.clock.now()));
    judge_age(token.auth_time, most, now)?;
    // Registration is the limit of what is asked by name, too.
    let mut claims = user_info(&user, &token.scope, &asked.released_by(&client.metadata.scope));
    // Core §5.3.2: the same `sub` as in the ID token, which is what the client calls the person.
    claims.insert("sub".to_owned(), token.subject.as_ref().into());
    let algorithm = client.metadata.protocol.userinfo_signed_response_alg;
    let Some(algorithm) = algorithm else { return Ok(UserInfo::Plain(claims)) };
    // §5.3.2: a signed answer says by whom and for whom.
    let said = json!({ "iss": engine.policy.issuer, "aud": token.client_id });
    let signed =
        said.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).chain(claims);
    Ok(UserInfo::Signed(sign(engine, algorithm, ID_TOKEN_TYPE, &signed.collect::<Map<_, _>>())?))
}

/// RFC 9449 §7.1: who presents a bound token proves its key, for this very request and token.
async fn check_proof(engine: &Engine, token: &VerifiedToken, presented: &PresentedToken) -> Result<(), FlowError> {
    let proof = presented.proof.as_deref().ok_or_else(|| proofs::missing("send one in the DPoP header"))?;
    let occasion =
        Occasion { method: presented.method, path: "/oauth2/userinfo", access_token: Some(&presented.token) };
    let key = proven_key(engine, proof, occasion).await?;
    if token.bound.as_deref() != Some(&Confirmation::Key { jkt: key }) {
        let sentence = "The access token is bound to another key than that of the DPoP proof.";
        return Err(OAuthError::new(ErrorCode::InvalidToken, sentence).into());
    }
    Ok(())
}
