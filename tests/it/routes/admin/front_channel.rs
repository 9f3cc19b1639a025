//! `/clients`: what is registered about authorization requests and their answers.

use serde_json::{Value, json};

use super::clients::web;
use crate::support::{AdminApi, Es256, TestApp};

fn with(members: &Value) -> Value {
    let mut body = web("App");
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn members_of_the_front_channel_are_kept_as_their_specifications_name_them() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let sent = json!({
        "client_id": "bank", "jwks": { "keys": [Es256::foreign("k").jwk()] }, "require_pushed_authorization_requests": true,
        "require_signed_request_object": true, "request_object_signing_alg": "ES256",
        "authorization_signed_response_alg": "PS256", "response_modes": ["query.jwt", "form_post.jwt"],
    });
    let created = admin.create("/clients", with(&sent)).await;
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(created[name], *value, "{name}");
        assert_eq!(admin.show("/clients/bank").await[name], *value, "{name}");
    }
    let patch = json!({ "response_modes": ["jwt"], "require_signed_request_object": null, "jwks": null });
    let patched = admin.patch("/clients/bank", patch).await.json();
    assert_eq!(
        (&patched["response_modes"], &patched["require_signed_request_object"]),
        (&json!(["query.jwt"]), &json!(false))
    );
    assert_eq!(patched["require_pushed_authorization_requests"], true);
    let usual = admin.create("/clients", web("Usual")).await;
    assert_eq!(usual["require_pushed_authorization_requests"], false);
    assert_eq!((usual.get("response_modes"), usual.get("authorization_signed_response_alg")), (None, None));
}

#[tokio::test]
async fn security_73_response_modes_and_algorithms_that_cannot_work_are_refused_at_registration() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (members, member) in [
        (json!({ "response_modes": [] }), "response_modes"),
        (json!({ "response_modes": ["jwt", "query.jwt"] }), "response_modes"),
        (json!({ "response_modes": ["fragment"] }), "response_modes[0]"),
        (json!({ "authorization_signed_response_alg": "none" }), "authorization_signed_response_alg"),
        (json!({ "authorization_signed_response_alg": "HS256" }), "authorization_signed_response_alg"),
        (json!({ "request_object_signing_alg": "none" }), "request_object_signing_alg"),
        (json!({ "require_signed_request_object": true }), "require_signed_request_object"),
        (json!({ "require_pushed_authorization_requests": "yes" }), "require_pushed_authorization_requests"),
    ] {
        let answer = admin.post("/clients", with(&members)).await;
        assert_eq!(answer.refused_members(), [member], "{members}: {}", answer.body);
    }
}
