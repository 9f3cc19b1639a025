//! RFC 7662: token introspection on the wire. Who learns what is under SECURITY 41.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::{TestApp, Tokens};

#[tokio::test]
async fn section_2_1_the_request_is_a_form_with_the_token_and_perhaps_a_hint() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let params = [("grant_type", "client_credentials")];
    let tokens = Tokens::of(&app.post_as("/oauth2/token", service.pair(), &params).await);
    for hint in ["access_token", "refresh_token", "urn:unknown", "ÄÖÜ", ""] {
        let params = [("token", tokens.access()), ("token_type_hint", hint), ("future", "1")];
        let answer = app.post_as("/oauth2/introspect", service.pair(), &params).await;
        assert_eq!(answer.json()["active"], true, "{hint}");
    }
    for params in [&[][..], &[("token", "")], &[("access_token", tokens.access())]] {
        let answer = app.post_as("/oauth2/introspect", service.pair(), params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{params:?}");
    }
    let get = Request::get(format!("/oauth2/introspect?token={}", tokens.access())).body(Body::empty()).unwrap();
    let answer = app.send(get).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn section_2_2_the_answer_for_a_machines_token() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
    let tokens = Tokens::of(&app.post_as("/oauth2/token", service.pair(), &params).await);
    let api = ("api", "api-secret-with-enough-characters");
    let answer = app.post_as("/oauth2/introspect", api, &[("token", tokens.access())]).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let mut body = answer.json();
    assert_eq!(body["jti"].take(), tokens.claims("access_token")["jti"]);
    let now = app.clock.now().unix_timestamp();
    let expected = json!({
        "active": true, "token_type": "Bearer", "iss": "https://id.example", "sub": "service", "client_id": "service",
        "aud": ["https://api.example"], "scope": "api:read", "iat": now, "exp": now + 600, "jti": null,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn section_2_2_an_inactive_token_is_a_success_that_says_no() {
    let app = TestApp::start().await;
    let api = app.api().await;
    let answer = app.post_as("/oauth2/introspect", api.pair(), &[("token", "mF_9.B5f-4.1JqM")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"active":false}"#));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn section_2_3_a_wrong_secret_is_401_whatever_the_token() {
    let app = TestApp::start().await;
    app.api().await;
    for token in ["mF_9.B5f-4.1JqM", ""] {
        let answer = app.post_as("/oauth2/introspect", ("api", "wrong"), &[("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
    }
}
