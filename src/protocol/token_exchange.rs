//! Token exchange (RFC 8693) without any widening: a new token opens nothing that the presented one does not open itself, for nobody
//! else, and for no longer.

use serde::{Deserialize, Serialize};

use crate::domain::{Ancestor, Client, Scope, Secret};

use super::audience::STANDARD_SCOPES;
use super::claims::AccessTokenClaims;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;

/// The one type that is taken and given (§3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Exchanges that may lie between a token and what it came from. Each makes the token longer and its check wider.
const MOST_EXCHANGES: usize = 4;

/// What a client presents (§2.1).
pub struct PresentedTokens {
    /// On whose behalf.
    pub subject_token: Secret,
    /// Who acts; without it the client speaks as the subject.
    pub actor_token: Option<Secret>,
    /// For whom, beside the resources of the request.
    pub audience: Option<String>,
}

/// Who acts on behalf of the subject (§4.1), the present one outside, the earlier ones inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The client that acts.
    pub sub: String,
    /// On whose behalf it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

/// The claims of a token that is presented for an exchange.
#[derive(Debug, Clone, Deserialize)]
pub struct PresentedClaims {
    /// What we put into it.
    #[serde(flatten)]
    pub token: AccessTokenClaims,
    /// The key to which it is bound (RFC 7800).
    #[serde(default)]
    pub cnf: Option<serde_json::Value>,
}

/// Reads what is presented.
///
/// # Errors
/// `invalid_request`: something is missing, or of a type that is not exchanged here.
pub fn parse(params: &Params) -> Result<PresentedTokens, OAuthError> {
    let secret = |text: &str| Secret::new(text.to_owned());
    let only_access_tokens = |name: &str, sent: Option<&str>| match sent {
        Some(ACCESS_TOKEN_TYPE) => Ok(()),
        _ => Err(OAuthError::invalid_request(format!("{name} must be {ACCESS_TOKEN_TYPE}."))),
    };
    let subject_token = secret(params.required("subject_token")?);
    only_access_tokens("subject_token_type", params.one("subject_token_type")?)?;
    let actor_token = params.one("actor_token")?.map(secret);
    match (params.one("actor_token_type")?, &actor_token) {
        (sent, Some(_)) => only_access_tokens("actor_token_type", sent)?,
        (Some(_), None) => return Err(OAuthError::invalid_request("actor_token_type was sent without actor_token.")),
        (None, None) => {}
    }
    if let Some(wanted) = params.one("requested_token_type")? {
        only_access_tokens("requested_token_type", Some(wanted))?;
    }
    Ok(PresentedTokens { subject_token, actor_token, audience: params.one("audience")?.map(str::to_owned) })
}

/// Whether the client may exchange in this way at all.
///
/// # Errors
/// `unauthorized_client`.
pub fn judge_client(client: &Client, with_actor: bool) -> Result<(), OAuthError> {
    let refuse = |sentence: &str| Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence));
    let protocol = &client.metadata.protocol;
    if client.is_public() {
        return refuse("Token exchange needs a confidential client; a public client cannot prove who it is.");
    }
    match (with_actor, protocol.token_exchange_delegation, protocol.token_exchange_impersonation) {
        (true, true, _) | (false, _, true) => Ok(()),
        (true, false, _) => refuse("This client may not act for others: token_exchange_delegation is not registered."),
        (false, true, false) => {
            refuse("This client may exchange only as itself: send its own access token as actor_token.")
        }
        (false, false, false) => refuse("This client is not registered for token_exchange_impersonation."),
    }
}

/// The refusal of a presented token (§2.2.2). Why is nobody's business: whoever found a token could try out what it is.
#[must_use]
pub fn unacceptable(name: &str) -> OAuthError {
    let sentence = format!(
        "The {name} is not an access token of this server that is valid now and meant for this client; get a new one."
    );
    OAuthError::invalid_request(sentence)
}

/// A token that is bound to a key must not be turned into one that anybody can use.
///
/// # Errors
/// `invalid_request`.
pub fn refuse_bound(name: &str, claims: &PresentedClaims) -> Result<(), OAuthError> {
    if claims.cnf.is_none() {
        return Ok(());
    }
    Err(OAuthError::invalid_request(format!(
        "The {name} is bound to a key (cnf); such tokens cannot be exchanged, because the new one would not be."
    )))
}

/// Whether the actor token is the client's own: the actor is always the client that calls, and not somebody whose token it holds.
///
/// # Errors
/// `invalid_request`.
pub fn judge_actor(client: &Client, actor: &AccessTokenClaims) -> Result<(), OAuthError> {
    let own = actor.client_id == client.id.as_str() && actor.sub == actor.client_id && actor.exchanged_from.is_empty();
    if own { Ok(()) } else { Err(unacceptable("actor_token")) }
}

/// For whom the new token is: those that were asked for, or all that the client may reach. Each must be named by the presented token.
///
/// # Errors
/// `invalid_target`.
pub fn judge_targets(
    client: &Client,
    subject: &AccessTokenClaims,
    asked: &[String],
) -> Result<Vec<String>, OAuthError> {
    let allowed = &client.metadata.protocol.token_exchange_audiences;
    let refuse = |sentence: String| Err(OAuthError::new(ErrorCode::InvalidTarget, sentence));
    if let Some(beyond) = asked.iter().find(|target| !allowed.contains(target)) {
        return refuse(format!("{beyond} is not among the token_exchange_audiences of this client."));
    }
    if let Some(beyond) = asked.iter().find(|target| !subject.aud.contains(target)) {
        return refuse(format!("The subject_token is not for {beyond}; an exchange never adds an audience."));
    }
    let targets: Vec<String> = if asked.is_empty() {
        subject.aud.iter().filter(|target| allowed.contains(target)).cloned().collect()
    } else {
        asked.to_vec()
    };
    if targets.is_empty() {
        return refuse("The subject_token is for none of the token_exchange_audiences of this client.".to_owned());
    }
    Ok(targets)
}

/// What the new token allows at most: what the presented one allows and the client is registered for. What is about the person, such as
/// `openid`, stays with the application to which the person signed in.
///
/// # Errors
/// `invalid_scope`.
pub fn judge_scope(client: &Client, subject: &AccessTokenClaims, asked: Option<&str>) -> Result<Scope, OAuthError> {
    let invalid = |sentence: String| OAuthError::new(ErrorCode::InvalidScope, sentence);
    let standard = Scope::from_tokens(STANDARD_SCOPES).unwrap_or_default();
    let most = subject.scope.intersection(&client.metadata.scope).without(&standard);
    let Some(asked) = asked else { return Ok(most) };
    let asked = Scope::parse(asked).map_err(|e| invalid(e.to_string()))?;
    match asked.without(&most).tokens().next() {
        None => Ok(asked),
        Some(beyond) => Err(invalid(format!(
            "The scope {beyond} is not in the subject_token, not registered for this client, or not for an API; \
             an exchange never widens."
        ))),
    }
}

/// Who acts from now on. What the presented token says about earlier actors is kept, also where the client speaks as the subject.
#[must_use]
pub fn chain(earlier: Option<Act>, actor: Option<&Client>) -> Option<Act> {
    match actor {
        Some(client) => Some(Act { sub: client.id.as_str().to_owned(), act: earlier.map(Box::new) }),
        None => earlier,
    }
}

/// What the new token came from, the latest first.
///
/// # Errors
/// `invalid_request`: too many exchanges already.
pub fn ancestors(subject: &AccessTokenClaims) -> Result<Vec<Ancestor>, OAuthError> {
    if subject.exchanged_from.len() >= MOST_EXCHANGES {
        let sentence =
            format!("The subject_token was exchanged {MOST_EXCHANGES} times already; start from an earlier one.");
        return Err(OAuthError::invalid_request(sentence));
    }
    let latest = Ancestor { jti: subject.jti.clone(), client_id: subject.client_id.clone() };
    Ok(std::iter::once(latest).chain(subject.exchanged_from.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientAuthMethod, ClientId, ClientMetadata, ClientProtocol, Clock};

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";

    fn client() -> Client {
        let now = Clock::System.now();
        let protocol = ClientProtocol {
            token_exchange_audiences: vec![A.into(), "https://c.example".into()],
            token_exchange_delegation: true,
            ..ClientProtocol::default()
        };
        let scope = Scope::parse("openid a b").unwrap();
        Client {
            id: ClientId::parse("gateway").unwrap(),
            metadata: ClientMetadata { scope, protocol, ..ClientMetadata::default() },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn subject() -> AccessTokenClaims {
        let claims = serde_json::json!({ "iss": "i", "sub": "s", "aud": [A, B], "exp": 9, "iat": 1, "jti": "j",
            "client_id": "web", "scope": "openid a c" });
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn security_45_the_scope_is_within_the_token_and_the_registration() {
        let scope = |asked| judge_scope(&client(), &subject(), asked).map(|scope| scope.to_string());
        assert_eq!(scope(None).unwrap(), "a");
        assert_eq!(scope(Some("a")).unwrap(), "a");
        for beyond in ["b", "c", "openid", "a b", "d"] {
            assert_eq!(scope(Some(beyond)).unwrap_err().code, ErrorCode::InvalidScope, "{beyond}");
        }
    }

    #[test]
    fn security_45_the_audience_is_within_the_token_and_the_registration() {
        let targets = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|&target| target.to_owned()).collect();
            judge_targets(&client(), &subject(), &asked)
        };
        assert_eq!(targets(&[]).unwrap(), [A]);
        assert_eq!(targets(&[A]).unwrap(), [A]);
        for beyond in [&[B][..], &["https://c.example"], &[A, B], &["https://d.example"]] {
            assert_eq!(targets(beyond).unwrap_err().code, ErrorCode::InvalidTarget, "{beyond:?}");
        }
        let elsewhere = AccessTokenClaims { aud: vec![B.into()], ..subject() };
        assert_eq!(judge_targets(&client(), &elsewhere, &[]).unwrap_err().code, ErrorCode::InvalidTarget);
    }

    #[test]
    fn security_45_each_way_of_exchanging_is_allowed_by_itself() {
        let may = |delegation, impersonation, method, with_actor| {
            let mut client = client();
            client.metadata.token_endpoint_auth_method = method;
            client.metadata.protocol.token_exchange_delegation = delegation;
            client.metadata.protocol.token_exchange_impersonation = impersonation;
            judge_client(&client, with_actor).is_ok()
        };
        let basic = ClientAuthMethod::ClientSecretBasic;
        assert!(may(true, false, basic, true) && !may(true, false, basic, false));
        assert!(may(false, true, basic, false) && !may(false, true, basic, true));
        assert!(!may(false, false, basic, true) && !may(false, false, basic, false));
        assert!(!may(true, true, ClientAuthMethod::None, true));
    }

    #[test]
    fn section_4_1_the_latest_actor_is_outside_and_no_earlier_one_is_lost() {
        let first = chain(None, Some(&client()));
        let other = Client { id: ClientId::parse("other").unwrap(), ..client() };
        let second = chain(first, Some(&other));
        let json = serde_json::json!({ "sub": "other", "act": { "sub": "gateway" } });
        assert_eq!(serde_json::to_value(&second).unwrap(), json);
        assert_eq!(chain(second.clone(), None), second);
        assert_eq!(chain(None, None), None);
    }

    #[test]
    fn a_token_remembers_a_bounded_number_of_ancestors() {
        let mut token = subject();
        for n in 1..=MOST_EXCHANGES {
            token = AccessTokenClaims { exchanged_from: ancestors(&token).unwrap(), jti: format!("j{n}"), ..token };
            assert_eq!(token.exchanged_from.len(), n);
        }
        assert_eq!(token.exchanged_from.last().unwrap().jti, "j", "the first is last");
        assert!(ancestors(&token).is_err());
    }

    #[test]
    fn section_2_1_types_are_named_and_only_access_tokens_are_exchanged() {
        let read = |form: &str| parse(&Params::parse(&[form]).unwrap()).is_ok();
        let subject = format!("subject_token=x&subject_token_type={ACCESS_TOKEN_TYPE}");
        assert!(read(&subject));
        assert!(read(&format!("{subject}&requested_token_type={ACCESS_TOKEN_TYPE}&audience=https://a.example")));
        assert!(read(&format!("{subject}&actor_token=y&actor_token_type={ACCESS_TOKEN_TYPE}")));
        let jwt = "urn:ietf:params:oauth:token-type:jwt";
        for form in [
            "subject_token=x".to_owned(),
            format!("subject_token_type={ACCESS_TOKEN_TYPE}"),
            format!("subject_token=x&subject_token_type={jwt}"),
            format!("{subject}&requested_token_type={jwt}"),
            format!("{subject}&actor_token=y"),
            format!("{subject}&actor_token=y&actor_token_type={jwt}"),
            format!("{subject}&actor_token_type={ACCESS_TOKEN_TYPE}"),
        ] {
            assert!(!read(&form), "{form}");
        }
    }

    #[test]
    fn security_45_a_token_that_is_bound_to_a_key_is_not_exchanged() {
        let mut claims = serde_json::to_value(subject()).unwrap();
        let read = |claims: &serde_json::Value| serde_json::from_value::<PresentedClaims>(claims.clone()).unwrap();
        assert!(refuse_bound("subject_token", &read(&claims)).is_ok());
        claims["cnf"] = serde_json::json!({ "jkt": "x" });
        assert!(refuse_bound("subject_token", &read(&claims)).unwrap_err().description.contains("cnf"));
    }
}
