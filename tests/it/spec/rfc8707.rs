//! RFC 8707: resource indicators. What no client gets is under SECURITY 31.

use keystead::domain::{ClientMetadata, Scope, SigningAlgorithm};
use serde_json::{Value, json};

use crate::support::{ISSUER, Operator, Scene, TestApp, Tokens};

const A: (&str, &str) = ("resource", "https://a.example");
const B: (&str, &str) = ("resource", "https://b.example");

async fn scene() -> Scene {
    let app = TestApp::start().await;
    app.resource_server("https://a.example", "a:read a:write", SigningAlgorithm::Es256, &[]).await;
    app.resource_server("https://b.example", "b:read", SigningAlgorithm::Es256, &[]).await;
    let scope = Scope::parse("openid offline_access a:read a:write b:read").unwrap();
    Scene::over(app, |metadata| ClientMetadata { scope, ..metadata }).await
}

/// Audience and scope of an access token.
fn target(tokens: &Tokens) -> (Value, String) {
    let claims = tokens.claims("access_token");
    (claims["aud"].clone(), claims["scope"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn section_2_without_an_indicator_the_audience_follows_from_the_scope() {
    let mut scene = scene().await;
    for (scope, audience) in [
        ("openid", json!([ISSUER])),
        ("a:read", json!(["https://a.example"])),
        ("a:read b:read openid", json!(["https://a.example", "https://b.example", ISSUER])),
    ] {
        let mut claims = scene.tokens_for(&[("scope", scope)]).await.claims("access_token");
        claims["aud"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
        assert_eq!((&claims["aud"], claims["scope"].as_str()), (&audience, Some(scope)));
    }
}

#[tokio::test]
async fn section_2_1_an_impossible_resource_is_told_to_the_client_before_anybody_signs_in() {
    let mut scene = scene().await;
    for resource in ["https://nobody.example", "no uri", "https://a.example#fragment", "/relative"] {
        let path = scene.rp.authorization_path(&[("resource", resource)]);
        let answer = scene.browser.open(&scene.app, &path).await;
        assert!(answer.location().starts_with("https://rp.example/cb?error=invalid_target"), "{}", answer.location());
        assert!(answer.location().contains("state=the-state"));
    }
    let foreign = scene.rp.authorization_path(&[("scope", "a:read b:read"), A]);
    let answer = scene.browser.open(&scene.app, &foreign).await;
    assert!(answer.location().contains("error=invalid_scope"), "{}", answer.location());
}

#[tokio::test]
async fn section_2_2_one_grant_for_two_resources_gives_a_token_for_each() {
    let mut scene = scene().await;
    let both = [("scope", "openid offline_access a:read b:read"), A, B];
    let code = scene.code_for(&both).await;
    let for_a = Tokens::of(&scene.redeem_with(&code, &[A]).await);
    assert_eq!(target(&for_a), (json!(["https://a.example"]), "a:read offline_access openid".to_owned()));
    assert_eq!(for_a.text("scope"), "a:read offline_access openid", "the client is told what it got");
    let for_b = Tokens::of(&scene.refresh_with(for_a.refresh(), &[B]).await);
    assert_eq!(target(&for_b), (json!(["https://b.example"]), "b:read offline_access openid".to_owned()));
    let for_both = scene.refreshed(&for_b).await;
    let expected =
        (json!(["https://a.example", "https://b.example"]), "a:read b:read offline_access openid".to_owned());
    assert_eq!(target(&for_both), expected);
    let again = Tokens::of(&scene.refresh_with(for_b.refresh(), &[A, B]).await);
    assert_eq!((target(&again), again.refresh()), (expected, for_both.refresh()));
}

#[tokio::test]
async fn section_2_2_a_grant_without_indicators_may_be_split_by_its_scope() {
    let mut scene = scene().await;
    let tokens = scene.tokens_for(&[("scope", "offline_access a:read b:read")]).await;
    let for_a = Tokens::of(&scene.refresh_with(tokens.refresh(), &[A]).await);
    assert_eq!(target(&for_a), (json!(["https://a.example"]), "a:read offline_access".to_owned()));
    let exact = Tokens::of(&scene.refresh_with(for_a.refresh(), &[B, ("scope", "b:read")]).await);
    assert_eq!(target(&exact), (json!(["https://b.example"]), "b:read".to_owned()));
    let answer = scene.refresh_with(exact.refresh(), &[A, ("scope", "b:read")]).await;
    assert_eq!(answer.error(), "invalid_scope", "a wish that contradicts itself is not mended for the client");
}

#[tokio::test]
async fn section_2_2_a_narrower_scope_leaves_out_the_resources_that_it_is_not_about() {
    let mut scene = scene().await;
    let tokens = scene.tokens_for(&[("scope", "openid offline_access a:read b:read"), A, B]).await;
    let narrow = Tokens::of(&scene.refresh_with(tokens.refresh(), &[("scope", "b:read")]).await);
    assert_eq!(target(&narrow), (json!(["https://b.example"]), "b:read".to_owned()));
    let none = scene.refresh_with(narrow.refresh(), &[("scope", "openid")]).await;
    assert_eq!(none.error(), "invalid_target", "a grant for two APIs gives no token for somebody else");
    let fewer = Scope::parse("openid offline_access a:read").unwrap();
    Operator(&scene.app).change_client("web", |metadata| metadata.scope = fewer).await;
    let left = scene.refreshed(&narrow).await;
    assert_eq!(target(&left), (json!(["https://a.example"]), "a:read offline_access openid".to_owned()));
}

#[tokio::test]
async fn section_2_a_machine_names_its_resource() {
    let scene = scene().await;
    let job = scene.app.machine("job", "a:read b:read").await;
    let base = ("grant_type", "client_credentials");
    let ask = async |more: &[(&str, &str)]| {
        let params: Vec<_> = [base].iter().chain(more).copied().collect();
        scene.app.post_as("/oauth2/token", job.pair(), &params).await
    };
    assert_eq!(target(&Tokens::of(&ask(&[A]).await)), (json!(["https://a.example"]), "a:read".to_owned()));
    assert_eq!(target(&Tokens::of(&ask(&[B, ("scope", "b:read")]).await)).1, "b:read");
    assert_eq!(ask(&[B, ("scope", "a:read")]).await.error(), "invalid_scope");
    assert_eq!(ask(&[A, ("scope", "a:read b:read")]).await.error(), "invalid_scope");
    assert_eq!(ask(&[A, ("scope", "a:write")]).await.error(), "invalid_scope");
}

#[tokio::test]
async fn section_2_a_resource_server_without_scopes_may_be_named_by_itself_and_beside_others() {
    let mut scene = scene().await;
    scene.app.resource_server("https://open.example", "", SigningAlgorithm::Es256, &[]).await;
    let open = ("resource", "https://open.example");
    let alone = scene.tokens_for(&[("scope", "openid"), open]).await;
    assert_eq!(target(&alone), (json!(["https://open.example"]), "openid".to_owned()));
    let tokens = scene.tokens_for(&[("scope", "openid offline_access a:read"), A, open]).await;
    let next = scene.refreshed(&tokens).await;
    assert_eq!(target(&next).0, json!(["https://a.example", "https://open.example"]), "it is not lost on the way");
    let narrow = Tokens::of(&scene.refresh_with(next.refresh(), &[("scope", "openid")]).await);
    assert_eq!(target(&narrow), (json!(["https://open.example"]), "openid".to_owned()));
}
