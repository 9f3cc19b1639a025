//! §3.1.2.5, §3.1.2.6: what comes back to the application, and how.

use keystead::domain::{ClientMetadata, RedirectUri};

use super::{PAT, error, scene};
use crate::support::{Browser, ISSUER, RelyingParty, TestApp, param, web_metadata};

const WITH_QUERY: &str = "https://rp.example/cb?tenant=a%20b&x=";

/// An application whose redirect URI has a query of its own.
async fn with_query(app: &TestApp) -> RelyingParty {
    let redirect_uris = vec![RedirectUri::from_registered(WITH_QUERY.into())];
    let client = app.client("query", ClientMetadata { redirect_uris, ..web_metadata() }).await;
    RelyingParty { redirect_uri: WITH_QUERY.into(), ..RelyingParty::web(client) }
}

#[tokio::test]
async fn protocol_09_a_state_of_128_odd_characters_survives_every_page() {
    let (app, rp, mut browser) = scene().await;
    let state: String = (' '..='~').chain("äß€😀\u{a0}%26&".chars()).cycle().skip(7).take(128).collect();
    let login = browser.open(&app, &rp.authorization_path(&[("state", &state)])).await;
    assert_eq!(param(&login.attribute("login-cancel", "href"), "state").as_deref(), Some(state.as_str()));
    let wrong = browser.submit(&app, &login, "/login", &[("username", PAT), ("password", "wrong")]).await;
    let consent = browser.sign_in(&app, &wrong, PAT).await;
    let denied = browser.clone().submit(&app, &consent, "/consent", &[("decision", "deny")]).await;
    let allowed = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    for answer in [denied, allowed] {
        assert_eq!(param(answer.location(), "state").as_deref(), Some(state.as_str()));
    }
    let none = browser.get(&app, &rp.authorization_path(&[("state", "")])).await;
    assert!(!none.location().contains("state"), "and none comes back when none was sent");
}

#[tokio::test]
async fn protocol_18_an_absent_or_changed_redirect_uri_is_a_page_even_with_one_registered() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    let uris = ["", "https://rp.example/cb?added=1", "https://rp.example/other", "https://rp.example/cb&x=1"];
    for uri in uris {
        let page = browser.get(&app, &rp.authorization_path(&[("redirect_uri", uri)])).await;
        assert_eq!((page.status.as_u16(), page.location(), page.page_code()), (400, "", "invalid_request"), "{uri}");
        assert!(page.body.contains("redirect_uri"), "{uri}");
    }
    let rp = with_query(&app).await;
    for uri in ["https://rp.example/cb", "https://rp.example/cb?tenant=b", "https://rp.example/cb?tenant=a+b&x="] {
        let page = browser.get(&app, &rp.authorization_path(&[("redirect_uri", uri)])).await;
        assert_eq!((page.status.as_u16(), page.location()), (400, ""), "{uri}");
    }
}

#[tokio::test]
async fn protocol_18_a_registered_query_stays_and_the_answer_is_appended() {
    let (app, _, mut browser) = scene().await;
    let rp = with_query(&app).await;
    let answer = browser.authorize(&app, &rp.authorization_path(&[]), PAT).await;
    assert!(answer.location().starts_with(&format!("{WITH_QUERY}&code=ksc_")), "{}", answer.location());
    assert_eq!(param(answer.location(), "tenant").as_deref(), Some("a b"));
    let code = param(answer.location(), "code").unwrap();
    assert_eq!(rp.redeem(&app, &code).await.status, 200);
}

#[tokio::test]
async fn protocol_20_errors_of_the_code_flow_are_in_the_query() {
    let (app, _, mut browser) = scene().await;
    let rp = with_query(&app).await;
    for more in [("scope", "nonsense"), ("prompt", "none"), ("response_mode", "fragment"), ("response_type", "token")] {
        let answer = browser.get(&app, &rp.authorization_path(&[more])).await;
        assert!(answer.location().starts_with(&format!("{WITH_QUERY}&error=")), "{more:?}: {}", answer.location());
        assert!(!answer.location().contains('#'), "{more:?}");
    }
}

#[tokio::test]
async fn protocol_23_the_issuer_in_the_answer_is_the_one_of_discovery() {
    let (app, rp, mut browser) = scene().await;
    let issuer = app.get("/.well-known/openid-configuration").await.json()["issuer"].as_str().unwrap().to_owned();
    assert_eq!(issuer, ISSUER);
    let answer = browser.authorize(&app, &rp.authorization_path(&[]), PAT).await;
    assert_eq!(param(answer.location(), "iss"), Some(issuer));
}

#[tokio::test]
async fn protocol_25_whoever_turns_back_is_reported_as_access_denied_with_state_and_own_query() {
    let (app, _, mut browser) = scene().await;
    let rp = with_query(&app).await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    let denied = browser.submit(&app, &consent, "/consent", &[("decision", "deny")]).await;
    assert_eq!(denied.status, 303);
    for location in [denied.location().to_owned(), login.attribute("login-cancel", "href")] {
        assert!(location.starts_with(&format!("{WITH_QUERY}&error=access_denied&")), "{location}");
        assert_eq!(param(&location, "state").as_deref(), Some("the-state"));
        assert_eq!(param(&location, "code"), None);
    }
    let asked = browser.open(&app, &rp.authorization_path(&[])).await;
    assert!(asked.shows("consent-allow"), "the person can change their mind in a new request");
}

#[tokio::test]
async fn protocol_48_after_a_logout_prompt_none_is_login_required() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    let old: Browser = browser.clone();
    let confirm = browser.get(&app, "/logout").await;
    browser.submit(&app, &confirm, "/logout", &[]).await;
    for mut browser in [browser, old] {
        let answer = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
        assert_eq!(error(&answer).as_deref(), Some("login_required"));
    }
}
