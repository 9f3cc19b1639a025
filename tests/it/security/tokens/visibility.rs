//! Who learns what about a token, and who can end it: SECURITY 41, 42, 43.

use keystead::domain::{ClientAuthMethod, ClientMetadata, Kid, Scope, SigningAlgorithm};
use serde_json::json;
use time::Duration;

use crate::support::{
    Answer, ClientFixture, ISSUER, Operator, RelyingParty, Scene, TestApp, Tokens, altered, web_metadata,
};

const INACTIVE: &str = r#"{"active":false}"#;

/// A person's tokens for an API, the API's client, and a client that has nothing to do with it.
struct Parties {
    scene: Scene,
    api: ClientFixture,
    stranger: RelyingParty,
    tokens: Tokens,
}

impl Parties {
    async fn gather() -> Self {
        let app = TestApp::start().await;
        let api = app.api().await;
        let scope = Scope::parse("openid offline_access api:read").unwrap();
        let stranger = RelyingParty::web(app.client("stranger", web_metadata()).await);
        let mut scene = Scene::over(app, |metadata| ClientMetadata { scope, ..metadata }).await;
        let tokens = scene.tokens().await;
        Self { scene, api, stranger, tokens }
    }

    async fn introspect(&self, client: &ClientFixture, token: &str) -> Answer {
        self.scene.app.post_as("/oauth2/introspect", client.pair(), &[("token", token)]).await
    }

    async fn revoke(&self, client: &ClientFixture, token: &str) -> Answer {
        let answer = self.scene.app.post_as("/oauth2/revoke", client.pair(), &[("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
        answer
    }
}

#[tokio::test]
async fn security_41_every_reason_for_a_no_gives_the_same_bytes() {
    let mut p = Parties::gather().await;
    let dead = p.scene.tokens().await;
    p.revoke(&p.scene.rp.client, dead.refresh()).await;
    let (access, refresh) = (p.tokens.access(), p.tokens.refresh());
    let (own, api, stranger) = (&p.scene.rp.client, &p.api, &p.stranger.client);
    let table = [
        ("another client's access token", stranger, access),
        ("another client's refresh token", stranger, refresh),
        ("a refresh token at the API", api, refresh),
        ("a random string", own, "mF_9.B5f-4.1JqM"),
        ("a random refresh token", own, &format!("ksr_{}", "A".repeat(80))),
        ("an ID token", own, p.tokens.text("id_token")),
        ("a revoked access token", own, dead.access()),
        ("a revoked refresh token", own, dead.refresh()),
        ("a revoked access token at the API", api, dead.access()),
        ("a client secret", own, &own.secret),
        ("Unicode", own, "ksr_ÄÖÜ🔑"),
    ];
    let first = p.introspect(own, "x").await;
    for (what, client, token) in table {
        let answer = p.introspect(client, token).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, INACTIVE), "{what}");
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&first), "{what}");
    }
    p.scene.app.wait(Duration::minutes(10));
    for client in [own, api] {
        assert_eq!(p.introspect(client, access).await.body, INACTIVE, "expired");
    }
}

#[tokio::test]
async fn security_41_the_caller_must_be_a_confidential_client_that_proves_it() {
    let mut p = Parties::gather().await;
    let public = ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..web_metadata() };
    p.scene.rp = RelyingParty { public: true, ..RelyingParty::web(p.scene.app.client("spa", public).await) };
    let tokens = p.scene.tokens().await;
    let answers = [
        p.scene.app.post("/oauth2/introspect", &[("token", tokens.access())]).await,
        p.scene.app.post("/oauth2/introspect", &[("token", tokens.access()), ("client_id", "spa")]).await,
        p.scene.app.post_as("/oauth2/introspect", ("spa", ""), &[("token", tokens.access())]).await,
        p.scene.app.post_as("/oauth2/introspect", ("web", "wrong"), &[("token", p.tokens.access())]).await,
    ];
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
    }
}

#[tokio::test]
async fn security_41_an_api_learns_about_tokens_for_itself_only() {
    let p = Parties::gather().await;
    let app = &p.scene.app;
    let other = app.client("other-api", ClientMetadata { grant_types: Vec::new(), ..ClientMetadata::default() }).await;
    app.resource_server("https://other.example", "other:read", SigningAlgorithm::Es256, &["other-api"]).await;
    let told = p.introspect(&p.api, p.tokens.access()).await.json();
    let mut expected = p.tokens.claims("access_token");
    expected["active"] = json!(true);
    expected["token_type"] = json!("Bearer");
    assert_eq!(told, expected);
    assert_eq!(p.introspect(&p.scene.rp.client, p.tokens.access()).await.json(), expected, "its own client too");
    assert_eq!(p.introspect(&other, p.tokens.access()).await.body, INACTIVE);
    let narrow = [("resource", "https://api.example"), ("scope", "api:read")];
    let narrow = Tokens::of(&p.scene.refresh_with(p.tokens.refresh(), &narrow).await);
    assert_eq!(p.introspect(&p.api, narrow.access()).await.json()["aud"], json!(["https://api.example"]));
}

#[tokio::test]
async fn security_41_a_refresh_token_is_shown_to_its_own_client_while_it_is_the_current_one() {
    let p = Parties::gather().await;
    let own = &p.scene.rp.client;
    let told = p.introspect(own, p.tokens.refresh()).await.json();
    let expected = json!({
        "active": true, "token_type": "refresh_token", "iss": ISSUER, "sub": p.scene.user, "client_id": "web",
        "scope": "api:read offline_access openid", "exp": p.scene.app.clock.now().unix_timestamp() + 30 * 86_400,
    });
    assert_eq!(told, expected);
    let next = p.scene.refreshed(&p.tokens).await;
    assert_eq!(p.introspect(own, p.tokens.refresh()).await.body, INACTIVE);
    assert_eq!(p.introspect(own, next.refresh()).await.json()["active"], true);
    assert_eq!(p.scene.app.events("grant.refresh_token_reused").await, 0, "to ask is not to use");
}

#[tokio::test]
async fn security_43_only_the_owner_revokes() {
    let p = Parties::gather().await;
    for client in [&p.stranger.client, &p.api] {
        for token in [p.tokens.access(), p.tokens.refresh(), p.tokens.text("id_token")] {
            p.revoke(client, token).await;
        }
    }
    assert!(p.scene.is_active(p.tokens.access()).await && p.scene.is_active(p.tokens.refresh()).await);
    assert_eq!(p.scene.refresh(p.tokens.refresh()).await.status, 200);
    assert_eq!((p.scene.app.sql_count("revoked_tokens").await, p.scene.app.events("grant.revoked").await), (0, 0));
}

#[tokio::test]
async fn security_43_unknown_tokens_are_no_error() {
    let p = Parties::gather().await;
    let expired = p.tokens.access();
    p.scene.app.wait(Duration::hours(1));
    let unknown =
        ["x", "a.b.c", expired, &format!("ksr_{}", "A".repeat(80)), "ksc_", "ÄÖÜ", "eyJhbGciOiJub25lIn0.e30."];
    for token in unknown {
        p.revoke(&p.scene.rp.client, token).await;
    }
    assert_eq!(p.scene.app.sql_count("revoked_tokens").await, 0);
    assert!(p.scene.is_active(p.tokens.refresh()).await);
}

#[tokio::test]
async fn security_43_revoking_a_refresh_token_ends_the_whole_family_at_once() {
    for generation in ["current", "predecessor", "oldest"] {
        let p = Parties::gather().await;
        let second = p.scene.refreshed(&p.tokens).await;
        let third = p.scene.refreshed(&second).await;
        let tokens = match generation {
            "current" => &third,
            "predecessor" => &second,
            _ => &p.tokens,
        };
        p.revoke(&p.scene.rp.client, tokens.refresh()).await;
        p.revoke(&p.scene.rp.client, tokens.refresh()).await;
        for tokens in [&p.tokens, &second, &third] {
            assert!(!p.scene.is_active(tokens.access()).await, "{generation}");
            assert_eq!(p.introspect(&p.api, tokens.access()).await.body, INACTIVE, "{generation}");
            assert_eq!(p.scene.refresh(tokens.refresh()).await.reason(), "revoked", "{generation}");
        }
        assert_eq!(p.scene.app.events("grant.revoked").await, 1);
    }
}

#[tokio::test]
async fn security_42_43_revoking_an_access_token_ends_that_one_at_once() {
    let p = Parties::gather().await;
    let second = p.scene.refreshed(&p.tokens).await;
    p.revoke(&p.scene.rp.client, second.access()).await;
    p.revoke(&p.scene.rp.client, second.access()).await;
    assert_eq!(p.introspect(&p.api, second.access()).await.body, INACTIVE);
    let info = p.scene.userinfo(second.access()).await;
    assert_eq!((info.status.as_u16(), info.error().as_str()), (401, "invalid_token"));
    assert!(p.scene.is_active(p.tokens.access()).await, "its sibling lives");
    assert!(p.scene.is_active(p.scene.refreshed(&second).await.access()).await, "and so does the family");
}

#[tokio::test]
async fn security_43_a_public_client_revokes_its_own_tokens() {
    let public = |metadata| ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..metadata };
    let mut scene = Scene::with(public).await;
    scene.rp.public = true;
    let tokens = scene.tokens().await;
    let other = ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..web_metadata() };
    scene.app.client("other-spa", other).await;
    let as_client = async |id: &str| {
        let params = [("token", tokens.refresh()), ("client_id", id)];
        scene.app.post("/oauth2/revoke", &params).await.status.as_u16()
    };
    assert_eq!(as_client("other-spa").await, 200);
    assert_eq!(scene.userinfo(tokens.access()).await.status, 200);
    assert_eq!(as_client("web").await, 200);
    assert_eq!(scene.userinfo(tokens.access()).await.status, 401);
    assert_eq!(scene.refresh(tokens.refresh()).await.reason(), "revoked");
}

#[tokio::test]
async fn a_token_that_was_verified_before_is_judged_anew_each_time() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let token = tokens.access();
    for _ in 0..3 {
        assert!(scene.is_active(token).await);
    }
    // Another signature over the same claims is another token.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert!(!scene.is_active(&format!("{signed}.{}", altered(signature, 0))).await);
    assert!(!scene.is_active(&format!("{signed}.")).await);
    // Its key is withdrawn; nothing else about it changes.
    let mut elsewhere = scene.tokens().await;
    assert!(scene.is_active(elsewhere.access()).await);
    let kid = Kid::parse(tokens.jose("access_token")["kid"].as_str().unwrap()).unwrap();
    Operator(&scene.app).revoke_key(kid).await;
    assert!(!scene.is_active(token).await && !scene.is_active(elsewhere.access()).await);
    // Time passes.
    elsewhere = scene.refreshed(&elsewhere).await;
    assert!(scene.is_active(elsewhere.access()).await);
    scene.app.wait(Duration::minutes(10));
    assert!(!scene.is_active(elsewhere.access()).await);
}
