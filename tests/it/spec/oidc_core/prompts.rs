//! §3.1.2.1, §3.1.2.3, §3.1.2.6: which pages a request shows, and when a person must sign in again.

use time::Duration;

use super::{OTHER, PAT, error, redeem, scene};
use crate::support::{PASSWORD, param};

#[tokio::test]
async fn protocol_09_prompt_none_without_a_session_is_login_required_and_nothing_else() {
    let (app, rp, mut browser) = scene().await;
    let state: String = (' '..='~').chain("äß€😀\u{a0}".chars()).cycle().take(128).collect();
    let path = rp.authorization_path(&[("prompt", "none"), ("state", &state)]);
    let answer = browser.get(&app, &path).await;
    assert_eq!(error(&answer).as_deref(), Some("login_required"));
    assert_eq!(param(answer.location(), "state"), Some(state));
    let url = url::Url::parse(answer.location()).unwrap();
    let mut names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    assert_eq!(names, ["error", "error_description", "iss", "state"]);
    assert_eq!((url.fragment(), answer.body.as_str()), (None, ""));
    assert!(answer.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn protocol_09_prompt_none_without_consent_is_consent_required() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.get(&app, "/login").await;
    browser.sign_in(&app, &login, PAT).await;
    let answer = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
    assert_eq!(error(&answer).as_deref(), Some("consent_required"));
    let combined = browser.get(&app, &rp.authorization_path(&[("prompt", "none consent")])).await;
    assert_eq!(error(&combined).as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn protocol_10_prompt_none_with_a_session_is_silent_with_the_same_sub_and_auth_time() {
    let (app, rp, mut browser) = scene().await;
    let first = rp.tokens(&app, &mut browser, PAT).await;
    let hint = first.text("id_token");
    for more in [&[("prompt", "none")][..], &[("prompt", "none"), ("id_token_hint", hint)]] {
        app.wait(Duration::minutes(10));
        let answer = browser.get(&app, &rp.authorization_path(more)).await;
        let again = redeem(&app, &rp, &answer).await;
        for claim in ["sub", "auth_time", "sid", "acr"] {
            assert_eq!(again.claims("id_token")[claim], first.claims("id_token")[claim], "{claim}");
        }
        assert!(again.claims("id_token")["iat"].as_i64() > first.claims("id_token")["iat"].as_i64());
    }
}

#[tokio::test]
async fn protocol_11_prompt_login_asks_again_and_auth_time_is_later() {
    let (app, rp, mut browser) = scene().await;
    let first = rp.tokens(&app, &mut browser, PAT).await;
    app.wait(Duration::seconds(2));
    let page = browser.open(&app, &rp.authorization_path(&[("prompt", "login")])).await;
    assert!(page.shows("login-submit"));
    assert_eq!(page.attribute("username", "value"), PAT, "who is here is filled in");
    let walked_past = browser.open(&app, &format!("/consent?request={}", page.hidden("request"))).await;
    assert!(walked_past.shows("login-submit"), "the old session does not count, whatever page is asked for");
    app.wait(Duration::seconds(30));
    let answer = browser.sign_in(&app, &page, PAT).await;
    let again = redeem(&app, &rp, &answer).await;
    let auth_time = |tokens: &crate::support::Tokens| tokens.claims("id_token")["auth_time"].as_i64().unwrap();
    assert_eq!(auth_time(&again), auth_time(&first) + 32);
    assert_eq!(again.claims("id_token")["sub"], first.claims("id_token")["sub"]);
}

#[tokio::test]
async fn protocol_12_max_age_asks_again_when_the_sign_in_is_older() {
    let (app, rp, mut browser) = scene().await;
    let first = rp.tokens(&app, &mut browser, PAT).await.claims("id_token");
    app.wait(Duration::seconds(2));
    let answer = browser.get(&app, &rp.authorization_path(&[("max_age", "10000")])).await;
    let same = redeem(&app, &rp, &answer).await.claims("id_token");
    assert_eq!(same["auth_time"], first["auth_time"], "no page, and auth_time is there");
    let none = browser.get(&app, &rp.authorization_path(&[("max_age", "1"), ("prompt", "none")])).await;
    assert_eq!(error(&none).as_deref(), Some("login_required"));
    let page = browser.open(&app, &rp.authorization_path(&[("max_age", "1")])).await;
    assert!(page.shows("login-submit"));
    app.wait(Duration::seconds(20));
    let answer = browser.sign_in(&app, &page, PAT).await;
    let newer = redeem(&app, &rp, &answer).await.claims("id_token");
    assert_eq!(newer["auth_time"].as_i64(), first["auth_time"].as_i64().map(|at| at + 22));
}

#[tokio::test]
async fn protocol_12_max_age_counts_fractions_of_a_second_and_zero_always_asks() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    app.wait(Duration::milliseconds(500));
    assert!(browser.open(&app, &rp.authorization_path(&[("max_age", "0")])).await.shows("login-submit"));
    assert!(param(browser.open(&app, &rp.authorization_path(&[("max_age", "1")])).await.location(), "code").is_some());
    app.wait(Duration::milliseconds(501));
    assert!(browser.open(&app, &rp.authorization_path(&[("max_age", "1")])).await.shows("login-submit"));
}

#[tokio::test]
async fn select_account_shows_the_sign_in_page_and_whoever_signs_in_goes_on() {
    let (app, rp, mut browser) = scene().await;
    let first = rp.tokens(&app, &mut browser, PAT).await.claims("id_token");
    app.wait(Duration::seconds(1));
    let page = browser.open(&app, &rp.authorization_path(&[("prompt", "select_account")])).await;
    assert!(page.shows("login-submit"));
    let consent = browser.sign_in(&app, &page, OTHER).await;
    assert!(consent.shows("consent-allow") && consent.body.contains(OTHER));
    let answer = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    let second = redeem(&app, &rp, &answer).await.claims("id_token");
    assert_ne!(second["sub"], first["sub"]);
    assert_ne!(second["sid"], first["sid"]);
}

#[tokio::test]
async fn the_consent_page_lets_another_person_sign_in_instead() {
    let (app, rp, mut browser) = scene().await;
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&app, &login, PAT).await;
    app.wait(Duration::seconds(1));
    let consent = browser.open(&app, &format!("/consent?request={}", consent.hidden("request"))).await;
    let switch = consent.attribute("consent-switch", "href");
    let login = browser.open(&app, &switch).await;
    assert!(login.shows("login-submit"), "although somebody is signed in");
    let consent = browser.sign_in(&app, &login, OTHER).await;
    assert!(consent.body.contains(OTHER) && !consent.body.contains(PAT));
    let answer = browser.submit(&app, &consent, "/consent", &[("decision", "allow")]).await;
    let answer = app.get_as("/oauth2/userinfo", &format!("Bearer {}", redeem(&app, &rp, &answer).await.access())).await;
    assert_eq!(answer.json()["email"], OTHER);
    let late = browser.open(&app, &switch).await;
    assert_eq!((late.status.as_u16(), late.location()), (400, ""), "the request is answered for good");
}

#[tokio::test]
async fn section_3_1_2_1_an_id_token_hint_of_another_person_never_gives_a_code_for_the_wrong_one() {
    let (app, rp, mut browser) = scene().await;
    let hint = rp.tokens(&app, &mut browser.clone(), OTHER).await.text("id_token").to_owned();
    rp.code(&app, &mut browser, PAT).await;
    app.wait(Duration::seconds(1));
    let with = |more: &[(&str, &str)]| rp.authorization_path(&[&[("id_token_hint", hint.as_str())], more].concat());
    let silent = browser.get(&app, &with(&[("prompt", "none")])).await;
    assert_eq!(error(&silent).as_deref(), Some("login_required"));
    let page = browser.open(&app, &with(&[])).await;
    assert!(page.shows("login-submit"));
    app.wait(Duration::seconds(1));
    let wrong = browser.clone().sign_in(&app, &page, PAT).await;
    assert_eq!(error(&wrong).as_deref(), Some("login_required"), "asked once, not round and round");
    let page = browser.open(&app, &with(&[])).await;
    let right = browser.sign_in(&app, &page, OTHER).await;
    assert!(param(right.location(), "code").is_some(), "{}", right.body);
}

#[tokio::test]
async fn section_3_1_2_1_an_id_token_hint_still_holds_after_a_switch_of_accounts() {
    let (app, rp, mut browser) = scene().await;
    let hint = rp.tokens(&app, &mut browser, PAT).await.text("id_token").to_owned();
    app.wait(Duration::seconds(1));
    let consent = browser.open(&app, &rp.authorization_path(&[("id_token_hint", &hint), ("prompt", "consent")])).await;
    assert!(consent.shows("consent-allow"));
    let login = browser.open(&app, &consent.attribute("consent-switch", "href")).await;
    let answer = browser.sign_in(&app, &login, OTHER).await;
    assert_eq!(error(&answer).as_deref(), Some("login_required"), "{}", answer.body);
}

#[tokio::test]
async fn section_3_1_2_1_an_id_token_hint_may_be_expired_but_not_forged() {
    let (app, rp, mut browser) = scene().await;
    let tokens = rp.tokens(&app, &mut browser, PAT).await;
    let hint = tokens.text("id_token");
    app.wait(Duration::hours(3));
    let answer = browser.get(&app, &rp.authorization_path(&[("id_token_hint", hint), ("prompt", "none")])).await;
    assert!(param(answer.location(), "code").is_some(), "{}", answer.location());
    let (signed, _) = hint.rsplit_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", hint.split('.').nth(1).unwrap());
    for forged in [&format!("{signed}.AAAA"), &unsigned, tokens.access(), tokens.refresh(), "garbage", "a.b.c"] {
        let answer = browser.get(&app, &rp.authorization_path(&[("id_token_hint", forged)])).await;
        assert_eq!(error(&answer).as_deref(), Some("invalid_request"), "{forged}");
    }
}

#[tokio::test]
async fn login_hint_is_filled_in_and_signs_nobody_in() {
    let (app, rp, mut browser) = scene().await;
    let page = browser.open(&app, &rp.authorization_path(&[("login_hint", "hinted@example.com")])).await;
    assert_eq!(page.attribute("username", "value"), "hinted@example.com");
    let wrong = browser.submit(&app, &page, "/login", &[("username", "typed"), ("password", "wrong")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.attribute("username", "value").as_str()), (401, "typed"));
    let consent = browser.submit(&app, &wrong, "/login", &[("username", PAT), ("password", PASSWORD)]).await;
    assert!(consent.shows("consent-allow") && consent.body.contains(PAT), "another name than the hint may be used");
}
