//! `/audit-events`: for every change who, what, when, from where; nothing else, and no secret.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::clients::service;
use crate::support::{AdminApi, Browser, RelyingParty, TestApp};

/// The events that came after `seen`.
async fn news(admin: &AdminApi<'_>, seen: &[Value]) -> Vec<Value> {
    admin.items("/audit-events").await.into_iter().filter(|event| !seen.contains(event)).collect()
}

/// Makes one change and expects one event about it.
async fn assert_recorded(
    admin: &AdminApi<'_>,
    change: (Method, &str, Option<Value>),
    subject: &str,
    name: &str,
) -> Value {
    let before = admin.items("/audit-events").await;
    let (method, path, body) = change;
    let answer = admin.call(method, path, body.as_ref()).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.body);
    let news = news(admin, &before).await;
    assert_eq!(news.len(), 1, "{path}: {news:?}");
    let event = &news[0];
    let made = if answer.body.is_empty() { Value::Null } else { answer.json() };
    let subject = match made.pointer(subject) {
        Some(id) => id.as_str().unwrap().to_owned(),
        None => subject.to_owned(),
    };
    assert_eq!((event["name"].as_str(), event["subject"].as_str()), (Some(name), Some(subject.as_str())), "{path}");
    assert_eq!((&event["actor_kind"], &event["actor_id"]), (&json!("client"), &json!(admin.client.id)));
    assert_eq!((&event["at"], &event["ip"]), (&json!("2027-01-15T08:00:00Z"), &json!("192.0.2.1")));
    assert_eq!(event["correlation_id"], answer.header("x-correlation-id"));
    made
}

#[tokio::test]
async fn section_8_every_change_of_clients_and_resource_servers_is_recorded() {
    use Method as M;
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = json!({ "client_id": "a", "client_name": "A", "grant_types": ["client_credentials"] });
    assert_recorded(&admin, (M::POST, "/clients", Some(body)), "a", "client.created").await;
    let renamed = json!({ "client_name": "B" });
    assert_recorded(&admin, (M::PATCH, "/clients/a", Some(renamed)), "a", "client.updated").await;
    let secret = assert_recorded(&admin, (M::POST, "/clients/a/secrets", None), "a", "client.secret_added").await;
    let secret = format!("/clients/a/secrets/{}", secret["id"].as_str().unwrap());
    assert_recorded(&admin, (M::DELETE, &secret, None), "a", "client.secret_removed").await;
    let disabled = json!({ "disabled": true });
    assert_recorded(&admin, (M::PATCH, "/clients/a", Some(disabled)), "a", "client.updated").await;
    assert_recorded(&admin, (M::DELETE, "/clients/a", None), "a", "client.deleted").await;
    let body = json!({ "audience": "https://orders.example", "name": "Orders", "scopes": ["orders:read"] });
    let made = (M::POST, "/resource-servers", Some(body));
    let server = assert_recorded(&admin, made, "/id", "resource_server.created").await;
    let id = server["id"].as_str().unwrap();
    let path = format!("/resource-servers/{id}");
    assert_recorded(&admin, (M::PATCH, &path, Some(json!({ "name": "B" }))), id, "resource_server.updated").await;
    assert_recorded(&admin, (M::DELETE, &path, None), id, "resource_server.deleted").await;
}

#[tokio::test]
async fn section_8_every_change_of_people_and_keys_is_recorded() {
    use Method as M;
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = json!({ "email": "new@example.com" });
    let user = assert_recorded(&admin, (M::POST, "/users", Some(body)), "/user_id", "user.created").await;
    let new = user["user_id"].as_str().unwrap();
    let path = format!("/users/{new}");
    assert_recorded(&admin, (M::PATCH, &path, Some(json!({ "username": "new" }))), new, "user.updated").await;
    assert_recorded(&admin, (M::DELETE, &path, None), new, "user.deleted").await;
    let pat = app.person("pat@example.com").await.to_string();
    let rp = RelyingParty::web(app.web_client().await);
    let path = format!("/users/{pat}");
    for (list, singular, name) in [("grants", "/grants", "grant.ended"), ("sessions", "/sessions", "session.ended")] {
        rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
        let id = admin.items(&format!("{path}/{list}")).await[0]["id"].as_str().unwrap().to_owned();
        assert_recorded(&admin, (M::DELETE, &format!("{singular}/{id}"), None), &id, name).await;
    }
    for (action, name) in [("sign-out", "user.signed_out"), ("lock", "user.locked"), ("unlock", "user.unlocked")] {
        assert_recorded(&admin, (M::POST, &format!("{path}/{action}"), None), &pat, name).await;
    }
    let rotate = (M::POST, "/keys/rotate", Some(json!({ "algorithm": "RS256" })));
    let rotated = assert_recorded(&admin, rotate, "/items/0/kid", "key.rotated").await;
    let kid = rotated["items"][0]["kid"].as_str().unwrap();
    let all = admin.items("/keys").await;
    let active = all.iter().find(|key| key["algorithm"] == "RS256" && key["kid"] != kid).unwrap();
    let active = active["kid"].as_str().unwrap();
    assert_recorded(&admin, (M::POST, &format!("/keys/{active}/revoke"), None), active, "key.revoked").await;
}

#[tokio::test]
async fn section_8_what_was_refused_or_changed_nothing_is_not_recorded() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin
        .create("/clients", json!({ "client_id": "a", "client_name": "A", "grant_types": ["client_credentials"] }))
        .await;
    let user = app.person("pat@example.com").await;
    let before = admin.items("/audit-events").await;
    admin.patch("/clients/a", json!({})).await;
    admin.patch("/clients/a", json!({ "client_name": "A" })).await;
    admin.patch("/clients/a", json!({ "client_name": "" })).await;
    admin.post("/clients", json!({ "client_name": "" })).await;
    admin.delete("/clients/b").await;
    admin.patch(&format!("/users/{user}"), json!({ "email": "pat@example.com" })).await;
    admin.act(&format!("/users/{user}/unlock")).await;
    admin.post("/keys/rotate", json!({ "algorithm": "none" })).await;
    admin.get("/clients").await;
    assert_eq!(news(&admin, &before).await, Vec::<Value>::new());
}

#[tokio::test]
async fn section_8_events_are_found_by_subject_and_name_newest_first() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for name in ["A", "B", "C"] {
        app.wait(time::Duration::seconds(1));
        match name {
            "A" => {
                let body = json!({ "client_id": "a", "client_name": "A", "grant_types": ["client_credentials"] });
                admin.create("/clients", body).await;
            }
            name => {
                admin.change("/clients/a", json!({ "client_name": name })).await;
            }
        }
    }
    admin.create("/clients", service("Other")).await;
    let names = async |query: &str| {
        let events = admin.items(&format!("/audit-events?{query}")).await;
        let text =
            |event: &Value| format!("{} {}", event["name"].as_str().unwrap(), &event["at"].as_str().unwrap()[17..19]);
        events.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(names("subject=a").await, ["client.updated 03", "client.updated 02", "client.created 01"]);
    assert_eq!(names("subject=a&name=client.created").await, ["client.created 01"]);
    assert_eq!(names("name=client.created").await, ["client.created 03", "client.created 01"]);
    assert!(names("subject=nobody").await.is_empty() && names("name=client").await.is_empty());
    assert!(names("subject=&name=").await.len() > 4, "an empty filter does not narrow");
}

#[tokio::test]
async fn security_65_where_a_change_came_from_is_believed_only_from_a_trusted_proxy() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (peer, forwarded, seen) in [
        ("203.0.113.9:1", "198.51.100.1", "203.0.113.9"),
        ("10.1.2.3:1", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3:1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("[2001:db8::1]:1", "198.51.100.1", "2001:db8::1"),
    ] {
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        let request = Request::post("/admin/v1/clients")
            .extension(ConnectInfo(peer))
            .header("x-forwarded-for", forwarded)
            .header("content-type", "application/json")
            .body(Body::from(service("A").to_string()));
        let id = admin.send(request.unwrap()).await.json()["client_id"].as_str().unwrap().to_owned();
        assert_eq!(admin.event(&id, "client.created").await["ip"], seen, "{peer} {forwarded}");
    }
}

#[tokio::test]
async fn security_71_the_trail_holds_no_secret_and_no_personal_data() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let client = admin.create("/clients", service("A")).await;
    let path = format!("/clients/{}", client["client_id"].as_str().unwrap());
    let added = admin.act(&format!("{path}/secrets")).await.json();
    let profile = json!({ "name": "Marked Name", "phone_number": "+4930999999" });
    let user = admin.create("/users", json!({ "email": "marked@example.com", "profile": profile })).await;
    let user = format!("/users/{}", user["user_id"].as_str().unwrap());
    admin.change(&user, json!({ "email": "marked2@example.com", "profile": { "nickname": "Marked" } })).await;
    admin.remove(&user).await;
    let dump = app.dump().await;
    let trail: String = dump.lines().filter(|line| line.starts_with("audit_events ")).collect();
    assert!(trail.contains("user.updated") && trail.contains("client.secret_added"));
    for marked in
        [client["client_secret"].as_str().unwrap(), added["client_secret"].as_str().unwrap(), "arked", "4930999999"]
    {
        assert!(!trail.contains(marked), "{marked}");
    }
}

#[tokio::test]
async fn section_8_the_trail_cannot_be_changed() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let event = admin.items("/audit-events").await[0]["id"].as_str().unwrap().to_owned();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = admin.call(method.clone(), "/audit-events", Some(&json!({}))).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "GET,HEAD");
        admin.call(method, &format!("/audit-events/{event}"), None).await.problem(404, "not-found");
    }
}
