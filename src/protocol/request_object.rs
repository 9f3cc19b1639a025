//! Request objects: authorization requests that the client signed (RFC 9101; FAPI 2.0 Message Signing §5.3.1).

use serde_json::{Map, Value};
use time::Duration;

use crate::domain::{Client, SigningAlgorithm, Timestamp, is_same_media_type};

use super::error::{ErrorCode, OAuthError};
use super::jwt_time;
use super::params::Params;

/// The longest life of a request object. It is as good as its signature to whoever finds it, so it must not be good for long.
const LONGEST_LIFE: Duration = Duration::hours(1);
/// By how much a client's clock may be ahead of ours.
const LEEWAY: Duration = Duration::seconds(10);
/// Claims about the object itself; all others are parameters of the request.
const ABOUT_THE_OBJECT: [&str; 7] = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti"];

/// With what a request object is compared.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// This server.
    pub issuer: &'a str,
    /// Who sends it.
    pub client: &'a Client,
    /// Whether it came to the endpoint for pushed requests.
    pub pushed: bool,
    /// The time.
    pub now: Timestamp,
}

/// `invalid_request_object` with a sentence.
#[must_use]
pub fn invalid(sentence: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestObject, sentence)
}

/// The algorithms with which the client may sign: the one that it registered, or any of ours. Never `none`, which is no signature.
#[must_use]
pub fn algorithms(client: &Client) -> &[SigningAlgorithm] {
    let protocol = &client.metadata.protocol;
    protocol.algorithms(protocol.request_object_signing_alg.as_ref())
}

/// The parameters of a request object, to be believed only once its signature was verified. §6.3: only these count, whatever stands beside it.
///
/// # Errors
/// `invalid_request_object`: it is a JWT for another use, by or for somebody else, too old, too long-lived, or leads on to another object.
pub fn judge(typ: Option<&str>, claims: &Map<String, Value>, expected: Expected<'_>) -> Result<Params, OAuthError> {
    let client_id = expected.client.id.as_str();
    // §10.8: what the client signed for another purpose must not become a request.
    if !typ.is_none_or(is_request_type) {
        return Err(invalid("The typ of the request object must be oauth-authz-req+jwt or JWT, or be left out."));
    }
    // §10.8: an object passes through browsers; with this claim whoever finds it there could try it as a client assertion.
    if text(claims, "sub") == Some(client_id) {
        return Err(invalid("The request object must not have the client_id as sub; leave sub out."));
    }
    if text(claims, "iss") != Some(client_id) {
        return Err(invalid("The iss of the request object must be the client_id."));
    }
    if !is_audience(claims.get("aud"), expected.issuer) {
        return Err(invalid("The aud of the request object must be the issuer of this server."));
    }
    // §5: a client assertion has no client_id, and another client's request has another one.
    if text(claims, "client_id") != Some(client_id) {
        return Err(invalid("The client_id in the request object must be there and equal the one outside."));
    }
    judge_times(claims, expected)?;
    // §4: an object that leads to another one could go on for ever.
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err(invalid("A request object must not hold request or request_uri."));
    }
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !ABOUT_THE_OBJECT.contains(&name.as_str())) {
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            // RFC 8707 §2: the one parameter that may be repeated.
            Value::Array(all) if name == "resource" => {
                let all = all.iter().map(|one| one.as_str().map(|one| (name.clone(), one.to_owned())));
                let all = all.collect::<Option<Vec<_>>>();
                pairs.extend(all.ok_or_else(|| invalid("resource must be a text or a list of texts."))?);
            }
            other => pairs.push((name.clone(), other.to_string())),
        }
    }
    Params::of_pairs(pairs)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn is_request_type(typ: &str) -> bool {
    ["oauth-authz-req+jwt", "JWT"].iter().any(|known| is_same_media_type(typ, known))
}

fn is_audience(aud: Option<&Value>, issuer: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == issuer,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(issuer)),
        _ => false,
    }
}

fn judge_times(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), OAuthError> {
    let now = expected.now;
    let time = |name| jwt_time::read(claims, name).map_err(|error| invalid(format!("{error}.")));
    let exp = time("exp")?.ok_or_else(|| invalid("The request object needs exp; an hour ahead at most."))?;
    if exp <= now {
        return Err(invalid("The request object has expired."));
    }
    let Some(nbf) = time("nbf")? else {
        if expected.pushed || expected.client.metadata.protocol.require_signed_request_object {
            return Err(invalid("The request object needs nbf, an hour old at most."));
        }
        let too_long = exp > now + LONGEST_LIFE;
        return if too_long {
            Err(invalid("The exp of the request object is more than an hour ahead."))
        } else {
            Ok(())
        };
    };
    if nbf > now + LEEWAY {
        return Err(invalid("The nbf of the request object is in the future."));
    }
    if nbf < now - LONGEST_LIFE || exp - nbf > LONGEST_LIFE {
        return Err(invalid(
            "The nbf of the request object must be an hour old at most, and exp an hour after it at most.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{ClientId, ClientMetadata, ClientProtocol};

    const ISSUER: &str = "https://id.example";
    const NOW: i64 = 1_800_000_000;

    fn client(protocol: ClientProtocol) -> Client {
        let now = Timestamp::from_unix_timestamp(NOW).unwrap();
        Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata { protocol, ..ClientMetadata::default() },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Judges a good object with other claims; null takes one away.
    fn judged(typ: Option<&str>, other: &Value, pushed: bool) -> Result<Params, OAuthError> {
        let mut claims = json!({
            "iss": "c", "aud": ISSUER, "client_id": "c", "exp": NOW + 300, "nbf": NOW - 5, "jti": "1", "scope": "openid",
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(other.as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        let now = Timestamp::from_unix_timestamp(NOW).unwrap();
        judge(typ, claims, Expected { issuer: ISSUER, client: &client(ClientProtocol::default()), pushed, now })
    }

    #[test]
    fn rfc_9101_only_claims_that_are_not_about_the_object_become_parameters() {
        let other = json!({
            "state": "a&b=\"", "max_age": 10, "claims": { "userinfo": { "name": null } }, "nonce": "", "prompt": null,
            "resource": ["https://a.example", "https://b.example"], "iat": NOW,
        });
        let params = judged(None, &other, true).unwrap();
        assert_eq!(params.one("state").unwrap(), Some("a&b=\""));
        assert_eq!(params.one("max_age").unwrap(), Some("10"));
        assert_eq!(params.one("claims").unwrap(), Some(r#"{"userinfo":{"name":null}}"#));
        assert_eq!(params.all("resource").count(), 2);
        for absent in ["iss", "aud", "exp", "nbf", "iat", "jti", "sub", "nonce", "prompt"] {
            assert_eq!(params.one(absent).unwrap(), None, "{absent}");
        }
    }

    #[test]
    fn security_30_a_jwt_for_another_use_is_no_request_object() {
        for typ in ["oauth-authz-req+jwt", "application/OAuth-AuthZ-Req+JWT", "JWT", "jwt"] {
            assert!(judged(Some(typ), &json!({}), false).is_ok(), "{typ}");
        }
        for typ in ["at+jwt", "dpop+jwt", "client-authentication+jwt", "logout+jwt", ""] {
            assert!(judged(Some(typ), &json!({}), false).is_err(), "{typ}");
        }
        let assertion = json!({ "client_id": null, "scope": null });
        assert!(judged(None, &assertion, false).is_err(), "a client assertion has no client_id");
        assert!(judged(None, &json!({ "sub": "c" }), false).is_err(), "what could be a client assertion, too");
    }

    #[test]
    fn protocol_63_issuer_audience_and_client_are_those_of_the_request() {
        let both = json!({ "aud": ["https://other.example", ISSUER] });
        assert!(judged(None, &both, true).is_ok(), "an array is allowed here");
        for other in [
            json!({ "iss": "d" }),
            json!({ "iss": null }),
            json!({ "aud": null }),
            json!({ "aud": "https://other.example" }),
            json!({ "aud": "https://id.example/" }),
            json!({ "aud": [] }),
            json!({ "aud": { "https://id.example": 1 } }),
            json!({ "client_id": "d" }),
            json!({ "client_id": null }),
            json!({ "client_id": ["c"] }),
            json!({ "request": "e30.e30.x" }),
            json!({ "request_uri": "https://rp.example/r" }),
            json!({ "resource": [1] }),
        ] {
            assert_eq!(judged(None, &other, false).unwrap_err().code, ErrorCode::InvalidRequestObject, "{other}");
        }
    }

    #[test]
    fn protocol_63_times_are_there_and_near() {
        let cases = [
            (json!({ "nbf": NOW + 8 }), true),
            (json!({ "nbf": NOW + 10 }), true),
            (json!({ "nbf": NOW + 11 }), false),
            (json!({ "nbf": NOW - 3300, "exp": NOW + 300 }), true),
            (json!({ "nbf": NOW - 3300, "exp": NOW + 301 }), false),
            (json!({ "nbf": NOW - 3601, "exp": NOW + 1 }), false),
            (json!({ "exp": NOW }), false),
            (json!({ "exp": null }), false),
            (json!({ "exp": i64::MAX, "nbf": i64::MIN }), false),
            (json!({ "exp": i64::MAX }), false),
            (json!({ "exp": "1800000300" }), false),
            (json!({ "exp": 1e300 }), false),
            (json!({ "nbf": 1.5 }), false),
        ];
        for (other, holds) in cases {
            for pushed in [true, false] {
                assert_eq!(judged(None, &other, pushed).is_ok(), holds, "{other}");
            }
        }
    }

    #[test]
    fn protocol_63_nbf_is_required_where_messages_must_be_signed() {
        assert!(judged(None, &json!({ "nbf": null }), false).is_ok());
        assert!(judged(None, &json!({ "nbf": null, "exp": NOW + 3601 }), false).is_err());
        assert!(judged(None, &json!({ "nbf": null }), true).is_err());
        let strict = client(ClientProtocol { require_signed_request_object: true, ..ClientProtocol::default() });
        let now = Timestamp::from_unix_timestamp(NOW).unwrap();
        let claims = json!({ "iss": "c", "aud": ISSUER, "client_id": "c", "exp": NOW + 300 });
        let expected = Expected { issuer: ISSUER, client: &strict, pushed: false, now };
        assert!(judge(None, claims.as_object().unwrap(), expected).is_err());
    }

    #[test]
    fn security_29_the_registered_algorithm_is_the_only_one() {
        let any = client(ClientProtocol::default());
        assert_eq!(algorithms(&any), SigningAlgorithm::ALL);
        let request_object_signing_alg = Some(SigningAlgorithm::Ps256);
        let one = client(ClientProtocol { request_object_signing_alg, ..ClientProtocol::default() });
        assert_eq!(algorithms(&one), [SigningAlgorithm::Ps256]);
    }
}
