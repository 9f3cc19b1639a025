//! Authorization codes and PKCE: SECURITY 18 to 23.

use keystead::domain::RedirectUri;
use time::Duration;

use crate::support::{ClientFixture, Operator, RelyingParty, Scene, TestApp, Tokens, VERIFIER, web_metadata};

/// The error and its reason.
fn refusal(answer: &crate::support::Answer) -> (u16, String, String) {
    (answer.status.as_u16(), answer.error(), answer.reason())
}

fn invalid_grant(reason: &str) -> (u16, String, String) {
    (400, "invalid_grant".to_owned(), reason.to_owned())
}

#[tokio::test]
async fn security_18_a_code_with_a_challenge_needs_its_very_verifier() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let altered = [
        String::new(),
        VERIFIER.to_lowercase(),
        VERIFIER.to_uppercase(),
        VERIFIER[..42].to_owned(),
        format!("{VERIFIER}a"),
        format!(" {VERIFIER}"),
        format!("{VERIFIER}\n"),
        VERIFIER.replace('d', "ｄ"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
        "a".repeat(43),
        "a".repeat(129),
    ];
    for verifier in altered {
        let answer = scene.redeem_with(&code, &[("code_verifier", &verifier)]).await;
        assert_eq!(refusal(&answer), invalid_grant("pkce"), "{verifier:?}");
    }
    assert_eq!(scene.redeem(&code).await.status, 200, "a refused try does not use the code up");
}

#[tokio::test]
async fn security_19_a_verifier_for_a_code_without_challenge_is_refused() {
    let mut scene = Scene::with(|metadata| keystead::domain::ClientMetadata { require_pkce: false, ..metadata }).await;
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = scene.code_for(&without).await;
    assert_eq!(refusal(&scene.redeem(&code).await), invalid_grant("pkce"), "the challenge was stripped on the way");
    assert_eq!(scene.redeem_with(&code, &[("code_verifier", "")]).await.status, 200);
}

#[tokio::test]
async fn security_20_a_code_lives_for_60_seconds() {
    let mut scene = Scene::start().await;
    let (early, late) = (scene.code().await, scene.code().await);
    scene.app.wait(Duration::milliseconds(59_999));
    assert_eq!(scene.redeem(&early).await.status, 200);
    scene.app.wait(Duration::milliseconds(1));
    assert_eq!(refusal(&scene.redeem(&late).await), invalid_grant("expired"));
    assert_eq!(scene.app.events("grant.code_reused").await, 0, "an expired code is no theft");
}

#[tokio::test]
async fn security_20_a_second_use_of_a_code_kills_everything_that_came_from_the_first() {
    for pause in [Duration::ZERO, Duration::seconds(61), Duration::days(3)] {
        let mut scene = Scene::start().await;
        let code = scene.code().await;
        let first = Tokens::of(&scene.redeem(&code).await);
        let second = scene.refreshed(&first).await;
        scene.app.wait(pause);
        assert_eq!(refusal(&scene.redeem(&code).await), invalid_grant("reused"), "after {pause}");
        for token in [first.access(), second.access(), second.refresh()] {
            assert!(!scene.is_active(token).await);
        }
        assert_eq!(refusal(&scene.refresh(second.refresh()).await), invalid_grant("reused"));
        assert_eq!(scene.userinfo(second.access()).await.status, 401);
        assert_eq!(scene.app.events("grant.code_reused").await, 1);
        assert_eq!(refusal(&scene.redeem(&code).await), invalid_grant("reused"), "and again");
        assert_eq!(scene.app.events("grant.code_reused").await, 1, "it is told once");
    }
}

#[tokio::test]
async fn protocol_26_a_code_is_refused_the_second_time_with_json() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    assert_eq!(scene.redeem(&code).await.status, 200);
    let again = scene.redeem(&code).await;
    assert_eq!((again.status.as_u16(), again.error().as_str()), (400, "invalid_grant"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(again.header("cache-control"), "no-store");
}

/// Another client of the same server, with the same redirect URI.
async fn stranger(app: &TestApp) -> RelyingParty {
    RelyingParty::web(app.client("stranger", web_metadata()).await)
}

#[tokio::test]
async fn security_22_a_code_is_of_no_use_to_another_client() {
    let mut scene = Scene::start().await;
    let other = stranger(&scene.app).await;
    let code = scene.code().await;
    assert_eq!(refusal(&other.redeem(&scene.app, &code).await), invalid_grant("unknown"));
    let tokens = Tokens::of(&scene.redeem(&code).await);
    assert_eq!(refusal(&other.redeem(&scene.app, &code).await), invalid_grant("unknown"), "not even that it was used");
    assert!(scene.is_active(tokens.access()).await, "a stranger cannot end the family");
}

#[tokio::test]
async fn security_22_a_code_is_bound_to_its_redirect_uri() {
    let second = RedirectUri::from_registered("https://rp.example/second".into());
    let mut scene = Scene::with(|mut metadata| {
        metadata.redirect_uris.push(second);
        metadata
    })
    .await;
    let code = scene.code().await;
    for uri in [
        "",
        "https://rp.example/second",
        "https://rp.example/cb/",
        "https://rp.example/CB",
        "https://rp.example/cb?x=1",
        "https://rp.example:443/cb",
        "https://RP.example/cb",
        "https://rp.example/cb ",
    ] {
        let answer = scene.redeem_with(&code, &[("redirect_uri", uri)]).await;
        assert_eq!(refusal(&answer), invalid_grant("redirect_uri_mismatch"), "{uri:?}");
    }
    assert_eq!(scene.redeem(&code).await.status, 200);
}

#[tokio::test]
async fn security_23_there_is_no_implicit_and_no_password_grant() {
    let mut scene = Scene::start().await;
    for response_type in ["token", "id_token", "id_token token", "code token", "code id_token", "none"] {
        let answer = scene.authorize(&[("response_type", response_type)]).await;
        assert!(answer.location().starts_with("https://rp.example/cb?error=unsupported_response_type"), "{answer:?}");
    }
    let person = [("username", "pat"), ("password", crate::support::PASSWORD)];
    for grant_type in ["password", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer", "PASSWORD", "code"] {
        let params: Vec<_> = [("grant_type", grant_type)].into_iter().chain(person).collect();
        let answer = scene.rp.token(&scene.app, &params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "unsupported_grant_type"), "{grant_type}");
    }
    let document = scene.app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(document["response_types_supported"], serde_json::json!(["code"]));
    let grants = document["grant_types_supported"].to_string();
    assert!(!grants.contains("password") && !grants.contains("implicit"), "{grants}");
}

#[tokio::test]
async fn security_38_no_other_form_of_a_code_works() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let body = &code[4..];
    let altered = [
        code[..83].to_owned(),
        format!("{code}A"),
        format!("{code}="),
        format!("{code} "),
        format!(" {code}"),
        format!("{code}\u{200b}"),
        code.to_lowercase(),
        code.to_uppercase(),
        body.to_owned(),
        format!("ksr_{body}"),
        format!("ksc_ksc_{body}"),
        code.replace('_', "＿"),
        code.replace('-', "+").replace(&body[..1], "/"),
    ];
    for text in altered {
        assert_eq!(refusal(&scene.redeem(&text).await), invalid_grant("unknown"), "{text:?}");
    }
    assert_eq!(scene.redeem(&code).await.status, 200);
}

#[tokio::test]
async fn security_38_codes_and_refresh_tokens_cannot_take_each_others_place() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    for refresh_token in [code.clone(), code.replacen("ksc_", "ksr_", 1)] {
        assert_eq!(refusal(&scene.refresh(&refresh_token).await), invalid_grant("unknown"));
    }
    let tokens = Tokens::of(&scene.redeem(&code).await);
    let refresh_token = tokens.refresh();
    for code in [refresh_token.to_owned(), refresh_token.replacen("ksr_", "ksc_", 1), tokens.access().to_owned()] {
        assert_eq!(refusal(&scene.redeem(&code).await), invalid_grant("unknown"));
    }
    let both = scene.redeem_with(&code, &[("refresh_token", refresh_token)]).await;
    assert_eq!(refusal(&both), invalid_grant("reused"), "what the grant type does not ask for is ignored");
}

/// Something that happens between the code and its redemption.
#[derive(Debug, Clone, Copy)]
enum Event {
    SignOut,
    Lock,
    LockAndUnlock,
    SignOutEverywhere,
    PasswordChange,
    UserDeleted,
    ClientOffAndOn,
    ClientOff,
}

#[tokio::test]
async fn security_37_a_code_dies_with_what_it_stands_on() {
    let offline = "openid offline_access";
    let table = [
        (Event::SignOut, "openid", "session_ended"),
        (Event::Lock, offline, "revoked"),
        (Event::LockAndUnlock, offline, "revoked"),
        (Event::SignOutEverywhere, offline, "revoked"),
        (Event::PasswordChange, offline, "revoked"),
        (Event::UserDeleted, offline, "unknown"),
        (Event::ClientOffAndOn, offline, "unknown"),
        (Event::ClientOff, offline, ""),
    ];
    for (event, scope, reason) in table {
        let mut scene = Scene::start().await;
        let code = scene.code_for(&[("scope", scope)]).await;
        let operator = Operator(&scene.app);
        match event {
            Event::SignOut => scene.sign_out().await,
            Event::Lock => operator.lock(scene.user).await,
            Event::LockAndUnlock => {
                operator.lock(scene.user).await;
                operator.unlock(scene.user).await;
            }
            Event::SignOutEverywhere => operator.sign_out_everywhere(scene.user).await,
            Event::PasswordChange => operator.change_password(scene.user, "another long password").await,
            Event::UserDeleted => operator.delete_user(scene.user).await,
            Event::ClientOff => operator.disable_client("web", true).await,
            Event::ClientOffAndOn => {
                operator.disable_client("web", true).await;
                operator.disable_client("web", false).await;
            }
        }
        let answer = scene.redeem(&code).await;
        let expected = if reason.is_empty() { "invalid_client" } else { "invalid_grant" };
        assert_eq!((answer.error(), answer.reason().as_str()), (expected.to_owned(), reason), "{event:?}");
    }
}

#[tokio::test]
async fn a_code_for_offline_access_outlives_the_session() {
    let mut scene = Scene::start().await;
    let code = scene.code_for(&[("scope", "openid offline_access")]).await;
    scene.sign_out().await;
    assert_eq!(scene.redeem(&code).await.status, 200);
}

#[tokio::test]
async fn security_37_no_code_slips_through_behind_a_sign_out() {
    let mut scene = Scene::start().await;
    scene.tokens().await;
    let session = scene.app.sql_text("SELECT id::text FROM sessions").await;
    let keyring = scene.app.engine.snapshots.keyring().unwrap();
    let now = scene.app.clock.now();
    let row = scene.app.sql_text("SELECT id::text FROM grants").await;
    let grant = keystead::domain::GrantId(row.parse().unwrap());
    let pool = scene.app.engine.store.pool();
    let earlier = keystead::store::grants::find(pool, grant, now).await.unwrap().unwrap();
    Operator(&scene.app).end_session(&session).await;
    let id = keystead::domain::GrantId(scene.app.engine.random.uuid_v7(now));
    let mut details = earlier.details;
    details.request_id = keystead::domain::RequestId(id.0);
    let mac_kid = keyring.mac_kid(now).unwrap();
    let kept = keystead::store::grants::insert(pool, id, &details, mac_kid, now).await.unwrap();
    assert!(!kept, "the session was read before it ended, and the grant comes after");
    assert_eq!(scene.app.sql_count("grants").await, 1);
}

#[tokio::test]
async fn a_client_that_may_not_use_codes_is_told_so() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let service: ClientFixture = scene.app.service().await;
    let rp = RelyingParty { client: service, ..scene.rp.clone() };
    assert_eq!(rp.redeem(&scene.app, &code).await.error(), "unauthorized_client");
    assert_eq!(scene.redeem(&code).await.status, 200);
}
