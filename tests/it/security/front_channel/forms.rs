//! 13: forms change something only for the browser that they were made for.

use axum::body::Body;
use axum::http::{Request, header};

use super::{MALLORY, PAT};
use crate::support::{Answer, Browser, PASSWORD, RelyingParty, TestApp, form};

const FORBIDDEN: (u16, &str) = (403, "access_denied");
const SESSION: &str = "__Host-keystead-session";

/// The two hidden fields of a page.
fn pair(page: &Answer) -> (String, String) {
    (page.hidden("request"), page.hidden("csrf_token"))
}

/// Posts each pair of request and token; every one must be refused.
async fn assert_refused(app: &TestApp, browser: &mut Browser, path: &str, pairs: &[(String, String)]) {
    for (at, (request, token)) in pairs.iter().enumerate() {
        let form = [
            ("request", request.as_str()),
            ("csrf_token", token.as_str()),
            ("username", PAT),
            ("password", PASSWORD),
            ("decision", "allow"),
        ];
        let answer = browser.post(app, path, &form).await;
        let refusal = (answer.status.as_u16(), answer.page_code());
        let expected = if request.is_empty() { &[(400, "invalid_request"), FORBIDDEN][..] } else { &[FORBIDDEN] };
        assert!(expected.contains(&refusal), "{path} {at}: {refusal:?} {}", answer.body);
        assert!(answer.headers.get("set-cookie").is_none() && answer.location().is_empty(), "{path} {at}");
        assert!(
            refusal != FORBIDDEN || !answer.way_back().is_empty(),
            "{path} {at}: a person can go on with a fresh page"
        );
    }
}

/// What an attacker can bring along for a form of the victim: nothing, noise, and what the attacker's own browser got.
fn forgeries(own: &Answer, attackers: &Answer, others: &[&Answer]) -> Vec<(String, String)> {
    let (request, token) = pair(own);
    let mut pairs = vec![
        (request.clone(), String::new()),
        (request.clone(), "x".repeat(54)),
        (request.clone(), token[..53].to_owned()),
        (request.clone(), format!("{token}A")),
        (request.clone(), token.to_lowercase()),
        (String::new(), token.clone()),
        (attackers.hidden("request"), token),
        (request.clone(), attackers.hidden("csrf_token")),
        pair(attackers),
    ];
    pairs.extend(others.iter().map(|other| (request.clone(), other.hidden("csrf_token"))));
    pairs
}

#[tokio::test]
async fn security_13_a_forged_sign_in_is_refused_and_signs_nobody_in() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let path = rp.authorization_path(&[]);
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    let own = victim.open(&app, &path).await;
    let other_request = victim.open(&app, &path).await;
    let alone = victim.open(&app, "/login").await;
    let attackers = attacker.open(&app, &path).await;
    let pairs = forgeries(&own, &attackers, &[&other_request, &alone]);
    assert_refused(&app, &mut victim, "/login", &pairs).await;
    assert_refused(&app, &mut Browser::default(), "/login", &[pair(&own)]).await;
    assert_eq!(app.sessions(user).await, 0);
    victim.sign_in(&app, &own, PAT).await;
    assert_eq!(app.sessions(user).await, 1, "the form itself works");
}

#[tokio::test]
async fn security_13_a_forged_consent_is_refused_and_grants_nothing() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mallory = app.person(MALLORY).await;
    let rp = RelyingParty::web(app.web_client().await);
    let path = rp.authorization_path(&[]);
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    let login = victim.open(&app, &path).await;
    let own = victim.sign_in(&app, &login, PAT).await;
    let other_request = victim.open(&app, &path).await;
    let logout = victim.get(&app, "/logout").await;
    let attackers = attacker.open(&app, &path).await;
    let attackers = attacker.sign_in(&app, &attackers, MALLORY).await;
    let pairs = forgeries(&own, &attackers, &[&login, &other_request, &logout]);
    assert_refused(&app, &mut victim, "/consent", &pairs).await;
    assert_refused(&app, &mut attacker, "/consent", &[pair(&own)]).await;
    assert_refused(&app, &mut Browser::default(), "/consent", &[pair(&own)]).await;
    assert_eq!((app.grants(user).await, app.grants(mallory).await), (0, 0));
    let allowed = victim.submit(&app, &own, "/consent", &[("decision", "allow")]).await;
    assert!(allowed.location().contains("code="), "the form itself works");
}

#[tokio::test]
async fn security_13_a_forged_logout_is_refused_and_the_person_stays_signed_in() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    app.person(MALLORY).await;
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    for (browser, email) in [(&mut victim, PAT), (&mut attacker, MALLORY)] {
        let login = browser.get(&app, "/login").await;
        browser.sign_in(&app, &login, email).await;
    }
    let own = victim.get(&app, "/logout").await;
    let other = victim.get(&app, "/logout").await;
    let attackers = attacker.get(&app, "/logout").await;
    let pairs = forgeries(&own, &attackers, &[&other]);
    assert_refused(&app, &mut victim, "/logout", &pairs).await;
    assert_eq!(app.sessions(user).await, 1);
    victim.submit(&app, &own, "/logout", &[]).await;
    assert_eq!(app.sessions(user).await, 0, "the form itself works");
}

#[tokio::test]
async fn security_13_a_form_that_was_used_changes_nothing_the_second_time() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    assert_refused(&app, &mut browser, "/login", &[pair(&login)]).await;
    assert_eq!(app.sessions(user).await, 1);
    browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    let again = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    assert_eq!((again.status.as_u16(), again.location()), (400, ""));
    assert_eq!(app.grants(user).await, 1);
    let confirm = browser.get(&app, "/logout").await;
    browser.submit(&app, &confirm, "/logout", &[]).await;
    assert_refused(&app, &mut browser, "/logout", &[pair(&confirm)]).await;
    assert_refused(&app, &mut browser, "/consent", &[pair(&consent)]).await;
    assert_eq!((app.grants(user).await, app.sessions(user).await), (1, 0));
}

#[tokio::test]
async fn security_13_a_form_that_another_site_posts_is_refused_even_with_the_right_token() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    let login = browser.get(&app, "/login").await;
    let csrf = login.hidden("csrf_token");
    let fields = [("request", ""), ("csrf_token", csrf.as_str()), ("username", PAT), ("password", PASSWORD)];
    let from = |headers: &[(&'static str, &str)]| {
        let mut request = form("/login", &fields);
        request.headers_mut().insert(header::HOST, "id.example".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    };
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://id.example")],
        &[("sec-fetch-site", "nonsense")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "https://id.example.evil.example")],
        &[("origin", "https://id.example:444")],
    ] {
        let answer = browser.send(&app, from(headers)).await;
        assert_eq!((answer.status.as_u16(), answer.page_code()), (403, "access_denied"), "{headers:?}");
        assert_eq!(answer.element("correlation-id"), answer.header("x-correlation-id"), "{headers:?}");
        assert!(answer.headers.get("set-cookie").is_none(), "{headers:?}");
    }
    assert_eq!(app.sessions(user).await, 0);
    let answer = browser.send(&app, from(&[("sec-fetch-site", "same-origin"), ("origin", "https://id.example")])).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn security_13_only_a_form_body_is_read() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    let login = browser.get(&app, "/login").await;
    let fields =
        format!("csrf_token={}&username=pat&password={}", login.hidden("csrf_token"), PASSWORD.replace(' ', "+"));
    for content_type in
        ["text/plain", "application/json", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencodedx"]
    {
        let request =
            Request::post("/login").header(header::CONTENT_TYPE, content_type).body(Body::from(fields.clone()));
        let answer = browser.send(&app, request.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.page_code()), (400, "invalid_request"), "{content_type}");
    }
    let by_get = browser.get(&app, &format!("/login?{fields}")).await;
    assert!(by_get.shows("login-submit"), "a GET signs nobody in");
    assert_eq!(app.sessions(user).await, 0);
    let request =
        Request::post("/login").header(header::CONTENT_TYPE, "Application/X-WWW-Form-Urlencoded ; charset=UTF-8");
    let answer = browser.send(&app, request.body(Body::from(fields)).unwrap()).await;
    assert_eq!(answer.status, 303);
}

/// A GET with a raw `Cookie` header.
async fn with_cookies(app: &TestApp, path: &str, cookies: &[u8]) -> Answer {
    let value = axum::http::HeaderValue::from_bytes(cookies).unwrap();
    app.send(Request::get(path).header(header::COOKIE, value).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn security_13_a_cookie_that_another_host_of_the_domain_can_set_is_not_taken_for_ours() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    app.person(MALLORY).await;
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    for (browser, email) in [(&mut victim, PAT), (&mut attacker, MALLORY)] {
        let login = browser.get(&app, "/login").await;
        browser.sign_in(&app, &login, email).await;
    }
    let (own, planted) = (&victim.cookies[SESSION], &attacker.cookies[SESSION]);
    // The browser keeps the prefix __Host- to us, but not what merely decodes, trims or folds to it.
    for name in [
        "%5F%5FHost-keystead-session",
        "__Host%2Dkeystead-session",
        "%5f_Host-keystead-session",
        "__Host-keystead-session%20",
        "__host-keystead-session",
        "__HOST-KEYSTEAD-SESSION",
        "keystead-session",
        "\u{2000}__Host-keystead-session",
        "\u{a0}__Host-keystead-session",
        "\u{b}__Host-keystead-session",
    ] {
        let alone = format!("{name}={planted}");
        if !name.contains('\u{b}') {
            let page = with_cookies(&app, "/login", alone.as_bytes()).await;
            assert!(page.shows("login-submit"), "{name:?} signs nobody in");
            for cookies in [format!("{SESSION}={own}; {alone}"), format!("{alone}; {SESSION}={own}")] {
                let page = with_cookies(&app, "/login", cookies.as_bytes()).await;
                assert!(page.body.contains(PAT) && !page.body.contains(MALLORY), "{name:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_neighbours_odd_cookie_does_not_sign_anybody_out() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let mut browser = Browser::default();
    let login = browser.get(&app, "/login").await;
    browser.sign_in(&app, &login, PAT).await;
    let own = format!("{SESSION}={}", browser.cookies[SESSION]);
    for odd in ["name=é", "name", "=", "", "a=b=c", "%ff=%ff", "a=\"b; c\"", "name=\u{a0}"] {
        for cookies in [format!("{odd}; {own}"), format!("{own}; {odd}"), format!("{odd};{own};{odd}")] {
            let page = with_cookies(&app, "/login", cookies.as_bytes()).await;
            assert!(page.body.contains(PAT), "{cookies}: {}", page.body);
        }
    }
}
