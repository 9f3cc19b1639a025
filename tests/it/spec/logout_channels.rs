//! OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0.

use keystead::domain::{ClientMetadata, ClientProtocol, SubjectType};
use serde_json::json;
use time::Duration as Span;

use crate::support::{
    AdminApi, Answer, Browser, ISSUER, Operator, Publisher, RelyingParty, Scene, TestApp, Tokens, jwks, jwt_part,
    verify, web_metadata,
};

const PAT: &str = "pat@example.com";
const BYE: &str = "https://rp.example/bye";

/// Somebody who is signed in at an application that wants to be told at `publisher`.
async fn told_at(publisher: &Publisher) -> Scene {
    let address = publisher.url("/backchannel?x=1");
    Scene::with(|metadata| ClientMetadata {
        protocol: ClientProtocol { backchannel_logout_uri: Some(address), ..ClientProtocol::default() },
        ..metadata
    })
    .await
}

/// The logout token in a posted form.
fn logout_token(body: &str) -> String {
    let mut pairs = form_urlencoded::parse(body.as_bytes());
    let (name, token) = pairs.next().unwrap();
    assert_eq!((&*name, pairs.next()), ("logout_token", None), "the one parameter");
    token.into_owned()
}

async fn sign_out(scene: &mut Scene, tokens: &Tokens) -> Answer {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE)])
        .finish();
    scene.browser.get(&scene.app, &format!("/oauth2/end_session?{query}")).await
}

#[tokio::test]
async fn protocol_49_a_logout_token_names_the_session_of_the_id_token() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    let tokens = scene.tokens().await;
    assert_eq!(sign_out(&mut scene, &tokens).await.location(), BYE);
    scene.app.engine.tell_logouts().await.unwrap();
    let [body] = publisher.heard(1).await.try_into().unwrap();
    let token = logout_token(&body);
    let claims = verify(&jwks(&scene.app).await, &token, "web").unwrap();
    let id_token = tokens.claims("id_token");
    for name in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[name], id_token[name], "{name}");
    }
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert!(claims["jti"].is_string() && claims["iat"].is_i64() && claims["exp"].is_i64());
    assert!(claims.get("nonce").is_none());
    let header = jwt_part(&token, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &jwt_part(tokens.text("id_token"), 0)["alg"]));
    scene.app.engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.heard(1).await.len(), 1, "told once");
}

#[tokio::test]
async fn a_client_that_cannot_be_told_is_told_later_and_for_a_day() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    let tokens = scene.tokens().await;
    publisher.fail_with(503);
    sign_out(&mut scene, &tokens).await;
    let engine = &scene.app.engine;
    engine.tell_logouts().await.unwrap();
    engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.heard(1).await.len(), 1, "not again at once");
    scene.app.wait(Span::seconds(6));
    engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.heard(2).await.len(), 2);
    publisher.fail_with(200);
    scene.app.wait(Span::seconds(21));
    engine.tell_logouts().await.unwrap();
    scene.app.wait(Span::hours(2));
    engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.heard(3).await.len(), 3, "and not again once it was told");
    let tokens: Vec<String> = publisher.received().iter().map(|body| logout_token(body)).collect();
    assert_ne!(jwt_part(&tokens[0], 1)["jti"], jwt_part(&tokens[2], 1)["jti"], "made anew for each try");
}

#[tokio::test]
async fn a_client_that_is_never_there_is_given_up_after_a_day() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    let tokens = scene.tokens().await;
    publisher.fail_with(500);
    sign_out(&mut scene, &tokens).await;
    for _ in 0..40 {
        scene.app.engine.tell_logouts().await.unwrap();
        scene.app.wait(Span::hours(1));
    }
    let tries = publisher.received().len();
    assert!((24..=26).contains(&tries), "{tries}");
}

#[tokio::test]
async fn a_client_that_is_slow_keeps_no_other_waiting() {
    let (slow, quick) = (Publisher::of("").await, Publisher::of("").await);
    let mut scene = told_at(&slow).await;
    slow.take(std::time::Duration::from_secs(3));
    let protocol =
        ClientProtocol { backchannel_logout_uri: Some(quick.url("/backchannel")), ..ClientProtocol::default() };
    let metadata = ClientMetadata { protocol, ..web_metadata() };
    let other = RelyingParty::web(scene.app.client("quick", metadata).await);
    let tokens = scene.tokens().await;
    sign_out(&mut scene, &tokens).await;
    let engine = scene.app.engine.clone();
    let telling = tokio::spawn(async move { engine.tell_logouts().await });
    let mut browser = Browser::default();
    let tokens = other.tokens(&scene.app, &mut browser, crate::support::EMAIL).await;
    scene.browser = browser;
    sign_out(&mut scene, &tokens).await;
    while quick.received().is_empty() {
        assert!(!telling.is_finished(), "only after the slow one");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(slow.received().is_empty(), "which has not answered yet");
    telling.await.unwrap().unwrap();
    assert_eq!((slow.received().len(), quick.received().len()), (1, 1));
}

#[tokio::test]
async fn a_client_that_knows_people_by_new_names_is_not_told_of_old_sessions() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    publisher.fail_with(503);
    let tokens = scene.tokens().await;
    sign_out(&mut scene, &tokens).await;
    scene.app.engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.heard(1).await.len(), 1, "and will be told again");
    publisher.fail_with(200);
    scene.browser = Browser::default();
    assert!(!scene.tokens().await.access().is_empty());
    Operator(&scene.app).change_client("web", |metadata| metadata.protocol.subject_type = SubjectType::Pairwise).await;
    scene.sign_out().await;
    scene.app.wait(Span::minutes(1));
    scene.app.engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.received().len(), 1, "neither of the first session nor of the second");
}

#[tokio::test]
async fn two_replicas_tell_a_client_once() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    let other = scene.app.replica().await;
    let tokens = scene.tokens().await;
    sign_out(&mut scene, &tokens).await;
    let (one, two) = tokio::join!(scene.app.engine.tell_logouts(), other.engine.tell_logouts());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(publisher.heard(1).await.len(), 1);
}

#[tokio::test]
async fn whatever_ends_a_session_is_told() {
    for how in ["the person", "an operator, one session", "an operator, all", "a lock", "a removal", "a new password"] {
        let publisher = Publisher::of("").await;
        let mut scene = told_at(&publisher).await;
        let tokens = scene.tokens().await;
        let id_token = tokens.claims("id_token");
        let (user, session) = (id_token["sub"].as_str().unwrap(), id_token["sid"].as_str().unwrap());
        let admin = AdminApi::open(&scene.app).await;
        match how {
            "the person" => scene.sign_out().await,
            "an operator, one session" => admin.remove(&format!("/sessions/{session}")).await,
            "an operator, all" => drop(admin.act(&format!("/users/{user}/sign-out")).await),
            "a lock" => drop(admin.act(&format!("/users/{user}/lock")).await),
            "a removal" => admin.remove(&format!("/users/{user}")).await,
            _ => Operator(&scene.app).change_password(scene.user, "another long enough password").await,
        }
        scene.app.engine.tell_logouts().await.unwrap();
        let received = publisher.heard(1).await;
        assert_eq!(received.len(), 1, "{how}");
        let claims = jwt_part(&logout_token(&received[0]), 1);
        assert_eq!((&claims["sid"], &claims["sub"]), (&id_token["sid"], &id_token["sub"]), "{how}");
    }
}

#[tokio::test]
async fn a_client_that_got_no_tokens_in_the_session_hears_nothing() {
    let publisher = Publisher::of("").await;
    let mut scene = told_at(&publisher).await;
    let code = scene.code().await;
    assert!(!code.is_empty(), "issued and never redeemed");
    scene.sign_out().await;
    scene.app.engine.tell_logouts().await.unwrap();
    assert_eq!(publisher.received().len(), 0);
}

#[tokio::test]
async fn protocol_50_the_browser_tells_clients_in_hidden_frames_and_goes_on() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let protocol = ClientProtocol {
        frontchannel_logout_uri: Some("https://rp.example/signed-out?a=b".into()),
        ..ClientProtocol::default()
    };
    let rp = RelyingParty::web(app.client("web", ClientMetadata { protocol, ..web_metadata() }).await);
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, PAT).await;
    let hint = tokens.text("id_token");
    let page =
        browser.get(&app, &format!("/oauth2/end_session?id_token_hint={hint}&post_logout_redirect_uri={BYE}")).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, ""));
    let sid = tokens.claims("id_token")["sid"].as_str().unwrap().to_owned();
    let issuer: String = form_urlencoded::byte_serialize(ISSUER.as_bytes()).collect();
    let frame = format!(r#"<iframe src="https://rp.example/signed-out?a=b&#38;iss={issuer}&#38;sid={sid}""#);
    assert!(page.body.contains(&frame), "{}", page.body);
    assert!(page.body.contains("You are signed out") && page.body.contains(&format!(r#"href="{BYE}""#)));
    assert!(page.body.contains(&format!(r#"content="5; url={BYE}""#)));
    let csp = page.header("content-security-policy");
    assert!(csp.contains("frame-src https://rp.example;"), "{csp}");
    let again = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
    assert!(again.location().contains("login_required"));
}

#[tokio::test]
async fn addresses_that_may_not_be_called_are_refused_at_registration() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (member, address) in [
        ("backchannel_logout_uri", "http://rp.example/out"),
        ("backchannel_logout_uri", "https://10.0.0.1/out"),
        ("backchannel_logout_uri", "https://rp.example/out#f"),
        ("frontchannel_logout_uri", "https://other.example/out"),
        ("frontchannel_logout_uri", "http://rp.example/out"),
        ("frontchannel_logout_uri", "javascript:alert(1)"),
        ("frontchannel_logout_uri", "https://rp.example/out#f"),
    ] {
        let document = json!({ "client_name": "x", "redirect_uris": ["https://rp.example/cb"], member: address });
        let answer = admin.post("/clients", document).await;
        assert_eq!(answer.status, 400, "{address}: {}", answer.body);
        assert!(answer.body.contains(member), "{}", answer.body);
    }
}
