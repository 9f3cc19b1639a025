//! How long a family lives: SECURITY 37.

use keystead::domain::ClientMetadata;
use time::Duration;

use crate::support::{Operator, Scene, TestApp, Tokens};

fn expires_in(tokens: &Tokens) -> i64 {
    tokens.0["refresh_token_expires_in"].as_i64().unwrap()
}

#[tokio::test]
async fn security_37_a_refresh_token_that_nobody_uses_dies() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    assert_eq!(expires_in(&first), 30 * 86_400);
    scene.app.wait(Duration::days(30) - Duration::SECOND);
    let second = scene.refreshed(&first).await;
    assert_eq!(expires_in(&second), 30 * 86_400, "each use begins a new month");
    scene.app.wait(Duration::days(30));
    assert_eq!(scene.refresh(second.refresh()).await.reason(), "expired");
    assert!(!scene.is_active(second.refresh()).await);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test]
async fn security_37_a_family_dies_at_its_absolute_end_however_often_it_is_used() {
    let mut scene = Scene::start().await;
    let mut tokens = scene.tokens().await;
    for _ in 0..13 {
        scene.app.wait(Duration::days(28));
        tokens = scene.refreshed(&tokens).await;
    }
    assert_eq!(expires_in(&tokens), 86_400, "364 of 365 days are over");
    scene.app.wait(Duration::days(1) - Duration::SECOND);
    let last = scene.refreshed(&tokens).await;
    assert_eq!((expires_in(&last), last.0["expires_in"].as_i64()), (1, Some(1)), "no token outlives its family");
    scene.app.wait(Duration::SECOND);
    assert_eq!(scene.refresh(last.refresh()).await.reason(), "expired");
    assert!(!scene.is_active(last.access()).await);
}

#[tokio::test]
async fn security_37_a_client_may_have_shorter_or_longer_lifetimes_of_its_own() {
    let own = |metadata| ClientMetadata {
        refresh_token_idle_lifetime: Some(600),
        refresh_token_absolute_lifetime: Some(1000),
        access_token_lifetime: Some(60),
        ..metadata
    };
    let mut scene = Scene::with(own).await;
    let first = scene.tokens().await;
    assert_eq!((expires_in(&first), first.0["expires_in"].as_i64()), (600, Some(60)));
    scene.app.wait(Duration::seconds(599));
    let second = scene.refreshed(&first).await;
    assert_eq!(expires_in(&second), 401);
    scene.app.wait(Duration::seconds(401));
    assert_eq!(scene.refresh(second.refresh()).await.reason(), "expired");

    let only_absolute = |metadata| ClientMetadata { refresh_token_absolute_lifetime: Some(120), ..metadata };
    let mut scene = Scene::with(only_absolute).await;
    let tokens = scene.tokens().await;
    assert_eq!((expires_in(&tokens), tokens.0["expires_in"].as_i64()), (120, Some(120)));
    let longer = |metadata| ClientMetadata {
        refresh_token_idle_lifetime: Some(40 * 86_400),
        refresh_token_absolute_lifetime: Some(500 * 86_400),
        ..metadata
    };
    assert_eq!(expires_in(&Scene::with(longer).await.tokens().await), 40 * 86_400);
}

#[tokio::test]
async fn security_37_the_operators_policy_holds_where_the_client_names_none() {
    let app = TestApp::start_with(|policy| {
        policy.refresh.idle_lifetime = Duration::minutes(10);
        policy.refresh.absolute_lifetime = Duration::minutes(15);
        policy.refresh.grace_period = Duration::ZERO;
    })
    .await;
    let mut scene = Scene::over(app, |metadata| metadata).await;
    let first = scene.tokens().await;
    assert_eq!(expires_in(&first), 600);
    scene.app.wait(Duration::minutes(9));
    let second = scene.refreshed(&first).await;
    assert_eq!(expires_in(&second), 360);
    assert_eq!(scene.refresh(first.refresh()).await.reason(), "reused");
}

#[tokio::test]
async fn security_37_a_shorter_idle_lifetime_holds_from_the_next_refresh_on() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    Operator(&scene.app).change_client("web", |metadata| metadata.refresh_token_idle_lifetime = Some(60)).await;
    let second = scene.refreshed(&first).await;
    assert_eq!(expires_in(&second), 60);
    scene.app.wait(Duration::seconds(60));
    assert_eq!(scene.refresh(second.refresh()).await.reason(), "expired");
}

#[tokio::test]
async fn security_37_the_grace_answer_does_not_lengthen_a_life() {
    let own = |metadata| ClientMetadata {
        refresh_token_idle_lifetime: Some(60),
        refresh_token_grace_period: Some(300),
        ..metadata
    };
    let mut scene = Scene::with(own).await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    scene.app.wait(Duration::seconds(40));
    assert_eq!(expires_in(&scene.refreshed(&first).await), 20);
    scene.app.wait(Duration::seconds(20));
    assert_eq!(scene.refresh(first.refresh()).await.reason(), "expired");
    assert_eq!(scene.refresh(second.refresh()).await.reason(), "expired");
}

#[tokio::test]
async fn what_cleaning_up_removes_is_of_no_use_any_more() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    scene.code().await;
    scene.app.wait(Duration::days(2));
    let pool = scene.app.engine.store.pool();
    let before = scene.app.clock.now() - Duration::days(1);
    assert_eq!(keystead::store::housekeeping::grants(pool, before).await.unwrap(), 1, "the code that nobody redeemed");
    assert_eq!(scene.refresh(tokens.refresh()).await.status, 200);
}
