//! `/clients/{client_id}/secrets`: two live secrets, so that a client changes over without an outage.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::clients::{credentials, service, web};
use crate::support::{AdminApi, ClientFixture, TestApp};

/// Whether this secret authenticates the client.
async fn works(app: &TestApp, client: &ClientFixture, secret: &str) -> bool {
    let answer = app.post_as("/oauth2/introspect", (&client.id, secret), &[("token", "x")]).await;
    assert!(answer.status == 200 || answer.error() == "invalid_client", "{}", answer.body);
    answer.status == 200
}

fn ids(client: &Value) -> Vec<String> {
    let secrets = client["client_secrets"].as_array().unwrap();
    secrets.iter().map(|secret| secret["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn section_8_a_secret_is_replaced_without_an_outage() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", service("A")).await;
    let client = credentials(&created);
    let path = format!("/clients/{}", client.id);
    app.wait(time::Duration::minutes(1));
    let answer = admin.act(&format!("{path}/secrets")).await;
    let added = answer.json();
    let (old, new) = (ids(&created)[0].clone(), added["id"].as_str().unwrap().to_owned());
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::CREATED, format!("/admin/v1{path}/secrets/{new}").as_str())
    );
    assert_eq!((&added["client_secret_expires_at"], &added["created_at"]), (&json!(0), &json!("2027-01-15T08:01:00Z")));
    assert_eq!(ids(&admin.show(&path).await), [old.clone(), new.clone()], "oldest first");
    let fresh = added["client_secret"].as_str().unwrap();
    assert!(works(&app, &client, &client.secret).await && works(&app, &client, fresh).await);
    admin.remove(&format!("{path}/secrets/{old}")).await;
    assert!(!works(&app, &client, &client.secret).await && works(&app, &client, fresh).await);
    assert_eq!(ids(&admin.show(&path).await), std::slice::from_ref(&new));
    assert_eq!(admin.event(&client.id, "client.secret_added").await["details"], json!({ "secret_id": new }));
    assert_eq!(admin.event(&client.id, "client.secret_removed").await["details"], json!({ "secret_id": old }));
}

#[tokio::test]
async fn section_8_a_third_secret_is_refused_until_one_is_removed() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", service("A")).await;
    let path = format!("/clients/{}", created["client_id"].as_str().unwrap());
    admin.act(&format!("{path}/secrets")).await;
    let refused = admin.act(&format!("{path}/secrets")).await.problem(409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("remove the one that is no longer used"), "{refused}");
    admin.remove(&format!("{path}/secrets/{}", ids(&created)[0])).await;
    assert_eq!(admin.act(&format!("{path}/secrets")).await.status, 201);
    assert_eq!(ids(&admin.show(&path).await).len(), 2);
}

#[tokio::test]
async fn security_21_of_many_at_once_only_one_gets_the_second_secret() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", service("A")).await;
    let path = format!("/clients/{}/secrets", created["client_id"].as_str().unwrap());
    let add = || admin.act(&path);
    let (first, second, third, fourth) = tokio::join!(add(), add(), add(), add());
    let mut statuses = [first, second, third, fourth].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn section_8_the_last_secret_may_go_and_a_new_one_may_come() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", service("A")).await;
    let client = credentials(&created);
    let path = format!("/clients/{}", client.id);
    admin.remove(&format!("{path}/secrets/{}", ids(&created)[0])).await;
    assert_eq!(admin.show(&path).await["client_secrets"], json!([]));
    assert!(!works(&app, &client, &client.secret).await && !works(&app, &client, "").await);
    let added = admin.act(&format!("{path}/secrets")).await.json();
    assert!(works(&app, &client, added["client_secret"].as_str().unwrap()).await);
}

#[tokio::test]
async fn section_8_a_secret_is_removed_only_from_its_own_client_and_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (one, other) = (admin.create("/clients", service("A")).await, admin.create("/clients", service("B")).await);
    let (id, other_id) = (one["client_id"].as_str().unwrap(), other["client_id"].as_str().unwrap());
    for secret in [ids(&other)[0].as_str(), "", "1", "not-an-id", "00000000-0000-0000-0000-000000000000"] {
        admin.delete(&format!("/clients/{id}/secrets/{secret}")).await.problem(404, "not-found");
    }
    let own = format!("/clients/{other_id}/secrets/{}", ids(&other)[0]);
    admin.remove(&own).await;
    admin.delete(&own).await.problem(404, "not-found");
    assert_eq!(ids(&admin.show(&format!("/clients/{id}")).await), ids(&one));
}

#[tokio::test]
async fn section_8_a_client_that_becomes_public_loses_its_secrets_for_good() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created = admin.create("/clients", web("A")).await;
    let client = credentials(&created);
    let path = format!("/clients/{}", client.id);
    let public = admin.change(&path, json!({ "token_endpoint_auth_method": "none" })).await;
    assert_eq!(public["client_secrets"], json!([]));
    let refused = admin.act(&format!("{path}/secrets")).await.problem(409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("has no secrets"), "{refused}");
    let method = json!({ "token_endpoint_auth_method": "client_secret_post", "grant_types": ["client_credentials"] });
    assert_eq!(admin.change(&path, method).await["client_secrets"], json!([]));
    let ask = |secret: &str| {
        let params = [("grant_type", "client_credentials"), ("client_id", &client.id), ("client_secret", secret)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let app = &app;
        async move {
            let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            app.post("/oauth2/token", &params).await.status.as_u16()
        }
    };
    assert_eq!(ask(&client.secret).await, 401);
    let added = admin.act(&format!("{path}/secrets")).await.json();
    assert_eq!(ask(added["client_secret"].as_str().unwrap()).await, 400, "authenticated, but its scope is for people");
}
