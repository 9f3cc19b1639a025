//! Userinfo as a protected resource (§7).

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::tokens_of;
use crate::support::{Answer, ProofKey, Scene, TestApp};

/// A refusal by the scheme of DPoP.
fn assert_refused(answer: &Answer, error: &str, what: &str) {
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, error), "{what}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with(&format!("DPoP realm=\"keystead\", error=\"{error}\", ")), "{what}: {challenge}");
    assert!(challenge.ends_with("algs=\"ES256 RS256 PS256 EdDSA Ed25519\""), "{what}: {challenge}");
    assert!(!answer.header("dpop-nonce").is_empty() || what == "two headers", "{what}");
}

#[tokio::test]
async fn section_7_1_protocol_60_a_bound_token_with_its_proof_is_accepted_whatever_the_case_of_the_scheme() {
    let mut scene = Scene::start().await;
    let key = ProofKey::generate();
    let tokens = tokens_of(&mut scene, &key).await;
    for scheme in ["DPoP", "dpop", "DPOP"] {
        let proof = key.proof_beside(&scene.app, tokens.access());
        let answer = scene.app.userinfo_with(&format!("{scheme} {}", tokens.access()), &[&proof]).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["sub"]), (200, &json!(scene.user.to_string())));
        assert!(!answer.header("dpop-nonce").is_empty());
    }
    let mut claims = ProofKey::claims(&scene.app, "POST", "/oauth2/userinfo");
    claims["ath"] = json!(keystead::crypto::s256_challenge(tokens.access()));
    let request = Request::post("/oauth2/userinfo").header("authorization", format!("DPoP {}", tokens.access()));
    let request = request.header("dpop", key.0.sign(&key.header(), &claims)).body(Body::empty()).unwrap();
    assert_eq!(scene.app.send(request).await.status, 200);
}

#[tokio::test]
async fn section_7_2_security_34_protocol_60_a_bound_token_is_no_bearer_token_nor_the_other_way_round() {
    let mut scene = Scene::start().await;
    let key = ProofKey::generate();
    let tokens = tokens_of(&mut scene, &key).await;
    let proof = key.proof_beside(&scene.app, tokens.access());
    let as_bearer = scene.app.userinfo_with(&format!("Bearer {}", tokens.access()), &[&proof]).await;
    let in_form = scene.app.post("/oauth2/userinfo", &[("access_token", tokens.access())]).await;
    for answer in [as_bearer, in_form] {
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_token"));
        assert!(answer.body.contains("bound to a key"), "{}", answer.body);
    }
    let bearer = scene.tokens().await;
    let proof = key.proof_beside(&scene.app, bearer.access());
    let answer = scene.app.userinfo_with(&format!("DPoP {}", bearer.access()), &[&proof]).await;
    assert_refused(&answer, "invalid_token", "unbound");
    assert_eq!(scene.userinfo(bearer.access()).await.status, 200);
}

#[tokio::test]
async fn section_7_1_security_34_a_stolen_token_is_of_no_use() {
    let mut scene = Scene::start().await;
    let (key, thief) = (ProofKey::generate(), ProofKey::generate());
    let tokens = tokens_of(&mut scene, &key).await;
    let app = &scene.app;
    let sign = |claims| key.0.sign(&key.header(), &claims);
    let with = |method, path, ath: &str| {
        let mut claims = ProofKey::claims(app, method, path);
        claims["ath"] = json!(keystead::crypto::s256_challenge(ath));
        sign(claims)
    };
    let used = key.proof_beside(app, tokens.access());
    let authorization = format!("DPoP {}", tokens.access());
    assert_eq!(app.userinfo_with(&authorization, &[&used]).await.status, 200);
    let (one, two) = (key.proof_beside(app, tokens.access()), key.proof_beside(app, tokens.access()));
    for (what, proofs, error) in [
        ("no proof", vec![], "invalid_dpop_proof"),
        ("two headers", vec![one, two], "invalid_dpop_proof"),
        ("replay", vec![used], "invalid_dpop_proof"),
        ("another key", vec![thief.proof_beside(app, tokens.access())], "invalid_token"),
        ("no ath", vec![sign(ProofKey::claims(app, "GET", "/oauth2/userinfo"))], "invalid_dpop_proof"),
        ("another token", vec![with("GET", "/oauth2/userinfo", tokens.refresh())], "invalid_dpop_proof"),
        ("another method", vec![with("POST", "/oauth2/userinfo", tokens.access())], "invalid_dpop_proof"),
        ("another address", vec![with("GET", "/oauth2/token", tokens.access())], "invalid_dpop_proof"),
        ("a proof of the token endpoint", vec![key.proof(app)], "invalid_dpop_proof"),
        ("the token itself", vec![tokens.access().to_owned()], "invalid_dpop_proof"),
    ] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        assert_refused(&app.userinfo_with(&authorization, &proofs).await, error, what);
    }
}

#[tokio::test]
async fn section_9_userinfo_demands_a_nonce_where_the_operator_does() {
    let app = TestApp::start_with(|policy| policy.dpop_nonce_required = true).await;
    let mut scene = Scene::over(app, |metadata| metadata).await;
    let key = ProofKey::generate();
    let code = scene.code().await;
    let nonce = keystead::flows::dpop::nonce(&scene.app.engine).unwrap();
    let proof = key.proof_with_nonce(&scene.app, &nonce);
    let tokens = crate::support::Tokens::of(&scene.rp.redeem_with(&scene.app, &[&proof], &code).await);
    let authorization = format!("DPoP {}", tokens.access());
    let proof = key.proof_beside(&scene.app, tokens.access());
    let answer = scene.app.userinfo_with(&authorization, &[&proof]).await;
    assert_refused(&answer, "use_dpop_nonce", "no nonce");
    let mut claims = ProofKey::claims(&scene.app, "GET", "/oauth2/userinfo");
    claims["ath"] = json!(keystead::crypto::s256_challenge(tokens.access()));
    claims["nonce"] = json!(answer.header("dpop-nonce"));
    let proof = key.0.sign(&key.header(), &claims);
    assert_eq!(scene.app.userinfo_with(&authorization, &[&proof]).await.status, 200);
}

#[tokio::test]
async fn section_7_1_who_brings_nothing_is_told_both_schemes() {
    let scene = Scene::start().await;
    let answer = scene.app.get("/oauth2/userinfo").await;
    let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    let expected = ["Bearer realm=\"keystead\"", "DPoP realm=\"keystead\", algs=\"ES256 RS256 PS256 EdDSA Ed25519\""];
    assert_eq!(challenges, expected);
}
