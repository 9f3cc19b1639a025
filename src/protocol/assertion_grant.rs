//! JWTs as authorization grants (RFC 7523 §2.1, §3.1): an issuer that an operator trusts says for whom a client may act.

use serde_json::{Map, Value};
use time::Duration;
use uuid::Uuid;

use crate::domain::{
    AssertionIssuer, AssertionSubject, Client, SigningAlgorithm, Timestamp, UserId, is_same_media_type,
    normalize_identifier,
};

use super::client_assertion::{Audiences, is_for_us};
use super::error::{ErrorCode, OAuthError};
use super::jwt_time;

/// How far in the future an assertion may have been made, for clocks that differ.
const MOST_AHEAD: Duration = Duration::seconds(30);
/// How far in the future its end may lie: so long it could be replayed if the memory of it were lost.
const LONGEST: Duration = Duration::hours(1);
const LONGEST_TEXT: usize = 256;

/// An assertion whose claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What makes it unique: it must not be used again.
    pub jti: String,
    /// When it is too old anyway.
    pub expires_at: Timestamp,
    /// Whom it means.
    pub person: Person,
}

/// Whom an assertion means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// The one with this id.
    Id(UserId),
    /// The one whose verified address this is, normalized.
    Email(String),
}

/// Whether the client may present assertions at all, and whose.
///
/// # Errors
/// `unauthorized_client`.
pub fn trusted_issuer(client: &Client) -> Result<&AssertionIssuer, OAuthError> {
    let refuse = |sentence: &str| OAuthError::new(ErrorCode::UnauthorizedClient, sentence);
    // Whoever found an assertion could present it in the name of a public client.
    if client.is_public() {
        return Err(refuse(
            "Assertions are taken from confidential clients only; a public client cannot prove who it is.",
        ));
    }
    let issuer = client.metadata.protocol.assertion_grant_issuer.as_ref();
    issuer
        .ok_or_else(|| refuse("No assertion_grant_issuer is registered for this client; an operator has to name one."))
}

/// The algorithms with which issuers may sign for this client.
#[must_use]
pub fn algorithms(client: &Client) -> &[SigningAlgorithm] {
    client.metadata.protocol.algorithms(None)
}

/// The refusal of an assertion, with why in one word and in a sentence without a full stop.
#[must_use]
pub fn refused(reason: &'static str, sentence: impl std::fmt::Display) -> OAuthError {
    OAuthError::invalid_grant(reason, format!("The assertion is refused: {sentence}."))
}

/// Judges the claims of an assertion, apart from its signature.
///
/// # Errors
/// `invalid_grant` with what is wrong; only a client that authenticated hears it.
pub fn judge(
    client: &Client,
    issuer: &AssertionIssuer,
    typ: Option<&str>,
    claims: &Map<String, Value>,
    audiences: Audiences<'_>,
    now: Timestamp,
) -> Result<Accepted, OAuthError> {
    let wrong = |sentence: &str| refused("claims", sentence);
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // RFC 8725 §3.11: an access token or a logout token of the same issuer is not an assertion.
    if typ.is_some_and(|typ| !["jwt", "authorization-grant+jwt"].iter().any(|known| is_same_media_type(typ, known))) {
        return Err(wrong("typ must be authorization-grant+jwt or JWT, or be left out"));
    }
    if text("iss") != Some(issuer.issuer.as_str()) {
        return Err(wrong("iss must be the issuer that is registered in assertion_grant_issuer"));
    }
    if !is_for_us(claims.get("aud"), audiences, client.metadata.protocol.profile) {
        return Err(wrong("aud must be this server's issuer identifier and nothing else"));
    }
    // Where the issuer says for whom it made it, nobody else may use it.
    for name in ["client_id", "azp"] {
        if claims.contains_key(name) && text(name) != Some(client.id.as_str()) {
            return Err(wrong("client_id and azp, where they are there, must be the client_id of the caller"));
        }
    }
    let expires_at = judge_times(claims, now)?;
    let jti = text("jti").filter(|jti| (1..=LONGEST_TEXT).contains(&jti.len()));
    let jti = jti.ok_or_else(|| wrong("jti must be a text of 1 to 256 bytes, another for each assertion"))?;
    Ok(Accepted { jti: jti.to_owned(), expires_at, person: person(issuer.subject, claims)? })
}

fn judge_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, OAuthError> {
    let time = |name| jwt_time::read(claims, name).map_err(|error| refused("claims", error));
    let expires_at = time("exp")?.ok_or_else(|| refused("claims", "exp is missing"))?;
    if expires_at <= now {
        return Err(refused("expired", "it has expired; get a new one for each request"));
    }
    if expires_at - now > LONGEST {
        return Err(refused("claims", "exp is more than an hour away; let it live for a minute"));
    }
    for name in ["iat", "nbf"] {
        if time(name)?.is_some_and(|at| at > now + MOST_AHEAD) {
            return Err(refused("claims", "iat or nbf lies in the future; set the clock by NTP"));
        }
    }
    Ok(expires_at)
}

/// RFC 7523 §3: `sub` is always there; what it means the registration says.
fn person(subject: AssertionSubject, claims: &Map<String, Value>) -> Result<Person, OAuthError> {
    let text =
        |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| (1..=LONGEST_TEXT).contains(&text.len()));
    let sub = text("sub").ok_or_else(|| refused("claims", "sub must be a text of 1 to 256 bytes"))?;
    match subject {
        AssertionSubject::UserId => Uuid::try_parse(sub).map(|id| Person::Id(UserId(id))).map_err(|_| nobody()),
        AssertionSubject::Email => {
            // An address that nobody proved could be anybody's.
            let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
            let email = text("email").filter(|_| is_verified);
            let email = email.ok_or_else(|| refused("claims", "email must be there and email_verified be true"))?;
            Ok(Person::Email(normalize_identifier(email)))
        }
    }
}

/// The refusal where nobody is meant: no such account, a locked one, or one whose address was not verified. Which of them is not told.
#[must_use]
pub fn nobody() -> OAuthError {
    refused("unknown", "nobody whom it could mean has an account here that is open to it")
}

/// The refusal of an assertion that was used before.
#[must_use]
pub fn used() -> OAuthError {
    refused("used", "it was used before; get a new one for each request")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{ClientAuthMethod, ClientId, ClientMetadata, ClientProfile, Clock};

    const AUDIENCES: Audiences<'_> = Audiences {
        issuer: "https://id.example",
        token_endpoint: "https://id.example/oauth2/token",
        alias: Some("https://mtls.example/oauth2/token"),
    };
    const PAT: &str = "018f3c1e-0000-7000-8000-000000000000";

    fn client(subject: AssertionSubject) -> Client {
        let mut metadata = ClientMetadata::default();
        metadata.protocol.assertion_grant_issuer = Some(AssertionIssuer {
            issuer: "https://hr.example".into(),
            jwks: None,
            jwks_uri: Some("https://hr.example/jwks".into()),
            subject,
        });
        let now = Clock::System.now();
        let id = ClientId::parse("c").unwrap();
        Client { id, metadata, secrets: Vec::new(), disabled_at: None, created_at: now, updated_at: now }
    }

    /// Judges a good assertion with other claims, made from the time; null takes one away.
    fn judged_by(client: &Client, typ: Option<&str>, change: impl Fn(i64) -> Value) -> Result<Accepted, OAuthError> {
        let now = Clock::System.now();
        let at = now.unix_timestamp();
        let mut claims = json!({
            "iss": "https://hr.example", "sub": PAT, "aud": "https://id.example", "iat": at, "exp": at + 60, "jti": "1",
            "email": "Pat@Example.com", "email_verified": true,
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(change(at).as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        judge(client, trusted_issuer(client)?, typ, claims, AUDIENCES, now)
    }

    fn judged(change: impl Fn(i64) -> Value) -> Result<Accepted, OAuthError> {
        judged_by(&client(AssertionSubject::UserId), Some("JWT"), change)
    }

    #[test]
    fn rfc_7523_section_3_an_assertion_means_one_person() {
        let by_id = judged(|_| json!({})).unwrap();
        assert_eq!((by_id.jti.as_str(), by_id.person), ("1", Person::Id(UserId(Uuid::try_parse(PAT).unwrap()))));
        let by_email = judged_by(&client(AssertionSubject::Email), None, |_| json!({ "sub": "pat" })).unwrap();
        assert_eq!(by_email.person, Person::Email("pat@example.com".into()));
        for claims in [
            json!({ "email_verified": null }),
            json!({ "email_verified": "true" }),
            json!({ "email": null }),
            json!({ "sub": null }),
        ] {
            assert!(judged_by(&client(AssertionSubject::Email), None, |_| claims.clone()).is_err(), "{claims}");
        }
        assert_eq!(judged(|_| json!({ "sub": "pat" })).unwrap_err().reason, Some("unknown"));
    }

    #[test]
    fn security_27_an_assertion_is_for_this_server_alone_and_for_this_client() {
        for good in [
            json!({ "aud": ["https://id.example"] }),
            json!({ "aud": "https://id.example/oauth2/token" }),
            json!({ "aud": "https://mtls.example/oauth2/token" }),
            json!({ "client_id": "c", "azp": "c" }),
            json!({ "iat": null }),
        ] {
            assert!(judged(|_| good.clone()).is_ok(), "{good}");
        }
        for wrong in [
            json!({ "iss": "https://other.example" }),
            json!({ "iss": null }),
            json!({ "aud": ["https://id.example", "https://other.example"] }),
            json!({ "aud": "https://other.example" }),
            json!({ "aud": [] }),
            json!({ "aud": null }),
            json!({ "client_id": "d" }),
            json!({ "azp": ["c"] }),
            json!({ "jti": null }),
            json!({ "jti": "" }),
            json!({ "jti": "x".repeat(257) }),
            json!({ "sub": null }),
            json!({ "sub": "" }),
        ] {
            let error = judged(|_| wrong.clone()).expect_err(&wrong.to_string());
            assert_eq!((error.code, error.reason), (ErrorCode::InvalidGrant, Some("claims")), "{wrong}");
        }
        let mut fapi = client(AssertionSubject::UserId);
        fapi.metadata.protocol.profile = ClientProfile::Fapi2;
        assert!(judged_by(&fapi, None, |_| json!({ "aud": "https://id.example/oauth2/token" })).is_err());
        assert!(!algorithms(&fapi).contains(&SigningAlgorithm::Rs256));
    }

    #[test]
    fn protocol_58_an_assertion_ends_soon_and_clocks_may_differ_a_little() {
        for (claim, offset, reason) in [
            ("exp", 1, None),
            ("exp", 3600, None),
            ("exp", 0, Some("expired")),
            ("exp", 3602, Some("claims")),
            ("iat", 10, None),
            ("iat", 61, Some("claims")),
            ("nbf", 10, None),
            ("nbf", 61, Some("claims")),
        ] {
            let judged = judged(|now| json!({ claim: now + offset }));
            assert_eq!(judged.err().and_then(|error| error.reason), reason, "{claim} {offset}");
        }
        for wrong in [json!({ "exp": null }), json!({ "exp": "soon" }), json!({ "nbf": "x" }), json!({ "iat": true })] {
            assert_eq!(judged(|_| wrong.clone()).unwrap_err().reason, Some("claims"), "{wrong}");
        }
    }

    #[test]
    fn security_30_another_kind_of_jwt_is_no_assertion_and_a_public_client_presents_none() {
        let with = client(AssertionSubject::UserId);
        for typ in [None, Some("JWT"), Some("authorization-grant+jwt"), Some("application/Authorization-Grant+JWT")] {
            assert!(judged_by(&with, typ, |_| json!({})).is_ok(), "{typ:?}");
        }
        for typ in ["at+jwt", "client-authentication+jwt", "dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", ""] {
            assert!(judged_by(&with, Some(typ), |_| json!({})).is_err(), "{typ}");
        }
        let mut public = with.clone();
        public.metadata.token_endpoint_auth_method = ClientAuthMethod::None;
        let mut without = with;
        without.metadata.protocol.assertion_grant_issuer = None;
        for client in [public, without] {
            assert_eq!(trusted_issuer(&client).unwrap_err().code, ErrorCode::UnauthorizedClient);
        }
    }
}
