//! Requirements 62, 63, 64: the cookies of a browser, the life of its session, and its end.

use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead::domain::{SessionId, UserId};
use keystead::flows::admin::{PageRequest, live_access};
use time::Duration;

use crate::support::{Answer, Browser, Operator, PASSWORD, RelyingParty, TestApp, param};

const PAT: &str = "pat@example.com";
const MALLORY: &str = "mallory@example.com";
const SESSION: &str = "__Host-keystead-session";
const BROWSER: &str = "__Host-keystead-browser";
const DEVICE: &str = "__Host-keystead-device";

async fn sign_in(app: &TestApp, browser: &mut Browser, email: &str) -> Answer {
    let page = browser.get(app, "/login").await;
    let (request, csrf) = (page.hidden("request"), page.hidden("csrf_token"));
    let form = [("request", request.as_str()), ("csrf_token", &csrf), ("username", email), ("password", PASSWORD)];
    let answer = browser.post(app, "/login", &form).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer
}

/// Who the browser is signed in as.
async fn is_signed_in(app: &TestApp, browser: &Browser, email: &str) -> bool {
    let page = browser.clone().get(app, "/login").await;
    page.shows("sign-out") && page.body.contains(email)
}

/// The cookies of an answer: name, value, and attributes in lower case.
fn cookies(answer: &Answer) -> Vec<(String, String, Vec<String>)> {
    let all = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let mut found: Vec<_> = all
        .map(|text| {
            let mut parts = text.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let mut attributes: Vec<String> = parts.map(str::to_lowercase).collect();
            attributes.sort();
            (name.to_owned(), value.to_owned(), attributes)
        })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn security_62_cookies_are_bound_to_this_host_hidden_from_scripts_and_hold_128_random_bits() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let mut browser = Browser::default();
    let first = browser.get(&app, "/login").await;
    let always = ["httponly", "path=/", "samesite=lax", "secure"];
    let greeting = cookies(&first);
    assert_eq!(greeting.len(), 1, "a visitor gets one cookie: {greeting:?}");
    assert_eq!((greeting[0].0.as_str(), greeting[0].2.as_slice()), (BROWSER, &always.map(str::to_owned)[..]));
    assert_eq!(greeting[0].1.len(), 43, "256 bits as base64url");
    assert!(
        browser.get(&app, "/login").await.headers.get(header::SET_COOKIE).is_none(),
        "a known browser keeps its own"
    );

    let found = cookies(&sign_in(&app, &mut browser, PAT).await);
    let with = |more: &'static str| [&always[..1], &[more], &always[1..]].concat();
    let expected = [(BROWSER, always.to_vec()), (DEVICE, with("max-age=31536000")), (SESSION, with("max-age=2592000"))];
    for ((name, value, attributes), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), attributes), (expected_name, &expected.iter().map(|a| (*a).to_owned()).collect()));
        assert!(value.len() >= 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{name}");
    }
    assert_eq!(found.len(), 3);

    let confirm = browser.get(&app, "/logout").await;
    let end = browser.submit(&app, &confirm, "/logout", &[]).await;
    assert_eq!(
        cookies(&end),
        [(SESSION.to_owned(), String::new(), with("max-age=0").into_iter().map(Into::into).collect())]
    );
}

#[tokio::test]
async fn security_62_every_sign_in_and_step_up_changes_the_cookies_and_kills_the_old_session_value() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let before = rp.tokens(&app, &mut browser, PAT).await;
    let old = browser.clone();
    app.wait(Duration::minutes(5));
    let page = browser.open(&app, &rp.authorization_path(&[("prompt", "login")])).await;
    assert!(page.shows("login-submit"));
    browser.sign_in(&app, &page, PAT).await;
    for name in [SESSION, BROWSER, DEVICE] {
        assert_ne!(browser.cookies[name], old.cookies[name], "{name}");
    }
    assert!(is_signed_in(&app, &browser, PAT).await && !is_signed_in(&app, &old, PAT).await);
    assert_eq!(app.sessions(user).await, 1, "it is the same session");
    assert!(rp.is_active(&app, before.access()).await, "so what hangs on it lives on");
}

#[tokio::test]
async fn security_62_a_cookie_that_was_planted_before_the_sign_in_is_worth_nothing_afterwards() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let mallory = app.person(MALLORY).await;
    let mut attacker = Browser::default();
    sign_in(&app, &mut attacker, MALLORY).await;
    let mut visitor = Browser::default();
    visitor.get(&app, "/login").await;
    let made_up = Browser {
        cookies: [(SESSION, "A".repeat(43)), (BROWSER, "B".repeat(43))].map(|(n, v)| (n.to_owned(), v)).into(),
    };
    let mut half = attacker.clone();
    half.cookies.remove(SESSION);
    for planted in [visitor, made_up, half] {
        let mut victim = planted.clone();
        sign_in(&app, &mut victim, PAT).await;
        assert!(is_signed_in(&app, &victim, PAT).await);
        assert!(!is_signed_in(&app, &planted, PAT).await, "{:?}", planted.cookies);
        assert!([SESSION, BROWSER].iter().all(|name| planted.cookies.get(*name) != victim.cookies.get(*name)));
    }
    // A browser that was signed in as the attacker, perhaps by the attacker, and where the victim then signs in.
    let rp = RelyingParty::web(app.web_client().await);
    let mut victim = attacker.clone();
    app.wait(Duration::seconds(1));
    let page = victim.open(&app, &rp.authorization_path(&[("prompt", "select_account")])).await;
    app.wait(Duration::seconds(1));
    victim.sign_in(&app, &page, PAT).await;
    assert!(is_signed_in(&app, &victim, PAT).await);
    assert!(!is_signed_in(&app, &attacker, PAT).await && !is_signed_in(&app, &attacker, MALLORY).await);
    assert_eq!(app.sessions(mallory).await, 0, "one browser has one session");
}

#[tokio::test]
async fn security_62_what_the_database_holds_is_no_cookie() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    sign_in(&app, &mut browser, PAT).await;
    let session = session_of(&app, user).await;
    let value = browser.cookies[SESSION].clone();
    let hash = URL_SAFE_NO_PAD.encode(keystead::crypto::sha256(value.as_bytes()));
    for wrong in
        [hash, session.to_string(), value[..42].to_owned(), format!("{value}A"), value.to_lowercase(), String::new()]
    {
        browser.cookies.insert(SESSION.into(), wrong.clone());
        assert!(!is_signed_in(&app, &browser, PAT).await, "{wrong}");
    }
    browser.cookies.insert(SESSION.into(), value);
    assert!(is_signed_in(&app, &browser, PAT).await);
}

async fn session_of(app: &TestApp, user: UserId) -> SessionId {
    let page = live_access::sessions(&app.engine, user, PageRequest { after: None, limit: 1 }).await.unwrap();
    page.items[0].id
}

#[tokio::test]
async fn security_63_a_session_ends_when_it_lies_unused_and_after_its_absolute_lifetime() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut unused = Browser::default();
    sign_in(&app, &mut unused, PAT).await;
    let mut used = Browser::default();
    sign_in(&app, &mut used, PAT).await;
    app.wait(Duration::hours(23));
    assert!(is_signed_in(&app, &used, PAT).await, "this use counts");
    app.wait(Duration::hours(1));
    assert!(!is_signed_in(&app, &unused, PAT).await, "a day without use");
    let silent = unused.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
    assert_eq!(param(silent.location(), "error").as_deref(), Some("login_required"));
    for _ in 0..31 {
        app.wait(Duration::hours(22));
        assert!(is_signed_in(&app, &used, PAT).await);
    }
    app.wait(Duration::hours(16));
    assert!(!is_signed_in(&app, &used, PAT).await, "30 days, used or not");
}

#[tokio::test]
async fn security_63_a_session_ends_on_the_server_with_each_event_that_ends_it() {
    type Names = (UserId, SessionId);
    async fn end(app: &TestApp, event: &str, browser: &mut Browser, (user, session): Names) {
        let operator = Operator(app);
        match event {
            "logout" => {
                let confirm = browser.get(app, "/logout").await;
                assert!(browser.submit(app, &confirm, "/logout", &[]).await.body.contains("You are signed out"));
            }
            "account locked" => operator.lock(user).await,
            "account deleted" => operator.delete_user(user).await,
            "signed out by an operator" => operator.sign_out_everywhere(user).await,
            "session ended by an operator" => operator.end_session(&session.to_string()).await,
            _ => operator.change_password(user, "another long enough password").await,
        }
    }
    let app = TestApp::start().await;
    let rp = RelyingParty::web(app.web_client().await);
    for (at, event) in [
        "logout",
        "account locked",
        "account deleted",
        "signed out by an operator",
        "session ended by an operator",
        "password changed",
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("person{at}@example.com");
        let user = app.person(&email).await;
        let mut browser = Browser::default();
        rp.code(&app, &mut browser, &email).await;
        let mut old = browser.clone();
        assert!(is_signed_in(&app, &old, &email).await, "{event}");
        end(&app, event, &mut browser, (user, session_of(&app, user).await)).await;
        assert!(!is_signed_in(&app, &old, &email).await, "{event}");
        let silent = old.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
        assert_eq!(param(silent.location(), "error").as_deref(), Some("login_required"), "{event}");
    }
}

#[tokio::test]
async fn security_63_unlocking_an_account_does_not_bring_its_sessions_back() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    sign_in(&app, &mut browser, PAT).await;
    Operator(&app).lock(user).await;
    Operator(&app).unlock(user).await;
    assert!(!is_signed_in(&app, &browser, PAT).await);
    sign_in(&app, &mut browser, PAT).await;
    assert!(is_signed_in(&app, &browser, PAT).await);
}

#[tokio::test]
async fn security_64_no_link_or_image_signs_anybody_out() {
    let app = TestApp::start().await;
    for email in [PAT, MALLORY] {
        app.person(email).await;
    }
    let rp = RelyingParty::web(app.web_client().await);
    let theirs = rp.tokens(&app, &mut Browser::default(), MALLORY).await;
    let elsewhere = rp.tokens(&app, &mut Browser::default(), PAT).await;
    let mut browser = Browser::default();
    sign_in(&app, &mut browser, PAT).await;
    let end = |query: &str| format!("/oauth2/end_session{query}");
    for path in [
        "/logout".to_owned(),
        end(""),
        end("?state=x"),
        end("?client_id=web"),
        end("?logout_hint=pat&ui_locales=en"),
        end(&format!("?id_token_hint={}", theirs.text("id_token"))),
        end(&format!("?id_token_hint={}", elsewhere.text("id_token"))),
    ] {
        let page = browser.get(&app, &path).await;
        assert!(page.shows("logout-confirm") && page.body.contains(PAT), "{path}: it asks");
        assert!(page.headers.get(header::SET_COOKIE).is_none(), "{path}");
        assert!(is_signed_in(&app, &browser, PAT).await, "{path}");
        // An image or a frame of another site comes without cookies; the answer must not take any away.
        let image = app.get(&path).await;
        assert!(image.headers.get(header::SET_COOKIE).is_none(), "{path} without cookies");
    }
}

#[tokio::test]
async fn security_64_a_form_of_another_site_signs_nobody_out_silently() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    sign_in(&app, &mut browser, PAT).await;
    for params in [&[][..], &[("state", "x")], &[("client_id", "web")]] {
        let answer = browser.post_from_elsewhere(&app, "/oauth2/end_session", params).await;
        let page = browser.follow(&app, answer).await;
        assert!(page.shows("logout-confirm"), "the person is asked: {} {}", page.status, page.body);
        assert!(is_signed_in(&app, &browser, PAT).await);
    }
    assert_eq!(browser.post_from_elsewhere(&app, "/logout", &[]).await.status, 403);
    assert!(is_signed_in(&app, &browser, PAT).await);
    assert_eq!(app.sessions(user).await, 1);
}
