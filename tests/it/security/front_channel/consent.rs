//! 14, 15: what a person allows is what the page showed, and it is asked when it must be.

use super::{MALLORY, PAT};
use crate::support::{Browser, RelyingParty, TestApp, Tokens, altered, param};

async fn scene() -> (TestApp, RelyingParty, Browser) {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    (app, rp, Browser::default())
}

/// The session of a person who signed in without an application.
async fn signed_in(app: &TestApp, browser: &mut Browser, email: &str) {
    let login = browser.get(app, "/login").await;
    browser.sign_in(app, &login, email).await;
}

const ALLOW: &[(&str, &str)] = &[("decision", "allow")];

#[tokio::test]
async fn security_14_of_two_requests_in_two_tabs_only_the_allowed_one_gets_a_code() {
    let (app, rp, mut browser) = scene().await;
    signed_in(&app, &mut browser, PAT).await;
    let first = browser.open(&app, &rp.authorization_path(&[("state", "first"), ("scope", "openid email")])).await;
    let second = browser.open(&app, &rp.authorization_path(&[("state", "second"), ("scope", "openid phone")])).await;
    assert!(first.shows("consent-allow") && second.shows("consent-allow"));
    let answer = browser.submit(&app, &first, "/consent", ALLOW).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("first"));
    let tokens = Tokens(rp.redeem(&app, &param(answer.location(), "code").unwrap()).await.json());
    assert_eq!(tokens.text("scope"), "email openid");
    let answer = browser.submit(&app, &second, "/consent", &[("decision", "deny")]).await;
    assert_eq!(param(answer.location(), "error").as_deref(), Some("access_denied"));
    assert_eq!(param(answer.location(), "state").as_deref(), Some("second"));
}

#[tokio::test]
async fn security_14_altered_and_added_fields_change_nothing_of_what_was_shown() {
    let (app, rp, mut browser) = scene().await;
    let user = app.person(MALLORY).await;
    signed_in(&app, &mut browser, MALLORY).await;
    let shown = browser.open(&app, &rp.authorization_path(&[("scope", "openid email")])).await;
    let wider = browser.open(&app, &rp.authorization_path(&[("state", "wider")])).await;
    let swapped = wider.hidden("request");
    let answer = browser.submit(&app, &shown, "/consent", &[("decision", "allow"), ("request", &swapped)]).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (403, ""));
    for decision in ["", "Allow", "allow ", "yes", "true"] {
        let answer = browser.submit(&app, &shown, "/consent", &[("decision", decision)]).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (400, ""), "{decision}");
    }
    assert_eq!(app.grants(user).await, 0);
    let more = [
        ("decision", "allow"),
        ("scope", "openid email phone address offline_access"),
        ("redirect_uri", "https://evil.example/cb"),
        ("client_id", "evil"),
        ("state", "evil"),
        ("user_id", "evil"),
    ];
    let answer = browser.submit(&app, &shown, "/consent", &more).await;
    assert!(answer.location().starts_with("https://rp.example/cb?code="), "{}", answer.body);
    assert_eq!(param(answer.location(), "state").as_deref(), Some("the-state"));
    let tokens = rp.redeem(&app, &param(answer.location(), "code").unwrap()).await.json();
    assert_eq!(tokens["scope"], "email openid");
}

#[tokio::test]
async fn security_14_a_sealed_request_cannot_be_altered_cut_or_taken_for_another() {
    let (app, rp, mut browser) = scene().await;
    signed_in(&app, &mut browser, PAT).await;
    let sealed = browser.open(&app, &rp.authorization_path(&[])).await.hidden("request");
    let logout = browser.get(&app, "/logout").await.hidden("request");
    let mut wrong: Vec<String> = (0..sealed.len()).step_by(37).map(|at| altered(&sealed, at)).collect();
    wrong.extend([1, 8, 40, sealed.len() / 2, sealed.len() - 1].map(|length| sealed[..length].to_owned()));
    wrong.extend([format!("{sealed}A"), format!("{sealed}="), format!("A{sealed}"), format!("{sealed}{sealed}")]);
    wrong.extend([logout, sealed.to_uppercase(), format!("{sealed}%00"), "%F0%9F%98%80".into()]);
    for request in wrong {
        for path in ["/login", "/consent"] {
            let page = browser.get(&app, &format!("{path}?request={request}")).await;
            assert_eq!(
                (page.status.as_u16(), page.page_code(), page.location()),
                (400, "invalid_request", ""),
                "{request}"
            );
        }
    }
    assert!(browser.get(&app, &format!("/consent?request={sealed}")).await.shows("consent-allow"));
}

#[tokio::test]
async fn security_14_a_consent_form_posted_twice_gives_one_grant_and_a_way_back() {
    let (app, rp, mut browser) = scene().await;
    let user = app.person(MALLORY).await;
    signed_in(&app, &mut browser, MALLORY).await;
    let consent = browser.open(&app, &rp.authorization_path(&[])).await;
    let (mut twin, mut triplet) = (browser.clone(), browser.clone());
    let (one, two, three) = tokio::join!(
        browser.submit(&app, &consent, "/consent", ALLOW),
        twin.submit(&app, &consent, "/consent", ALLOW),
        triplet.submit(&app, &consent, "/consent", ALLOW),
    );
    let (codes, refusals): (Vec<_>, Vec<_>) = [one, two, three].into_iter().partition(|answer| answer.status == 303);
    assert_eq!((codes.len(), refusals.len(), app.grants(user).await), (1, 2, 1));
    for page in refusals {
        assert_eq!((page.status.as_u16(), page.location()), (400, ""));
        let back = page.way_back();
        assert!(back.starts_with("https://rp.example/cb?error=access_denied&"), "{back}");
        assert_eq!(param(&back, "state").as_deref(), Some("the-state"));
    }
    let again = browser.open(&app, &format!("/login?request={}", consent.hidden("request"))).await;
    assert_eq!(again.status, 400, "the browser's back button meets the same page");
    assert_eq!(rp.redeem(&app, &param(codes[0].location(), "code").unwrap()).await.status, 200);
}

#[tokio::test]
async fn security_14_a_consent_page_dies_with_the_session_that_it_was_shown_to() {
    let (app, rp, mut browser) = scene().await;
    let (mallory, eve) = (app.person(MALLORY).await, app.person("eve@example.com").await);
    signed_in(&app, &mut browser, MALLORY).await;
    let consent = browser.open(&app, &rp.authorization_path(&[])).await;
    let mut copy = browser.clone();
    let confirm = browser.get(&app, "/logout").await;
    browser.submit(&app, &confirm, "/logout", &[]).await;
    let after_logout = browser.submit(&app, &consent, "/consent", ALLOW).await;
    assert_eq!((after_logout.status.as_u16(), after_logout.location()), (403, ""));
    let with_old_cookies = copy.submit(&app, &consent, "/consent", ALLOW).await;
    assert!(with_old_cookies.shows("login-submit"), "{}", with_old_cookies.location());
    signed_in(&app, &mut browser, "eve@example.com").await;
    let after_other_sign_in = browser.submit(&app, &consent, "/consent", ALLOW).await;
    assert_eq!((after_other_sign_in.status.as_u16(), after_other_sign_in.location()), (403, ""));
    assert_eq!((app.grants(mallory).await, app.grants(eve).await), (0, 0));
    let fresh = browser.open(&app, &after_other_sign_in.way_back()).await;
    assert!(fresh.shows("consent-allow") && fresh.body.contains("eve@example.com"), "it goes on as who is here now");
}

#[tokio::test]
async fn security_14_a_sealed_request_of_another_browser_gives_no_code_to_anybody_else() {
    let (app, rp, mut victim) = scene().await;
    let mut attacker = Browser::default();
    let login = attacker.open(&app, &rp.authorization_path(&[("state", "attackers")])).await;
    signed_in(&app, &mut victim, PAT).await;
    // The victim follows a link with the attacker's request: it is asked like any other and goes to the client's own address.
    let consent = victim.open(&app, &format!("/login?request={}", login.hidden("request"))).await;
    assert!(consent.shows("consent-allow") && consent.body.contains("rp.example"));
    let answer = victim.submit(&app, &consent, "/consent", ALLOW).await;
    assert!(answer.location().starts_with("https://rp.example/cb?code="));
    assert_eq!(param(answer.location(), "state").as_deref(), Some("attackers"), "the client sees that it did not ask");
    let late = attacker.open(&app, &format!("/consent?request={}", login.hidden("request"))).await;
    assert!(late.shows("login-submit"), "the attacker's browser has nothing from it");
}

#[tokio::test]
async fn security_15_new_scopes_are_asked_for_and_allowed_ones_remembered() {
    let (app, rp, mut browser) = scene().await;
    signed_in(&app, &mut browser, PAT).await;
    let with = |scope: &str| rp.authorization_path(&[("scope", scope)]);
    let is_silent = |answer: &crate::support::Answer| answer.location().contains("code=");
    let denied = browser.open(&app, &with("openid email")).await;
    browser.submit(&app, &denied, "/consent", &[("decision", "deny")]).await;
    let asked = browser.open(&app, &with("openid email")).await;
    assert!(asked.shows("consent-allow"), "a refusal is not remembered as consent");
    browser.submit(&app, &asked, "/consent", ALLOW).await;
    assert!(is_silent(&browser.open(&app, &with("openid email")).await));
    assert!(is_silent(&browser.open(&app, &with("email")).await), "less is within it");
    for wider in ["openid email phone", "openid phone", "openid email offline_access"] {
        assert!(browser.open(&app, &with(wider)).await.shows("consent-allow"), "{wider}");
        let silent = browser.get(&app, &rp.authorization_path(&[("scope", wider), ("prompt", "none")])).await;
        assert_eq!(param(silent.location(), "error").as_deref(), Some("consent_required"), "{wider}");
    }
    let asked = browser.open(&app, &with("openid phone")).await;
    browser.submit(&app, &asked, "/consent", ALLOW).await;
    assert!(is_silent(&browser.open(&app, &with("openid email phone")).await), "what was allowed adds up");
    let again = browser.open(&app, &rp.authorization_path(&[("scope", "openid email"), ("prompt", "consent")])).await;
    assert!(again.shows("consent-allow"), "unless the client wants it asked");
}

#[tokio::test]
async fn security_15_a_consent_is_remembered_for_one_person_and_one_client_only() {
    let (app, rp, mut browser) = scene().await;
    app.person(MALLORY).await;
    rp.code(&app, &mut browser, PAT).await;
    let other = RelyingParty::web(app.client("other", crate::support::web_metadata()).await);
    assert!(browser.open(&app, &other.authorization_path(&[])).await.shows("consent-allow"));
    let mut stranger = Browser::default();
    signed_in(&app, &mut stranger, MALLORY).await;
    assert!(stranger.open(&app, &rp.authorization_path(&[])).await.shows("consent-allow"));
}

#[tokio::test]
async fn security_15_an_installed_application_that_proves_nothing_is_asked_for_every_time() {
    let (app, _, mut browser) = scene().await;
    signed_in(&app, &mut browser, PAT).await;
    let uris = ["http://127.0.0.1/cb", "com.example.app:/cb", "https://rp.example/cb"];
    let native = app.native_client(&uris).await;
    for (uri, remembered) in uris.into_iter().zip([false, false, true]) {
        let rp = RelyingParty { public: true, redirect_uri: uri.into(), ..RelyingParty::web(native.clone()) };
        rp.code(&app, &mut browser, PAT).await;
        let again = browser.open(&app, &rp.authorization_path(&[])).await;
        assert_eq!(again.shows("consent-allow"), !remembered, "{uri}");
        assert_eq!(again.shows("consent-warning"), !remembered, "{uri}");
        let silent = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
        let expected = (!remembered).then(|| "consent_required".to_owned());
        assert_eq!(param(silent.location(), "error"), expected, "{uri}");
    }
}
