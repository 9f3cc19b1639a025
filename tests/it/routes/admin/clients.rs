//! `/clients`: made, shown, changed, removed.

use serde_json::{Value, json};

use crate::support::secrets::Secrets;
use crate::support::{AdminApi, ClientFixture, TestApp, encode};

/// The smallest machine client.
pub fn service(name: &str) -> Value {
    json!({ "client_name": name, "grant_types": ["client_credentials"] })
}

/// The smallest client for people.
pub fn web(name: &str) -> Value {
    json!({ "client_name": name, "redirect_uris": ["https://rp.example/cb"], "scope": "openid" })
}

/// Id and secret from the answer to a creation.
pub fn credentials(created: &Value) -> ClientFixture {
    let text = |name: &str| created[name].as_str().unwrap_or_default().to_owned();
    ClientFixture { id: text("client_id"), secret: text("client_secret") }
}

#[tokio::test]
async fn section_8_a_client_is_made_with_the_names_of_rfc_7591() {
    let app = TestApp::start().await;
    app.api().await;
    let admin = AdminApi::open(&app).await;
    let sent = json!({
        "client_id": "shop", "client_name": "Shop", "client_uri": "https://shop.example",
        "logo_uri": "https://shop.example/logo.png", "policy_uri": "https://shop.example/policy",
        "tos_uri": "https://shop.example/terms", "redirect_uris": ["https://shop.example/cb", "com.example.shop:/cb"],
        "post_logout_redirect_uris": ["https://shop.example/bye"], "application_type": "native",
        "token_endpoint_auth_method": "client_secret_post", "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "scope": "api:read openid", "id_token_signed_response_alg": "ES256",
        "require_pkce": false, "skip_consent": true, "access_token_lifetime": 60,
        "refresh_token_absolute_lifetime": 3600, "refresh_token_idle_lifetime": 600, "refresh_token_grace_period": 0,
        "disabled": false,
    });
    let answer = admin.post("/clients", sent.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (201, "/admin/v1/clients/shop"));
    let created = answer.json();
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(created[name], *value, "{name}");
    }
    assert_eq!(created["client_id_issued_at"], 1_800_000_000);
    assert_eq!(created["client_secret_expires_at"], 0);
    let mut shown = admin.show(answer.location()).await;
    let of_the_creation = ["client_secret", "client_secret_expires_at"].map(|name| created[name].clone());
    shown["client_secret"] = of_the_creation[0].clone();
    shown["client_secret_expires_at"] = of_the_creation[1].clone();
    assert_eq!(shown, created, "reading shows the same but for the secret");
}

#[tokio::test]
async fn section_8_what_is_left_out_or_null_has_the_defaults_of_rfc_7591() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let answers = [
        admin.create("/clients", json!({ "client_name": "Web", "redirect_uris": ["https://rp.example/cb"] })).await,
        admin
            .create(
                "/clients",
                json!({ "client_name": "Web", "redirect_uris": ["https://rp.example/cb"], "client_id": null,
                        "grant_types": null, "scope": null, "require_pkce": null, "access_token_lifetime": null }),
            )
            .await,
    ];
    let [created, with_nulls] = answers.map(|mut created| {
        assert!(created["client_id"].as_str().unwrap().starts_with("kc_"), "{created}");
        assert!(created["client_secret"].as_str().unwrap().starts_with("kss_"), "{created}");
        for own in ["client_id", "client_secret", "client_secrets"] {
            created.as_object_mut().unwrap().remove(own);
        }
        created
    });
    assert_eq!(created, with_nulls);
    let expected = json!({
        "client_name": "Web", "client_id_issued_at": 1_800_000_000, "client_secret_expires_at": 0,
        "redirect_uris": ["https://rp.example/cb"], "post_logout_redirect_uris": [], "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code"],
        "response_types": ["code"], "scope": "", "id_token_signed_response_alg": "RS256", "require_pkce": true,
        "skip_consent": false, "disabled": false, "updated_at": "2027-01-15T08:00:00Z", "profile": "default",
        "dpop_bound_access_tokens": false, "subject_type": "public",
        "tls_client_certificate_bound_access_tokens": false,
        "refresh_token_rotation": "rotate",
        "require_pushed_authorization_requests": false, "require_signed_request_object": false,
    });
    assert_eq!(created, expected);
}

#[tokio::test]
async fn security_75_a_secret_shows_once_and_is_stored_only_as_a_hash() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", service("Nightly report")).await;
    let client = credentials(&created);
    let path = format!("/clients/{}", client.id);
    let changed = admin.patch(&path, json!({ "client_name": "Daily report" })).await;
    assert_eq!(changed.status, 200);
    let added = admin.act(&format!("{path}/secrets")).await.json();
    let mut seen = changed.body;
    for list in ["/clients", path.as_str(), "/audit-events"] {
        seen += &admin.get(list).await.body;
    }
    assert!(seen.contains(&client.id));
    seen += &app.dump().await;
    let mut secrets = Secrets::default();
    for secret in [&client.secret, added["client_secret"].as_str().unwrap()] {
        assert!(secret.len() >= 47, "at least 256 random bits: {secret}");
        secrets.add("shows a second time", secret);
    }
    assert_eq!(secrets.search_for_all_but(&[]).find(&seen), None);
    assert!(!admin.show(&path).await.to_string().contains("sha256"));
}

#[tokio::test]
async fn section_8_a_public_client_has_no_secret() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut body = web("App");
    body["token_endpoint_auth_method"] = json!("none");
    let created = admin.create("/clients", body).await;
    assert_eq!(created["client_secrets"], json!([]));
    assert!(created.get("client_secret").is_none() && created.get("client_secret_expires_at").is_none(), "{created}");
}

#[tokio::test]
async fn section_8_a_merge_patch_keeps_what_it_does_not_name_and_null_goes_back_to_the_default() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut body = web("Shop");
    body["tos_uri"] = json!("https://shop.example/terms");
    body["access_token_lifetime"] = json!(60);
    body["require_pkce"] = json!(false);
    let created = admin.create("/clients", body).await;
    let path = format!("/clients/{}", created["client_id"].as_str().unwrap());
    app.wait(time::Duration::seconds(5));
    let wanted = json!({ "tos_uri": null, "access_token_lifetime": null, "require_pkce": null, "scope": "email" });
    let changed = admin.change(&path, wanted).await;
    let mut expected = created.clone();
    for gone in ["tos_uri", "access_token_lifetime", "client_secret", "client_secret_expires_at"] {
        expected.as_object_mut().unwrap().remove(gone);
    }
    expected["require_pkce"] = json!(true);
    expected["scope"] = json!("email");
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    assert_ne!(changed["updated_at"], created["updated_at"]);
    assert_eq!(admin.show(&path).await, changed);
    let event = admin.event(created["client_id"].as_str().unwrap(), "client.updated").await;
    assert_eq!(event["details"]["changed"], json!(["tos_uri", "scope", "require_pkce", "access_token_lifetime"]));
}

#[tokio::test]
async fn section_8_a_patch_may_be_of_either_json_type_and_repeat_the_id_but_not_change_it() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin
        .create("/clients", json!({ "client_id": "a", "client_name": "A", "grant_types": ["client_credentials"] }))
        .await;
    for content_type in ["application/json", "application/merge-patch+json", "Application/JSON; charset=utf-8"] {
        let request = axum::http::Request::patch("/admin/v1/clients/a")
            .header("content-type", content_type)
            .body(axum::body::Body::from(r#"{"client_id": "a", "client_name": "B"}"#))
            .unwrap();
        let answer = admin.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["client_name"]), (200, &json!("B")), "{content_type}");
    }
    for other in ["b", "A", ""] {
        let refused = admin.patch("/clients/a", json!({ "client_id": other })).await;
        assert_eq!(refused.refused_members(), ["client_id"], "{other}");
    }
    assert_eq!(admin.event("a", "client.updated").await["details"], json!({ "changed": ["client_name"] }));
}

#[tokio::test]
async fn section_8_an_id_that_is_taken_conflicts_and_changes_nothing() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = json!({ "client_id": "a", "client_name": "A", "grant_types": ["client_credentials"] });
    let first = admin.create("/clients", body.clone()).await;
    let second = admin.post("/clients", body).await.problem(409, "conflict");
    assert!(second["detail"].as_str().unwrap().contains("choose another client_id"), "{second}");
    assert_eq!(admin.show("/clients/a").await["client_secrets"], first["client_secrets"]);
    assert_eq!(admin.events("a").await.len(), 1);
}

#[tokio::test]
async fn section_8_an_id_may_hold_what_means_something_in_a_path() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for id in ["https://client.example/metadata.json", "a?b=c&d#e%2F+*~;x", "..a", "...", "kc@%"] {
        let body = json!({ "client_id": id, "client_name": "A", "grant_types": ["client_credentials"] });
        let answer = admin.post("/clients", body).await;
        assert_eq!(answer.location(), format!("/admin/v1/clients/{}", encode(id)));
        assert_eq!(admin.show(answer.location()).await["client_id"], id);
        let secret = admin.act(&format!("{}/secrets", answer.location())).await;
        assert_eq!(secret.status, 201, "{id}");
        admin.remove(secret.location()).await;
        admin.remove(answer.location()).await;
    }
    // Whatever is between slashes alone is taken away by browsers and curl, so nobody could reach such a client.
    for id in [".", ".."] {
        let body = json!({ "client_id": id, "client_name": "A", "grant_types": ["client_credentials"] });
        assert_eq!(admin.post("/clients", body).await.refused_members(), ["client_id"], "{id}");
    }
}

#[tokio::test]
async fn security_32_a_client_id_cannot_be_or_look_like_a_user_id() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let person = app.person("pat@example.com").await.to_string();
    let forms = [
        person.clone(),
        person.to_uppercase(),
        person.replace('-', ""),
        format!("urn:uuid:{person}"),
        format!("{{{person}}}"),
    ];
    for id in forms {
        let body = json!({ "client_id": id, "client_name": "A", "grant_types": ["client_credentials"] });
        let refused = admin.post("/clients", body).await;
        assert_eq!(refused.refused_members(), ["client_id"], "{id}");
    }
}

#[tokio::test]
async fn section_8_a_deleted_client_is_gone_everywhere() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let client = credentials(&admin.create("/clients", service("A")).await);
    let path = format!("/clients/{}", client.id);
    admin.remove(&path).await;
    for answer in [
        admin.get(&path).await,
        admin.patch(&path, json!({})).await,
        admin.delete(&path).await,
        admin.act(&format!("{path}/secrets")).await,
        admin.delete(&format!("{path}/secrets/{}", app.engine.random.uuid_v7(app.clock.now()))).await,
    ] {
        answer.problem(404, "not-found");
    }
    let ids: Vec<Value> = admin.items("/clients").await.iter().map(|client| client["client_id"].clone()).collect();
    assert_eq!(ids, [json!(admin.client.id)]);
    let token = app.post_as("/oauth2/token", client.pair(), &[("grant_type", "client_credentials")]).await;
    assert_eq!((token.status.as_u16(), token.error().as_str()), (401, "invalid_client"));
    admin.event(&client.id, "client.deleted").await;
}
