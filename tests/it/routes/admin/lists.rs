//! `?limit=&cursor=`: lists in parts that neither lose nor repeat anything.

use serde_json::{Value, json};

use super::clients::service;
use crate::support::{AdminApi, TestApp, encode};

/// Registers clients of these numbers.
async fn register(admin: &AdminApi<'_>, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let mut body = service("Client");
        body["client_id"] = json!(format!("c{number:04}"));
        admin.create("/clients", body).await;
    }
}

fn names(part: &Value, member: &str) -> Vec<String> {
    let items = part["items"].as_array().unwrap();
    items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

/// The path of the part that follows.
fn next(path: &str, part: &Value) -> Option<String> {
    let cursor = part["next_cursor"].as_str()?;
    Some(format!("{path}&cursor={}", encode(cursor)))
}

/// All parts of a list from the first on.
async fn walk(admin: &AdminApi<'_>, path: &str, member: &str) -> Vec<Vec<String>> {
    let mut parts = Vec::new();
    let mut url = Some(path.to_owned());
    while let Some(current) = url {
        let part = admin.show(&current).await;
        parts.push(names(&part, member));
        url = next(path, &part);
        assert!(parts.len() < 200, "the cursor goes round");
    }
    parts
}

#[tokio::test]
async fn section_8_a_walk_over_120_clients_shows_each_once_in_order() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    register(&admin, (0..120).rev()).await;
    let mut expected: Vec<String> = (0..120).map(|number| format!("c{number:04}")).collect();
    expected.push(admin.client.id.clone());
    for (limit, sizes) in [(50, vec![50, 50, 21]), (121, vec![121]), (120, vec![120, 1]), (200, vec![121])] {
        let parts = walk(&admin, &format!("/clients?limit={limit}"), "client_id").await;
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        assert_eq!(parts.concat(), expected);
    }
    let by_default = admin.show("/clients").await;
    assert_eq!(names(&by_default, "client_id"), expected[..50]);
    assert_eq!(walk(&admin, "/clients?limit=1", "client_id").await.concat(), expected);
}

#[tokio::test]
async fn section_8_clients_that_come_and_go_meanwhile_disturb_no_walk() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    register(&admin, (0..20).map(|number| number * 10)).await;
    let path = "/clients?limit=5";
    let first = admin.show(path).await;
    // One before and one behind the cursor come, the one that the cursor names and one behind it go.
    register(&admin, [35, 45].into_iter()).await;
    for gone in ["c0040", "c0060"] {
        admin.remove(&format!("/clients/{gone}")).await;
    }
    let second = admin.show(&next(path, &first).unwrap()).await;
    assert_eq!(names(&first, "client_id"), ["c0000", "c0010", "c0020", "c0030", "c0040"]);
    assert_eq!(names(&second, "client_id"), ["c0045", "c0050", "c0070", "c0080", "c0090"]);
    let insert = register(&admin, (0..40).map(|number| number * 10 + 7));
    let (walked, ()) = tokio::join!(walk(&admin, path, "client_id"), insert);
    let walked = walked.concat();
    assert!(walked.is_sorted_by(|one, other| one < other), "{walked:?}");
    let old = (0..20).map(|number| format!("c{:04}", number * 10)).filter(|id| id != "c0040" && id != "c0060");
    assert!(old.into_iter().all(|id| walked.contains(&id)), "{walked:?}");
}

#[tokio::test]
async fn section_8_people_come_in_order_of_creation_and_events_newest_first() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        app.wait(time::Duration::milliseconds(5));
        let user = admin.create("/users", json!({ "email": format!("p{number}@example.com") })).await;
        ids.push(user["user_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(walk(&admin, "/users?limit=3", "user_id").await, [&ids[..3], &ids[3..6], &ids[6..]]);
    let newest: Vec<String> = ids.iter().rev().cloned().collect();
    let walked = walk(&admin, "/audit-events?limit=3&name=user.created", "subject").await;
    assert_eq!(walked, [&newest[..3], &newest[3..6], &newest[6..]]);
    let path = "/audit-events?limit=3&name=user.created";
    let first = admin.show(path).await;
    app.wait(time::Duration::milliseconds(5));
    admin.create("/users", json!({ "email": "late@example.com" })).await;
    let second = admin.show(&next(path, &first).unwrap()).await;
    assert_eq!(names(&second, "subject"), newest[3..6], "what is new does not push the rest along");
}

#[tokio::test]
async fn section_8_keys_and_resource_servers_come_in_parts_too() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for number in 0..4 {
        app.wait(time::Duration::milliseconds(5));
        let body = json!({ "audience": format!("https://api{number}.example"), "name": "API" });
        admin.create("/resource-servers", body).await;
    }
    let audiences = walk(&admin, "/resource-servers?limit=2", "audience").await;
    assert_eq!(audiences.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(
        audiences.concat()[1..],
        (0..4).map(|number| format!("https://api{number}.example")).collect::<Vec<_>>()
    );
    let mut kids = walk(&admin, "/keys?limit=2", "kid").await;
    assert_eq!(kids.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let mut all = kids.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5);
    kids = walk(&admin, "/keys?limit=5", "kid").await;
    assert_eq!(kids.len(), 1, "a full last part has no next one");
}

#[tokio::test]
async fn section_8_malformed_parameters_are_refused_by_name_on_every_list() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let user = app.person("pat@example.com").await;
    let (sessions, grants) = (format!("/users/{user}/sessions"), format!("/users/{user}/grants"));
    for list in ["/clients", "/users", "/resource-servers", "/keys", "/audit-events", &sessions, &grants] {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=-1", "limit"),
            ("limit=1.5", "limit"),
            ("limit=ten", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=%31%30%00", "limit"),
            ("limit=5&limit=5", "limit"),
            ("cursor=!", "cursor"),
            ("cursor=_w", "cursor"),
            ("cursor=AA", "cursor"),
            ("cursor=JyBPUiAxPTEgLS0g", "cursor"),
            ("cursor=a&cursor=a", "cursor"),
            ("page=2", "page"),
            ("offset=10&limit=5", "offset"),
            ("Limit=5", "Limit"),
            ("limit=5&%FF=1", "\u{fffd}"),
        ] {
            let answer = admin.get(&format!("{list}?{query}")).await;
            assert_eq!(answer.refused_members(), [name], "{list}?{query}");
        }
        assert_eq!(admin.get(&format!("{list}?limit=&cursor=")).await.status, 200, "{list}: empty is absent");
        assert_eq!(admin.get(&format!("{list}?limit=200")).await.status, 200, "{list}");
        assert_eq!(admin.get(&format!("{list}?")).await.status, 200, "{list}");
    }
    for (list, filter) in [("/clients", "email"), ("/users", "name"), ("/keys", "subject"), ("/audit-events", "email")]
    {
        assert_eq!(admin.get(&format!("{list}?{filter}=x")).await.refused_members(), [filter], "{list}");
    }
}

#[tokio::test]
async fn section_8_a_cursor_of_another_list_is_refused() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    register(&admin, 0..2).await;
    for number in 0..2 {
        admin.create("/users", json!({ "email": format!("p{number}@example.com") })).await;
    }
    let cursor =
        async |list: &str| admin.show(&format!("{list}?limit=1")).await["next_cursor"].as_str().unwrap().to_owned();
    let (clients, users) = (cursor("/clients").await, cursor("/users").await);
    for (list, cursor) in [("/users", &clients), ("/clients", &users), ("/keys", &users), ("/audit-events", &clients)] {
        assert_eq!(admin.get(&format!("{list}?cursor={cursor}")).await.refused_members(), ["cursor"], "{list}");
    }
}

#[tokio::test]
async fn section_8_a_filter_that_nothing_can_match_finds_nothing() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for path in ["/users?email=%FF", "/users?email=%27%20OR%201%3D1%20--", "/audit-events?subject=%F0%9F%92%A9"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.json()["items"], json!([]), "{path}");
    }
    for (path, member) in [
        ("/users?email=%00", "email"),
        ("/users?email=pat%40example.com%00", "email"),
        ("/audit-events?subject=%00", "subject"),
        ("/audit-events?name=a%00b", "name"),
    ] {
        assert_eq!(admin.get(path).await.refused_members(), [member], "{path}");
    }
    let long = admin.get(&format!("/users?email={}", "x".repeat(20_000))).await;
    assert_eq!(long.json()["items"], json!([]));
}
