//! `/clients`: what a change does to tokens that are out, and to people who are signed in.

use serde_json::{Value, json};

use super::clients::{credentials, service};
use crate::support::{AdminApi, Browser, ClientFixture, RelyingParty, TestApp, Tokens};

/// An application registered through the API, with a person signed in.
struct Scene {
    rp: RelyingParty,
    browser: Browser,
    tokens: Tokens,
    path: String,
}

impl Scene {
    async fn set(app: &TestApp, admin: &AdminApi<'_>) -> Self {
        app.person("pat@example.com").await;
        let body = json!({ "client_id": "shop", "client_name": "Shop", "redirect_uris": ["https://rp.example/cb"],
                           "grant_types": ["authorization_code", "refresh_token"],
                           "scope": "openid profile email offline_access" });
        let rp = RelyingParty::web(credentials(&admin.create("/clients", body).await));
        let mut browser = Browser::default();
        let tokens = rp.tokens(app, &mut browser, "pat@example.com").await;
        Self { rp, browser, tokens, path: "/clients/shop".into() }
    }

    async fn userinfo(&self, app: &TestApp) -> u16 {
        app.get_as("/oauth2/userinfo", &format!("Bearer {}", self.tokens.access())).await.status.as_u16()
    }

    async fn refresh(&self, app: &TestApp) -> String {
        let answer = self.rp.refresh(app, self.tokens.refresh()).await;
        if answer.status == 200 { "refreshed".into() } else { answer.error() }
    }
}

#[tokio::test]
async fn security_42_a_disabled_client_can_do_nothing_and_its_tokens_are_dead_for_good() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app, &admin).await;
    let code = scene.rp.code(&app, &mut scene.browser, "pat@example.com").await;
    assert_eq!(scene.userinfo(&app).await, 200);
    app.wait(time::Duration::seconds(2));
    let disabled = admin.change(&scene.path, json!({ "disabled": true })).await;
    assert_eq!((&disabled["disabled"], &disabled["disabled_at"]), (&json!(true), &json!("2027-01-15T08:00:02Z")));
    assert_eq!(scene.userinfo(&app).await, 401);
    assert_eq!(scene.refresh(&app).await, "invalid_client");
    assert_eq!(scene.rp.redeem(&app, &code).await.error(), "invalid_client");
    let page = scene.browser.open(&app, &scene.rp.authorization_path(&[])).await;
    assert!(page.status.is_client_error() && page.location().is_empty(), "{}", page.status);
    let enabled = admin.change(&scene.path, json!({ "disabled": false })).await;
    assert_eq!((&enabled["disabled"], enabled.get("disabled_at")), (&json!(false), None));
    assert_eq!(scene.userinfo(&app).await, 401, "what was dead stays dead");
    assert_eq!(scene.refresh(&app).await, "invalid_grant");
    assert_eq!(scene.rp.redeem(&app, &code).await.error(), "invalid_grant");
    assert!(!scene.rp.is_active(&app, scene.tokens.access()).await);
    app.wait(time::Duration::seconds(1));
    scene.tokens = scene.rp.tokens(&app, &mut scene.browser, "pat@example.com").await;
    assert_eq!(scene.userinfo(&app).await, 200, "what is new works");
}

#[tokio::test]
async fn security_42_a_disabled_machine_client_is_off_at_once_also_at_introspection() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let api = app.api().await;
    let mut body = service("Report");
    body["scope"] = json!("api:read");
    let client = credentials(&admin.create("/clients", body).await);
    let token = app.machine_token(&client, "api:read").await;
    let answer = async |caller: &ClientFixture| {
        app.post_as("/oauth2/introspect", caller.pair(), &[("token", token.as_str())]).await.json()
    };
    assert_eq!(answer(&api).await["active"], true);
    admin.change(&format!("/clients/{}", client.id), json!({ "disabled": true })).await;
    assert_eq!(answer(&api).await, json!({ "active": false }));
    assert_eq!(answer(&client).await["error"], "invalid_client");
    admin.change("/clients/api", json!({ "disabled": true })).await;
    assert_eq!(answer(&api).await["error"], "invalid_client", "who is disabled cannot ask either");
}

#[tokio::test]
async fn security_37_deleting_a_client_kills_its_grants_tokens_and_consents() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app, &admin).await;
    let user = scene.tokens.claims("id_token")["sub"].as_str().unwrap().to_owned();
    let grants = format!("/users/{user}/grants");
    assert_eq!(admin.items(&grants).await.len(), 1);
    admin.remove(&scene.path).await;
    assert_eq!(admin.items(&grants).await, Vec::<Value>::new());
    assert_eq!(scene.userinfo(&app).await, 401);
    assert_eq!(scene.refresh(&app).await, "invalid_client");
    assert!(!app.dump().await.contains("consents ("), "a consent survived its client");
    assert_eq!(admin.items(&format!("/users/{user}/sessions")).await.len(), 1, "the person stays signed in");
    let page = scene.browser.open(&app, &scene.rp.authorization_path(&[])).await;
    assert!(page.status.is_client_error() && page.location().is_empty());
}

#[tokio::test]
async fn security_37_tokens_of_a_deleted_client_stay_dead_when_its_id_is_registered_again() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut body = service("Report");
    body["client_id"] = json!("report");
    body["scope"] = json!("keystead:admin.read");
    let old = credentials(&admin.create("/clients", body.clone()).await);
    let token = app.machine_token(&old, "keystead:admin.read").await;
    admin.remove("/clients/report").await;
    app.wait(time::Duration::seconds(1));
    let new = credentials(&admin.create("/clients", body).await);
    let answer = app.post_as("/oauth2/introspect", new.pair(), &[("token", &token)]).await;
    assert_eq!(answer.json(), json!({ "active": false }));
    let answer = app.post_as("/oauth2/introspect", old.pair(), &[("token", &token)]).await;
    assert_eq!(answer.error(), "invalid_client", "the old secret is dead too");
}

#[tokio::test]
async fn security_33_what_is_taken_from_a_clients_scope_is_not_refreshed_any_more() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app, &admin).await;
    assert_eq!(scene.tokens.text("scope"), "email offline_access openid profile");
    admin.change(&scene.path, json!({ "scope": "openid offline_access" })).await;
    let refreshed = Tokens(scene.rp.refresh(&app, scene.tokens.refresh()).await.json());
    assert_eq!(refreshed.text("scope"), "offline_access openid");
    assert_eq!(refreshed.claims("access_token")["scope"], "offline_access openid");
    let wider = [("grant_type", "refresh_token"), ("refresh_token", refreshed.refresh()), ("scope", "openid email")];
    let wider = scene.rp.token(&app, &wider).await;
    let given = Tokens(wider.json()).text("scope").to_owned();
    assert!(wider.error() == "invalid_scope" || given == "openid", "{}", wider.body);
}

#[tokio::test]
async fn security_01_a_removed_redirect_uri_is_refused_at_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app, &admin).await;
    admin.change(&scene.path, json!({ "redirect_uris": ["https://rp.example/new"] })).await;
    let page = scene.browser.open(&app, &scene.rp.authorization_path(&[])).await;
    assert!(page.status.is_client_error() && page.location().is_empty() && page.body.contains("redirect_uri"));
    scene.rp.redirect_uri = "https://rp.example/new".into();
    scene.tokens = scene.rp.tokens(&app, &mut scene.browser, "pat@example.com").await;
    assert_eq!(scene.userinfo(&app).await, 200);
}

#[tokio::test]
async fn section_8_lifetimes_and_the_method_of_authentication_count_from_the_next_request() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app, &admin).await;
    let lifetimes = json!({ "access_token_lifetime": 60, "refresh_token_idle_lifetime": 600 });
    admin.change(&scene.path, lifetimes).await;
    let refreshed = scene.rp.refresh(&app, scene.tokens.refresh()).await.json();
    assert_eq!((&refreshed["expires_in"], &refreshed["refresh_token_expires_in"]), (&json!(60), &json!(600)));
    admin.change(&scene.path, json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    assert_eq!(scene.refresh(&app).await, "invalid_client", "Basic is not its method any more");
    let refresh = refreshed["refresh_token"].as_str().unwrap();
    let (id, secret) = scene.rp.client.pair();
    let params =
        [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", id), ("client_secret", secret)];
    assert_eq!(app.post("/oauth2/token", &params).await.status, 200);
}

#[tokio::test]
async fn section_8_another_replica_follows_a_change() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let admin = AdminApi::open(&app).await;
    let client = credentials(&admin.create("/clients", service("A")).await);
    let status = async || other.post_as("/oauth2/introspect", client.pair(), &[("token", "x")]).await.status;
    let becomes = async |wanted: u16| {
        for _ in 0..100 {
            if status().await == wanted {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    };
    assert!(becomes(200).await, "a new client is known within two seconds");
    admin.change(&format!("/clients/{}", client.id), json!({ "disabled": true })).await;
    assert!(becomes(401).await, "a disabled client is refused within two seconds");
}
