//! §3.1.2.1, §6: parameters that must not matter, must be repeated, or are not supported.

use axum::body::Body;
use axum::http::{Request, header};
use time::Duration;

use super::{PAT, error, redeem, scene};
use crate::support::{param, web_metadata};

#[tokio::test]
async fn protocol_13_acr_values_never_cause_an_error_and_acr_is_told() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    for wanted in ["urn:keystead:acr:password", "1 2", "urn:mace:incommon:iap:silver", "\"", "x y z é"] {
        let answer = browser.get(&app, &rp.authorization_path(&[("acr_values", wanted)])).await;
        let claims = redeem(&app, &rp, &answer).await.claims("id_token");
        assert_eq!(claims["acr"], "urn:keystead:acr:password", "{wanted}");
        assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
    }
}

#[tokio::test]
async fn protocol_14_hints_and_unknown_parameters_never_cause_an_error() {
    let (app, rp, mut browser) = scene().await;
    let long = "x".repeat(3000);
    for (name, value) in [
        ("display", "popup"),
        ("display", "wap"),
        ("display", "unknown"),
        ("ui_locales", "de-CH fr"),
        ("ui_locales", "not a locale!"),
        ("claims_locales", "de"),
        ("login_hint", "nobody@example.com"),
        ("login_hint", "\"><script>é\u{1}"),
        ("login_hint", &long),
        ("prompt", "create"),
        ("extra", "foobar"),
        ("claims", "{\"userinfo\":{\"name\":{\"essential\":true}}}"),
        ("RESPONSE_TYPE", "token"),
    ] {
        let what = format!("{name}={}", &value[..value.len().min(40)]);
        let page = browser.open(&app, &rp.authorization_path(&[(name, value)])).await;
        assert!(page.shows("login-submit"), "{what}: {} {}", page.location(), page.body);
        assert!(!page.body.contains(&long), "{what}: a hint that cannot be a name is not filled in");
    }
    rp.code(&app, &mut browser, PAT).await;
    for (name, value) in [("display", "x"), ("login_hint", long.as_str()), ("extra", "foobar"), ("prompt", "create")] {
        let answer = browser.get(&app, &rp.authorization_path(&[(name, value)])).await;
        assert!(param(answer.location(), "code").is_some(), "{name}: {}", answer.location());
    }
}

#[tokio::test]
async fn protocol_13_protocol_14_hints_cause_no_error_in_pushed_and_silent_requests_either() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    let long = "x".repeat(2500);
    for (name, value) in [
        ("display", "page"),
        ("display", "hologram"),
        ("ui_locales", "de-CH-1901 fr en"),
        ("ui_locales", " "),
        ("claims_locales", "de tlh x-"),
        ("login_hint", "somebody-else@example.com"),
        ("login_hint", &long),
        ("acr_values", &long),
        ("acr_values", " \t urn:keystead:acr:password\u{1}"),
    ] {
        let what = format!("{name}={}", &value[..value.len().min(40)]);
        let more = [(name, value), ("prompt", "none")];
        let pushed = rp.pushed_path(&app, &more).await;
        for path in [rp.authorization_path(&more), pushed] {
            let answer = browser.get(&app, &path).await;
            let tokens = redeem(&app, &rp, &answer).await;
            let info = app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await;
            assert_eq!(info.json()["email"], PAT, "{what}: a hint changes nobody");
            assert_eq!(tokens.claims("id_token")["acr"], "urn:keystead:acr:password", "{what}");
        }
    }
}

#[tokio::test]
async fn protocol_15_get_and_post_work_alike_and_the_order_does_not_matter() {
    let (app, rp, mut browser) = scene().await;
    let first = rp.tokens(&app, &mut browser, PAT).await;
    let path = rp.authorization_path(&[("scope", "profile offline_access email openid")]);
    let (endpoint, query) = path.split_once('?').unwrap();
    let reversed = query.split('&').rev().collect::<Vec<_>>().join("&");
    let (part, rest) = reversed.split_once('&').unwrap();
    for (path, body) in [
        (format!("{endpoint}?{reversed}"), None),
        (endpoint.to_owned(), Some(reversed.as_str())),
        (endpoint.to_owned(), Some(query)),
        (format!("{endpoint}?{part}"), Some(rest)),
    ] {
        let answer = match body {
            None => browser.get(&app, &path).await,
            Some(body) => {
                let request = Request::post(&path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                browser.send(&app, request.body(Body::from(body.to_owned())).unwrap()).await
            }
        };
        let tokens = redeem(&app, &rp, &answer).await;
        assert_eq!(tokens.text("scope"), first.text("scope"));
        assert_eq!(tokens.claims("id_token")["sub"], first.claims("id_token")["sub"]);
    }
}

#[tokio::test]
async fn protocol_15_a_request_that_another_site_posts_finds_the_session_all_the_same() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    for prompt in ["", "none"] {
        let path = rp.authorization_path(&[("prompt", prompt)]);
        let (endpoint, query) = path.split_once('?').unwrap();
        let params: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = browser.post_from_elsewhere(&app, endpoint, &params).await;
        let answer = browser.follow(&app, answer).await;
        assert!(param(answer.location(), "code").is_some(), "prompt={prompt}: {} {}", answer.location(), answer.body);
        let stranger = crate::support::Browser::default().post_from_elsewhere(&app, endpoint, &params).await;
        let stranger = crate::support::Browser::default().follow(&app, stranger).await;
        assert_eq!(error(&stranger).is_some(), prompt == "none", "prompt={prompt}");
    }
}

#[tokio::test]
async fn protocol_16_the_nonce_is_optional_and_returned_to_the_letter() {
    let (app, rp, mut browser) = scene().await;
    rp.code(&app, &mut browser, PAT).await;
    let odd: String = (' '..='~').chain("äß€😀\u{a0}".chars()).collect();
    for nonce in ["n", &"n".repeat(64), &"n".repeat(384), &"n".repeat(512), &odd] {
        let answer = browser.get(&app, &rp.authorization_path(&[("nonce", nonce)])).await;
        assert_eq!(redeem(&app, &rp, &answer).await.claims("id_token")["nonce"], *nonce);
    }
    let answer = browser.get(&app, &rp.authorization_path(&[("nonce", "")])).await;
    assert!(redeem(&app, &rp, &answer).await.claims("id_token").get("nonce").is_none());
    let answer = browser.get(&app, &rp.authorization_path(&[("nonce", &"n".repeat(513))])).await;
    assert_eq!(error(&answer).as_deref(), Some("invalid_request"), "refused rather than cut");
}

#[tokio::test]
async fn protocol_17_a_missing_response_type_is_an_error_in_the_query() {
    let (app, rp, mut browser) = scene().await;
    let answer = browser.get(&app, &rp.authorization_path(&[("response_type", "")])).await;
    assert_eq!(error(&answer).as_deref(), Some("invalid_request"));
    assert_eq!(param(answer.location(), "state").as_deref(), Some("the-state"));
    assert!(answer.location().starts_with("https://rp.example/cb?"));
}

#[tokio::test]
async fn protocol_21_and_22_unsigned_objects_and_addresses_of_objects_are_refused_and_discovery_says_so() {
    let (app, rp, mut browser) = scene().await;
    for (name, value, expected) in [
        ("request", "eyJhbGciOiJub25lIn0.e30.", "invalid_request_object"),
        ("request_uri", "https://rp.example/request.jwt", "request_uri_not_supported"),
        ("request_uri", "http://169.254.169.254/", "request_uri_not_supported"),
        ("registration", "{\"client_name\":\"x\"}", "registration_not_supported"),
    ] {
        let answer = browser.get(&app, &rp.authorization_path(&[(name, value)])).await;
        assert_eq!(error(&answer).as_deref(), Some(expected), "{name}");
    }
    let discovery = app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["request_parameter_supported"], true);
    assert_eq!(discovery["request_uri_parameter_supported"], false);
    assert!(!discovery["request_object_signing_alg_values_supported"].to_string().contains("none"));
}

#[tokio::test]
async fn section_11_offline_access_outlives_the_session_and_other_scopes_do_not() {
    let (app, mut rp, mut browser) = scene().await;
    let offline = rp.tokens(&app, &mut browser, PAT).await;
    rp.scope = "openid email".into();
    let online = rp.tokens(&app, &mut browser, PAT).await;
    let confirm = browser.get(&app, "/logout").await;
    browser.submit(&app, &confirm, "/logout", &[]).await;
    app.wait(Duration::seconds(1));
    assert_eq!(rp.refresh(&app, offline.refresh()).await.status, 200);
    let refused = rp.refresh(&app, online.refresh()).await;
    assert_eq!((refused.error().as_str(), refused.reason().as_str()), ("invalid_grant", "session_ended"));
}

#[tokio::test]
async fn section_3_1_2_2_a_scope_that_is_not_registered_is_refused_and_none_at_all_is_not_a_sign_in() {
    let (app, rp, mut browser) = scene().await;
    let answer = browser.get(&app, &rp.authorization_path(&[("scope", "openid admin")])).await;
    assert_eq!(error(&answer).as_deref(), Some("invalid_scope"));
    let answer = browser.authorize(&app, &rp.authorization_path(&[("scope", "")]), PAT).await;
    let tokens = redeem(&app, &rp, &answer).await;
    assert_eq!(tokens.text("scope"), "address email phone profile");
    assert_eq!(tokens.text("id_token"), "");
    let nothing = keystead::domain::ClientMetadata { scope: keystead::domain::Scope::default(), ..web_metadata() };
    let rp = crate::support::RelyingParty::web(app.client("bare", nothing).await);
    let answer = browser.get(&app, &rp.authorization_path(&[("scope", "")])).await;
    assert_eq!(error(&answer).as_deref(), Some("invalid_scope"));
}
