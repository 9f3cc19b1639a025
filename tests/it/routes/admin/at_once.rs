//! Changes that arrive at the same moment: the database decides, nothing is lost and nothing is made twice.

use serde_json::{Value, json};

use super::clients::service;
use crate::support::{AdminApi, TestApp};

#[tokio::test]
async fn security_21_of_creations_under_one_name_at_the_same_moment_one_wins() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let admin = AdminApi::open(&app).await;
    let elsewhere = AdminApi { app: &other, client: admin.client.clone(), token: admin.token.clone() };
    let mut client = service("A");
    client["client_id"] = json!("a");
    for (path, body) in [
        ("/clients", client),
        ("/users", json!({ "email": "pat@example.com" })),
        ("/users", json!({ "email": "kim@example.com", "username": "kim" })),
        (
            "/resource-servers",
            json!({ "audience": "https://orders.example", "name": "Orders", "scopes": ["orders:read"] }),
        ),
    ] {
        let make = async |api: &AdminApi<'_>| api.post(path, body.clone()).await.status.as_u16();
        let (first, second, third, fourth) =
            tokio::join!(make(&admin), make(&elsewhere), make(&admin), make(&elsewhere));
        let mut statuses = [first, second, third, fourth];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409], "{path}");
    }
}

#[tokio::test]
async fn section_8_patches_of_different_members_at_the_same_moment_all_count() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut client = service("A");
    client["client_id"] = json!("a");
    admin.create("/clients", client).await;
    let user = admin.create("/users", json!({ "email": "pat@example.com" })).await;
    let user = format!("/users/{}", user["user_id"].as_str().unwrap());
    tokio::join!(
        admin.change("/clients/a", json!({ "client_name": "B" })),
        admin.change("/clients/a", json!({ "access_token_lifetime": 60 })),
        admin.change("/clients/a", json!({ "tos_uri": "https://a.example/terms" })),
        admin.change(&user, json!({ "username": "pat" })),
        admin.change(&user, json!({ "profile": { "name": "Pat" } })),
        admin.change(&user, json!({ "profile": { "nickname": "P" } })),
    );
    let client = admin.show("/clients/a").await;
    let members = ["client_name", "access_token_lifetime", "tos_uri"].map(|name| client[name].clone());
    assert_eq!(members, [json!("B"), json!(60), json!("https://a.example/terms")]);
    let shown = admin.show(&user).await;
    assert_eq!((&shown["username"], &shown["profile"]), (&json!("pat"), &json!({ "name": "Pat", "nickname": "P" })));
    let names: Vec<Value> = admin.events("a").await.iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "client.updated").count(), 3);
}

#[tokio::test]
async fn section_8_of_deletions_at_the_same_moment_one_finds_something() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut client = service("A");
    client["client_id"] = json!("a");
    admin.create("/clients", client).await;
    let secret = admin.act("/clients/a/secrets").await.location().to_owned();
    for path in [secret.as_str(), "/clients/a"] {
        let (first, second) = tokio::join!(admin.delete(path), admin.delete(path));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404], "{path}");
    }
    admin.event("a", "client.deleted").await;
    admin.event("a", "client.secret_removed").await;
}
