//! `/users/{user_id}/lock | unlock | sign-out` and deletion: what they do to sessions, tokens and sign-ins.

use serde_json::json;

use crate::support::{AdminApi, Browser, PASSWORD, RelyingParty, TestApp, Tokens};

/// A person who is signed in to one application with an authorization for offline use, and holds a code.
struct Scene {
    rp: RelyingParty,
    browser: Browser,
    tokens: Tokens,
    code: String,
    path: String,
}

impl Scene {
    async fn set(app: &TestApp) -> Self {
        let user = app.person("pat@example.com").await;
        let rp = RelyingParty::web(app.web_client().await);
        let mut browser = Browser::default();
        let tokens = rp.tokens(app, &mut browser, "pat@example.com").await;
        let code = rp.code(app, &mut browser, "pat@example.com").await;
        Self { rp, browser, tokens, code, path: format!("/users/{user}") }
    }

    /// Everything that the person held is of no use, whatever `reason` the refresh token's refusal gives.
    async fn assert_all_is_dead(&mut self, app: &TestApp, reason: &str) {
        let userinfo = app.get_as("/oauth2/userinfo", &format!("Bearer {}", self.tokens.access())).await;
        assert_eq!((userinfo.status.as_u16(), userinfo.error().as_str()), (401, "invalid_token"));
        assert!(
            !self.rp.is_active(app, self.tokens.access()).await && !self.rp.is_active(app, self.tokens.refresh()).await
        );
        let refresh = self.rp.refresh(app, self.tokens.refresh()).await;
        assert_eq!((refresh.error().as_str(), refresh.reason().as_str()), ("invalid_grant", reason));
        assert_eq!(self.rp.redeem(app, &self.code).await.error(), "invalid_grant");
        let page = self.browser.open(app, &self.rp.authorization_path(&[])).await;
        assert!(page.body.contains("id=\"login-submit\""), "the session lives: {} {}", page.status, page.location());
    }

    async fn can_sign_in(&self, app: &TestApp) -> bool {
        let mut browser = Browser::default();
        let page = browser.open(app, &self.rp.authorization_path(&[])).await;
        browser.sign_in(app, &page, "pat@example.com").await.location().starts_with("https://rp.example/cb?code=")
    }
}

#[tokio::test]
async fn security_42_a_locked_account_is_out_at_once_and_cannot_come_back() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app).await;
    assert!(scene.rp.is_active(&app, scene.tokens.access()).await);
    app.wait(time::Duration::seconds(1));
    let locked = admin.act(&format!("{}/lock", scene.path)).await;
    assert_eq!(locked.status, 200, "{}", locked.body);
    assert_eq!(locked.json(), admin.show(&scene.path).await);
    assert_eq!((&locked.json()["locked"], &locked.json()["locked_at"]), (&json!(true), &json!("2027-01-15T08:00:01Z")));
    scene.assert_all_is_dead(&app, "revoked").await;
    assert!(!scene.can_sign_in(&app).await);
    for list in ["sessions", "grants"] {
        assert!(admin.items(&format!("{}/{list}", scene.path)).await.is_empty(), "{list}");
    }
}

#[tokio::test]
async fn security_63_what_a_lock_ended_stays_ended_after_the_unlock() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app).await;
    admin.act(&format!("{}/lock", scene.path)).await;
    let unlocked = admin.act(&format!("{}/unlock", scene.path)).await.json();
    assert_eq!((&unlocked["locked"], unlocked.get("locked_at")), (&json!(false), None));
    assert_eq!(unlocked, admin.show(&scene.path).await);
    scene.assert_all_is_dead(&app, "revoked").await;
    assert!(scene.can_sign_in(&app).await);
}

#[tokio::test]
async fn security_53_a_locked_account_is_told_nothing_else_than_a_wrong_password() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app).await;
    let text = async |email: &str, password: &str| {
        let mut browser = Browser::default();
        let page = browser.get(&app, "/login").await;
        let answer = browser.submit(&app, &page, "/login", &[("username", email), ("password", password)]).await;
        let alert = answer.body.split("id=\"login-error\"").nth(1).unwrap_or_default();
        let message = alert.split("<p>").nth(1).unwrap_or_default().split("</p>").next().unwrap().to_owned();
        (answer.status, message)
    };
    let unknown = text("nobody@example.com", PASSWORD).await;
    admin.act(&format!("{}/lock", scene.path)).await;
    assert_eq!(text("pat@example.com", PASSWORD).await, unknown);
    assert!(!unknown.1.is_empty());
}

#[tokio::test]
async fn section_8_locking_twice_is_the_same_as_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app).await;
    let id = scene.path.trim_start_matches("/users/");
    let first = admin.act(&format!("{}/lock", scene.path)).await.json();
    app.wait(time::Duration::seconds(1));
    assert_eq!(admin.act(&format!("{}/lock", scene.path)).await.json(), first);
    let event = admin.event(id, "user.locked").await;
    assert_eq!(event["details"], json!({ "sessions_ended": 1, "grants_ended": 2 }));
    for _ in 0..2 {
        assert_eq!(admin.act(&format!("{}/unlock", scene.path)).await.status, 200);
    }
    admin.event(id, "user.unlocked").await;
}

#[tokio::test]
async fn security_63_sign_out_ends_everything_and_the_person_may_sign_in_again() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app).await;
    let answer = admin.act(&format!("{}/sign-out", scene.path)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    scene.assert_all_is_dead(&app, "session_ended").await;
    let event = admin.event(scene.path.trim_start_matches("/users/"), "user.signed_out").await;
    assert_eq!(event["details"], json!({ "sessions_ended": 1, "grants_ended": 2 }));
    assert!(scene.can_sign_in(&app).await);
}

#[tokio::test]
async fn security_52_unlock_lets_a_person_in_who_had_to_wait() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app).await;
    let mut stranger = Browser::default();
    let page = stranger.get(&app, "/login").await;
    for _ in 0..12 {
        stranger.submit(&app, &page, "/login", &[("username", "pat@example.com"), ("password", "a wrong guess")]).await;
    }
    assert!(!scene.can_sign_in(&app).await, "an unknown browser has to wait");
    admin.act(&format!("{}/unlock", scene.path)).await;
    assert!(scene.can_sign_in(&app).await);
    admin.event(scene.path.trim_start_matches("/users/"), "user.unlocked").await;
}

#[tokio::test]
async fn security_42_a_deleted_account_is_out_at_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut scene = Scene::set(&app).await;
    admin.remove(&scene.path).await;
    scene.assert_all_is_dead(&app, "unknown").await;
    assert!(!scene.can_sign_in(&app).await);
    let dump = app.dump().await;
    for table in ["sessions (", "grants (", "consents (", "users ("] {
        assert!(
            !dump.contains(&format!("\n{table}")) && !dump.starts_with(table),
            "{table} has rows of a deleted person"
        );
    }
}

#[tokio::test]
async fn section_8_another_persons_tokens_are_not_touched() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let scene = Scene::set(&app).await;
    app.person("kim@example.com").await;
    let mut browser = Browser::default();
    let kim = scene.rp.tokens(&app, &mut browser, "kim@example.com").await;
    for action in ["sign-out", "lock"] {
        admin.act(&format!("{}/{action}", scene.path)).await;
    }
    admin.remove(&scene.path).await;
    assert!(scene.rp.is_active(&app, kim.access()).await);
    assert_eq!(scene.rp.refresh(&app, kim.refresh()).await.status, 200);
    let silent = browser.open(&app, &scene.rp.authorization_path(&[("prompt", "none")])).await;
    assert!(silent.location().contains("code="), "{}", silent.location());
}
