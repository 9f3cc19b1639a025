//! `/users/{user_id}/sessions`, `.../grants`, `.../consents/{client_id}`, `/sessions/{id}`, `/grants/{id}`: seen and ended one by one.

use axum::http::header;
use serde_json::{Value, json};

use crate::support::{AdminApi, Browser, PASSWORD, RelyingParty, TestApp, Tokens, form, web_metadata};

const PAT: &str = "pat@example.com";

/// A person and an application that asks for this scope.
async fn scene(app: &TestApp, scope: &str) -> (String, RelyingParty) {
    let user = app.person(PAT).await;
    let rp = RelyingParty { scope: scope.into(), ..RelyingParty::web(app.web_client().await) };
    (format!("/users/{user}"), rp)
}

fn id_of(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

async fn is_signed_in(app: &TestApp, rp: &RelyingParty, browser: &mut Browser) -> bool {
    browser.open(app, &rp.authorization_path(&[("prompt", "none")])).await.location().contains("code=")
}

#[tokio::test]
async fn section_8_a_session_shows_when_how_and_from_where_somebody_signed_in() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid").await;
    let tokens = rp.tokens(&app, &mut Browser::default(), PAT).await;
    let sessions = admin.items(&format!("{user}/sessions")).await;
    let expected = json!([{
        "id": tokens.claims("id_token")["sid"], "user_id": tokens.claims("id_token")["sub"],
        "auth_time": "2027-01-15T08:00:00Z", "acr": tokens.claims("id_token")["acr"], "amr": ["pwd"],
        "created_at": "2027-01-15T08:00:00Z", "last_seen_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-02-14T08:00:00Z", "ip": "192.0.2.1",
    }]);
    assert_eq!(Value::from(sessions), expected);
}

#[tokio::test]
async fn section_8_what_a_browser_calls_itself_is_cut() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, _) = scene(&app, "openid").await;
    let mut browser = Browser::default();
    let page = browser.get(&app, "/login").await.body;
    let hidden = |name: &str| {
        let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    };
    let (csrf, sealed) = (hidden("csrf_token"), hidden("request"));
    let fields = [("username", PAT), ("password", PASSWORD), ("csrf_token", &csrf), ("request", &sealed)];
    let mut request = form("/login", &fields);
    request.headers_mut().insert(header::USER_AGENT, "x".repeat(500).parse().unwrap());
    assert_eq!(browser.send(&app, request).await.status, 303);
    let sessions = admin.items(&format!("{user}/sessions")).await;
    assert_eq!(sessions[0]["user_agent"], "x".repeat(400));
}

#[tokio::test]
async fn security_63_an_ended_session_takes_its_tokens_along_but_not_those_for_offline_use() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, online) = scene(&app, "openid").await;
    let offline = RelyingParty { scope: "openid offline_access".into(), ..RelyingParty::web(online.client.clone()) };
    let mut browser = Browser::default();
    let bound = online.tokens(&app, &mut browser, PAT).await;
    let free = offline.tokens(&app, &mut browser, PAT).await;
    let sessions = admin.items(&format!("{user}/sessions")).await;
    assert_eq!(sessions.len(), 1);
    let session = format!("/sessions/{}", id_of(&sessions[0]));
    admin.remove(&session).await;
    assert!(!is_signed_in(&app, &online, &mut browser).await);
    assert!(!online.is_active(&app, bound.access()).await && offline.is_active(&app, free.access()).await);
    assert_eq!(online.refresh(&app, bound.refresh()).await.reason(), "session_ended");
    assert_eq!(offline.refresh(&app, free.refresh()).await.status, 200);
    assert!(admin.items(&format!("{user}/sessions")).await.is_empty());
    let grants = admin.items(&format!("{user}/grants")).await;
    assert_eq!(grants.iter().map(|grant| &grant["scope"]).collect::<Vec<_>>(), ["offline_access openid"]);
    admin.delete(&session).await.problem(404, "not-found");
    let event = admin.event(id_of(&sessions[0]), "session.ended").await;
    assert_eq!(event["details"], json!({ "user_id": user.trim_start_matches("/users/") }));
}

#[tokio::test]
async fn security_37_an_ended_grant_is_dead_and_the_others_live() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid offline_access").await;
    let mut browser = Browser::default();
    let first = rp.tokens(&app, &mut browser, PAT).await;
    app.wait(time::Duration::seconds(1));
    let second = rp.tokens(&app, &mut browser, PAT).await;
    let grants = admin.items(&format!("{user}/grants")).await;
    assert_eq!(grants.len(), 2);
    admin.remove(&format!("/grants/{}", id_of(&grants[0]))).await;
    assert!(!rp.is_active(&app, first.access()).await && rp.is_active(&app, second.access()).await);
    let userinfo = app.get_as("/oauth2/userinfo", &format!("Bearer {}", first.access())).await;
    assert_eq!(userinfo.status, 401);
    assert_eq!(rp.refresh(&app, first.refresh()).await.reason(), "revoked");
    assert_eq!(rp.refresh(&app, second.refresh()).await.status, 200);
    assert_eq!(admin.items(&format!("{user}/grants")).await.len(), 1);
    admin.delete(&format!("/grants/{}", id_of(&grants[0]))).await.problem(404, "not-found");
    admin.event(id_of(&grants[0]), "grant.ended").await;
    assert!(is_signed_in(&app, &rp, &mut browser).await, "the session has nothing to do with it");
}

#[tokio::test]
async fn section_8_a_grant_shows_to_whom_what_and_until_when() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid email offline_access").await;
    let tokens = rp.tokens(&app, &mut Browser::default(), PAT).await;
    app.wait(time::Duration::minutes(5));
    rp.refresh(&app, tokens.refresh()).await;
    let grants = admin.items(&format!("{user}/grants")).await;
    let expected = json!([{
        "id": grants[0]["id"], "user_id": tokens.claims("id_token")["sub"], "client_id": "web",
        "session_id": tokens.claims("id_token")["sid"], "scope": "email offline_access openid",
        "created_at": "2027-01-15T08:00:00Z", "rotated_at": "2027-01-15T08:05:00Z",
        "idle_expires_at": "2027-02-14T08:05:00Z", "expires_at": "2028-01-15T08:00:00Z",
    }]);
    assert_eq!(Value::from(grants), expected);
}

#[tokio::test]
async fn section_8_a_grant_is_listed_as_long_as_its_refresh_token_works() {
    let app = TestApp::start().await;
    let mut admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid").await;
    let tokens = rp.tokens(&app, &mut Browser::default(), PAT).await;
    // The browser was not used for longer than a session lives idle; the application goes on.
    app.wait(time::Duration::hours(25));
    admin.token = app.machine_token(&admin.client, "keystead:admin").await;
    assert!(admin.items(&format!("{user}/sessions")).await.is_empty());
    let works = rp.refresh(&app, tokens.refresh()).await.status == 200;
    assert_eq!(admin.items(&format!("{user}/grants")).await.len(), usize::from(works), "refresh works: {works}");
    app.wait(time::Duration::days(31));
    admin.token = app.machine_token(&admin.client, "keystead:admin").await;
    assert!(admin.items(&format!("{user}/grants")).await.is_empty());
}

#[tokio::test]
async fn section_8_the_lists_of_a_person_come_in_parts_and_hold_nobody_elses() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid").await;
    app.person("kim@example.com").await;
    rp.tokens(&app, &mut Browser::default(), "kim@example.com").await;
    for _ in 0..3 {
        app.wait(time::Duration::seconds(1));
        rp.tokens(&app, &mut Browser::default(), PAT).await;
    }
    for list in ["sessions", "grants"] {
        let first = admin.show(&format!("{user}/{list}?limit=2")).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = admin.show(&format!("{user}/{list}?limit=2&cursor={cursor}")).await;
        assert_eq!(second["next_cursor"], Value::Null);
        let times: Vec<&str> = [&first, &second]
            .iter()
            .flat_map(|part| part["items"].as_array().unwrap())
            .map(|item| item["created_at"].as_str().unwrap())
            .collect();
        assert_eq!(times, ["2027-01-15T08:00:01Z", "2027-01-15T08:00:02Z", "2027-01-15T08:00:03Z"], "{list}");
    }
}

#[tokio::test]
async fn section_8_what_is_unknown_cannot_be_ended() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (_, rp) = scene(&app, "openid").await;
    let tokens: Tokens = rp.tokens(&app, &mut Browser::default(), PAT).await;
    let sid = tokens.claims("id_token")["sid"].as_str().unwrap().to_owned();
    for path in [format!("/grants/{sid}"), "/sessions/1".into(), "/grants/x".into(), format!("/sessions/{sid}x")] {
        admin.delete(&path).await.problem(404, "not-found");
        let read = admin.get(&path).await;
        read.problem(405, "method-not-allowed");
        assert_eq!(read.header("allow"), "DELETE");
    }
    assert!(rp.is_active(&app, tokens.access()).await);
}

#[tokio::test]
async fn security_37_a_consent_that_is_taken_back_ends_the_clients_grants_and_is_asked_for_again() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let (user, rp) = scene(&app, "openid offline_access").await;
    let other = RelyingParty { scope: "openid".into(), ..RelyingParty::web(app.client("shop", web_metadata()).await) };
    let mut browser = Browser::default();
    let (ours, others) = (rp.tokens(&app, &mut browser, PAT).await, other.tokens(&app, &mut browser, PAT).await);
    let consent = format!("{user}/consents/web");
    admin.remove(&consent).await;
    assert_eq!(rp.refresh(&app, ours.refresh()).await.reason(), "consent_revoked");
    assert!(!rp.is_active(&app, ours.access()).await && other.is_active(&app, others.access()).await);
    let silent = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
    assert!(silent.location().contains("error=consent_required"), "{}", silent.location());
    assert!(is_signed_in(&app, &other, &mut browser).await);
    let event = admin.event(user.trim_start_matches("/users/"), "consent.revoked").await;
    assert_eq!(event["details"], json!({ "client_id": "web", "grants_ended": 1 }));
    for unknown in [consent, format!("{user}/consents/nobody"), format!("/users/{}/consents/web", uuid::Uuid::nil())] {
        admin.delete(&unknown).await.problem(404, "not-found");
    }
}
