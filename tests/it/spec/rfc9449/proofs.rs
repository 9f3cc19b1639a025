//! Proofs at the token endpoint (§4.3), used once (§11.1), with nonces (§8).

use std::sync::Arc;

use axum::http::{Method, Request};
use keystead::domain::{ClientAuthMethod, ClientMetadata, GrantType};
use serde_json::{Value, json};
use time::Duration;

use super::{bound_scene, tokens_of};
use crate::support::{ProofKey, RelyingParty, Scene, TestApp, Tokens, at_once, compact};

const SERVICE: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "api:read")];

async fn service(app: &TestApp) -> RelyingParty {
    RelyingParty::web(app.service().await)
}

/// Proofs of which each has one flaw.
fn flawed(app: &TestApp, key: &ProofKey) -> Vec<(&'static str, String)> {
    let claims = ProofKey::claims(app, "POST", "/oauth2/token");
    let with = |name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        header
    };
    let without = |name: &str| {
        let mut header = key.header();
        header.as_object_mut().unwrap().remove(name);
        header
    };
    let mut private = key.0.jwk();
    private["d"] = json!("AAAA");
    let other = ProofKey::generate();
    let signed = |header: Value| key.0.sign(&header, &claims);
    let good = signed(key.header());
    vec![
        ("no JWT", "x".to_owned()),
        ("two in one", format!("{good}, {good}")),
        ("no typ", signed(without("typ"))),
        ("another typ", signed(with("typ", json!("JWT")))),
        ("no alg", signed(without("alg"))),
        ("alg none", compact(&with("alg", json!("none")), &claims, |_| Vec::new())),
        ("a symmetric alg", compact(&with("alg", json!("HS256")), &claims, |_| vec![0; 32])),
        ("no jwk", signed(without("jwk"))),
        ("a private key", signed(with("jwk", private))),
        ("a symmetric key", signed(with("jwk", json!({ "kty": "oct", "k": "AAAA" })))),
        ("the key of another", signed(with("jwk", other.0.jwk()))),
        ("a bad signature", format!("{}AAAA", &good[..good.len() - 4])),
        ("a critical extension", signed(with("crit", json!(["b64"])))),
        ("another address", key.0.sign(&key.header(), &ProofKey::claims(app, "POST", "/oauth2/introspect"))),
        ("another method", key.0.sign(&key.header(), &ProofKey::claims(app, "GET", "/oauth2/token"))),
    ]
}

#[tokio::test]
async fn section_11_1_a_guess_is_refused_before_its_proof_is_remembered() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.grant_types.push(GrantType::DeviceCode);
        ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..metadata }
    })
    .await;
    scene.rp.public = true;
    let proof = ProofKey::generate().proof(&scene.app);
    for (grant, name) in [
        ("authorization_code", "code"),
        ("refresh_token", "refresh_token"),
        ("urn:ietf:params:oauth:grant-type:device_code", "device_code"),
    ] {
        let answer = scene.rp.token_with(&scene.app, &[&proof], &[("grant_type", grant), (name, "a-guess")]).await;
        assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "unknown"), "{grant}");
    }
    let code = scene.code().await;
    Tokens::of(&scene.rp.redeem_with(&scene.app, &[&proof], &code).await);
}

#[tokio::test]
async fn section_4_3_protocol_59_a_flawed_proof_is_refused_and_nothing_is_used_up() {
    let mut scene = bound_scene().await;
    let key = ProofKey::generate();
    let code = scene.code().await;
    for (flaw, proof) in flawed(&scene.app, &key) {
        let answer = scene.rp.redeem_with(&scene.app, &[&proof], &code).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_dpop_proof"), "{flaw}");
        assert!(!answer.header("dpop-nonce").is_empty(), "{flaw}");
    }
    let (one, two) = (key.proof(&scene.app), key.proof(&scene.app));
    let answer = scene.rp.redeem_with(&scene.app, &[&one, &two], &code).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_dpop_proof"), "two headers");
    Tokens::of(&scene.rp.redeem_with(&scene.app, &[&two], &code).await);
}

#[tokio::test]
async fn section_4_3_protocol_59_what_may_differ_is_accepted() {
    let app = TestApp::start().await;
    let service = service(&app).await;
    let key = ProofKey::generate();
    for (name, value) in [
        ("htu", json!("HTTPS://ID.EXAMPLE:443/oauth2/token?a=b#c")),
        ("iat", json!(app.clock.now().unix_timestamp() - 10)),
        ("iat", json!(app.clock.now().unix_timestamp() + 10)),
        ("exp", json!(app.clock.now().unix_timestamp() + 300)),
        ("nbf", json!(app.clock.now().unix_timestamp())),
    ] {
        let mut claims = ProofKey::claims(&app, "POST", "/oauth2/token");
        claims[name] = value;
        let mut header = key.header();
        header["kid"] = json!("some name");
        let answer = service.token_with(&app, &[&key.0.sign(&header, &claims)], &SERVICE).await;
        assert_eq!(Tokens::of(&answer).text("token_type"), "DPoP", "{name}");
    }
}

#[tokio::test]
async fn section_11_1_a_proof_is_good_for_one_request_on_whatever_replica() {
    let app = TestApp::start().await;
    let service = service(&app).await;
    let other = app.replica().await;
    let key = ProofKey::generate();
    let proof = key.proof(&app);
    Tokens::of(&service.token_with(&app, &[&proof], &SERVICE).await);
    for replica in [&app, &other] {
        let answer = service.token_with(replica, &[&proof], &SERVICE).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_dpop_proof"));
        assert!(answer.body.contains("jti was used before"), "{}", answer.body);
    }
    // Once it is too old anyway, nothing has to be remembered.
    app.wait(Duration::seconds(61));
    let answer = service.token_with(&app, &[&proof], &SERVICE).await;
    assert!(answer.body.contains("iat is more than 60 seconds"), "{}", answer.body);
}

#[tokio::test]
async fn section_11_1_different_keys_may_use_the_same_jti() {
    let app = TestApp::start().await;
    let service = service(&app).await;
    let claims = ProofKey::claims(&app, "POST", "/oauth2/token");
    for key in [ProofKey::generate(), ProofKey::generate()] {
        Tokens::of(&service.token_with(&app, &[&key.0.sign(&key.header(), &claims)], &SERVICE).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn section_11_1_of_fifty_identical_proofs_at_once_one_succeeds() {
    let app = Arc::new(TestApp::start().await);
    let other = Arc::new(app.replica().await);
    let service = service(&app).await;
    other.engine.reload_all().await.unwrap();
    let proof = ProofKey::generate().proof(&app);
    let answers = at_once(50, |index| {
        let app = Arc::clone(if index % 2 == 0 { &app } else { &other });
        let (service, proof) = (service.clone(), proof.clone());
        async move { service.token_with(&app, &[&proof], &SERVICE).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.body.contains("invalid_dpop_proof")).count(), 49);
}

#[tokio::test]
async fn section_8_where_a_nonce_is_demanded_a_client_gets_one_and_uses_it_on_any_replica() {
    let app = TestApp::start_with(|policy| policy.dpop_nonce_required = true).await;
    let service = service(&app).await;
    let key = ProofKey::generate();
    let first = service.token_with(&app, &[&key.proof(&app)], &SERVICE).await;
    assert_eq!((first.status.as_u16(), first.error().as_str()), (400, "use_dpop_nonce"));
    let nonce = first.header("dpop-nonce");
    let second = service.token_with(&app, &[&key.proof_with_nonce(&app, nonce)], &SERVICE).await;
    assert_eq!(Tokens::of(&second).text("token_type"), "DPoP");
    let other = app.replica().await;
    Tokens::of(&service.token_with(&other, &[&key.proof_with_nonce(&app, nonce)], &SERVICE).await);
    // Two to four minutes later it is too old, and its successor came with each answer.
    app.wait(Duration::minutes(2));
    let third = service.token_with(&app, &[&key.proof_with_nonce(&app, nonce)], &SERVICE).await;
    Tokens::of(&third);
    app.wait(Duration::minutes(2));
    let late = service.token_with(&app, &[&key.proof_with_nonce(&app, nonce)], &SERVICE).await;
    assert_eq!(late.error(), "use_dpop_nonce");
    Tokens::of(&service.token_with(&app, &[&key.proof_with_nonce(&app, third.header("dpop-nonce"))], &SERVICE).await);
    let without = service.token_with(&app, &[], &SERVICE).await;
    assert_eq!((Tokens::of(&without).text("token_type"), without.header("dpop-nonce")), ("Bearer", ""));
}

#[tokio::test]
async fn section_8_a_nonce_that_is_not_ours_is_refused_even_where_none_is_needed() {
    let app = TestApp::start().await;
    let service = service(&app).await;
    let key = ProofKey::generate();
    let answer = service.token_with(&app, &[&key.proof_with_nonce(&app, "of another server")], &SERVICE).await;
    assert_eq!(answer.error(), "use_dpop_nonce");
    let nonce = answer.header("dpop-nonce");
    Tokens::of(&service.token_with(&app, &[&key.proof_with_nonce(&app, nonce)], &SERVICE).await);
}

#[tokio::test]
async fn section_8_2_scripts_of_any_origin_may_send_proofs_and_read_nonces() {
    let mut scene = Scene::start().await;
    let request = Request::builder().method(Method::OPTIONS).uri("/oauth2/token").body(axum::body::Body::empty());
    let answer = scene.app.send(request.unwrap()).await;
    assert!(answer.header("access-control-allow-headers").split(',').any(|name| name == "dpop"));
    let key = ProofKey::generate();
    let tokens = tokens_of(&mut scene, &key).await;
    let proof = key.proof_beside(&scene.app, tokens.access());
    let answer = scene.app.userinfo_with(&format!("DPoP {}", tokens.access()), &[&proof]).await;
    let exposed: Vec<&str> = answer.header("access-control-expose-headers").split(',').collect();
    assert!(exposed.contains(&"dpop-nonce") && exposed.contains(&"www-authenticate"));
    assert!(!answer.header("dpop-nonce").is_empty());
}
