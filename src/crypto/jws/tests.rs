use aws_lc_rs::hmac;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use time::Duration;

use super::*;
use crate::crypto::testing::{NOW, es256_record, full_ring, keks, record, ring, rotated};
use crate::domain::{KeyAlgorithm, KeyRecord, SigningAlgorithm};

const ISSUER: &str = "https://issuer.example";

fn claims() -> Value {
    let now = NOW.unix_timestamp();
    json!({ "iss": ISSUER, "sub": "someone", "iat": now, "nbf": now, "exp": now + 300 })
}

fn token_of(algorithm: SigningAlgorithm, typ: &'static str, claims: &Value) -> String {
    sign(full_ring().signing_key(algorithm, NOW).unwrap(), typ, claims).unwrap()
}

fn token(typ: &'static str) -> String {
    token_of(SigningAlgorithm::Es256, typ, &claims())
}

fn check_at(token: &str, typ: &[&str], now: Timestamp, expiry: Expiry) -> Result<Value, TokenRefused> {
    verify(full_ring(), token, typ, ISSUER, now, expiry).map(|(_, claims)| claims)
}

fn check(token: &str) -> Result<Value, TokenRefused> {
    check_at(token, &["at+jwt"], NOW, Expiry::Enforce)
}

/// A token whose signature is right whatever its header says.
fn token_with_header(header: &Value) -> String {
    let key = full_ring().signing_key(SigningAlgorithm::Es256, NOW).unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(&claims()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn header_with(name: &str, value: Value) -> Value {
    let kid = full_ring().signing_key(SigningAlgorithm::Es256, NOW).unwrap().kid().to_string();
    let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid });
    header[name] = value;
    header
}

#[rstest]
fn what_was_signed_is_verified(
    #[values(SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256, SigningAlgorithm::EdDsa)]
    algorithm: SigningAlgorithm,
) {
    let token = token_of(algorithm, "at+jwt", &claims());
    assert_eq!(check(&token), Ok(claims()));
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    let kid = full_ring().signing_key(algorithm, NOW).unwrap().kid().to_string();
    assert_eq!(header, json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid }));
}

#[test]
fn security_29_no_other_algorithm_than_the_keys_own_is_accepted() {
    for algorithm in ["none", "None", "", "HS256", "HS512", "RS256", "PS256", "EdDSA", "ES384", "es256"] {
        let token = token_with_header(&header_with("alg", algorithm.into()));
        assert_eq!(check(&token), Err(TokenRefused::BadSignature), "{algorithm}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(check(&unsigned), Err(TokenRefused::BadSignature), "{algorithm} unsigned");
    }
    let missing = json!({ "typ": "at+jwt", "kid": "AAAAAAAAAAA" });
    assert_eq!(check(&token_with_header(&missing)), Err(TokenRefused::Malformed));
}

#[test]
fn security_29_a_public_key_is_no_hmac_key() {
    let set: Value = serde_json::from_str(&full_ring().jwks(NOW)).unwrap();
    for jwk in set["keys"].as_array().unwrap() {
        let secret = jwk.get("x").or(jwk.get("n")).unwrap().as_str().unwrap();
        for algorithm in ["HS256", jwk["alg"].as_str().unwrap()] {
            let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": jwk["kid"] });
            let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", encode(&header), encode(&claims()));
            for bytes in [secret.as_bytes().to_vec(), decode(secret).unwrap(), jwk.to_string().into_bytes()] {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), signed.as_bytes());
                let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
                assert_eq!(check(&token), Err(TokenRefused::BadSignature));
            }
        }
    }
}

#[test]
fn security_29_keys_inside_the_header_are_ignored() {
    let foreign = ring(&[es256_record()]);
    let key = foreign.signing_key(SigningAlgorithm::Es256, NOW).unwrap();
    let jwk: Value = serde_json::from_str(key.jwk()).unwrap();
    for (name, value) in
        [("jwk", jwk), ("jku", "https://evil.example/jwks".into()), ("x5u", "https://evil.example".into())]
    {
        let header = header_with(name, value);
        assert_eq!(check(&token_with_header(&header)), Ok(claims()), "{name} changes nothing");
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode("{}"));
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap()));
        assert_eq!(check(&forged), Err(TokenRefused::BadSignature), "{name}");
    }
}

#[test]
fn critical_extensions_and_unencoded_payloads_are_refused() {
    for (name, value) in [("crit", json!(["b64"])), ("crit", json!([])), ("crit", Value::Null), ("b64", json!(false))] {
        let token = token_with_header(&header_with(name, value));
        assert_eq!(check(&token), Err(TokenRefused::Malformed), "{name}");
    }
}

#[test]
fn security_30_one_kind_of_token_is_never_taken_for_another() {
    let kinds = ["at+jwt", "JWT", "logout+jwt", "dpop+jwt"];
    for is in kinds {
        for wanted in kinds {
            let outcome = check_at(&token(is), &[wanted], NOW, Expiry::Enforce).map(|_| ());
            assert_eq!(outcome, if is == wanted { Ok(()) } else { Err(TokenRefused::WrongType) }, "{is} as {wanted}");
        }
    }
    assert!(check_at(&token("JWT"), &["at+jwt", "JWT"], NOW, Expiry::Enforce).is_ok());
    assert_eq!(check_at(&token("JWT"), &[], NOW, Expiry::Enforce), Err(TokenRefused::WrongType));
}

#[test]
fn a_type_compares_without_case_and_application_prefix() {
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(check(&token_with_header(&header_with("typ", typ.into()))).is_ok(), "{typ}");
    }
    for typ in ["", "application/", "text/at+jwt", "at+jwt ", "application/application/at+jwt", "äpplication/at+jwt"] {
        let token = token_with_header(&header_with("typ", typ.into()));
        assert_eq!(check(&token), Err(TokenRefused::WrongType), "{typ}");
    }
    assert_eq!(check(&token_with_header(&header_with("typ", Value::Null))), Err(TokenRefused::WrongType));
}

#[test]
fn security_30_issuer_and_times_are_checked_against_the_time_that_was_told() {
    let token = token("at+jwt");
    let other = verify::<Value>(full_ring(), &token, &["at+jwt"], "https://issuer.example/", NOW, Expiry::Enforce);
    assert_eq!(other, Err(TokenRefused::WrongIssuer));
    let at = |seconds, expiry| check_at(&token, &["at+jwt"], NOW + Duration::seconds(seconds), expiry).map(|_| ());
    assert_eq!(at(299, Expiry::Enforce), Ok(()));
    assert_eq!(at(300, Expiry::Enforce), Err(TokenRefused::Expired));
    assert_eq!(at(300, Expiry::Ignore), Ok(()));
    // The key is not active yet a second before, but it verifies; the token is early.
    assert_eq!(at(-1, Expiry::Enforce), Err(TokenRefused::NotYetValid));
    assert_eq!(at(-1, Expiry::Ignore), Err(TokenRefused::NotYetValid));
}

#[test]
fn claims_without_issuer_or_whole_second_expiry_are_malformed() {
    for (name, value) in [("iss", Value::Null), ("exp", Value::Null), ("exp", "1".into()), ("nbf", json!(1.5))] {
        let mut claims = claims();
        claims[name] = value;
        let token = token_of(SigningAlgorithm::EdDsa, "at+jwt", &claims);
        assert_eq!(check(&token), Err(TokenRefused::Malformed), "{name}");
    }
}

#[test]
fn a_key_that_is_gone_or_revoked_verifies_nothing() {
    let record = es256_record();
    let living = ring(std::slice::from_ref(&record));
    let token = sign(living.signing_key(SigningAlgorithm::Es256, NOW).unwrap(), "at+jwt", &claims()).unwrap();
    let outcome = |ring: &Keyring, now| verify::<Value>(ring, &token, &["at+jwt"], ISSUER, now, Expiry::Ignore);
    assert!(outcome(&living, NOW).is_ok());
    assert_eq!(outcome(&Keyring::empty(), NOW), Err(TokenRefused::UnknownKey));
    let revoked = ring(&[KeyRecord { revoked_at: Some(NOW), ..record.clone() }]);
    assert_eq!(outcome(&revoked, NOW), Err(TokenRefused::RevokedKey));
    let rotated = ring(&[rotated(record, NOW + Duration::minutes(1))]);
    assert!(outcome(&rotated, NOW + Duration::hours(1)).is_ok(), "retiring");
    assert_eq!(outcome(&rotated, NOW + Duration::days(2)), Err(TokenRefused::UnknownKey), "retired");
}

#[test]
fn a_pending_key_verifies_what_a_replica_with_a_faster_clock_signed() {
    let pending = record(KeyAlgorithm::Signing(SigningAlgorithm::Es256), NOW + Duration::seconds(1));
    let ring = Keyring::load(&[pending], &keks(), NOW).unwrap();
    let signer = ring.signing_key(SigningAlgorithm::Es256, NOW + Duration::seconds(1)).unwrap();
    let token = sign(signer, "at+jwt", &claims()).unwrap();
    assert!(verify::<Value>(&ring, &token, &["at+jwt"], ISSUER, NOW, Expiry::Enforce).is_ok());
}

#[test]
fn the_provider_may_be_installed_again() {
    crate::crypto::install_provider();
    crate::crypto::install_provider();
    assert_eq!(check(&token("at+jwt")), Ok(claims()));
}

#[test]
fn a_kid_must_be_there_and_known() {
    for kid in [Value::Null, "".into(), "AAAAAAAAAAA".into(), "AAAAAAAAAAB".into(), "../../etc/passwd".into()] {
        assert_eq!(check(&token_with_header(&header_with("kid", kid.clone()))), Err(TokenRefused::UnknownKey), "{kid}");
    }
}

#[test]
fn security_70_an_oversized_token_is_refused_before_it_is_read() {
    let mut claims = claims();
    claims["filler"] = "x".repeat(LONGEST_TOKEN).into();
    assert_eq!(check(&token_of(SigningAlgorithm::Es256, "at+jwt", &claims)), Err(TokenRefused::Malformed));
    let deep = URL_SAFE_NO_PAD.encode("[".repeat(10_000));
    assert_eq!(check(&format!("{deep}.{deep}.{deep}")), Err(TokenRefused::Malformed));
}

#[test]
fn security_38_a_cut_padded_or_recased_token_is_refused() {
    let token = token("at+jwt");
    let altered = [
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}."),
        format!("{token}.a"),
        format!(".{token}"),
        token.replace('.', ".."),
        token.to_uppercase(),
        token[1..].to_owned(),
        token[..token.len() - 1].to_owned(),
        token.rsplit_once('.').unwrap().0.to_owned(),
        String::new(),
        "..".to_owned(),
    ];
    for text in altered {
        assert!(check(&text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_token_with_any_character_changed_is_refused(at in 0..1000_usize, to in "[A-Za-z0-9_.=ä-]") {
        let token = token_of(SigningAlgorithm::EdDsa, "at+jwt", &claims());
        let at = at % token.len();
        prop_assume!(token[at..=at] != to);
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert!(check(&changed).is_err());
    }

    #[test]
    fn any_text_at_all_is_refused_without_a_panic(text in ".{0,200}") {
        prop_assert!(check(&text).is_err());
    }
}
