//! Client assertions: `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9), and the JWT of a workload's platform in their place.

use serde_json::{Map, Value};
use time::Duration;

use crate::domain::{Client, ClientAuthMethod, ClientProfile, SigningAlgorithm, Timestamp, is_same_media_type};

use super::error::{ErrorCode, OAuthError};
use super::jwt_time;

/// The one `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far in the future an assertion may have been made, for clocks that differ.
const MOST_AHEAD: Duration = Duration::seconds(30);
/// How far in the future its end may lie: so long it could be replayed if the memory of it were lost.
const LONGEST: Duration = Duration::hours(1);
const LONGEST_ID: usize = 256;

/// An assertion whose claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What makes it unique, where its issuer promises that: it must not be used again.
    pub jti: Option<String>,
    /// When it is too old anyway.
    pub expires_at: Timestamp,
}

/// Where assertions may be addressed to.
#[derive(Debug, Clone, Copy)]
pub struct Audiences<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The token endpoint, which older clients name.
    pub token_endpoint: &'a str,
    /// Its address for clients that show a certificate (RFC 8705 §5), where there is another one.
    pub alias: Option<&'a str>,
}

/// The algorithms that a client may sign its assertions with.
#[must_use]
pub fn algorithms(client: &Client) -> &[SigningAlgorithm] {
    let protocol = &client.metadata.protocol;
    protocol.algorithms(protocol.token_endpoint_auth_signing_alg.as_ref())
}

/// The client that an assertion claims to be from, before anything is believed (RFC 7523 §3: `sub` is the client).
#[must_use]
pub fn claimed_client(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("sub").and_then(Value::as_str)
}

fn refused(sentence: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, format!("The client assertion is refused: {sentence}."))
}

/// Judges the claims of an assertion, apart from its signature.
///
/// # Errors
/// `invalid_client` with what is wrong; the caller knows its own assertion, so the sentence tells it nothing new.
pub fn judge(
    client: &Client,
    typ: Option<&str>,
    claims: &Map<String, Value>,
    audiences: Audiences<'_>,
    now: Timestamp,
) -> Result<Accepted, OAuthError> {
    if client.metadata.token_endpoint_auth_method != ClientAuthMethod::PrivateKeyJwt {
        return Err(refused("another method than private_key_jwt is registered for this client"));
    }
    // RFC 8725 §3.11: a logout token, a DPoP proof or a request object of the same key is not an assertion.
    if typ.is_some_and(|typ| !["jwt", "client-authentication+jwt"].iter().any(|known| is_same_media_type(typ, known))) {
        return Err(refused("typ must be client-authentication+jwt or JWT, or be left out"));
    }
    let protocol = &client.metadata.protocol;
    let platform = protocol.client_assertion_issuer.as_deref();
    let issuer = platform.unwrap_or(client.id.as_str());
    let subject = protocol.client_assertion_subject.as_deref().unwrap_or(client.id.as_str());
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(issuer) || text("sub") != Some(subject) {
        return Err(refused(if platform.is_some() {
            "iss and sub must be the client_assertion_issuer and client_assertion_subject that are registered"
        } else {
            "iss and sub must both be the client_id"
        }));
    }
    if !is_for_us(claims.get("aud"), audiences, protocol.profile) {
        return Err(refused("aud must be this server's issuer identifier and nothing else"));
    }
    let expires_at = judge_times(claims, platform.is_some(), now)?;
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST_ID);
    // A platform hands the same token to a workload until it ends, so it cannot be used only once; it is short-lived instead.
    if platform.is_some() {
        return Ok(Accepted { jti: None, expires_at });
    }
    let jti = jti.ok_or_else(|| refused("jti is missing; give each assertion one of its own, at most 256 bytes"))?;
    Ok(Accepted { jti: Some(jti.to_owned()), expires_at })
}

/// One audience only: an assertion that is also good elsewhere could be sent on to us from there (CVE-2025-27370).
pub(super) fn is_for_us(aud: Option<&Value>, audiences: Audiences<'_>, profile: ClientProfile) -> bool {
    // FAPI 2.0 §5.3.2.1: the issuer, as a text.
    if profile == ClientProfile::Fapi2 {
        return aud.and_then(Value::as_str) == Some(audiences.issuer);
    }
    let only = match aud {
        Some(Value::Array(all)) if all.len() == 1 => all.first(),
        other => other,
    };
    only.and_then(Value::as_str)
        .is_some_and(|aud| aud == audiences.issuer || aud == audiences.token_endpoint || Some(aud) == audiences.alias)
}

fn judge_times(claims: &Map<String, Value>, from_platform: bool, now: Timestamp) -> Result<Timestamp, OAuthError> {
    let time = |name| jwt_time::read(claims, name).map_err(|error| refused(&error.to_string()));
    let expires_at = time("exp")?.ok_or_else(|| refused("exp is missing"))?;
    if expires_at <= now {
        return Err(refused("it has expired; make a new one for each request"));
    }
    // A platform decides on the lifetime of its tokens itself; Kubernetes makes them for a year where nobody asks for less.
    if !from_platform && expires_at - now > LONGEST {
        return Err(refused("exp is more than an hour away; let it live for a minute"));
    }
    for name in ["iat", "nbf"] {
        if time(name)?.is_some_and(|at| at > now + MOST_AHEAD) {
            return Err(refused("iat or nbf lies in the future; set the clock by NTP"));
        }
    }
    Ok(expires_at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{ClientId, ClientMetadata, ClientProtocol, Clock};

    const AUDIENCES: Audiences<'_> = Audiences {
        issuer: "https://id.example",
        token_endpoint: "https://id.example/oauth2/token",
        alias: Some("https://mtls.example/oauth2/token"),
    };

    fn client(protocol: ClientProtocol) -> Client {
        let now = Clock::System.now();
        let metadata = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
            protocol,
            ..ClientMetadata::default()
        };
        let id = ClientId::parse("c").unwrap();
        Client { id, metadata, secrets: Vec::new(), disabled_at: None, created_at: now, updated_at: now }
    }

    fn usual(now: Timestamp) -> Map<String, Value> {
        let now = now.unix_timestamp();
        let claims =
            json!({ "iss": "c", "sub": "c", "aud": "https://id.example", "iat": now, "exp": now + 60, "jti": "1" });
        claims.as_object().unwrap().clone()
    }

    fn judged(change: impl FnOnce(&mut Map<String, Value>, i64)) -> Result<Accepted, OAuthError> {
        let now = Clock::System.now();
        let mut claims = usual(now);
        change(&mut claims, now.unix_timestamp());
        judge(&client(ClientProtocol::default()), Some("JWT"), &claims, AUDIENCES, now)
    }

    #[test]
    fn rfc_7523_section_3_a_usual_assertion_is_accepted() {
        assert_eq!(judged(|_, _| {}).unwrap().jti.as_deref(), Some("1"));
        assert!(judged(|c, _| drop(c.insert("aud".into(), json!(["https://id.example"])))).is_ok());
        assert!(judged(|c, _| drop(c.insert("aud".into(), json!("https://id.example/oauth2/token")))).is_ok());
        assert!(judged(|c, _| drop(c.insert("aud".into(), json!("https://mtls.example/oauth2/token")))).is_ok());
        assert!(judged(|c, _| drop(c.remove("iat"))).is_ok());
    }

    #[test]
    fn a_client_of_fapi_names_the_issuer_only_and_does_not_sign_with_rs256() {
        let now = Clock::System.now();
        let fapi = client(ClientProtocol { profile: ClientProfile::Fapi2, ..ClientProtocol::default() });
        assert!(!algorithms(&fapi).contains(&SigningAlgorithm::Rs256));
        for (aud, expected) in [
            (json!("https://id.example"), true),
            (json!(["https://id.example"]), false),
            (json!("https://id.example/oauth2/token"), false),
        ] {
            let mut claims = usual(now);
            claims.insert("aud".into(), aud.clone());
            assert_eq!(judge(&fapi, None, &claims, AUDIENCES, now).is_ok(), expected, "{aud}");
        }
    }

    #[test]
    fn protocol_58_clocks_that_differ_by_ten_seconds_are_fine_and_by_a_minute_are_not() {
        for name in ["iat", "nbf"] {
            assert!(judged(|c, now| drop(c.insert(name.into(), json!(now + 10)))).is_ok(), "{name}");
            assert!(judged(|c, now| drop(c.insert(name.into(), json!(now + 61)))).is_err(), "{name}");
        }
    }

    #[test]
    fn security_27_what_is_missing_or_wrong_is_refused() {
        let wrong = [
            ("iss", json!("d")),
            ("sub", json!("d")),
            ("aud", json!("https://other.example")),
            ("aud", json!(["https://id.example", "https://other.example"])),
            ("aud", json!([])),
            ("exp", json!("soon")),
            ("jti", json!("")),
            ("jti", json!("x".repeat(257))),
        ];
        for (name, value) in wrong {
            assert!(judged(|c, _| drop(c.insert(name.into(), value.clone()))).is_err(), "{name}: {value}");
        }
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            assert!(judged(|c, _| drop(c.remove(name))).is_err(), "{name}");
        }
        for seconds in [-300, 0, 31_536_000] {
            assert!(judged(|c, now| drop(c.insert("exp".into(), json!(now + seconds)))).is_err(), "{seconds}");
        }
    }

    #[test]
    fn security_30_another_kind_of_jwt_is_not_an_assertion() {
        let now = Clock::System.now();
        let client = client(ClientProtocol::default());
        let judged = |typ| judge(&client, typ, &usual(now), AUDIENCES, now).is_ok();
        for typ in [None, Some("JWT"), Some("client-authentication+jwt"), Some("application/Client-Authentication+JWT")]
        {
            assert!(judged(typ), "{typ:?}");
        }
        for typ in ["dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", "at+jwt", ""] {
            assert!(!judged(Some(typ)), "{typ}");
        }
    }

    #[test]
    fn a_workloads_platform_speaks_for_it_and_its_token_may_be_used_again() {
        let now = Clock::System.now();
        let workload = client(ClientProtocol {
            client_assertion_issuer: Some("https://kubernetes.example".into()),
            client_assertion_subject: Some("system:serviceaccount:shop:checkout".into()),
            ..ClientProtocol::default()
        });
        let mut claims = usual(now);
        claims.remove("jti");
        assert!(judge(&workload, None, &claims, AUDIENCES, now).is_err(), "the client's own name is not enough");
        claims.insert("iss".into(), json!("https://kubernetes.example"));
        claims.insert("sub".into(), json!("system:serviceaccount:shop:checkout"));
        claims.insert("exp".into(), json!(now.unix_timestamp() + 86_400));
        assert_eq!(judge(&workload, None, &claims, AUDIENCES, now).unwrap().jti, None);
        claims.insert("sub".into(), json!("system:serviceaccount:shop:cart"));
        assert!(judge(&workload, None, &claims, AUDIENCES, now).is_err());
    }
}
