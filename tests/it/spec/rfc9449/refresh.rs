//! Refresh tokens of bound families (§5), those that rotate and those that stay.

use std::sync::Arc;

use keystead::domain::KeyAlgorithm;
use time::Duration;

use super::{public_scene, static_scene, tokens_of};
use crate::support::{Answer, Operator, ProofKey, Scene, Tokens, at_once};

async fn refresh(scene: &Scene, key: &ProofKey, token: &str) -> Answer {
    scene.rp.refresh_with(&scene.app, &[&key.proof(&scene.app)], token).await
}

#[tokio::test]
async fn section_5_security_35_a_public_clients_refresh_token_is_of_use_to_its_key_only() {
    let mut scene = public_scene().await;
    let (key, thief) = (ProofKey::generate(), ProofKey::generate());
    let tokens = tokens_of(&mut scene, &key).await;
    let answer = refresh(&scene, &thief, tokens.refresh()).await;
    assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_key_mismatch"));
    let answer = scene.refresh(tokens.refresh()).await;
    assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_proof_missing"));
    // Nor does a stranger learn what was granted.
    let wish = [("scope", "openid"), ("resource", "https://nobody.example")];
    assert_eq!(scene.refresh_with(tokens.refresh(), &wish).await.reason(), "dpop_proof_missing");
    let next = Tokens::of(&refresh(&scene, &key, tokens.refresh()).await);
    let after = Tokens::of(&refresh(&scene, &key, next.refresh()).await);
    // A thief with an old token does not end the family either; its owner who uses one twice does.
    assert_eq!(refresh(&scene, &thief, tokens.refresh()).await.reason(), "dpop_key_mismatch");
    let last = Tokens::of(&refresh(&scene, &key, after.refresh()).await);
    assert_eq!(refresh(&scene, &key, tokens.refresh()).await.reason(), "reused");
    assert_eq!(refresh(&scene, &key, last.refresh()).await.reason(), "reused");
}

#[tokio::test]
async fn section_5_a_confidential_client_may_change_its_key_but_always_needs_one() {
    let mut scene = Scene::start().await;
    let (key, next_key) = (ProofKey::generate(), ProofKey::generate());
    let tokens = tokens_of(&mut scene, &key).await;
    let answer = scene.refresh(tokens.refresh()).await;
    assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_proof_missing"));
    let next = Tokens::of(&refresh(&scene, &next_key, tokens.refresh()).await);
    assert_eq!(next.claims("access_token")["cnf"]["jkt"], next_key.jkt());
}

#[tokio::test]
async fn section_5_an_unbound_family_is_bound_by_the_first_proof_even_by_a_grace_answer() {
    for late in [false, true] {
        let mut scene = public_scene().await;
        let key = ProofKey::generate();
        let first = scene.tokens().await;
        if late {
            Tokens::of(&scene.refresh(first.refresh()).await);
        }
        let second = Tokens::of(&refresh(&scene, &key, first.refresh()).await);
        assert_eq!(second.text("token_type"), "DPoP");
        assert_eq!(scene.refresh(second.refresh()).await.reason(), "dpop_proof_missing", "{late}");
        Tokens::of(&refresh(&scene, &key, second.refresh()).await);
    }
}

#[tokio::test]
async fn security_36_a_bound_family_gives_the_same_successor_for_as_long_as_it_is_unused() {
    let mut scene = public_scene().await;
    let key = ProofKey::generate();
    let first = tokens_of(&mut scene, &key).await;
    let second = Tokens::of(&refresh(&scene, &key, first.refresh()).await);
    scene.app.wait(Duration::days(9));
    let again = Tokens::of(&refresh(&scene, &key, first.refresh()).await);
    assert_eq!(again.refresh(), second.refresh());
    Tokens::of(&refresh(&scene, &key, second.refresh()).await);
    assert_eq!(refresh(&scene, &key, first.refresh()).await.reason(), "reused");
}

#[tokio::test]
async fn protocol_choice_4_a_static_refresh_token_stays_and_its_idle_time_begins_anew() {
    let mut scene = static_scene().await;
    let key = ProofKey::generate();
    let first = tokens_of(&mut scene, &key).await;
    assert_eq!(first.claims("id_token")["nonce"], "the-nonce");
    for _ in 0..4 {
        scene.app.wait(Duration::days(20));
        let next = Tokens::of(&refresh(&scene, &key, first.refresh()).await);
        assert_eq!(next.refresh(), first.refresh());
        assert_ne!(next.access(), first.access());
        assert_eq!(next.0["refresh_token_expires_in"], 30 * 86_400);
        assert_eq!(next.claims("id_token").get("nonce"), None);
    }
    assert_eq!(scene.refresh(first.refresh()).await.error(), "invalid_dpop_proof");
    scene.app.wait(Duration::days(31));
    assert_eq!(refresh(&scene, &key, first.refresh()).await.reason(), "expired");
}

#[tokio::test]
async fn protocol_choice_4_a_static_refresh_token_is_written_anew_when_the_mac_key_changes() {
    let mut scene = static_scene().await;
    let key = ProofKey::generate();
    let first = tokens_of(&mut scene, &key).await;
    Operator(&scene.app).rotate(KeyAlgorithm::HmacSha256).await;
    scene.app.wait(Duration::minutes(6));
    let next = Tokens::of(&refresh(&scene, &key, first.refresh()).await);
    assert_ne!(next.refresh(), first.refresh(), "it outlives the key that made it");
    for token in [first.refresh(), next.refresh()] {
        assert_eq!(Tokens::of(&refresh(&scene, &key, token).await).refresh(), next.refresh());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn protocol_choice_4_fifty_refreshes_with_a_static_token_all_succeed() {
    let mut scene = static_scene().await;
    let key = Arc::new(ProofKey::generate());
    let tokens = tokens_of(&mut scene, &key).await;
    let scene = Arc::new(scene);
    let answers = at_once(50, |_| {
        let (scene, key, token) = (Arc::clone(&scene), Arc::clone(&key), tokens.refresh().to_owned());
        async move { refresh(&scene, &key, &token).await }
    })
    .await;
    for answer in answers {
        assert_eq!(Tokens::of(&answer).refresh(), tokens.refresh());
    }
}
