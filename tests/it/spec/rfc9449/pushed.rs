//! §10.1: a proof at the endpoint for pushed requests binds the code before anybody sees it.

use serde_json::json;

use super::public_scene;
use crate::support::{Answer, Browser, EMAIL, ProofKey, Scene, TestApp, Tokens, param};

fn proof(app: &TestApp, key: &ProofKey, nonce: Option<&str>) -> String {
    let mut claims = ProofKey::claims(app, "POST", "/oauth2/par");
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    key.0.sign(&key.header(), &claims)
}

/// The code of a request that was pushed.
async fn code_of(scene: &Scene, pushed: &Answer) -> String {
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let path = scene.rp.path_of(pushed.json()["request_uri"].as_str().unwrap());
    let answer = Browser::default().authorize(&scene.app, &path, EMAIL).await;
    param(answer.location(), "code").unwrap()
}

#[tokio::test]
async fn section_10_1_protocol_57_a_proof_beside_a_pushed_request_binds_its_code() {
    for scene in [Scene::start().await, public_scene().await] {
        let (key, thief) = (ProofKey::generate(), ProofKey::generate());
        let pushed = scene.rp.push_with(&scene.app, &[&proof(&scene.app, &key, None)], &[]).await;
        assert!(!pushed.header("dpop-nonce").is_empty(), "{:?}", pushed.headers);
        let code = code_of(&scene, &pushed).await;
        let answer = scene.rp.redeem_with(&scene.app, &[&thief.proof(&scene.app)], &code).await;
        assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_key_mismatch"));
        let answer = scene.rp.redeem_with(&scene.app, &[], &code).await;
        assert_eq!(answer.reason(), "dpop_proof_missing");
        Tokens::of(&scene.rp.redeem_with(&scene.app, &[&key.proof(&scene.app)], &code).await);
    }
}

#[tokio::test]
async fn section_10_1_proof_and_dpop_jkt_name_the_same_key_or_the_request_is_refused() {
    let scene = Scene::start().await;
    let (key, other) = (ProofKey::generate(), ProofKey::generate());
    let own = key.jkt();
    let pushed = scene.rp.push_with(&scene.app, &[&proof(&scene.app, &other, None)], &[("dpop_jkt", &own)]).await;
    assert_eq!((pushed.status.as_u16(), pushed.error().as_str()), (400, "invalid_dpop_proof"));
    for proofs in [vec![proof(&scene.app, &key, None)], Vec::new()] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let pushed = scene.rp.push_with(&scene.app, &proofs, &[("dpop_jkt", &own)]).await;
        let code = code_of(&scene, &pushed).await;
        assert_eq!(scene.redeem(&code).await.reason(), "dpop_proof_missing");
    }
    let used = proof(&scene.app, &key, None);
    let wrong = [key.proof(&scene.app), format!("{used}x"), "x".into()];
    for proof in &wrong {
        assert_eq!(scene.rp.push_with(&scene.app, &[proof], &[]).await.error(), "invalid_dpop_proof", "{proof}");
    }
    let refused = scene.rp.push_with(&scene.app, &[&used], &[("scope", "openid admin")]).await;
    assert_eq!(refused.error(), "invalid_scope");
    assert_eq!(scene.rp.push_with(&scene.app, &[&used], &[]).await.status, 201, "not used up by a refused request");
    assert_eq!(scene.rp.push_with(&scene.app, &[&used], &[]).await.error(), "invalid_dpop_proof", "replayed");
}

#[tokio::test]
async fn section_8_protocol_59_a_nonce_is_asked_for_where_requests_are_pushed() {
    let app = TestApp::start_with(|policy| policy.dpop_nonce_required = true).await;
    let scene = Scene::over(app, |metadata| metadata).await;
    let key = ProofKey::generate();
    let asked = scene.rp.push_with(&scene.app, &[&proof(&scene.app, &key, None)], &[]).await;
    assert_eq!((asked.status.as_u16(), asked.error().as_str()), (400, "use_dpop_nonce"), "{}", asked.body);
    let nonce = asked.header("dpop-nonce");
    let pushed = scene.rp.push_with(&scene.app, &[&proof(&scene.app, &key, Some(nonce))], &[]).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
}
