//! Rotation, the grace period, and theft: SECURITY 36.

use keystead::domain::{ClientAuthMethod, ClientMetadata};
use time::Duration;

use crate::support::{Answer, Operator, RelyingParty, Scene, Tokens, web_metadata};

fn refusal(answer: &Answer) -> (u16, String, String) {
    (answer.status.as_u16(), answer.error(), answer.reason())
}

fn reused() -> (u16, String, String) {
    (400, "invalid_grant".to_owned(), "reused".to_owned())
}

/// Asserts that nothing of the family is alive and that it was written down once.
async fn assert_dead(scene: &Scene, family: &[&Tokens]) {
    for tokens in family {
        assert_eq!(scene.refresh(tokens.refresh()).await.error(), "invalid_grant");
        assert!(!scene.is_active(tokens.access()).await && !scene.is_active(tokens.refresh()).await);
    }
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 1);
}

#[tokio::test]
async fn security_36_within_the_grace_period_the_old_token_gets_the_same_successor() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    assert_ne!(first.refresh(), second.refresh());
    for pause in [0, 15, 15] {
        scene.app.wait(Duration::seconds(pause));
        let again = scene.refreshed(&first).await;
        assert_eq!(again.refresh(), second.refresh());
        assert_ne!(again.access(), second.access());
        assert!(scene.is_active(again.access()).await && scene.is_active(second.access()).await);
    }
    assert_eq!(scene.app.sql_text("SELECT max(generation)::text FROM grants").await, "2");
    assert_eq!(scene.refresh(second.refresh()).await.status, 200);
}

#[tokio::test]
async fn security_36_after_the_grace_period_the_old_token_is_theft_and_the_family_dies() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    scene.app.wait(Duration::seconds(30) + Duration::microseconds(1));
    assert!(scene.is_active(second.refresh()).await);
    assert_eq!(refusal(&scene.refresh(first.refresh()).await), reused());
    assert_dead(&scene, &[&first, &second]).await;
}

#[tokio::test]
async fn security_36_once_the_successor_was_used_the_old_token_is_theft_at_once() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    let third = scene.refreshed(&second).await;
    assert_eq!(scene.refreshed(&second).await.refresh(), third.refresh(), "the predecessor may come again");
    assert_eq!(refusal(&scene.refresh(first.refresh()).await), reused());
    assert_dead(&scene, &[&first, &second, &third]).await;
}

#[tokio::test]
async fn security_36_a_public_clients_tokens_are_rotated_too() {
    let public = |metadata| ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..metadata };
    let mut scene = Scene::with(public).await;
    scene.rp.public = true;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    assert_eq!(scene.refreshed(&first).await.refresh(), second.refresh());
    scene.app.wait(Duration::seconds(31));
    assert_eq!(refusal(&scene.refresh(first.refresh()).await), reused());
    assert_eq!(refusal(&scene.refresh(second.refresh()).await), reused());
    assert_eq!(scene.userinfo(second.access()).await.status, 401);
}

#[tokio::test]
async fn security_36_the_grace_period_is_the_clients_own() {
    for (grace, pause, status) in [(0, 0, 400), (5, 5, 200), (5, 6, 400), (300, 300, 200), (300, 301, 400)] {
        let own = |metadata| ClientMetadata { refresh_token_grace_period: Some(grace), ..metadata };
        let mut scene = Scene::with(own).await;
        let first = scene.tokens().await;
        let second = scene.refreshed(&first).await;
        scene.app.wait(Duration::seconds(pause));
        let again = scene.refresh(first.refresh()).await;
        assert_eq!(again.status, status, "{grace} s of grace after {pause} s");
        assert_eq!(scene.is_active(second.refresh()).await, status == 200);
    }
}

#[tokio::test]
async fn security_36_a_shorter_grace_period_counts_from_its_registration_on() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    scene.refreshed(&first).await;
    Operator(&scene.app).change_client("web", |metadata| metadata.refresh_token_grace_period = Some(0)).await;
    assert_eq!(refusal(&scene.refresh(first.refresh()).await), reused());
}

#[tokio::test]
async fn protocol_30_another_clients_refresh_token_is_refused_and_nothing_happens() {
    let mut scene = Scene::start().await;
    let other = RelyingParty::web(scene.app.client("stranger", web_metadata()).await);
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    scene.app.wait(Duration::minutes(5));
    for token in [first.refresh(), second.refresh()] {
        let answer = other.refresh(&scene.app, token).await;
        assert_eq!(refusal(&answer), (400, "invalid_grant".to_owned(), "unknown".to_owned()));
        assert!(!other.is_active(&scene.app, token).await);
    }
    assert!(scene.is_active(second.access()).await, "a stranger cannot end the family");
    assert_eq!(scene.refresh(second.refresh()).await.status, 200);
}

#[tokio::test]
async fn security_36_the_event_says_whose_family_died_and_holds_no_token() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    scene.app.wait(Duration::seconds(31));
    scene.refresh(first.refresh()).await;
    let event = "SELECT row_to_json(e)::text FROM audit_events e WHERE name = 'grant.refresh_token_reused'";
    let event: serde_json::Value = serde_json::from_str(&scene.app.sql_text(event).await).unwrap();
    assert_eq!((event["actor_kind"].as_str(), event["actor_id"].as_str()), (Some("client"), Some("web")));
    assert_eq!((event["ip"].as_str(), event["details"]["client_id"].as_str()), (Some("192.0.2.1"), Some("web")));
    assert_eq!(event["details"]["user_id"], scene.user.to_string());
    for secret in [first.refresh(), second.refresh(), second.access()] {
        assert!(!event.to_string().contains(&secret[4..40]));
    }
}

#[tokio::test]
async fn a_token_from_lost_commits_is_refused_without_ending_the_family() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    // The primary died and its standby had not heard of the last rotation yet.
    scene.app.sql_text("WITH back AS (UPDATE grants SET generation = 1 RETURNING id) SELECT id::text FROM back").await;
    assert_eq!(scene.refresh(second.refresh()).await.reason(), "unknown");
    assert_eq!(scene.refreshed(&first).await.refresh(), second.refresh(), "and so it is valid again");
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test]
async fn a_refused_refresh_rotates_nothing() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let refresh = ("refresh_token", tokens.refresh());
    let wrong: [&[(&str, &str)]; 5] = [
        &[("grant_type", "refresh_token"), refresh, ("scope", "openid api:read")],
        &[("grant_type", "refresh_token"), refresh, ("scope", "openid openid\"")],
        &[("grant_type", "refresh_token"), refresh, ("resource", "https://nobody.example")],
        &[("grant_type", "refresh_token"), refresh, ("resource", "no uri")],
        &[("grant_type", "authorization_code"), refresh],
    ];
    for params in wrong {
        assert_eq!(scene.rp.token(&scene.app, params).await.status, 400);
        assert_eq!(scene.app.post("/oauth2/token", params).await.status, 401);
    }
    scene.app.wait(Duration::minutes(5));
    assert_eq!(scene.refresh(tokens.refresh()).await.status, 200);
}
