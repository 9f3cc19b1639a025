//! RFC 9126, pushed authorization requests.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use keystead::domain::{ClientAuthMethod, ClientMetadata, RedirectUri};
use time::Duration;

use crate::support::{
    Answer, Browser, EMAIL, ISSUER, Operator, RelyingParty, Scene, TestApp, Tokens, at_once, param, web_metadata,
};

const URN: &str = "urn:ietf:params:oauth:request_uri:";

fn request_uri(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["request_uri"].as_str().unwrap().to_owned()
}

/// The person sees a page with this code; nothing goes to the application.
fn assert_shown(answer: &Answer, code: &str, what: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.location(), answer.page_code()),
        (400, "", code),
        "{what}: {}",
        answer.body
    );
}

fn must_push(mut metadata: ClientMetadata) -> ClientMetadata {
    metadata.protocol.require_pushed_authorization_requests = true;
    metadata
}

#[tokio::test]
async fn protocol_52_a_pushed_request_gets_a_name_that_works_once() {
    let mut scene = Scene::start().await;
    let pushed = scene.rp.push(&scene.app, &[]).await;
    let uri = request_uri(&pushed);
    assert_eq!((pushed.header("cache-control"), pushed.header("content-type")), ("no-store", "application/json"));
    assert_eq!(pushed.json()["expires_in"], 90);
    assert_eq!(pushed.json().as_object().unwrap().len(), 2);
    assert_eq!(uri.strip_prefix(URN).unwrap().len(), 43, "256 bits in base64url");
    let path = scene.rp.path_of(&uri);
    let answer = scene.browser.authorize(&scene.app, &path, EMAIL).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("the-state"));
    assert_eq!(param(answer.location(), "iss").as_deref(), Some(ISSUER));
    let tokens = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    assert_eq!(tokens.claims("id_token")["nonce"], "the-nonce");
    assert_shown(&scene.browser.open(&scene.app, &path).await, "invalid_request_uri", "used");
    assert_shown(&Browser::default().open(&scene.app, &path).await, "invalid_request_uri", "used, by a stranger");
}

#[tokio::test]
async fn protocol_53_the_name_survives_prefetch_and_reload_until_the_request_is_answered() {
    let mut scene = Scene::start().await;
    let path = scene.rp.pushed_path(&scene.app, &[("prompt", "login")]).await;
    Browser::default().open(&scene.app, &path).await;
    let first = scene.browser.open(&scene.app, &path).await;
    let login = scene.browser.open(&scene.app, &path).await;
    assert!(first.shows("login-submit") && login.shows("login-submit"));
    let consent = scene.browser.sign_in(&scene.app, &login, EMAIL).await;
    let reloaded = scene.browser.open(&scene.app, &path).await;
    assert!(consent.shows("consent-allow") && reloaded.shows("consent-allow"), "{}", reloaded.body);
    // The name has expired meanwhile, the pages have not.
    scene.app.wait(Duration::minutes(10));
    let allowed = scene.browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await;
    assert!(param(allowed.location(), "code").is_some(), "{}", allowed.body);
    let again = scene.browser.submit(&scene.app, &reloaded, "/consent", &[("decision", "allow")]).await;
    assert_shown(&again, "invalid_request", "the other page of the same request");
}

#[tokio::test]
async fn protocol_53_a_name_dies_when_the_person_refuses() {
    let mut scene = Scene::start().await;
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    let login = scene.browser.open(&scene.app, &path).await;
    let consent = scene.browser.sign_in(&scene.app, &login, EMAIL).await;
    let denied = scene.browser.submit(&scene.app, &consent, "/consent", &[("decision", "deny")]).await;
    assert_eq!(param(denied.location(), "error").as_deref(), Some("access_denied"));
    assert_shown(&scene.browser.open(&scene.app, &path).await, "invalid_request_uri", "refused");
}

#[tokio::test]
async fn security_24_a_name_is_bound_to_its_client_and_expires() {
    let scene = Scene::start().await;
    let other = RelyingParty::web(scene.app.client("other", web_metadata()).await);
    let uri = request_uri(&scene.rp.push(&scene.app, &[]).await);
    let mut browser = Browser::default();
    let cases = [
        (other.path_of(&uri), "another client"),
        (scene.rp.path_of(&uri[..uri.len() - 1]), "cut"),
        (scene.rp.path_of(&format!("{uri}A")), "longer"),
        (scene.rp.path_of(&uri.to_uppercase()), "other case"),
        (scene.rp.path_of(&format!("{URN}{}", "A".repeat(43))), "guessed"),
        (scene.rp.path_of(URN), "empty"),
    ];
    for (path, what) in cases {
        let answer = browser.open(&scene.app, &path).await;
        let code = if what == "other case" { "invalid_request" } else { "invalid_request_uri" };
        assert_shown(&answer, code, what);
    }
    scene.app.wait(Duration::seconds(89));
    assert!(browser.open(&scene.app, &scene.rp.path_of(&uri)).await.shows("login-submit"), "unharmed");
    scene.app.wait(Duration::seconds(1));
    assert_shown(&browser.open(&scene.app, &scene.rp.path_of(&uri)).await, "invalid_request_uri", "expired");
}

#[tokio::test]
async fn protocol_54_only_client_id_and_request_uri_count_at_the_authorization_endpoint() {
    let mut scene = Scene::start().await;
    let path = scene.rp.pushed_path(&scene.app, &[("state", ""), ("scope", "openid")]).await;
    let outside = "&state=outside&scope=openid+email&nonce=outside&redirect_uri=https%3A%2F%2Fevil.example%2F\
                   &response_mode=form_post&prompt=none&code_challenge=x&response_type=token&registration=%7B%7D";
    let answer = scene.browser.authorize(&scene.app, &format!("{path}{outside}"), EMAIL).await;
    assert!(answer.location().starts_with("https://rp.example/cb?code="), "{} {}", answer.status, answer.location());
    assert_eq!(param(answer.location(), "state"), None, "ignored, not merged");
    let tokens = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    assert_eq!((tokens.text("scope"), tokens.claims("id_token")["nonce"].as_str()), ("openid", Some("the-nonce")));
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    for twice in ["client_id=web", "request_uri=x", "state=a&state=b"] {
        let answer = scene.browser.open(&scene.app, &format!("{path}&{twice}")).await;
        assert_shown(&answer, "invalid_request", twice);
    }
    let both = scene.browser.open(&scene.app, &format!("{path}&request=e30.e30.x")).await;
    assert_shown(&both, "invalid_request", "request beside request_uri");
}

#[tokio::test]
async fn section_2_1_every_parameter_is_judged_at_once_and_errors_are_json() {
    let scene = Scene::start().await;
    for (name, value, error) in [
        ("request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"),
        ("request_uri", "https://rp.example/r", "invalid_request"),
        ("redirect_uri", "https://evil.example/", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "openid admin", "invalid_scope"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("resource", "https://unknown.example", "invalid_target"),
        ("id_token_hint", "garbage", "invalid_request"),
        ("request", "e30.e30.x", "invalid_request_object"),
        ("client_id", "other", "invalid_request"),
    ] {
        let answer = scene.rp.push(&scene.app, &[(name, value)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, error), "{name}={value}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let get = scene.app.get("/oauth2/par").await;
    assert_eq!((get.status.as_u16(), get.header("allow")), (405, "POST"));
    let in_query = Request::post("/oauth2/par?client_id=web").body(Body::empty()).unwrap();
    assert_eq!(scene.app.send(in_query).await.error(), "invalid_request");
    let json = Request::post("/oauth2/par").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(scene.app.send(json).await.status, 400);
}

#[tokio::test]
async fn security_26_a_confidential_client_authenticates_and_a_public_one_names_itself() {
    let scene = Scene::start().await;
    let owned = scene.rp.request(&[]);
    let params: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let secret = ("client_secret", scene.rp.client.secret.as_str());
    let in_body = [&params[..], &[secret]].concat();
    for (what, answer) in [
        ("none", scene.app.post("/oauth2/par", &params).await),
        ("wrong secret", scene.app.post_as("/oauth2/par", ("web", "wrong"), &params).await),
        ("wrong method", scene.app.post("/oauth2/par", &in_body).await),
        ("two methods", scene.app.post_as("/oauth2/par", scene.rp.client.pair(), &in_body).await),
    ] {
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{what}");
    }
    let client = scene.app.native_client(&["http://127.0.0.1/cb"]).await;
    let rp = RelyingParty { public: true, redirect_uri: "http://127.0.0.1:5/cb".into(), ..RelyingParty::web(client) };
    let path = rp.pushed_path(&scene.app, &[]).await;
    let answer = Browser::default().authorize(&scene.app, &path, EMAIL).await;
    Tokens::of(&rp.redeem(&scene.app, &param(answer.location(), "code").unwrap()).await);
    let nobody = scene.app.post("/oauth2/par", &[("client_id", "nobody")]).await;
    assert_eq!(nobody.error(), "invalid_client");
}

#[tokio::test]
async fn protocol_55_a_client_that_must_push_cannot_go_round_it() {
    let mut scene = Scene::with(must_push).await;
    let mut object = scene.rp.authorization_path(&[("request", "e30.e30.x")]);
    for path in [scene.rp.authorization_path(&[]), std::mem::take(&mut object)] {
        let answer = scene.browser.open(&scene.app, &path).await;
        let error = if path.contains("request=") { "invalid_request_object" } else { "invalid_request" };
        assert_eq!(param(answer.location(), "error").as_deref(), Some(error), "{}", answer.location());
    }
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    let answer = scene.browser.authorize(&scene.app, &path, EMAIL).await;
    assert!(param(answer.location(), "code").is_some());
    let discovery = scene.app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["require_pushed_authorization_requests"], false);
    assert_eq!(discovery["pushed_authorization_request_endpoint"], format!("{ISSUER}/oauth2/par"));
}

#[tokio::test]
async fn a_pushed_request_does_not_outlive_what_it_stands_on() {
    let mut scene = Scene::start().await;
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    let elsewhere = RedirectUri::from_registered("https://rp.example/other".into());
    Operator(&scene.app).change_client("web", |metadata| metadata.redirect_uris = vec![elsewhere]).await;
    assert_shown(&scene.browser.open(&scene.app, &path).await, "invalid_request_uri", "redirect URI removed");
    scene.rp.redirect_uri = "https://rp.example/other".into();
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    Operator(&scene.app).disable_client("web", true).await;
    assert_shown(&scene.browser.open(&scene.app, &path).await, "invalid_client", "client off");
}

#[tokio::test]
async fn a_silent_pushed_request_that_another_site_posts_finds_the_session() {
    let mut scene = Scene::start().await;
    scene.code().await;
    let uri = request_uri(&scene.rp.push(&scene.app, &[("prompt", "none")]).await);
    let params = [("client_id", "web"), ("request_uri", uri.as_str())];
    let answer = scene.browser.post_from_elsewhere(&scene.app, "/oauth2/authorize", &params).await;
    let answer = scene.browser.follow(&scene.app, answer).await;
    assert!(param(answer.location(), "code").is_some(), "{}", answer.location());
}

#[tokio::test]
async fn another_replica_and_a_restarted_one_know_the_request() {
    let mut scene = Scene::start().await;
    let path = scene.rp.pushed_path(&scene.app, &[]).await;
    let other = scene.app.replica().await;
    let answer = scene.browser.authorize(&other, &path, EMAIL).await;
    assert!(param(answer.location(), "code").is_some(), "{} {}", answer.location(), answer.body);
    assert_shown(&scene.browser.open(&scene.app, &path).await, "invalid_request_uri", "used at the other");
}

#[tokio::test]
async fn security_38_the_database_holds_no_request_uri() {
    let scene = Scene::start().await;
    let uris: HashSet<String> =
        [request_uri(&scene.rp.push(&scene.app, &[]).await), request_uri(&scene.rp.push(&scene.app, &[]).await)].into();
    assert_eq!(uris.len(), 2, "the same request twice gets two names");
    let rows = sqlx::query_scalar!(r#"SELECT p::text AS "row!" FROM pushed_requests p"#);
    let rows = rows.fetch_all(scene.app.engine.store.pool()).await.unwrap().join("\n");
    assert!(rows.contains("the-state"));
    for uri in uris {
        assert!(!rows.contains(uri.strip_prefix(URN).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_of_fifty_uses_of_one_pushed_request_one_gets_a_code() {
    let mut scene = Scene::start().await;
    scene.code().await;
    let path = scene.rp.pushed_path(&scene.app, &[("prompt", "none")]).await;
    let other = scene.app.replica().await;
    let before = scene.app.grants(scene.user).await;
    let (scene, other) = (Arc::new(scene), Arc::new(other));
    let answers = at_once(50, |index| {
        let (scene, other, path) = (Arc::clone(&scene), Arc::clone(&other), path.clone());
        async move {
            let app = if index % 2 == 0 { &scene.app } else { other.as_ref() };
            scene.browser.clone().get(app, &path).await
        }
    })
    .await;
    let codes: Vec<String> = answers.iter().filter_map(|answer| param(answer.location(), "code")).collect();
    assert_eq!(codes.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 303) {
        assert_eq!((answer.status.as_u16(), answer.location()), (400, ""), "{}", answer.body);
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
    assert_eq!(scene.app.grants(scene.user).await, before + 1);
    Tokens::of(&scene.redeem(&codes[0]).await);
}

#[tokio::test]
async fn a_stranger_can_push_in_the_name_of_a_public_client_only_so_often() {
    let app = TestApp::start().await.with_http(|options| options.sign_ins_per_source_per_minute = 3);
    let public = ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..web_metadata() };
    let public = RelyingParty { public: true, ..RelyingParty::web(app.client("public", public).await) };
    let web = RelyingParty::web(app.web_client().await);
    for expected in [201, 201, 201, 429, 429] {
        let answer = public.push(&app, &[]).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
    }
    assert_eq!(web.push(&app, &[]).await.status, 201, "a client that proves itself goes on");
}
