//! RFC 6750: bearer tokens, at the one endpoint for people's data (OpenID Connect Core §5.3).

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::{Address, Profile, User};
use serde_json::{Value, json};

use crate::support::{Answer, Scene, form};

async fn with_header(scene: &Scene, method: &str, authorization: &str) -> Answer {
    let request =
        Request::builder().method(method).uri("/oauth2/userinfo").header(header::AUTHORIZATION, authorization);
    scene.app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn section_2_1_protocol_34_userinfo_by_get_and_by_post_with_the_header() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        for method in ["GET", "POST"] {
            let answer = with_header(&scene, method, &format!("{scheme} {}", tokens.access())).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
            assert_eq!(answer.json()["sub"], scene.user.to_string());
        }
    }
    // Some libraries send an empty form along.
    let mut empty_form = form("/oauth2/userinfo", &[]);
    empty_form.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", tokens.access()).parse().unwrap());
    assert_eq!(scene.app.send(empty_form).await.status, 200);
}

#[tokio::test]
async fn section_2_2_protocol_34_userinfo_by_post_with_the_token_in_the_form() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let answer = scene.app.post("/oauth2/userinfo", &[("access_token", tokens.access())]).await;
    assert_eq!((answer.status.as_u16(), answer.json()["email"].as_str()), (200, Some("pat@example.com")));
    let json = Request::post("/oauth2/userinfo").header(header::CONTENT_TYPE, "application/json");
    let json = json.body(Body::from(json!({ "access_token": tokens.access() }).to_string())).unwrap();
    assert_eq!(scene.app.send(json).await.status, 400);
}

#[tokio::test]
async fn section_3_1_a_request_without_a_token_is_told_the_scheme_and_nothing_more() {
    let scene = Scene::start().await;
    let bare = Request::post("/oauth2/userinfo").body(Body::empty()).unwrap();
    let answers = [
        scene.app.get("/oauth2/userinfo").await,
        scene.app.send(bare).await,
        scene.app.post("/oauth2/userinfo", &[]).await,
        scene.app.post("/oauth2/userinfo", &[("access_token", "")]).await,
    ];
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, ""));
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keystead\"");
    }
}

#[tokio::test]
async fn section_3_1_a_bad_token_is_told_what_is_wrong() {
    let mut scene = Scene::start().await;
    let machine = scene.app.service().await;
    let params = [("grant_type", "client_credentials")];
    let for_an_api = scene.app.post_as("/oauth2/token", machine.pair(), &params).await.json();
    let narrow = scene.tokens_for(&[("scope", "email")]).await;
    let table = [
        ("Bearer x".to_owned(), 401, "invalid_token"),
        ("Bearer ".to_owned() + for_an_api["access_token"].as_str().unwrap(), 401, "invalid_token"),
        ("Bearer ".to_owned() + narrow.access(), 403, "insufficient_scope"),
        ("Bearer".to_owned(), 400, "invalid_request"),
        ("Basic dzp4".to_owned(), 400, "invalid_request"),
    ];
    for (authorization, status, error) in table {
        let answer = with_header(&scene, "GET", &authorization).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (status, error), "{authorization}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with(&format!("Bearer realm=\"keystead\", error=\"{error}\", ")), "{challenge}");
    }
}

/// Gives the person every claim there is, and some that hold nothing.
async fn describe(scene: &Scene) {
    let pool = scene.app.engine.store.pool();
    let user = keystead::store::users::find(pool, &scene.user).await.unwrap().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let profile = Profile {
        name: text("Pat Person"),
        given_name: text("Pat"),
        family_name: text(""),
        nickname: None,
        birthdate: text("1990-02-03"),
        zoneinfo: text("Europe/Berlin"),
        locale: text("de-DE"),
        phone_number: text("+4930123456"),
        phone_number_verified: Some(true),
        address: Some(Address { locality: text("Berlin"), country: text("Germany"), ..Address::default() }),
        ..Profile::default()
    };
    keystead::store::users::update(pool, &User { profile, ..user }).await.unwrap();
}

#[tokio::test]
async fn protocol_35_userinfo_has_the_right_types_and_nothing_empty() {
    let mut scene = Scene::start().await;
    describe(&scene).await;
    let tokens = scene.tokens().await;
    let claims = scene.userinfo(tokens.access()).await.json();
    let expected = json!({
        "sub": scene.user, "name": "Pat Person", "given_name": "Pat", "preferred_username": "pat", "birthdate": "1990-02-03",
        "zoneinfo": "Europe/Berlin", "locale": "de-DE", "updated_at": 1_800_000_000,
        "email": "pat@example.com", "email_verified": true,
        "phone_number": "+4930123456", "phone_number_verified": true,
        "address": { "locality": "Berlin", "country": "Germany" },
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn protocol_24_userinfo_carries_what_the_scope_releases_and_the_id_token_does_not() {
    let mut scene = Scene::start().await;
    describe(&scene).await;
    let table = [
        ("openid", "sub"),
        ("openid email", "email email_verified sub"),
        ("openid phone", "phone_number phone_number_verified sub"),
        ("openid address", "address sub"),
        ("openid profile", "birthdate given_name locale name preferred_username sub updated_at zoneinfo"),
    ];
    let own = "acr amr at_hash aud auth_time exp iat iss nonce sid sub";
    let names = |claims: &Value| {
        let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(" ")
    };
    for (scope, released) in table {
        let tokens = scene.tokens_for(&[("scope", scope)]).await;
        assert_eq!(names(&scene.userinfo(tokens.access()).await.json()), released, "{scope}");
        assert_eq!(names(&tokens.claims("id_token")), own, "{scope}");
        for claims in [tokens.claims("access_token"), tokens.claims("id_token")] {
            assert!(!claims.to_string().contains("Pat") && !claims.to_string().contains("pat@"), "{scope}");
        }
    }
}

#[tokio::test]
async fn userinfo_tells_what_is_true_now() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    assert!(scene.userinfo(tokens.access()).await.json().get("address").is_none());
    describe(&scene).await;
    assert_eq!(scene.userinfo(tokens.access()).await.json()["address"]["locality"], "Berlin");
}
