//! RFC 7009: token revocation on the wire. Who may revoke what is under SECURITY 43.

use axum::body::Body;
use axum::http::Request;
use time::Duration;

use crate::support::{Scene, Tokens};

#[tokio::test]
async fn section_2_1_the_hint_may_be_right_wrong_or_unknown() {
    for hint in ["refresh_token", "access_token", "id_token", "ÄÖÜ", ""] {
        let mut scene = Scene::start().await;
        let tokens = scene.tokens().await;
        let web = scene.rp.client.pair();
        let access = [("token", tokens.access()), ("token_type_hint", hint)];
        assert_eq!(scene.app.post_as("/oauth2/revoke", web, &access).await.status, 200, "{hint}");
        assert!(!scene.is_active(tokens.access()).await, "{hint}");
        let refresh = [("token", tokens.refresh()), ("token_type_hint", hint)];
        assert_eq!(scene.app.post_as("/oauth2/revoke", web, &refresh).await.status, 200, "{hint}");
        assert_eq!(scene.refresh(tokens.refresh()).await.reason(), "revoked", "{hint}");
    }
}

#[tokio::test]
async fn section_2_1_a_request_that_cannot_be_read_changes_nothing() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let web = scene.rp.client.pair();
    for params in [&[][..], &[("token", "")], &[("token_type_hint", "refresh_token")], &[("Token", tokens.refresh())]] {
        let answer = scene.app.post_as("/oauth2/revoke", web, params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{params:?}");
    }
    let get = Request::get("/oauth2/revoke").body(Body::empty()).unwrap();
    let answer = scene.app.send(get).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    assert!(scene.is_active(tokens.refresh()).await);
}

#[tokio::test]
async fn section_2_2_success_has_an_empty_body_and_may_not_be_kept() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    for token in [tokens.access(), tokens.refresh(), tokens.refresh(), "unknown"] {
        let answer = scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn section_2_revocation_of_one_token_is_forgotten_when_it_would_have_expired_anyway() {
    let mut scene = Scene::start().await;
    let tokens: Tokens = scene.tokens().await;
    scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", tokens.access())]).await;
    let pool = scene.app.engine.store.pool();
    let clean = async || keystead::store::housekeeping::revoked_tokens(pool, scene.app.clock.now()).await.unwrap();
    scene.app.wait(Duration::minutes(10) - Duration::SECOND);
    assert_eq!(clean().await, 0);
    assert!(!scene.is_active(tokens.access()).await);
    scene.app.wait(Duration::seconds(2));
    assert_eq!(clean().await, 1);
    assert!(!scene.is_active(tokens.access()).await);
}
