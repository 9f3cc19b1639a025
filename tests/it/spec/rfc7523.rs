//! RFC 7523, JWTs for client authentication; OpenID Connect Core §9 `private_key_jwt`.

use std::sync::Arc;
use std::time::Duration;

use keystead::domain::{ClientAuthMethod, ClientMetadata, ClientProtocol, GrantType, Scope, SigningAlgorithm};
use serde_json::json;
use time::Duration as Span;

use crate::support::{ASSERTION_TYPE, AdminApi, Answer, Es256, ISSUER, Publisher, TestApp, at_once};

/// A machine client that signs.
fn signing(protocol: ClientProtocol) -> ClientMetadata {
    ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
        grant_types: vec![GrantType::ClientCredentials],
        scope: Scope::parse("api:read").unwrap(),
        protocol,
        ..ClientMetadata::default()
    }
}

async fn signing_client(app: &TestApp, key: &Es256) {
    app.api().await;
    app.client("signer", signing(ClientProtocol { jwks: Some(key.jwks()), ..ClientProtocol::default() })).await;
}

async fn ask(app: &TestApp, assertion: &str) -> Answer {
    app.post("/oauth2/token", &[("grant_type", "client_credentials"), ASSERTION_TYPE, ("client_assertion", assertion)])
        .await
}

fn is_refused(answer: &Answer) -> bool {
    answer.status == 401 && answer.error() == "invalid_client"
}

#[tokio::test]
async fn section_2_2_a_client_proves_itself_by_a_jwt_of_its_own() {
    let app = TestApp::start().await;
    let key = Es256::foreign("k1");
    signing_client(&app, &key).await;
    let answer = ask(&app, &key.assertion(&app, "signer")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let named = [("grant_type", "client_credentials"), ("client_id", "signer"), ASSERTION_TYPE];
    let assertion = key.assertion(&app, "signer");
    let answer = app.post("/oauth2/token", &[named[0], named[1], named[2], ("client_assertion", &assertion)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let assertion = key.assertion(&app, "signer");
    let asked = [("token", token.as_str()), ASSERTION_TYPE, ("client_assertion", &assertion)];
    assert_eq!(app.post("/oauth2/introspect", &asked).await.json()["active"], true, "its own token");
}

#[tokio::test]
async fn security_27_an_assertion_is_good_for_one_request_on_all_replicas() {
    let app = TestApp::start().await;
    let key = Es256::foreign("k1");
    signing_client(&app, &key).await;
    let other = app.replica().await;
    let assertion = key.assertion(&app, "signer");
    assert_eq!(ask(&app, &assertion).await.status, 200);
    for replica in [&app, &other] {
        let again = ask(replica, &assertion).await;
        assert!(is_refused(&again) && again.body.contains("used before"), "{}", again.body);
    }
    let assertion = key.assertion(&app, "signer");
    let (app, other) = (Arc::new(app), Arc::new(other));
    let answers = at_once(50, |i| {
        let (replica, assertion) = (Arc::clone(if i % 2 == 0 { &app } else { &other }), assertion.clone());
        async move { ask(&replica, &assertion).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || is_refused(answer)));
}

#[tokio::test]
async fn security_27_keys_algorithms_and_claims_of_others_are_refused() {
    let app = TestApp::start().await;
    let key = Es256::foreign("k1");
    signing_client(&app, &key).await;
    let stranger = Es256::foreign("k1");
    let other = ClientProtocol { jwks: Some(stranger.jwks()), ..ClientProtocol::default() };
    app.client("other", signing(other)).await;
    let claims = json!({ "iss": "signer", "sub": "signer", "aud": ISSUER, "exp": 9_999_999_999_i64, "jti": "1" });
    let public = key.jwk().to_string();
    for (what, assertion) in [
        ("another client's key", stranger.assertion(&app, "signer")),
        ("another client's name", key.assertion(&app, "other")),
        ("nobody's name", key.assertion(&app, "nobody")),
        ("another audience", key.assertion_with(&app, "signer", json!({ "aud": "https://other.example" }))),
        ("two audiences", key.assertion_with(&app, "signer", json!({ "aud": [ISSUER, "https://other.example"] }))),
        ("a year", key.assertion_with(&app, "signer", json!({ "exp": app.clock.now().unix_timestamp() + 31_536_000 }))),
        ("no signature", crate::support::compact(&json!({ "alg": "none" }), &claims, |_| Vec::new())),
        (
            "our public key as a secret",
            crate::support::compact(&json!({ "alg": "HS256" }), &claims, |text| hmac(&public, text)),
        ),
        ("a proof", key.sign(&json!({ "alg": "ES256", "typ": "dpop+jwt", "kid": "k1" }), &claims)),
        ("an unknown key", Es256::foreign("k2").assertion(&app, "signer")),
        ("no JWT", "a.b.c".to_owned()),
    ] {
        assert!(is_refused(&ask(&app, &assertion).await), "{what}");
    }
    let both = key.assertion(&app, "signer");
    let both =
        [("grant_type", "client_credentials"), ASSERTION_TYPE, ("client_assertion", &both), ("client_secret", "x")];
    assert!(is_refused(&app.post("/oauth2/token", &both).await), "two ways at once");
}

fn hmac(key: &str, text: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
    aws_lc_rs::hmac::sign(&key, text).as_ref().to_vec()
}

#[tokio::test]
async fn the_registered_algorithm_is_the_only_one() {
    let app = TestApp::start().await;
    app.api().await;
    let key = Es256::foreign("k1");
    for (id, algorithm, expected) in [("e", SigningAlgorithm::Es256, 200), ("p", SigningAlgorithm::Ps256, 401)] {
        let protocol = ClientProtocol {
            jwks: Some(key.jwks()),
            token_endpoint_auth_signing_alg: Some(algorithm),
            ..ClientProtocol::default()
        };
        app.client(id, signing(protocol)).await;
        assert_eq!(ask(&app, &key.assertion(&app, id)).await.status, expected, "{id}");
    }
}

#[tokio::test]
async fn protocol_42_a_new_key_at_jwks_uri_is_noticed_and_asked_for_once_a_minute() {
    let app = TestApp::start().await;
    app.api().await;
    let (old, new) = (Es256::foreign("old"), Es256::foreign("new"));
    let publisher = Publisher::of(old.jwks()).await;
    let protocol = ClientProtocol { jwks_uri: Some(publisher.url("/jwks")), ..ClientProtocol::default() };
    app.client("signer", signing(protocol)).await;
    assert_eq!(ask(&app, &old.assertion(&app, "signer")).await.status, 200);
    assert_eq!(ask(&app, &old.assertion(&app, "signer")).await.status, 200);
    assert_eq!(publisher.received().len(), 1, "keys are remembered");
    publisher.publish(new.jwks());
    for _ in 0..5 {
        assert!(is_refused(&ask(&app, &new.assertion(&app, "signer")).await));
    }
    assert_eq!(publisher.received().len(), 1, "unknown names within the minute are not asked for");
    app.wait(Span::seconds(61));
    assert_eq!(ask(&app, &new.assertion(&app, "signer")).await.status, 200);
    assert!(is_refused(&ask(&app, &old.assertion(&app, "signer")).await), "what is no longer published is gone");
    assert_eq!(publisher.received().len(), 2);
}

#[tokio::test]
async fn an_outage_of_jwks_uri_is_no_outage_here_for_an_hour() {
    let app = TestApp::start().await;
    app.api().await;
    let key = Es256::foreign("k");
    let publisher = Publisher::of(key.jwks()).await;
    let protocol = ClientProtocol { jwks_uri: Some(publisher.url("/jwks")), ..ClientProtocol::default() };
    app.client("signer", signing(protocol)).await;
    assert_eq!(ask(&app, &key.assertion(&app, "signer")).await.status, 200);
    publisher.fail_with(500);
    app.wait(Span::minutes(30));
    assert_eq!(ask(&app, &key.assertion(&app, "signer")).await.status, 200);
    app.wait(Span::minutes(45));
    let answer = ask(&app, &key.assertion(&app, "signer")).await;
    assert!(
        is_refused(&answer) && answer.body.contains("jwks_uri cannot be read: the answer had status 500"),
        "{}",
        answer.body
    );
    publisher.fail_with(302);
    app.wait(Span::seconds(61));
    assert!(is_refused(&ask(&app, &key.assertion(&app, "signer")).await), "a redirect is not followed");
    publisher.fail_with(200);
    app.wait(Span::seconds(61));
    assert_eq!(ask(&app, &key.assertion(&app, "signer")).await.status, 200);
}

#[tokio::test]
async fn a_stranger_who_asks_and_goes_away_does_not_keep_the_keys_from_the_client() {
    let app = TestApp::start().await;
    app.api().await;
    let key = Es256::foreign("k");
    let publisher = Publisher::of(key.jwks()).await;
    publisher.take(Duration::from_millis(500));
    let protocol = ClientProtocol { jwks_uri: Some(publisher.url("/jwks")), ..ClientProtocol::default() };
    app.client("signer", signing(protocol)).await;
    let stranger = Es256::foreign("unknown").assertion(&app, "signer");
    let gone = tokio::time::timeout(Duration::from_millis(100), ask(&app, &stranger)).await;
    assert!(gone.is_err() && publisher.received().is_empty(), "it went away before the keys came");
    assert_eq!(ask(&app, &key.assertion(&app, "signer")).await.status, 200, "they came for the next one");
    assert_eq!(publisher.received().len(), 1);
}

#[tokio::test]
async fn of_registered_keys_only_what_is_of_use_is_kept() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let key = Es256::foreign("k");
    let mut padded = key.jwks();
    padded["more"] = json!(vec![0; 5000]);
    padded["keys"][0]["more"] = json!("x".repeat(5000));
    let document = json!({ "client_name": "x", "grant_types": ["client_credentials"],
                           "token_endpoint_auth_method": "private_key_jwt", "jwks": padded });
    let made = admin.create("/clients", document).await;
    assert_eq!(made["jwks"], key.jwks());
    let many = json!({ "keys": vec![key.jwk(); 17] });
    let refused =
        admin.patch(&format!("/clients/{}", made["client_id"].as_str().unwrap()), json!({ "jwks": many })).await;
    assert_eq!(refused.refused_members(), ["jwks"]);
}

#[tokio::test]
async fn many_requests_make_one_fetch() {
    let app = TestApp::start().await;
    app.api().await;
    let key = Es256::foreign("k");
    let publisher = Publisher::of(key.jwks()).await;
    let protocol = ClientProtocol { jwks_uri: Some(publisher.url("/jwks")), ..ClientProtocol::default() };
    app.client("signer", signing(protocol)).await;
    let app = Arc::new(app);
    let answers = at_once(50, |_| {
        let (app, assertion) = (Arc::clone(&app), key.assertion(&app, "signer"));
        async move { ask(&app, &assertion).await }
    })
    .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(publisher.received().len(), 1);
}

#[tokio::test]
async fn a_workload_authenticates_with_the_jwt_of_its_platform() {
    let app = TestApp::start().await;
    app.api().await;
    let cluster = Es256::foreign("cluster");
    let protocol = ClientProtocol {
        jwks: Some(cluster.jwks()),
        client_assertion_issuer: Some("https://kubernetes.example".into()),
        client_assertion_subject: Some("system:serviceaccount:shop:checkout".into()),
        ..ClientProtocol::default()
    };
    app.client("checkout", signing(protocol)).await;
    let token = |subject: &str| {
        let claims = json!({ "iss": "https://kubernetes.example", "sub": subject, "aud": [ISSUER] });
        cluster.assertion_with(&app, "", claims)
    };
    let ask = async |assertion: &str| {
        let named = [("grant_type", "client_credentials"), ("client_id", "checkout"), ASSERTION_TYPE];
        app.post("/oauth2/token", &[named[0], named[1], named[2], ("client_assertion", assertion)]).await
    };
    let own = token("system:serviceaccount:shop:checkout");
    for _ in 0..2 {
        assert_eq!(ask(&own).await.status, 200, "a platform's token is used until it ends");
    }
    assert!(is_refused(&ask(&token("system:serviceaccount:shop:cart")).await));
    assert!(is_refused(&ask(&cluster.assertion(&app, "checkout")).await));
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_at_registration() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let key = Es256::foreign("k");
    let mut private = key.jwks();
    private["keys"][0]["d"] = json!("c2VjcmV0");
    let base = json!({ "client_name": "x", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt" });
    for (more, member) in [
        (json!({}), "jwks_uri"),
        (json!({ "jwks": private }), "jwks"),
        (json!({ "jwks": { "keys": [] } }), "jwks"),
        (json!({ "jwks": key.jwks(), "jwks_uri": "https://client.example/jwks" }), "jwks"),
        (json!({ "jwks_uri": "http://client.example/jwks" }), "jwks_uri"),
        (json!({ "jwks_uri": "https://169.254.169.254/jwks" }), "jwks_uri"),
        (json!({ "jwks": key.jwks(), "client_assertion_issuer": "https://k.example" }), "client_assertion_subject"),
        (
            json!({ "token_endpoint_auth_method": "client_secret_basic", "token_endpoint_auth_signing_alg": "ES256" }),
            "token_endpoint_auth_signing_alg",
        ),
    ] {
        let mut document = base.clone();
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = admin.post("/clients", document.clone()).await;
        assert_eq!(answer.status, 400, "{document}: {}", answer.body);
        assert!(answer.body.contains(&format!("\"{member}\"")), "{member}: {}", answer.body);
    }
    let mut document = base.clone();
    document["jwks"] = key.jwks();
    let made = admin.post("/clients", document.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((&made.json()["client_secret"], &made.json()["jwks"]), (&json!(null), &key.jwks()));
}
