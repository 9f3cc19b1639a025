//! `/keys`: seen, rotated, withdrawn.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use time::Duration;

use crate::support::{AdminApi, Browser, RelyingParty, TestApp, Tokens};

async fn keys(admin: &AdminApi<'_>, algorithm: &str, state: &str) -> Vec<String> {
    let all = admin.items("/keys").await;
    let wanted = all.iter().filter(|key| key["algorithm"] == algorithm && key["state"] == state);
    wanted.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn published(app: &TestApp) -> Vec<String> {
    let jwks = app.get("/oauth2/jwks").await.json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// An administrator's token lives shorter than these stories.
async fn renew(app: &TestApp, admin: &mut AdminApi<'_>) {
    admin.token = app.machine_token(&admin.client, "keystead:admin").await;
}

fn kid(tokens: &Tokens) -> String {
    tokens.jose("access_token")["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn security_47_keys_are_listed_without_their_private_parts() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let list = admin.items("/keys").await;
    let mut algorithms: Vec<&str> = list.iter().map(|key| key["algorithm"].as_str().unwrap()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ES256", "EdDSA", "HMAC-SHA256", "PS256", "RS256"]);
    for key in &list {
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["activates_at", "algorithm", "created_at", "encryption_key_id", "kid", "state"]);
        assert_eq!((&key["state"], &key["encryption_key_id"]), (&json!("active"), &json!("k1")));
    }
    let kid = list[0]["kid"].as_str().unwrap();
    admin.get(&format!("/keys/{kid}")).await.problem(404, "not-found");
}

#[tokio::test]
async fn protocol_38_rotation_publishes_a_key_before_it_signs_and_keeps_the_old_one() {
    let app = TestApp::start().await;
    let mut admin = AdminApi::open(&app).await;
    let rp = RelyingParty::web(app.web_client().await);
    app.person("pat@example.com").await;
    let mut browser = Browser::default();
    let before = rp.tokens(&app, &mut browser, "pat@example.com").await;
    let rotated = admin.act("/keys/rotate").await.json();
    assert_eq!((rotated["items"].as_array().unwrap().len(), &rotated["next_cursor"]), (5, &Value::Null));
    assert!(rotated["items"].as_array().unwrap().iter().all(|key| key["state"] == "pending"), "{rotated}");
    let waiting = keys(&admin, "ES256", "pending").await;
    assert!(published(&app).await.contains(&waiting[0]), "everybody can fetch it first");
    let still = rp.refresh(&app, before.refresh()).await.json();
    assert_eq!(kid(&Tokens(still.clone())), kid(&before));
    app.wait(Duration::minutes(5));
    let after = Tokens(rp.refresh(&app, still["refresh_token"].as_str().unwrap()).await.json());
    assert_eq!(kid(&after), waiting[0]);
    assert!(rp.is_active(&app, before.access()).await, "old tokens still verify");
    assert_eq!(rp.refresh(&app, after.refresh()).await.status, 200, "refresh tokens of the old MAC key too");
    renew(&app, &mut admin).await;
    assert_eq!(keys(&admin, "ES256", "retiring").await, [kid(&before)]);
    app.wait(Duration::days(2));
    renew(&app, &mut admin).await;
    assert_eq!(keys(&admin, "ES256", "retired").await, [kid(&before)]);
    app.engine.reload_keys().await.unwrap();
    assert!(!published(&app).await.contains(&kid(&before)));
}

#[tokio::test]
async fn section_8_rotating_again_while_a_successor_waits_makes_no_other() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let one = admin.post("/keys/rotate", json!({ "algorithm": "RS256" })).await.json();
    assert_eq!((one["items"].as_array().unwrap().len(), &one["items"][0]["algorithm"]), (1, &json!("RS256")));
    let (a, b) = tokio::join!(
        admin.post("/keys/rotate", json!({ "algorithm": "RS256" })),
        admin.post("/keys/rotate", json!({ "algorithm": "RS256" })),
    );
    assert_eq!((a.json(), b.json()), (one.clone(), one.clone()));
    let kid = one["items"][0]["kid"].as_str().unwrap();
    assert_eq!(admin.event(kid, "key.rotated").await["actor_id"], admin.client.id.as_str());
    assert_eq!(admin.items("/keys").await.len(), 6);
}

#[tokio::test]
async fn section_8_what_to_rotate_is_left_out_or_one_known_algorithm() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (body, member) in [
        (json!({ "algorithm": "HS256" }), "algorithm"),
        (json!({ "algorithm": "es256" }), "algorithm"),
        (json!({ "algorithm": 1 }), "algorithm"),
        (json!({ "kid": "x" }), "kid"),
    ] {
        let refused = admin.post("/keys/rotate", body.clone()).await;
        assert_eq!(refused.refused_members(), [member], "{body}");
    }
    admin.post("/keys/rotate", json!(["ES256"])).await.problem(400, "invalid-request");
    let form = Request::post("/admin/v1/keys/rotate").header("content-type", "application/x-www-form-urlencoded");
    admin.send(form.body(Body::from("algorithm=ES256")).unwrap()).await.problem(415, "unsupported-media-type");
    assert_eq!(admin.items("/keys").await.len(), 5, "nothing was rotated");
    for body in [json!({}), json!({ "algorithm": null }), json!(null)] {
        assert_eq!(admin.post("/keys/rotate", body).await.json()["items"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn security_42_tokens_of_a_revoked_key_are_dead_at_once_and_another_key_signs() {
    let app = TestApp::start().await;
    let mut admin = AdminApi::open(&app).await;
    let service = app.service().await;
    let token = app.machine_token(&service, "api:read").await;
    let active = async |token: &str| {
        app.post_as("/oauth2/introspect", service.pair(), &[("token", token)]).await.json()["active"].clone()
    };
    let old = kid(&Tokens(json!({ "access_token": token })));
    assert_eq!(active(&token).await, true);
    let answer = admin.act(&format!("/keys/{old}/revoke")).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert_eq!(active(&token).await, false);
    assert!(!published(&app).await.contains(&old));
    // The operator's own token was signed with it too.
    admin.get("/keys").await.problem(401, "invalid-token");
    renew(&app, &mut admin).await;
    assert_eq!(keys(&admin, "ES256", "revoked").await, std::slice::from_ref(&old));
    let new = app.machine_token(&service, "api:read").await;
    assert_eq!(keys(&admin, "ES256", "active").await, [kid(&Tokens(json!({ "access_token": new })))]);
    assert_eq!(active(&new).await, true);
    admin.act(&format!("/keys/{old}/revoke")).await.problem(404, "not-found");
    assert_eq!(admin.event(&old, "key.revoked").await["actor_id"], admin.client.id.as_str());
}

#[tokio::test]
async fn section_8_a_waiting_successor_steps_in_when_the_active_key_is_revoked() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let waiting = admin.post("/keys/rotate", json!({ "algorithm": "RS256" })).await.json()["items"][0].clone();
    let active = keys(&admin, "RS256", "active").await;
    admin.act(&format!("/keys/{}/revoke", active[0])).await;
    assert_eq!(keys(&admin, "RS256", "active").await, [waiting["kid"].as_str().unwrap()]);
    let pending = admin.post("/keys/rotate", json!({ "algorithm": "PS256" })).await.json()["items"][0].clone();
    admin.act(&format!("/keys/{}/revoke", pending["kid"].as_str().unwrap())).await;
    assert_eq!(keys(&admin, "PS256", "pending").await, Vec::<String>::new());
    app.wait(Duration::minutes(6));
    let mut admin = admin;
    renew(&app, &mut admin).await;
    assert_eq!(keys(&admin, "PS256", "active").await.len(), 1, "somebody signs with PS256");
}

#[tokio::test]
async fn security_42_a_revoked_mac_key_kills_refresh_tokens_and_codes_and_the_next_sign_in_works() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let rp = RelyingParty::web(app.web_client().await);
    app.person("pat@example.com").await;
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, "pat@example.com").await;
    let code = rp.code(&app, &mut browser, "pat@example.com").await;
    let mac = keys(&admin, "HMAC-SHA256", "active").await;
    assert!(!published(&app).await.contains(&mac[0]), "a MAC key is never published");
    assert_eq!(admin.act(&format!("/keys/{}/revoke", mac[0])).await.status, 204);
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.error(), "invalid_grant");
    assert_eq!(rp.redeem(&app, &code).await.error(), "invalid_grant");
    let again = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    assert_eq!(rp.refresh(&app, again.refresh()).await.status, 200);
}

#[tokio::test]
async fn section_8_a_key_that_does_not_exist_cannot_be_revoked() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for kid in ["AAAAAAAAAAA", "x", "%2e%2e", "AAAAAAAAAAA%3D", "rotate"] {
        admin.act(&format!("/keys/{kid}/revoke")).await.problem(404, "not-found");
    }
    assert_eq!(admin.items("/keys").await.len(), 5);
}
