//! OAuth 2.0 Form Post Response Mode.

use crate::support::{Answer, Browser, EMAIL, ISSUER, RelyingParty, Scene, Tokens};

const MODE: (&str, &str) = ("response_mode", "form_post");

/// The page posts an answer to the application, and nothing of it is in an address.
fn assert_posted(answer: &Answer, what: &str) {
    assert_eq!((answer.status.as_u16(), answer.location()), (200, ""), "{what}: {}", answer.body);
    assert_eq!(answer.attribute("form-post", "method"), "post", "{what}");
    assert_eq!(answer.attribute("form-post", "action"), "https://rp.example/cb", "{what}");
    assert_eq!(answer.hidden("iss"), ISSUER, "{what}");
}

#[tokio::test]
async fn section_2_the_answer_is_a_form_that_posts_itself_and_has_a_button() {
    let mut scene = Scene::start().await;
    let answer = scene.authorize(&[MODE]).await;
    assert_posted(&answer, "success");
    assert_eq!(answer.hidden("state"), "the-state");
    assert!(answer.shows("form-post-submit") && answer.header("cache-control") == "no-store");
    Tokens::of(&scene.redeem(&answer.hidden("code")).await);
    let policy = answer.header("content-security-policy");
    let (_, nonce) = policy.split_once("script-src 'nonce-").unwrap();
    let nonce = nonce.split('\'').next().unwrap();
    let script = format!("<script nonce=\"{nonce}\">document.getElementById(\"form-post\").submit();</script>");
    assert!(nonce.len() == 43 && answer.body.contains(&script), "{}", answer.body);
    assert_eq!(answer.body.matches("<script").count(), 1, "nothing else runs there");
    assert!(policy.contains("form-action 'self' https: https://rp.example;"), "{policy}");
    let again = scene.authorize(&[MODE]).await;
    assert_ne!(again.header("content-security-policy"), policy, "a nonce is used once");
}

#[tokio::test]
async fn protocol_20_errors_are_posted_too_and_nothing_is_in_the_query() {
    let mut scene = Scene::start().await;
    for (name, value, error) in [
        ("scope", "openid admin", "invalid_scope"),
        ("response_type", "token", "unsupported_response_type"),
        ("prompt", "none", "login_required"),
        ("code_challenge", "short", "invalid_request"),
        ("request", "e30.e30.x", "invalid_request_object"),
        ("request_uri", "https://rp.example/r", "request_uri_not_supported"),
    ] {
        let answer = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[MODE, (name, value)])).await;
        assert_posted(&answer, name);
        assert_eq!((answer.hidden("error").as_str(), answer.hidden("state").as_str()), (error, "the-state"), "{name}");
        assert!(!answer.hidden("error_description").is_empty() && answer.hidden("code").is_empty(), "{name}");
    }
    let unknown = scene.rp.authorization_path(&[MODE, ("redirect_uri", "https://evil.example/")]);
    let shown = scene.browser.open(&scene.app, &unknown).await;
    assert!(shown.status == 400 && !shown.shows("form-post"), "{}", shown.body);
}

#[tokio::test]
async fn protocol_25_whoever_turns_back_is_reported_by_a_form_from_however_old_a_page() {
    let scene = Scene::start().await;
    let mut browser = Browser::default();
    let login = browser.open(&scene.app, &scene.rp.authorization_path(&[MODE])).await;
    let consent = browser.sign_in(&scene.app, &login, EMAIL).await;
    let denied = browser.submit(&scene.app, &consent, "/consent", &[("decision", "deny")]).await;
    let back = login.attribute("login-cancel", "href");
    assert!(back.starts_with("/cancel?request="), "{back}");
    let cancelled = browser.open(&scene.app, &back).await;
    scene.app.wait(time::Duration::minutes(31));
    let expired = browser.open(&scene.app, &format!("/login?request={}", login.hidden("request"))).await;
    assert_eq!((expired.status.as_u16(), expired.shows("form-post")), (400, false), "the person is told first");
    let late = browser.open(&scene.app, &expired.way_back()).await;
    for (what, answer) in [("denied", denied), ("cancelled", cancelled), ("late", late)] {
        assert_posted(&answer, what);
        assert_eq!((answer.hidden("error").as_str(), answer.hidden("state").as_str()), ("access_denied", "the-state"));
    }
    for path in ["/cancel", "/cancel?request=damaged", "/cancel?request=a&request=b"] {
        assert_eq!(browser.open(&scene.app, path).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn security_11_a_hostile_state_appears_only_escaped_and_arrives_as_it_was() {
    let mut scene = Scene::start().await;
    for state in
        ["\"><svg/onload=alert(1)>'&{{7*7}}", "</form><form action=//evil.example>", "&quot;&#34;", "é😀 +%20", "'\"`"]
    {
        let answer = scene.authorize(&[MODE, ("state", state)]).await;
        assert_posted(&answer, state);
        assert_eq!(answer.hidden("state"), state);
        assert!(!answer.body.contains("<svg/") && !answer.body.contains("//evil.example>"), "{}", answer.body);
        assert_eq!(answer.body.matches("<form").count(), 1, "{state}");
        let error = scene.authorize(&[MODE, ("state", state), ("scope", state)]).await;
        assert_eq!((error.hidden("state").as_str(), error.hidden("error").as_str()), (state, "invalid_scope"));
        assert!(!error.body.contains("<svg/"), "{}", error.body);
    }
}

#[tokio::test]
async fn section_2_a_code_in_a_form_is_never_in_a_redirect_on_the_way() {
    let mut scene = Scene::start().await;
    let mut answer = scene.browser.get(&scene.app, &scene.rp.authorization_path(&[MODE])).await;
    let mut addresses = Vec::new();
    while answer.status == 303 {
        addresses.push(answer.location().to_owned());
        answer = scene.browser.get(&scene.app, addresses.last().unwrap()).await;
    }
    let signed_in = scene.browser.sign_in(&scene.app, &answer, EMAIL).await;
    let allowed = scene.browser.submit(&scene.app, &signed_in, "/consent", &[("decision", "allow")]).await;
    let code = allowed.hidden("code");
    assert!(code.starts_with("ksc_"));
    assert!(addresses.iter().all(|address| !address.contains("code=")), "{addresses:?}");
    assert!(!format!("{:?}", allowed.headers).contains(&code), "{:?}", allowed.headers);
}

#[tokio::test]
async fn a_private_use_scheme_gets_its_errors_in_the_query() {
    let scene = Scene::start().await;
    let mut rp = RelyingParty::web(scene.app.native_client(&["com.example.app:/cb", "http://127.0.0.1/cb"]).await);
    rp.redirect_uri = "com.example.app:/cb".into();
    let answer = scene.app.get(&rp.authorization_path(&[MODE])).await;
    assert!(answer.location().starts_with("com.example.app:/cb?error=invalid_request&"), "{}", answer.location());
    rp.redirect_uri = "http://127.0.0.1:51004/cb".into();
    let mut browser = Browser::default();
    let answer = browser.authorize(&scene.app, &rp.authorization_path(&[MODE]), EMAIL).await;
    assert_eq!(answer.attribute("form-post", "action"), "http://127.0.0.1:51004/cb");
    assert!(answer.header("content-security-policy").contains("form-action 'self' https: http://127.0.0.1:51004;"));
}
