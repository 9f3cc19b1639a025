//! How many statements each endpoint sends: the budget of docs/architecture.md, counted on the wire.

use crate::support::proxy::Network;
use crate::support::{Answer, ProofKey, RelyingParty, Scene, TestApp, Tokens, database, param};

/// The fewest statements of several runs: a new connection prepares its statements first, and what was announced is read again beside them.
async fn fewest(
    network: &Network,
    scene: &mut Scene,
    prepare: impl AsyncFn(&mut Scene) -> String,
    run: impl AsyncFn(&mut Scene, &str) -> Answer,
) -> u64 {
    let mut fewest = u64::MAX;
    for _ in 0..6 {
        let ready = prepare(scene).await;
        let before = network.statements();
        let answer = run(scene, &ready).await;
        fewest = fewest.min(network.statements() - before);
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{} {}", answer.status, answer.body);
    }
    fewest
}

async fn introspect(scene: &mut Scene, token: &str) -> Answer {
    let answer = scene.app.post_as("/oauth2/introspect", scene.rp.client.pair(), &[("token", token)]).await;
    assert_eq!(answer.json()["active"], true);
    answer
}

async fn access(scene: &mut Scene) -> String {
    scene.tokens().await.access().to_owned()
}

async fn refresh(scene: &mut Scene) -> String {
    scene.tokens().await.refresh().to_owned()
}

async fn pushed(scene: &mut Scene) -> String {
    scene.rp.pushed_path(&scene.app, &[]).await
}

async fn nothing(_: &mut Scene) -> String {
    String::new()
}

#[tokio::test]
async fn each_endpoint_keeps_to_its_budget_of_statements() {
    let network = Network::to(&database::fresh().await).await;
    let app = TestApp::beside(&network.database_url).await;
    let service = app.service().await;
    let scene = &mut Scene::over(app, |metadata| metadata).await;
    let credentials = async |scene: &mut Scene, _: &str| {
        let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
        scene.app.post_as("/oauth2/token", service.pair(), &params).await
    };
    let discovery = async |scene: &mut Scene, _: &str| scene.app.get("/.well-known/openid-configuration").await;
    let jwks = async |scene: &mut Scene, _: &str| scene.app.get("/oauth2/jwks").await;
    let userinfo = async |scene: &mut Scene, token: &str| scene.userinfo(token).await;
    let rotate = async |scene: &mut Scene, token: &str| scene.refresh(token).await;
    let key = ProofKey::generate();
    let prove = async |scene: &mut Scene, _: &str| {
        let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
        let service = RelyingParty::web(service.clone());
        service.token_with(&scene.app, &[&key.proof(&scene.app)], &params).await
    };
    let redeem = async |scene: &mut Scene, code: &str| scene.redeem(code).await;
    let revoke = async |scene: &mut Scene, token: &str| {
        scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", token)]).await
    };
    let authorize = async |scene: &mut Scene, _: &str| {
        let path = scene.rp.authorization_path(&[]);
        let answer = scene.browser.get(&scene.app, &path).await;
        assert!(param(answer.location(), "code").is_some(), "{}", answer.location());
        answer
    };
    let push = async |scene: &mut Scene, _: &str| scene.rp.push(&scene.app, &[]).await;
    let authorize_pushed = async |scene: &mut Scene, path: &str| {
        let answer = scene.browser.get(&scene.app, path).await;
        assert!(param(answer.location(), "code").is_some(), "{}", answer.location());
        answer
    };
    assert_eq!(fewest(&network, scene, nothing, credentials).await, 0, "client credentials");
    assert_eq!(fewest(&network, scene, nothing, prove).await, 1, "a DPoP proof");
    assert_eq!(fewest(&network, scene, nothing, discovery).await, 0, "discovery");
    assert_eq!(fewest(&network, scene, nothing, jwks).await, 0, "JWKS");
    assert_eq!(fewest(&network, scene, access, introspect).await, 1, "introspection of an access token");
    assert_eq!(fewest(&network, scene, refresh, introspect).await, 1, "introspection of a refresh token");
    assert_eq!(fewest(&network, scene, access, userinfo).await, 1, "userinfo");
    assert_eq!(fewest(&network, scene, refresh, rotate).await, 1, "refresh");
    assert_eq!(fewest(&network, scene, async |scene| scene.code().await, redeem).await, 2, "code redemption");
    assert_eq!(fewest(&network, scene, access, revoke).await, 1, "revocation of an access token");
    assert_eq!(fewest(&network, scene, access, authorize).await, 2, "an authorization request with a session");
    assert_eq!(fewest(&network, scene, nothing, push).await, 1, "a pushed request");
    assert_eq!(fewest(&network, scene, pushed, authorize_pushed).await, 3, "the same with a request that was pushed");
}

#[tokio::test]
async fn claims_that_are_asked_for_by_name_cost_no_statement_more() {
    const ASKED: &[(&str, &str)] = &[("claims", r#"{"userinfo":{"name":null},"id_token":{"email":null}}"#)];
    let network = Network::to(&database::fresh().await).await;
    let app = TestApp::beside(&network.database_url).await;
    let scene = &mut Scene::over(app, |metadata| metadata).await;
    scene.rp.scope = "openid".into();
    let access = async |scene: &mut Scene| scene.tokens_for(ASKED).await.access().to_owned();
    let refresh = async |scene: &mut Scene| scene.tokens_for(ASKED).await.refresh().to_owned();
    let code = async |scene: &mut Scene| scene.code_for(ASKED).await;
    let userinfo = async |scene: &mut Scene, token: &str| {
        let answer = scene.userinfo(token).await;
        assert_eq!(answer.json()["name"], "Pat Person");
        answer
    };
    let holds_email = |answer: Answer| {
        assert!(Tokens::of(&answer).claims("id_token")["email"].is_string());
        answer
    };
    let redeem = async |scene: &mut Scene, code: &str| holds_email(scene.redeem(code).await);
    let rotate = async |scene: &mut Scene, token: &str| holds_email(scene.refresh(token).await);
    assert_eq!(fewest(&network, scene, access, userinfo).await, 1, "userinfo");
    assert_eq!(fewest(&network, scene, refresh, rotate).await, 1, "refresh");
    assert_eq!(fewest(&network, scene, code, redeem).await, 2, "code redemption");
}
