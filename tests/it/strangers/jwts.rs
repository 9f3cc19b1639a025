//! JWTs, keys and certificates that others made.

use keystead::crypto::{ForeignJwt, ForeignKeys, read_certificate};
use keystead::domain::{
    ApplicationType, Client, ClientAuthMethod, ClientId, ClientMetadata, SigningAlgorithm, Timestamp,
};
use keystead::protocol::client_assertion::{self, Audiences};
use keystead::protocol::{dpop, request_object};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

use super::{any_json, any_text, damaged, hostile, quick};
use crate::support::tls::Identity;
use crate::support::{Es256, ISSUER, web_metadata};

const URL: &str = "https://id.example/oauth2/token";
const NOW: i64 = 1_800_000_000;
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "htm",
    "htu",
    "ath",
    "nonce",
    "client_id",
    "redirect_uri",
    "scope",
    "request",
    "resource",
    "claims",
    "max_age",
];
const SAID: &[&str] = &["web", ISSUER, URL, "POST", "a jti", "https://rp.example/cb", "openid"];
const MEMBERS: &[&str] = &["keys", "kty", "crv", "x", "y", "n", "e", "d", "k", "use", "alg", "kid", "x5c", "key_ops"];
const WRITTEN: &[&str] = &["EC", "P-256", "RSA", "OKP", "Ed25519", "sig", "enc", "ES256", "AQAB", "oct"];

/// A key, its public half, and a good JWT of it.
static SIGNED: LazyLock<(Value, String)> = LazyLock::new(|| {
    let key = Es256::foreign("a");
    let claims = json!({ "iss": "web", "sub": "web", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "a" });
    (key.jwk(), key.sign(&json!({ "alg": "ES256", "typ": "JWT", "kid": "a" }), &claims))
});
static CERTIFICATE: LazyLock<Vec<u8>> = LazyLock::new(|| Identity::self_signed(|_| {}).chain().leaf().to_vec());

fn now() -> Timestamp {
    Timestamp::from_unix_timestamp(NOW).unwrap()
}

fn client() -> Client {
    let metadata = ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
        application_type: ApplicationType::Web,
        ..web_metadata()
    };
    let (id, now) = (ClientId::parse("web").unwrap(), now());
    Client { id, metadata, secrets: Vec::new(), disabled_at: None, created_at: now, updated_at: now }
}

/// Claims of which some are as they should be, so that those behind them are looked at too.
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let right = json!({
        "iss": "web", "sub": "web", "aud": ISSUER, "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "a", "htm": "POST", "htu": URL,
        "client_id": "web", "ath": "x",
    });
    let right = right.as_object().unwrap().clone();
    (any_json(CLAIMS, SAID), vec(any::<bool>(), right.len())).prop_map(move |(claims, kept)| {
        let mut claims = claims.as_object().unwrap().clone();
        claims.extend(right.clone().into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(member, _)| member));
        claims
    })
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn security_29_a_damaged_jwt_is_refused_or_says_what_was_signed(text in damaged(vec![SIGNED.1.clone()])) {
        let keys = ForeignKeys::of_one(&SIGNED.0).unwrap();
        let Ok(read) = ForeignJwt::read(&text, SigningAlgorithm::ALL) else { return Ok(()) };
        if read.verify(&keys, SigningAlgorithm::ALL).is_ok() {
            prop_assert_eq!(text, &*SIGNED.1);
        }
    }

    #[test]
    fn any_text_is_read_as_a_jwt_or_refused(text in prop_oneof![any_text(), hostile(&["e30.e30.e30", "eyJhbGciOiJFUzI1NiJ9.e30."])]) {
        let _ = ForeignJwt::read(&text, SigningAlgorithm::ALL);
    }

    #[test]
    fn any_header_and_claims_are_read_or_refused(
        header in any_json(&["alg", "typ", "kid", "jwk", "crit", "b64", "jku", "x5u"], &["ES256", "none", "HS256", "JWT"]),
        claims in any_json(CLAIMS, SAID),
    ) {
        let text = crate::support::compact(&header, &claims, |_| vec![0; 64]);
        if let Ok(read) = ForeignJwt::read(&text, &[SigningAlgorithm::Es256]) {
            prop_assert!(read.claims.keys().eq(claims.as_object().unwrap().keys()));
            prop_assert_eq!(&header["alg"], "ES256");
            prop_assert!(read.verify(&ForeignKeys::of_one(&SIGNED.0).unwrap(), SigningAlgorithm::ALL).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_certificate_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read_certificate(&bytes);
    }

    #[test]
    fn a_damaged_certificate_is_read_or_refused(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>()) {
        let mut der = CERTIFICATE.clone();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        let _ = read_certificate(&der);
        let _ = read_certificate(&der[..cut.index(der.len())]);
    }
}

proptest! {
    #[test]
    fn any_key_is_read_or_refused_and_never_one_with_a_private_part(key in any_json(MEMBERS, WRITTEN), good: bool) {
        let mut key = key;
        if good {
            // The rest of a good key, so that what is odd about it is looked at.
            key.as_object_mut().unwrap().extend(SIGNED.0.as_object().unwrap().clone());
        }
        let read = ForeignKeys::of_one(&key);
        prop_assert!(read.is_err() || (key.get("d").is_none() && key.get("k").is_none()));
        let set = json!({ "keys": [key, SIGNED.0.clone()] });
        let _ = (ForeignKeys::of_set(&set), ForeignKeys::of_set(&key), ForeignKeys::tidy_set(&set));
    }

    #[test]
    fn any_claims_of_a_proof_are_judged(claims in claims(), typ in prop::option::of(hostile(&["dpop+jwt", "application/dpop+jwt"]))) {
        let expected = dpop::Expected { method: "POST", url: URL, access_token_hash: None };
        if let Ok(judged) = dpop::judge(dpop::Presented { typ: typ.as_deref(), claims: &claims }, expected, now()) {
            prop_assert_eq!((&claims["htm"], &claims["jti"]), (&json!("POST"), &json!(judged.jti)));
            prop_assert!(judged.remembered_until > now() && judged.remembered_until <= now() + dpop::REMEMBERED + dpop::TOLERANCE);
        }
    }

    #[test]
    fn any_claims_of_an_assertion_are_judged(claims in claims(), typ in prop::option::of(hostile(&["JWT", "at+jwt"]))) {
        let audiences = Audiences { issuer: ISSUER, token_endpoint: URL, alias: None };
        if let Ok(accepted) = client_assertion::judge(&client(), typ.as_deref(), &claims, audiences, now()) {
            prop_assert_eq!((&claims["iss"], &claims["sub"]), (&json!("web"), &json!("web")));
            prop_assert!(accepted.expires_at > now() - time::Duration::minutes(2));
        }
    }

    #[test]
    fn any_claims_of_a_request_object_are_judged(claims in claims(), typ in prop::option::of(hostile(&["oauth-authz-req+jwt", "JWT"]))) {
        let client = client();
        let expected = request_object::Expected { issuer: ISSUER, client: &client, pushed: true, now: now() };
        if let Ok(params) = request_object::judge(typ.as_deref(), &claims, expected) {
            prop_assert_eq!(params.one("client_id").unwrap(), Some("web"));
            prop_assert!(params.one("request").unwrap().is_none() && params.one("iss").unwrap().is_none());
        }
    }
}
