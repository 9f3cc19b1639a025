//! Scope is what the client may ask for and the person allowed, in every grant: SECURITY 33.

use keystead::domain::{ClientMetadata, GrantType, Scope, SigningAlgorithm};
use serde_json::json;
use time::Duration;

use crate::support::{Operator, Scene, TestApp, Tokens, web_metadata};

/// An application with `openid profile email offline_access api:read`.
async fn scene() -> Scene {
    let app = TestApp::start().await;
    app.api().await;
    let scope = Scope::parse("openid profile email offline_access api:read").unwrap();
    Scene::over(app, |metadata| ClientMetadata { scope, ..metadata }).await
}

#[tokio::test]
async fn security_33_client_credentials_gives_no_more_than_is_registered() {
    let app = TestApp::start().await;
    let service = app.service().await;
    app.resource_server("https://other.example", "other:read", SigningAlgorithm::Es256, &[]).await;
    let ask = async |scope: &str| {
        let params = [("grant_type", "client_credentials"), ("scope", scope)];
        app.post_as("/oauth2/token", service.pair(), &params).await
    };
    let wide = [
        "other:read",
        "api:read other:read",
        "keystead:admin",
        "openid",
        "api:read openid",
        "api:*",
        "*",
        "API:READ",
        "api:read\tapi:write",
        "api:read,api:write",
        "api:rеad",
        "api:read\u{a0}api:write",
        "api:\"read",
        " ",
    ];
    for scope in wide {
        let answer = ask(scope).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_scope"), "{scope:?}");
    }
    assert_eq!(Tokens::of(&ask("api:read").await).claims("access_token")["scope"], "api:read");
    assert_eq!(Tokens::of(&ask("").await).text("scope"), "api:read api:write", "without a wish all of it");
}

#[tokio::test]
async fn security_33_a_client_that_also_acts_for_people_gets_only_its_own_scope_by_itself() {
    let app = TestApp::start().await;
    app.api().await;
    let grant_types = vec![GrantType::AuthorizationCode, GrantType::ClientCredentials];
    let scope = Scope::parse("openid profile api:read").unwrap();
    let both = app.client("both", ClientMetadata { grant_types, scope, ..web_metadata() }).await;
    let tokens = Tokens::of(&app.post_as("/oauth2/token", both.pair(), &[("grant_type", "client_credentials")]).await);
    assert_eq!(tokens.text("scope"), "api:read");
    assert!(tokens.0.get("refresh_token").is_none() && tokens.0.get("id_token").is_none());
}

#[tokio::test]
async fn security_33_a_scope_at_code_redemption_changes_nothing() {
    let mut scene = scene().await;
    let code = scene.code_for(&[("scope", "openid offline_access")]).await;
    let tokens = Tokens::of(&scene.redeem_with(&code, &[("scope", "openid profile email api:read")]).await);
    assert_eq!(tokens.text("scope"), "offline_access openid");
    assert!(scene.userinfo(tokens.access()).await.json().get("email").is_none());
}

#[tokio::test]
async fn security_33_a_refresh_narrows_the_scope_and_never_widens_it() {
    let mut scene = scene().await;
    let tokens = scene.tokens_for(&[("scope", "openid email offline_access")]).await;
    for scope in ["openid profile", "api:read", "openid email offline_access profile", "keystead:admin", " ", "OPENID"]
    {
        let answer = scene.refresh_with(tokens.refresh(), &[("scope", scope)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_scope"), "{scope:?}");
    }
    scene.app.wait(Duration::minutes(2));
    let narrow = Tokens::of(&scene.refresh_with(tokens.refresh(), &[("scope", "openid")]).await);
    assert_eq!((narrow.text("scope"), narrow.claims("access_token")["scope"].as_str()), ("openid", Some("openid")));
    assert!(scene.userinfo(narrow.access()).await.json().get("email").is_none());
    let whole = scene.refreshed(&narrow).await;
    assert_eq!(whole.text("scope"), "email offline_access openid", "the grant itself stays as wide as it was");
}

#[tokio::test]
async fn security_33_a_replayed_refresh_is_no_way_around_the_scope_either() {
    let mut scene = scene().await;
    let tokens = scene.tokens_for(&[("scope", "openid offline_access")]).await;
    let next = scene.refreshed(&tokens).await;
    let answer = scene.refresh_with(tokens.refresh(), &[("scope", "openid email")]).await;
    assert_eq!(answer.error(), "invalid_scope");
    let again = Tokens::of(&scene.refresh_with(tokens.refresh(), &[("scope", "openid")]).await);
    assert_eq!((again.refresh(), again.text("scope")), (next.refresh(), "openid"));
}

#[tokio::test]
async fn security_33_what_an_operator_takes_from_a_client_is_gone_at_its_next_refresh() {
    let mut scene = scene().await;
    let tokens = scene.tokens().await;
    assert_eq!(tokens.text("scope"), "api:read email offline_access openid profile");
    let code = scene.code().await;
    let smaller = Scope::parse("openid offline_access email").unwrap();
    Operator(&scene.app).change_client("web", |metadata| metadata.scope = smaller).await;
    let answer = scene.refresh_with(tokens.refresh(), &[("scope", "api:read")]).await;
    assert_eq!(answer.error(), "invalid_scope");
    let narrowed = scene.refreshed(&tokens).await;
    assert_eq!(narrowed.text("scope"), "email offline_access openid");
    assert_eq!(narrowed.claims("access_token")["aud"], json!(["https://id.example"]));
    assert_eq!(Tokens::of(&scene.redeem(&code).await).text("scope"), "email offline_access openid");
}

#[tokio::test]
async fn security_33_a_grant_that_an_operator_takes_from_a_client_is_gone_at_once() {
    let mut scene = scene().await;
    let tokens = scene.tokens().await;
    let only_codes = vec![GrantType::AuthorizationCode];
    Operator(&scene.app).change_client("web", |metadata| metadata.grant_types = only_codes).await;
    assert_eq!(scene.refresh(tokens.refresh()).await.error(), "unauthorized_client");
    let without = scene.tokens().await;
    assert!(without.0.get("refresh_token").is_none() && without.0.get("refresh_token_expires_in").is_none());
}
