//! `/login`, `/consent`, `/logout`, their errors and their assets.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::RedirectUri;
use time::Duration;

use crate::support::{Answer, Browser, Operator, PASSWORD, RelyingParty, TestApp, every_page, param};

const PAT: &str = "pat@example.com";

async fn scene() -> (TestApp, RelyingParty, Browser) {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    (app, rp, Browser::default())
}

fn assert_ended(page: &Answer, code: &str, what: &str) {
    assert_eq!((page.status.as_u16(), page.page_code(), page.location()), (400, code, ""), "{what}: {}", page.body);
    assert!(page.headers.get(header::SET_COOKIE).is_none(), "{what}");
}

#[tokio::test]
async fn the_pages_have_the_ids_and_words_that_people_and_tools_rely_on() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    for id in ["username", "password", "login-submit"] {
        assert!(login.shows(id), "{id}");
    }
    assert!(login.body.contains("Sign in") && login.body.contains("The web app"));
    assert_eq!(login.attribute("password", "type"), "password");
    assert_eq!(login.attribute("password", "autocomplete"), "current-password");
    assert_eq!(login.attribute("username", "autocomplete"), "username webauthn");
    let consent = browser.sign_in(&app, &login, PAT).await;
    for id in ["consent-allow", "consent-deny"] {
        assert!(consent.shows(id), "{id}");
    }
    assert!(consent.body.contains("See your e-mail address") && consent.body.contains("Stay connected"));
    assert!(consent.body.contains("rp.example"), "where the answer goes");
    let confirm = browser.get(&app, "/logout").await;
    assert!(confirm.shows("logout-confirm"));
    assert!(browser.submit(&app, &confirm, "/logout", &[]).await.body.contains("You are signed out"));
    let refused = browser.get(&app, "/oauth2/end_session?post_logout_redirect_uri=x").await;
    assert!(refused.body.contains("cannot be completed"));
    let wrong = browser.get(&app, &rp.authorization_path(&[("redirect_uri", "https://evil.example")])).await;
    assert!(wrong.body.contains("redirect_uri"));
}

#[tokio::test]
async fn every_error_page_says_what_happened_what_to_do_and_under_which_id_the_log_knows_it() {
    let app = TestApp::start().await;
    for (what, page) in every_page(&app).await {
        assert!(page.body.contains("<h1>") && page.body.contains("</html>"), "{what}");
        assert_eq!(page.header("x-correlation-id").len(), 16, "{what}");
        if page.shows("error-code") {
            assert!(page.status.is_client_error(), "{what}");
            assert!(!page.page_code().is_empty(), "{what}");
            assert_eq!(page.element("correlation-id"), page.header("x-correlation-id"), "{what}");
            assert!(page.body.contains("class=\"advice\""), "{what}");
        }
    }
}

#[tokio::test]
async fn statuses_tell_programs_what_pages_tell_people() {
    let app = TestApp::start().await;
    let found: Vec<String> =
        every_page(&app).await.iter().map(|(what, page)| format!("{what}: {}", page.status.as_u16())).collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    sign-in: 200
    sign-in rejected: 401
    sign-in throttled: 429
    sign-in without application: 200
    consent: 200
    out of date: 403
    from another site: 403
    answered before: 400
    form_post: 200
    signed in: 200
    device: 200
    device code wrong: 400
    device confirmation: 200
    device connected: 200
    device: 200
    device code wrong: 400
    device confirmation: 200
    device not connected: 200
    sign out?: 200
    logout refused: 400
    signed out: 200
    expired: 400
    unknown client: 400
    other redirect_uri: 400
    damaged: 400
    not found: 404
    other method: 405
    other content type: 400
    too large: 413
    demo: 200
    ");
}

#[tokio::test]
async fn an_expired_page_has_a_way_back_to_the_application_and_signs_nobody_in() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    app.wait(Duration::minutes(30));
    let path = format!("/login?request={}", login.hidden("request"));
    assert!(browser.open(&app, &path).await.shows("login-submit"), "half an hour is fine");
    app.wait(Duration::seconds(1));
    for page in [browser.open(&app, &path).await, browser.sign_in(&app, &login, PAT).await] {
        assert_ended(&page, "invalid_request", "expired");
        let back = page.way_back();
        assert!(back.starts_with("https://rp.example/cb?error=access_denied&"), "{back}");
        assert_eq!(param(&back, "state").as_deref(), Some("the-state"));
        assert_eq!(param(&back, "iss").as_deref(), Some("https://id.example"));
    }
    let alone = browser.get(&app, "/login").await;
    assert!(alone.shows("login-submit"), "nobody is signed in");
}

#[tokio::test]
async fn an_expired_consent_page_gives_no_code() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    app.wait(Duration::minutes(31));
    for decision in ["allow", "deny"] {
        let page = browser.submit(&app, &consent, "/consent", &[("decision", decision)]).await;
        assert_ended(&page, "invalid_request", decision);
        assert!(page.way_back().starts_with("https://rp.example/cb?error=access_denied&"));
    }
}

#[tokio::test]
async fn a_second_tab_goes_on_with_the_session_of_the_first() {
    let (app, rp, mut browser) = scene().await;
    let first = browser.open(&app, &rp.authorization_path(&[("state", "first")])).await;
    let second = browser.open(&app, &rp.authorization_path(&[("state", "second")])).await;
    let consent = browser.sign_in(&app, &first, PAT).await;
    assert!(consent.shows("consent-allow"));
    let late = browser.sign_in(&app, &second, PAT).await;
    assert_eq!((late.status.as_u16(), late.page_code()), (403, "access_denied"), "its form is from before the sign-in");
    let consent_two = browser.open(&app, &late.way_back()).await;
    assert!(consent_two.shows("consent-allow"), "but it continues without another sign-in");
    let answer = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("first"));
    let answer = browser.submit(&app, &consent_two, "/consent", &[("decision", "allow")]).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("second"), "each tab gets its own answer");
    assert!(param(answer.location(), "code").is_some());
}

#[tokio::test]
async fn a_client_that_is_switched_off_meanwhile_gets_nothing_and_signs_nobody_in() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let mut further = browser.clone();
    let consent = further.sign_in(&app, &login, PAT).await;
    Operator(&app).disable_client("web", true).await;
    for (path, page, browser) in [("/login", &login, &mut browser), ("/consent", &consent, &mut further)] {
        let values = [("decision", "allow"), ("username", PAT), ("password", PASSWORD)];
        assert_ended(&browser.submit(&app, page, path, &values).await, "invalid_client", path);
        let again = browser.get(&app, &format!("{path}?request={}", page.hidden("request"))).await;
        assert_ended(&again, "invalid_client", path);
        assert_eq!(again.way_back(), "", "a client that is off gets no error either");
    }
    assert!(browser.get(&app, "/login").await.shows("login-submit"));
}

#[tokio::test]
async fn a_redirect_uri_that_is_removed_meanwhile_gets_nothing() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    let other = vec![RedirectUri::from_registered("https://rp.example/new".into())];
    Operator(&app).change_client("web", |metadata| metadata.redirect_uris = other).await;
    for decision in ["allow", "deny"] {
        let page = browser.submit(&app, &consent, "/consent", &[("decision", decision)]).await;
        assert_eq!((page.status.as_u16(), page.location(), page.way_back().as_str()), (400, "", ""), "{decision}");
    }
    app.wait(Duration::hours(1));
    let page = browser.get(&app, &format!("/login?request={}", login.hidden("request"))).await;
    assert_eq!((page.status.as_u16(), page.way_back().as_str()), (400, ""), "nor does an expired page lead there");
}

#[tokio::test]
async fn a_client_that_is_deleted_meanwhile_gets_nothing() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    Operator(&app).delete_client("web").await;
    let page = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    assert_ended(&page, "invalid_client", "deleted");
}

#[tokio::test]
async fn a_locked_account_looks_like_a_wrong_password_and_its_open_pages_ask_to_sign_in() {
    let (app, rp, mut browser) = scene().await;
    let user = app.person("locked@example.com").await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, "locked@example.com").await;
    Operator(&app).lock(user).await;
    let page = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    assert!(page.shows("login-submit"), "{}", page.location());
    let locked = browser.sign_in(&app, &page, "locked@example.com").await;
    let wrong = browser.submit(&app, &page, "/login", &[("username", PAT), ("password", "wrong")]).await;
    assert_eq!((locked.status.as_u16(), wrong.status.as_u16()), (401, 401));
    let sentence =
        |page: &Answer| page.body.split_once("role=\"alert\"").unwrap().1.split_once("</p>").unwrap().0.to_owned();
    assert_eq!(sentence(&locked), sentence(&wrong));
    assert_eq!(app.grants(user).await, 0);
    assert!(browser.sign_in(&app, &wrong, PAT).await.shows("consent-allow"), "somebody else can still go on");
}

#[tokio::test]
async fn somebody_can_sign_in_without_an_application() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.get(&app, "/login").await;
    assert_eq!((login.hidden("request").as_str(), login.attribute("login-cancel", "href").as_str()), ("", ""));
    let wrong = browser.submit(&app, &login, "/login", &[("username", "pat"), ("password", "wrong")]).await;
    assert_eq!(wrong.status, 401);
    let done = browser.submit(&app, &wrong, "/login", &[("username", " PAT "), ("password", PASSWORD)]).await;
    assert!(done.body.contains("You are signed in") && done.body.contains(PAT) && done.shows("sign-out"));
    assert!(browser.open(&app, &rp.authorization_path(&[])).await.shows("consent-allow"), "and applications know");
}

#[tokio::test]
async fn a_password_is_tried_as_it_was_typed() {
    let (app, _, mut browser) = scene().await;
    let login = browser.get(&app, "/login").await;
    let capital = PASSWORD.to_uppercase();
    let (shorter, spaced, longer) = (&PASSWORD[..PASSWORD.len() - 1], format!("{PASSWORD} "), "x".repeat(5000));
    for wrong in ["", shorter, &spaced, &capital, &longer] {
        let page = browser.submit(&app, &login, "/login", &[("username", PAT), ("password", wrong)]).await;
        assert_eq!(page.status, 401, "{wrong}");
        assert!(wrong.is_empty() || !page.body.contains(wrong), "a password is never sent back");
    }
}

#[tokio::test]
async fn browsers_get_pages_and_programs_json_where_nothing_is() {
    let app = TestApp::start().await;
    let page = Browser::default().get(&app, "/nowhere").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
    let json = app.get("/nowhere").await;
    assert_eq!((json.status.as_u16(), json.header("content-type")), (404, "application/json"));
    assert_eq!(json.error(), "invalid_request");
    for (method, path) in
        [("PUT", "/login"), ("DELETE", "/consent"), ("PATCH", "/oauth2/authorize"), ("TRACE", "/logout")]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD,POST"), "{method} {path}");
    }
}

#[tokio::test]
async fn assets_are_ours_typed_and_cacheable() {
    let app = TestApp::start().await;
    for (path, kind) in [
        ("/assets/keystead.css", "text/css; charset=utf-8"),
        ("/assets/keystead.js", "text/javascript; charset=utf-8"),
        ("/assets/demo.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = app.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "public, max-age=3600", "{path}");
        assert!(answer.headers.get(header::SET_COOKIE).is_none(), "{path}");
    }
    for path in ["/assets/", "/assets/../Cargo.toml", "/assets/..%2fCargo.toml", "/assets/keystead.css/"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookies_is_told_so_instead_of_going_round() {
    let (app, rp, _) = scene().await;
    let login = Browser::default().open(&app, &rp.authorization_path(&[])).await;
    let page = Browser::default().sign_in(&app, &login, PAT).await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("cookies"), "{}", page.body);
}
