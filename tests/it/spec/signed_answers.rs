//! Answers as JWTs: introspection (RFC 9701) and userinfo (OpenID Connect Core §5.3.2).

use axum::http::{HeaderValue, header};
use keystead::domain::{ClientMetadata, ClientProtocol, SigningAlgorithm};
use serde_json::json;

use crate::support::{Answer, ISSUER, Scene, basic, form, jwks, jwt_part, verify};

const WANTED: &str = "application/token-introspection+jwt";

async fn asked(scene: &Scene, token: &str, accept: &str) -> Answer {
    let mut request = form("/oauth2/introspect", &[("token", token)]);
    let credentials = basic(&scene.rp.client.id, &scene.rp.client.secret);
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&credentials).unwrap());
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
    scene.app.send(request).await
}

async fn with(change: impl FnOnce(&mut ClientProtocol)) -> Scene {
    let mut protocol = ClientProtocol::default();
    change(&mut protocol);
    Scene::with(|metadata| ClientMetadata { protocol, ..metadata }).await
}

/// The same as a library reads it; it wants `sub` and `exp`, which these answers do not have.
fn claims(jwt: &str) -> serde_json::Value {
    jwt_part(jwt, 1)
}

#[tokio::test]
async fn rfc_9701_section_5_a_caller_that_asks_for_a_jwt_gets_what_it_would_have_got_signed() {
    let mut scene = with(|_| {}).await;
    let tokens = scene.tokens().await;
    let plain = asked(&scene, tokens.access(), "application/json").await;
    assert_eq!(plain.header("content-type"), "application/json");
    for accept in [WANTED, "application/json;q=0.5, application/token-introspection+jwt;q=0.9"] {
        let answer = asked(&scene, tokens.access(), accept).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, WANTED));
        assert_eq!(answer.header("cache-control"), "no-store");
        let claims = claims(&answer.body);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!("web")));
        assert_eq!(claims["token_introspection"], plain.json());
        assert_eq!(claims["iat"], scene.app.clock.now().unix_timestamp());
        assert!(claims.get("sub").is_none() && claims.get("exp").is_none(), "it must not pass for an access token");
        let header = jwt_part(&answer.body, 0);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("token-introspection+jwt"), &json!("RS256")));
        let kid = header["kid"].as_str().unwrap();
        assert!(jwks(&scene.app).await.find(kid).is_some());
    }
}

#[tokio::test]
async fn rfc_9701_section_5_of_an_inactive_token_nothing_is_said_but_that() {
    let scene = with(|protocol| protocol.introspection_signed_response_alg = Some(SigningAlgorithm::Es256)).await;
    let answer = asked(&scene, "nothing", WANTED).await;
    assert_eq!(claims(&answer.body)["token_introspection"], json!({ "active": false }));
    assert_eq!(jwt_part(&answer.body, 0)["alg"], "ES256");
    let stranger = scene.app.post("/oauth2/introspect", &[("token", "nothing")]).await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn security_30_a_signed_introspection_answer_is_no_other_token() {
    let mut scene = with(|protocol| protocol.introspection_signed_response_alg = Some(SigningAlgorithm::Es256)).await;
    let tokens = scene.tokens().await;
    let jwt = asked(&scene, tokens.access(), WANTED).await.body;
    assert_eq!(scene.userinfo(&jwt).await.status, 401);
    assert!(!scene.is_active(&jwt).await);
}

#[tokio::test]
async fn protocol_36_userinfo_is_signed_for_a_client_that_registered_it() {
    let mut scene = with(|protocol| protocol.userinfo_signed_response_alg = Some(SigningAlgorithm::Rs256)).await;
    let tokens = scene.tokens().await;
    let answer = scene.userinfo(tokens.access()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/jwt"));
    let said = claims(&answer.body);
    assert_eq!((&said["iss"], &said["aud"]), (&json!(ISSUER), &json!("web")));
    assert_eq!(said["sub"], tokens.claims("id_token")["sub"]);
    assert_eq!(said["email"], "pat@example.com");
    let refused = verify(&jwks(&scene.app).await, &answer.body, "web").unwrap_err();
    assert!(refused.contains("exp"), "its signature is right, it only has no end: {refused}");
    assert_eq!(scene.userinfo("nothing").await.status, 401);
}
