//! RFC 7591, dynamic client registration; OpenID Connect Registration.

use std::sync::Arc;

use axum::http::Method;
use keystead::domain::RegistrationMode;
use serde_json::{Value, json};
use time::Duration as Span;

use crate::support::{
    AdminApi, Answer, Browser, EMAIL, Publisher, Registrant, TestApp, at_once, jwt_part, own_metadata,
};

async fn open() -> TestApp {
    TestApp::with_registration(RegistrationMode::Open).await
}

/// An initial access token of so many uses.
async fn initial_token(admin: &AdminApi<'_>, uses: i32) -> (String, String) {
    let made = admin.create("/initial-access-tokens", json!({ "description": "For a test", "uses": uses })).await;
    let token = made["initial_access_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ksi_"), "{token}");
    (made["id"].as_str().unwrap().to_owned(), token)
}

fn changed(member: &str, value: Value) -> Value {
    let mut metadata = own_metadata();
    metadata[member] = value;
    metadata
}

fn is_unauthorized(answer: &Answer) -> bool {
    answer.status == 401 && answer.error() == "invalid_token" && answer.header("www-authenticate").starts_with("Bearer")
}

#[tokio::test]
async fn section_3_a_client_registers_itself_and_people_sign_in_to_it() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Registrant::of(&app.register(None, &own_metadata()).await);
    let rp = client.relying_party();
    let mut browser = Browser::default();
    let page = browser.open(&app, &rp.authorization_path(&[])).await;
    let page = browser.sign_in(&app, &page, EMAIL).await;
    assert!(page.body.contains("Own App") && page.body.contains("id=\"consent-allow\""), "people are asked");
    assert!(page.body.contains("id=\"consent-warning\"") && page.body.contains("rp.example"), "and warned");
    let tokens = rp.tokens(&app, &mut browser, EMAIL).await;
    assert_eq!(jwt_part(tokens.access(), 1)["client_id"], client.id.as_str());
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.status, 200);
    let without_pkce = rp.authorization_path(&[("code_challenge", ""), ("code_challenge_method", "")]);
    assert!(browser.open(&app, &without_pkce).await.location().contains("error=invalid_request"), "PKCE is on");
    let event = AdminApi::open(&app).await.event(&client.id, "client.registered").await;
    assert_eq!((&event["actor_kind"], &event["ip"]), (&json!("client"), &json!("192.0.2.1")), "{event}");
}

#[tokio::test]
async fn protocol_41_section_3_2_1_the_answer_tells_all_that_is_registered() {
    let app = open().await;
    let answer = app.register(None, &own_metadata()).await;
    assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let Registrant { id, document, token } = Registrant::of(&answer);
    assert_eq!(document["registration_client_uri"], format!("https://id.example/oauth2/register/{id}"));
    assert_eq!(document["client_id_issued_at"], app.clock.now().unix_timestamp());
    assert_eq!(document["client_secret_expires_at"], 0);
    assert!(document["client_secret"].as_str().unwrap().starts_with("kss_"));
    assert!(token.starts_with("ksg_") && token.len() >= 26, "128 bits at least");
    assert_eq!(document["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(document["response_types"], json!(["code"]));
    assert_eq!(document["redirect_uris"], own_metadata()["redirect_uris"]);
    assert_eq!(document["scope"], "offline_access openid profile");
    let public = app.register(None, &changed("token_endpoint_auth_method", json!("none"))).await;
    let document = Registrant::of(&public).document;
    assert_eq!((document.get("client_secret"), document.get("client_secret_expires_at")), (None, None));
}

#[tokio::test]
async fn section_2_what_is_absent_has_its_default_and_what_is_unknown_is_ignored() {
    let app = open().await;
    let least = json!({ "redirect_uris": ["http://localhost:8123/cb"], "scope": null, "client_name#fr": "App",
                        "contacts": ["a@b.example"], "skip_consent": true, "require_pkce": false, "disabled": true,
                        "access_token_lifetime": 86_400, "logo_uri": "https://elsewhere.example/logo.png" });
    let client = Registrant::of(&app.register(None, &least).await);
    assert_eq!(client.document["scope"], "address email offline_access openid phone profile");
    assert_eq!(client.document["grant_types"], json!(["authorization_code"]));
    assert_eq!(client.document["client_name"], client.id.as_str(), "a client without a name is called by its id");
    assert_eq!(client.document.get("logo_uri"), None, "no site of its own that the logo could belong to");
    let seen = AdminApi::open(&app).await.show(&format!("/clients/{}", client.id)).await;
    assert_eq!(seen["registered_openly"], true);
    assert_eq!((&seen["skip_consent"], &seen["require_pkce"]), (&json!(false), &json!(true)));
    assert_eq!((seen.get("access_token_lifetime"), &seen["disabled"]), (None, &json!(false)));
}

#[tokio::test]
async fn protocol_19_44_45_section_3_2_2_metadata_that_is_not_safe_is_refused_with_the_code_for_it() {
    let app = open().await;
    for (uri, why) in [
        ("https://rp.example/cb#f", "fragment"),
        ("http://rp.example/cb", "http"),
        ("javascript:alert(1)", "scheme"),
        ("myapp:/cb", "scheme"),
        ("https://*.rp.example/cb", "wildcards"),
    ] {
        let mut metadata = changed("redirect_uris", json!([uri]));
        metadata["application_type"] = json!("native");
        let answer = app.register(None, &metadata).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_redirect_uri"), "{uri}");
        assert!(answer.body.contains(why), "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(app.register(None, &changed("redirect_uris", json!([]))).await.error(), "invalid_redirect_uri");
    for (member, value) in [
        ("response_types", json!(["token"])),
        ("grant_types", json!(["refresh_token"])),
        ("token_endpoint_auth_method", json!("tls")),
        ("jwks", json!("x")),
        ("client_name", json!("a\nb")),
        ("initiate_login_uri", json!("http://rp.example/start")),
        ("backchannel_logout_uri", json!("https://rp.example/#f")),
    ] {
        let answer = app.register(None, &changed(member, value)).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_client_metadata"), "{member}");
        assert!(answer.body.contains(member), "{}", answer.body);
    }
    assert_eq!(app.sql_count("client_registrations").await, 0);
}

#[tokio::test]
async fn security_46_a_client_gives_itself_no_privileges_and_no_place_inside() {
    let app = open().await;
    app.api().await;
    for (member, value) in [
        ("scope", json!("openid keystead:admin")),
        ("scope", json!("keystead:admin.read")),
        ("scope", json!("api:read")),
        ("grant_types", json!(["authorization_code", "client_credentials"])),
        ("grant_types", json!(["client_credentials"])),
        ("grant_types", json!([])),
        ("logo_uri", json!("javascript:alert(1)")),
        ("logo_uri", json!("https://bank.example/logo.png")),
        ("policy_uri", json!("https://bank.example/policy")),
        ("jwks_uri", json!("https://169.254.169.254/keys")),
        ("jwks_uri", json!("https://[::ffff:10.0.0.1]/keys")),
        ("backchannel_logout_uri", json!("https://192.168.0.1/out")),
    ] {
        let answer = app.register(None, &changed(member, value.clone())).await;
        assert_eq!(answer.status, 400, "{member} {value}: {}", answer.body);
        assert_eq!(answer.error(), "invalid_client_metadata", "{member} {value}");
    }
    assert_eq!(app.sql_count("client_registrations").await, 0);
}

#[tokio::test]
async fn section_2_3_a_software_statement_is_never_silently_ignored() {
    let app = open().await;
    for (statement, code) in [
        (json!("eyJhbGciOiJub25lIn0.e30."), "unapproved_software_statement"),
        (json!("nothing"), "invalid_software_statement"),
        (json!(5), "invalid_software_statement"),
    ] {
        let answer = app.register(None, &changed("software_statement", statement)).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, code));
    }
}

#[tokio::test]
async fn section_3_1_without_a_good_initial_access_token_nobody_registers() {
    let app = TestApp::with_registration(RegistrationMode::InitialAccessToken).await;
    let admin = AdminApi::open(&app).await;
    let (id, token) = initial_token(&admin, 2).await;
    for wrong in [None, Some("ksi_wrong"), Some(""), Some(admin.token.as_str())] {
        assert!(is_unauthorized(&app.register(wrong, &json!({ "redirect_uris": "x" })).await), "{wrong:?}");
    }
    let refused = app.register(Some(&token), &changed("scope", json!("keystead:admin"))).await;
    assert_eq!(refused.error(), "invalid_client_metadata", "{}", refused.body);
    let shown = admin.items("/initial-access-tokens").await;
    assert_eq!((&shown[0]["uses_left"], shown[0].get("initial_access_token")), (&json!(2), None), "no use was lost");
    let client = Registrant::of(&app.register(Some(&token), &own_metadata()).await);
    let event = admin.event(&client.id, "client.registered").await;
    assert_eq!(event["details"]["initial_access_token"], id);
    let seen = admin.show(&format!("/clients/{}", client.id)).await;
    assert_eq!(seen.get("registered_openly"), None, "somebody knows it");
    admin.remove(&format!("/initial-access-tokens/{id}")).await;
    assert!(is_unauthorized(&app.register(Some(&token), &own_metadata()).await), "withdrawn");
    assert_eq!(client.call(&app, Method::GET, None).await.status, 200, "its clients stay");
    let (_, token) = initial_token(&admin, 1).await;
    app.wait(Span::days(7));
    assert!(is_unauthorized(&app.register(Some(&token), &own_metadata()).await), "expired");
    let dump = app.sql_text("SELECT string_agg(t::text, ' ') FROM initial_access_tokens t").await;
    assert!(!dump.contains(&token), "only its hash is kept");
}

#[tokio::test]
async fn section_3_of_fifty_registrations_at_once_a_token_of_one_use_lets_one_through() {
    let app = TestApp::with_registration(RegistrationMode::InitialAccessToken).await;
    let token = initial_token(&AdminApi::open(&app).await, 1).await.1;
    let app = Arc::new(app);
    let answers = at_once(50, |_| {
        let (app, token) = (Arc::clone(&app), token.clone());
        async move { app.register(Some(&token), &own_metadata()).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || is_unauthorized(answer)));
    assert_eq!(app.sql_count("client_registrations").await, 1);
}

#[tokio::test]
async fn section_5_one_source_and_all_together_register_only_so_many() {
    let app = TestApp::start_with(|policy| {
        policy.registration.mode = RegistrationMode::Open;
        policy.registration.most_clients = 5;
    })
    .await;
    let app = Arc::new(app.with_http(|http| http.registrations_per_source_per_hour = 20));
    let answers = at_once(30, |_| {
        let app = Arc::clone(&app);
        async move { app.register(None, &own_metadata()).await.status.as_u16() }
    })
    .await;
    let count = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(201), count(503), count(429)), (5, 15, 10));
    let admin = AdminApi::open(&app).await;
    let token = initial_token(&admin, 7).await.1;
    for _ in 0..5 {
        assert_eq!(app.register(Some(&token), &own_metadata()).await.status, 201, "strangers take no partner's place");
    }
    assert_eq!(app.register(Some(&token), &own_metadata()).await.status, 503, "the source may, the house is full");
    let gone = app.sql_text("SELECT client_id FROM client_registrations WHERE origin = 'token' LIMIT 1").await;
    admin.remove(&format!("/clients/{gone}")).await;
    assert_eq!(app.register(Some(&token), &own_metadata()).await.status, 201);
}

#[tokio::test]
async fn a_server_is_closed_unless_it_was_opened_and_discovery_says_so() {
    let app = TestApp::start().await;
    assert_eq!(app.register(None, &own_metadata()).await.status, 404);
    let discovery = |app: TestApp| async move { app.get("/.well-known/openid-configuration").await.json() };
    let admin = AdminApi::open(&app).await;
    admin.post("/initial-access-tokens", json!({})).await.problem(409, "conflict");
    assert_eq!(discovery(app).await.get("registration_endpoint"), None);
    let endpoint = discovery(open().await).await["registration_endpoint"].clone();
    assert_eq!(endpoint, "https://id.example/oauth2/register");
    let app = open().await;
    for (path, methods) in [("/oauth2/register", "GET,POST"), ("/oauth2/register/kc_1", "GET,PUT,DELETE")] {
        let answer = app.registration(Method::OPTIONS, path, None, None).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-methods")), (204, methods));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn a_client_may_publish_keys_and_prove_itself_with_them() {
    let app = open().await;
    let key = crate::support::Es256::foreign("k1");
    let publisher = Publisher::of(key.jwks()).await;
    let mut metadata = changed("token_endpoint_auth_method", json!("private_key_jwt"));
    metadata["jwks_uri"] = json!(publisher.url("/keys"));
    let client = Registrant::of(&app.register(None, &metadata).await);
    assert_eq!(client.document.get("client_secret"), None);
    let assertion = key.assertion(&app, &client.id);
    let asked = [("token", "x"), crate::support::ASSERTION_TYPE, ("client_assertion", &assertion)];
    assert_eq!(app.post("/oauth2/revoke", &asked).await.status, 200);
    assert_eq!(publisher.received().len(), 1);
}
