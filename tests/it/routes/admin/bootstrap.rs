//! SECURITY 74: the first administrator.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::ClientId;
use keystead::flows::admin::AdminError;
use keystead::flows::admin::bootstrap::first_admin;
use keystead::flows::admin::clients::CreatedClient;
use serde_json::json;

use crate::support::{AdminApi, Browser, ClientFixture, TestApp, caller};

async fn bootstrap(app: &TestApp, id: &str) -> Result<CreatedClient, AdminError> {
    first_admin(&app.engine, ClientId::parse(id), "First administrator".into(), &caller()).await
}

fn credentials(made: CreatedClient) -> ClientFixture {
    ClientFixture { id: made.client.id.to_string(), secret: made.secret.unwrap().expose().to_owned() }
}

#[tokio::test]
async fn security_74_the_first_administrator_is_made_once_and_can_administer() {
    let app = TestApp::start().await;
    let client = credentials(bootstrap(&app, "root-operator").await.unwrap_or_else(|_| panic!("the first time works")));
    let token = app.machine_token(&client, "keystead:admin").await;
    let request = |path: &str| {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    let shown = app.send_admin(request("/admin/v1/clients/root-operator")).await.json();
    assert_eq!((&shown["grant_types"], &shown["scope"]), (&json!(["client_credentials"]), &json!("keystead:admin")));
    let events = app.send_admin(request("/admin/v1/audit-events?subject=root-operator")).await.json();
    let mut names: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["admin.bootstrapped", "client.created"]);
    assert_eq!(events["items"][0]["actor_kind"], "cli");
    for id in ["root-operator", "another"] {
        let Err(AdminError::Conflict(sentence)) = bootstrap(&app, id).await else { panic!("a second time works") };
        assert!(sentence.contains("works once") && sentence.contains("keystead client"), "{sentence}");
    }
    assert_eq!(app.send_admin(request("/admin/v1/clients")).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn security_74_of_bootstraps_at_the_same_moment_one_wins() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let (a, b, c, d) =
        tokio::join!(bootstrap(&app, "a"), bootstrap(&other, "b"), bootstrap(&app, "c"), bootstrap(&other, "d"));
    let outcomes = [a, b, c, d];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(AdminError::Conflict(_)))));
    let admins = app.dump().await.lines().filter(|line| line.starts_with("clients (")).count();
    assert_eq!(admins, 1);
}

#[tokio::test]
async fn security_74_a_bootstrap_that_fails_is_not_used_up() {
    let app = TestApp::start().await;
    app.web_client().await;
    assert!(matches!(bootstrap(&app, "web").await, Err(AdminError::Conflict(_))));
    assert!(bootstrap(&app, "free").await.is_ok());
}

#[tokio::test]
async fn security_74_a_new_server_has_no_account_and_no_default_secret() {
    let app = TestApp::start().await;
    for (id, secret) in [
        ("admin", "admin"),
        ("root", "root"),
        ("keystead", "keystead"),
        ("demo-admin", "demo-admin-secret-0000000000000000000000"),
    ] {
        let params = [("grant_type", "client_credentials"), ("scope", "keystead:admin")];
        assert_eq!(app.post_as("/oauth2/token", (id, secret), &params).await.error(), "invalid_client");
        let mut browser = Browser::default();
        let page = browser.get(&app, "/login").await;
        browser.submit(&app, &page, "/login", &[("username", id), ("password", secret)]).await;
        assert!(!browser.cookies.contains_key("__Host-keystead-session"), "{id}");
    }
    let admin = AdminApi::open(&app).await;
    assert!(admin.items("/users").await.is_empty());
    assert_eq!(admin.items("/clients").await.len(), 1, "only the one that this test made");
}
