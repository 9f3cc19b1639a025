//! OpenID Connect RP-Initiated Logout 1.0.

use time::Duration;

use crate::support::{Answer, Browser, Operator, RelyingParty, TestApp, Tokens, param, web_metadata};

const PAT: &str = "pat@example.com";
const OTHER: &str = "other@example.com";
const BYE: &str = "https://rp.example/bye";

/// Somebody who is signed in at an application.
async fn scene() -> (TestApp, RelyingParty, Browser, Tokens) {
    let app = TestApp::start().await;
    for email in [PAT, OTHER] {
        app.person(email).await;
    }
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, PAT).await;
    (app, rp, browser, tokens)
}

fn path(params: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("/oauth2/end_session?{query}")
}

/// Whether the browser's session is over.
async fn is_over(app: &TestApp, rp: &RelyingParty, browser: &Browser) -> bool {
    let answer = browser.clone().get(app, &rp.authorization_path(&[("prompt", "none")])).await;
    match param(answer.location(), "error").as_deref() {
        None => false,
        Some(error) => error == "login_required",
    }
}

/// A refusal that changed nothing.
async fn assert_refused(app: &TestApp, rp: &RelyingParty, browser: &Browser, page: &Answer, what: &str) {
    assert_eq!((page.status.as_u16(), page.location()), (400, ""), "{what}");
    assert!(page.body.contains("cannot be completed"), "{what}: {}", page.body);
    assert_eq!(page.page_code(), "invalid_request", "{what}");
    assert!(page.headers.get("set-cookie").is_none(), "{what}");
    assert!(!is_over(app, rp, browser).await, "{what}");
}

#[tokio::test]
async fn protocol_46_a_valid_hint_and_a_registered_uri_lead_there_with_exactly_the_state_sent() {
    let odd: String = (' '..='~').chain("äß€😀".chars()).collect();
    for (state, expected) in
        [(None, BYE.to_owned()), (Some("a state"), format!("{BYE}?state=a+state")), (Some(odd.as_str()), String::new())]
    {
        for posted in [false, true] {
            let (app, rp, mut browser, tokens) = scene().await;
            let mut params = vec![("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE)];
            params.extend(state.map(|state| ("state", state)));
            let answer = if posted {
                browser.post(&app, "/oauth2/end_session", &params).await
            } else {
                browser.get(&app, &path(&params)).await
            };
            assert_eq!(answer.status, 303);
            assert_eq!(param(answer.location(), "state").as_deref(), state);
            assert!(expected.is_empty() || answer.location() == expected, "{}", answer.location());
            assert!(is_over(&app, &rp, &browser).await);
        }
    }
}

#[tokio::test]
async fn protocol_46_an_expired_id_token_is_still_a_hint() {
    let (app, rp, mut browser, tokens) = scene().await;
    app.wait(Duration::hours(5));
    let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE), ("client_id", "web")];
    assert_eq!(browser.get(&app, &path(&params)).await.location(), BYE);
    assert!(is_over(&app, &rp, &browser).await);
}

#[tokio::test]
async fn protocol_46_a_form_that_the_application_posts_ends_the_session_on_the_server_too() {
    let (app, rp, mut browser, tokens) = scene().await;
    let old = browser.clone();
    let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let answer = browser.post_from_elsewhere(&app, "/oauth2/end_session", &params).await;
    let answer = browser.follow(&app, answer).await;
    assert_eq!(answer.location(), format!("{BYE}?state=s"));
    assert!(is_over(&app, &rp, &browser).await && is_over(&app, &rp, &old).await);
}

#[tokio::test]
async fn nobody_is_told_to_be_signed_out_because_a_posted_form_was_too_long_for_an_address() {
    let (app, rp, mut browser, tokens) = scene().await;
    let long = "x".repeat(7000);
    let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE), ("unknown", &long)];
    let answer = browser.post_from_elsewhere(&app, "/oauth2/end_session", &params).await;
    let page = browser.follow(&app, answer).await;
    assert!(page.status == 200 && !page.body.contains("You are signed out"), "{}", page.body);
    assert!(!is_over(&app, &rp, &browser).await);
    browser.submit(&app, &page, "/logout", &[]).await;
    assert!(is_over(&app, &rp, &browser).await);
}

#[tokio::test]
async fn protocol_47_a_hint_that_is_missing_or_forged_leads_nowhere() {
    let (app, rp, mut browser, tokens) = scene().await;
    let hint = tokens.text("id_token");
    let (signed, signature) = hint.rsplit_once('.').unwrap();
    let payload = hint.split('.').nth(1).unwrap();
    let flipped = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    let symmetric = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{payload}.{signature}");
    for forged in ["", &flipped, &unsigned, &symmetric, signed, "garbage", tokens.access(), tokens.refresh()] {
        let params = [("id_token_hint", forged), ("post_logout_redirect_uri", BYE), ("client_id", "web")];
        let page = browser.get(&app, &path(&params)).await;
        assert_refused(&app, &rp, &browser, &page, forged).await;
        if !forged.is_empty() {
            let page = browser.get(&app, &path(&params[..1])).await;
            assert_refused(&app, &rp, &browser, &page, forged).await;
        }
    }
}

#[tokio::test]
async fn protocol_47_an_unregistered_uri_leads_nowhere() {
    let (app, rp, mut browser, tokens) = scene().await;
    for uri in [
        "https://rp.example/bye?x=1",
        "https://rp.example/bye?",
        "https://rp.example/bye/",
        "https://rp.example/BYE",
        "https://rp.example/bye#f",
        "https://rp.example:443/bye",
        "https://rp.example/cb",
        "https://rp.example@evil.example/bye",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://rp.example/bye\r\nSet-Cookie: a=b",
    ] {
        let page = browser
            .get(&app, &path(&[("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", uri)]))
            .await;
        assert_refused(&app, &rp, &browser, &page, uri).await;
        let page = browser.get(&app, &path(&[("client_id", "web"), ("post_logout_redirect_uri", uri)])).await;
        assert_refused(&app, &rp, &browser, &page, uri).await;
    }
}

#[tokio::test]
async fn protocol_47_what_another_client_registered_does_not_count() {
    let (app, rp, mut browser, tokens) = scene().await;
    let bye = keystead::domain::RedirectUri::from_registered("https://other.example/bye".into());
    app.client("other", keystead::domain::ClientMetadata { post_logout_redirect_uris: vec![bye], ..web_metadata() })
        .await;
    let hint = ("id_token_hint", tokens.text("id_token"));
    for params in [
        &[hint, ("post_logout_redirect_uri", "https://other.example/bye")][..],
        &[hint, ("post_logout_redirect_uri", "https://other.example/bye"), ("client_id", "other")],
        &[hint, ("post_logout_redirect_uri", BYE), ("client_id", "other")],
        &[hint, ("client_id", "other")],
    ] {
        let page = browser.get(&app, &path(params)).await;
        assert_refused(&app, &rp, &browser, &page, &format!("{params:?}")).await;
    }
}

#[tokio::test]
async fn protocol_48_without_an_address_the_person_sees_that_it_is_done() {
    for params in [&[][..], &[("state", "x")], &[("client_id", "web")], &[("unknown", "x")]] {
        let (app, rp, mut browser, _) = scene().await;
        let confirm = browser.get(&app, &path(params)).await;
        assert!(confirm.shows("logout-confirm") && !is_over(&app, &rp, &browser).await, "{params:?}: it asks first");
        let done = browser.submit(&app, &confirm, "/logout", &[]).await;
        assert!(done.status == 200 && done.body.contains("You are signed out"), "{params:?}");
        assert!(is_over(&app, &rp, &browser).await, "{params:?}");
        let again = browser.get(&app, &path(params)).await;
        assert!(again.status == 200 && again.body.contains("You are signed out"), "{params:?}: nobody is here");
    }
    let (app, rp, mut browser, tokens) = scene().await;
    let done = browser.get(&app, &path(&[("id_token_hint", tokens.text("id_token")), ("state", "x")])).await;
    assert!(done.body.contains("You are signed out") && done.location().is_empty());
    assert!(is_over(&app, &rp, &browser).await);
}

#[tokio::test]
async fn section_2_a_hint_of_another_person_or_session_asks_and_then_goes_where_it_was_told() {
    let (app, rp, mut browser, _) = scene().await;
    let other_person = rp.tokens(&app, &mut Browser::default(), OTHER).await;
    let other_browser = rp.tokens(&app, &mut Browser::default(), PAT).await;
    let refuse_then_confirm = [(other_person, false), (other_browser, true)];
    for (tokens, confirms) in refuse_then_confirm {
        let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let page = browser.get(&app, &path(&params)).await;
        assert!(page.shows("logout-confirm") && page.body.contains(PAT) && page.body.contains("The web app"));
        assert!(page.header("content-security-policy").contains("https://rp.example"));
        assert!(!is_over(&app, &rp, &browser).await);
        if confirms {
            let answer = browser.submit(&app, &page, "/logout", &[]).await;
            assert_eq!(answer.location(), format!("{BYE}?state=s"));
            assert!(is_over(&app, &rp, &browser).await);
        }
    }
}

#[tokio::test]
async fn section_3_whoever_is_signed_out_already_goes_back_to_the_application_all_the_same() {
    let (app, _, _, tokens) = scene().await;
    let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE)];
    assert_eq!(Browser::default().get(&app, &path(&params)).await.location(), BYE);
}

#[tokio::test]
async fn section_3_an_application_that_was_switched_off_sends_nobody_anywhere() {
    let (app, rp, mut browser, tokens) = scene().await;
    let other = RelyingParty::web(app.client("other", web_metadata()).await);
    other.code(&app, &mut browser, PAT).await;
    Operator(&app).disable_client("web", true).await;
    let params = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE)];
    let page = browser.get(&app, &path(&params)).await;
    assert_refused(&app, &other, &browser, &page, "disabled").await;
    assert_eq!(page.attribute("logout-keystead", "href"), "/logout", "the person can still sign out");
    assert_eq!(rp.client.id, "web");
}

#[tokio::test]
async fn section_2_repeated_and_oversized_parameters_are_refused() {
    let (app, rp, mut browser, tokens) = scene().await;
    let hint = ("id_token_hint", tokens.text("id_token"));
    let uri = ("post_logout_redirect_uri", BYE);
    let long = "x".repeat(2049);
    for params in [
        &[hint, hint][..],
        &[hint, uri, uri],
        &[hint, uri, ("state", "a"), ("state", "b")],
        &[hint, uri, ("client_id", "web"), ("client_id", "web")],
        &[hint, uri, ("unknown", "a"), ("unknown", "a")],
        &[hint, uri, ("state", &long)],
    ] {
        let page = browser.get(&app, &path(params)).await;
        assert_refused(&app, &rp, &browser, &page, &format!("{:?}", &params[1..])).await;
        let page = browser.post(&app, "/oauth2/end_session", params).await;
        assert_refused(&app, &rp, &browser, &page, "posted").await;
    }
    let across = browser.post(&app, &path(&[hint, uri]), &[("state", "a"), hint]).await;
    assert_refused(&app, &rp, &browser, &across, "across query and body").await;
}

#[tokio::test]
async fn section_2_a_logout_ends_what_hangs_on_the_session_and_spares_offline_access() {
    let (app, mut rp, mut browser, offline) = scene().await;
    rp.scope = "openid email".into();
    let online = rp.tokens(&app, &mut browser, PAT).await;
    browser.get(&app, &path(&[("id_token_hint", online.text("id_token"))])).await;
    assert!(!rp.is_active(&app, online.access()).await);
    assert_eq!(rp.refresh(&app, online.refresh()).await.error(), "invalid_grant");
    assert!(rp.is_active(&app, offline.access()).await);
    assert_eq!(rp.refresh(&app, offline.refresh()).await.status, 200);
}
