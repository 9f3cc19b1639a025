//! What an attacker tried on the pages beyond the list: cookies, lengths, and requests that are mixed with each other.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::UserId;
use keystead::store::sign_in_failures;

use super::{MALLORY, PAT};
use crate::support::{Answer, Browser, Operator, PASSWORD, RelyingParty, TestApp, form, param};

const SESSION: &str = "__Host-keystead-session";
const BROWSER: &str = "__Host-keystead-browser";

async fn signed_in(app: &TestApp, email: &str) -> Browser {
    let mut browser = Browser::default();
    let login = browser.get(app, "/login").await;
    browser.sign_in(app, &login, email).await;
    browser
}

/// The sign-in page as a browser with these `Cookie` headers sees it.
async fn seen_with(app: &TestApp, cookies: &[&str]) -> Answer {
    let request = cookies.iter().fold(Request::get("/login"), |request, value| request.header(header::COOKIE, *value));
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn security_13_a_session_cookie_that_comes_twice_is_none_at_all() {
    let app = TestApp::start().await;
    for email in [PAT, MALLORY] {
        app.person(email).await;
    }
    let cookie = |browser: &Browser| format!("{SESSION}={}", browser.cookies[SESSION]);
    let (own, planted) = (cookie(&signed_in(&app, PAT).await), cookie(&signed_in(&app, MALLORY).await));
    assert!(seen_with(&app, &["a=b", &own, "c=d"]).await.body.contains(PAT), "HTTP/2 sends a header for each cookie");
    for cookies in [[own.as_str(), planted.as_str()], [&planted, &own], [&own, &own]] {
        assert!(seen_with(&app, &cookies).await.shows("login-submit"));
        assert!(seen_with(&app, &[&cookies.join("; ")]).await.shows("login-submit"));
    }
}

#[tokio::test]
async fn security_13_cookies_of_two_browsers_do_not_make_one() {
    let app = TestApp::start().await;
    let pat = app.person(PAT).await;
    let mallory = app.person(MALLORY).await;
    let rp = RelyingParty::web(app.web_client().await);
    let (mut victim, mut attacker) = (signed_in(&app, PAT).await, signed_in(&app, MALLORY).await);
    let pages =
        [victim.open(&app, &rp.authorization_path(&[])).await, attacker.open(&app, &rp.authorization_path(&[])).await];
    for (session, browser) in [(&victim, &attacker), (&attacker, &victim)] {
        let mut mixed = Browser::default();
        mixed.cookies.insert(SESSION.into(), session.cookies[SESSION].clone());
        mixed.cookies.insert(BROWSER.into(), browser.cookies[BROWSER].clone());
        for page in &pages {
            let answer = mixed.submit(&app, page, "/consent", &[("decision", "allow")]).await;
            assert_eq!((answer.status.as_u16(), answer.location()), (403, ""));
        }
    }
    assert_eq!((app.grants(pat).await, app.grants(mallory).await), (0, 0));
}

#[tokio::test]
async fn security_13_what_browsers_really_send_from_our_pages_is_accepted() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    // A page with Referrer-Policy: no-referrer posts with the origin null; Sec-Fetch-Site tells that it is ours.
    for headers in [
        &[("sec-fetch-site", "same-origin"), ("origin", "null")][..],
        // A browser from before Sec-Fetch-Site.
        &[("origin", "null")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://id.example")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://id.example")],
        &[],
    ] {
        let mut browser = Browser::default();
        let csrf = browser.get(&app, "/login").await.hidden("csrf_token");
        let mut request = form("/login", &[("csrf_token", &csrf), ("username", PAT), ("password", PASSWORD)]);
        request.headers_mut().insert(header::HOST, "id.example".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        assert_eq!(browser.send(&app, request).await.status, 303, "{headers:?}");
    }
}

#[tokio::test]
async fn security_64_a_posted_request_of_any_length_from_another_site_takes_no_cookie_away() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = signed_in(&app, PAT).await;
    for length in [10, 5_000, 7_000, 60_000] {
        let padding = "x".repeat(length);
        for params in [&[("padding", padding.as_str())][..], &[("state", &padding)], &[("id_token_hint", &padding)]] {
            let answer = browser.post_from_elsewhere(&app, "/oauth2/end_session", params).await;
            assert!(answer.location().len() < 8_192, "{length}");
            browser.follow(&app, answer).await;
            assert!(browser.cookies.contains_key(SESSION) && app.sessions(user).await == 1, "{length}");
        }
    }
}

#[tokio::test]
async fn security_06_a_posted_request_that_goes_on_by_get_stays_as_wrong_as_it_was() {
    let app = TestApp::start().await;
    let rp = RelyingParty::web(app.web_client().await);
    let path = rp.authorization_path(&[]);
    let (endpoint, query) = path.split_once('?').unwrap();
    let params: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for (name, shown) in
        [("state", false), ("scope", false), ("unknown", false), ("redirect_uri", true), ("client_id", true)]
    {
        let twice = [&params[..], &[(name, "x&y=z"), (name, "x&y=z")]].concat();
        let mut browser = Browser::default();
        let answer = browser.post_from_elsewhere(&app, endpoint, &twice).await;
        let answer = browser.follow(&app, answer).await;
        assert_eq!(answer.status.as_u16(), if shown { 400 } else { 303 }, "{name}");
        let error = param(answer.location(), "error");
        assert_eq!(error.as_deref(), (!shown).then_some("invalid_request"), "{name}");
    }
}

/// A sign-in that has looked the account up and is then overtaken by what `event` does to it.
async fn overtaken(app: &TestApp, user: UserId, event: impl Future<Output = ()>) -> Answer {
    let mut browser = Browser::default();
    let login = browser.get(app, "/login").await;
    // Whoever holds the row of the account's failures makes the sign-in wait between the two.
    let mut tx = app.engine.store.begin("test").await.unwrap();
    assert!(sign_in_failures::count(tx.conn(), user.0.as_bytes(), 0, app.clock.now()).await.unwrap());
    let meanwhile = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        event.await;
        drop(tx);
    };
    tokio::join!(browser.sign_in(app, &login, PAT), meanwhile).0
}

#[tokio::test]
async fn security_63_a_sign_in_that_a_lock_or_a_new_password_overtakes_makes_no_session() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let operator = Operator(&app);
    let lock = operator.lock(user);
    assert_eq!(overtaken(&app, user, Box::pin(lock)).await.status, 401);
    operator.unlock(user).await;
    let change = operator.change_password(user, "another long enough password");
    assert_eq!(overtaken(&app, user, Box::pin(change)).await.status, 401);
    assert_eq!(app.sessions(user).await, 0);
    let nothing = async {};
    operator.unlock(user).await;
    assert_eq!(overtaken(&app, user, nothing).await.status, 401, "the password is another now");
}
