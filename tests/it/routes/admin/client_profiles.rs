//! Profiles: many switches at once.

use serde_json::{Value, json};

use crate::support::{AdminApi, Es256, TestApp};

fn fapi(more: Value) -> Value {
    let key = Es256::foreign("k");
    let mut document = json!({ "client_name": "Bank", "redirect_uris": ["https://rp.example/cb"], "profile": "fapi2", "jwks": key.jwks() });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

#[tokio::test]
async fn a_profile_sets_its_switches_and_shows_them() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let made = admin.create("/clients", fapi(json!({}))).await;
    for (member, value) in [
        ("profile", json!("fapi2")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("require_pushed_authorization_requests", json!(true)),
        ("dpop_bound_access_tokens", json!(true)),
        ("refresh_token_rotation", json!("static")),
        ("require_pkce", json!(true)),
        ("id_token_signed_response_alg", json!("PS256")),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    let machine =
        admin.create("/clients", fapi(json!({ "redirect_uris": [], "grant_types": ["client_credentials"] }))).await;
    assert_eq!(machine["refresh_token_rotation"], "rotate", "it has none");
    let id = made["client_id"].as_str().unwrap();
    admin.change(&format!("/clients/{id}"), json!({ "backchannel_logout_uri": "https://rp.example/out" })).await;
    assert_eq!(admin.event(id, "client.updated").await["details"]["changed"], json!(["backchannel_logout_uri"]));
    let native = json!({ "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"], "profile": "native" });
    let native = admin.create("/clients", native).await;
    assert_eq!(
        (&native["application_type"], &native["token_endpoint_auth_method"]),
        (&json!("native"), &json!("none"))
    );
}

#[tokio::test]
async fn what_contradicts_a_profile_is_refused_with_a_sentence() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (more, member) in [
        (json!({ "require_pushed_authorization_requests": false }), "require_pushed_authorization_requests"),
        (json!({ "id_token_signed_response_alg": "RS256" }), "id_token_signed_response_alg"),
        (json!({ "redirect_uris": ["http://127.0.0.1:9/cb"] }), "redirect_uris"),
    ] {
        let answer = admin.post("/clients", fapi(more.clone())).await;
        assert_eq!(answer.refused_members(), [member], "{more}: {}", answer.body);
    }
    let plain = json!({ "client_name": "App", "redirect_uris": ["https://rp.example/cb"] });
    let made = admin.create("/clients", plain).await;
    let path = format!("/clients/{}", made["client_id"].as_str().unwrap());
    let refused = admin.patch(&path, json!({ "profile": "fapi2" })).await;
    assert_eq!(refused.status, 400, "what is registered stays until it is named: {}", refused.body);
    assert!(refused.body.contains("set it to true"), "{}", refused.body);
    assert_eq!(admin.show(&path).await["profile"], "default");
}

#[tokio::test]
async fn a_client_of_mcp_names_the_server_that_its_token_is_for() {
    let app = TestApp::start().await;
    app.api().await;
    let admin = AdminApi::open(&app).await;
    let document = json!({
        "client_name": "Agent", "client_id": "agent", "redirect_uris": ["http://127.0.0.1/cb"], "profile": "mcp", "scope": "openid api:read",
    });
    admin.create("/clients", document).await;
    let path = "/oauth2/authorize?client_id=agent&response_type=code&scope=api:read&redirect_uri=http://127.0.0.1:5000/cb\
                &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let without = app.get(path).await;
    assert!(without.location().contains("error=invalid_target"), "{}", without.location());
    let with = app.get(&format!("{path}&resource=https://api.example")).await;
    assert!(!with.location().contains("error="), "{}", with.location());
}
