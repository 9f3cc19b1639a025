//! RFC 9068: JWT access tokens.

use keystead::domain::{ClientMetadata, GrantType, ResourceServer, ResourceServerId, Scope, SigningAlgorithm};
use keystead::store;
use serde_json::json;
use time::Duration;

use crate::support::{Scene, TestApp, Tokens};

#[tokio::test]
async fn section_2_1_the_header_names_type_algorithm_and_key_and_nothing_else() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let header = tokens.jose("access_token");
    assert_eq!(header, json!({ "alg": "ES256", "typ": "at+jwt", "kid": header["kid"] }));
    assert_eq!(header["kid"].as_str().unwrap().len(), 11);
}

#[tokio::test]
async fn section_2_2_1_the_token_says_how_and_when_the_person_signed_in_also_after_a_refresh() {
    let mut scene = Scene::start().await;
    let signed_in = scene.app.clock.now().unix_timestamp();
    scene.tokens().await;
    scene.app.wait(Duration::minutes(3));
    let tokens = scene.tokens().await;
    scene.app.wait(Duration::minutes(3));
    for tokens in [&tokens, &scene.refreshed(&tokens).await] {
        let claims = tokens.claims("access_token");
        assert_eq!((claims["auth_time"].as_i64(), claims["amr"].clone()), (Some(signed_in), json!(["pwd"])));
        assert_eq!(claims["sid"], tokens.claims("id_token")["sid"]);
    }
}

#[tokio::test]
async fn section_2_2_each_token_has_an_id_of_its_own() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let again = [scene.refreshed(&first).await, scene.refreshed(&first).await, scene.tokens().await];
    let mut ids: Vec<String> =
        again.iter().chain([&first]).map(|tokens| tokens.claims("access_token")["jti"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

/// An API whose access tokens live as long as it says.
async fn api_with_lifetime(app: &TestApp, name: &str, seconds: i32) {
    let now = app.clock.now();
    let server = ResourceServer {
        id: ResourceServerId(app.engine.random.uuid_v7(now)),
        audience: format!("https://{name}.example"),
        name: name.to_owned(),
        scope: Scope::parse(&format!("{name}:use")).unwrap(),
        signing_algorithm: SigningAlgorithm::Es256,
        access_token_lifetime: Some(seconds),
        introspection_clients: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let pool = app.engine.store.pool();
    store::resource_servers::insert(pool, &server).await.unwrap();
    store::resource_servers::insert_scopes(pool, server.id, &server.scope).await.unwrap();
    app.engine.reload_resource_servers().await.unwrap();
}

#[tokio::test]
async fn section_2_2_the_shortest_lifetime_that_anybody_asks_for_counts() {
    let app = TestApp::start().await;
    api_with_lifetime(&app, "short", 120).await;
    api_with_lifetime(&app, "long", 7200).await;
    for (id, own, scope, expected) in [
        ("job-1", None, "short:use", 120),
        ("job-2", None, "long:use", 7200),
        ("job-3", None, "short:use long:use", 120),
        ("job-4", Some(60), "long:use", 60),
        ("job-5", Some(3600), "short:use", 120),
    ] {
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::ClientCredentials],
            scope: Scope::parse(scope).unwrap(),
            access_token_lifetime: own,
            ..ClientMetadata::default()
        };
        let job = app.client(id, metadata).await;
        let tokens =
            Tokens::of(&app.post_as("/oauth2/token", job.pair(), &[("grant_type", "client_credentials")]).await);
        let claims = tokens.claims("access_token");
        assert_eq!(tokens.0["expires_in"], expected, "{own:?} {scope}");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), expected);
    }
}

#[tokio::test]
async fn section_4_a_token_lives_exactly_as_long_as_it_says() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    scene.app.wait(Duration::seconds(600) - Duration::MICROSECOND);
    assert!(scene.is_active(tokens.access()).await);
    scene.app.wait(Duration::MICROSECOND);
    assert!(!scene.is_active(tokens.access()).await);
}

#[tokio::test]
async fn section_5_a_person_is_no_administrator_by_an_audience() {
    let admin = Scope::parse("openid keystead:admin").unwrap();
    let mut scene = Scene::with(|metadata| ClientMetadata { scope: admin, ..metadata }).await;
    // No such client can be registered; one that was written into the database gains nothing either.
    let tokens = scene.tokens().await;
    assert_eq!(tokens.claims("access_token")["aud"], json!(["https://id.example", "urn:keystead:admin"]));
    let request =
        axum::http::Request::get("/admin/v1/clients").header("authorization", format!("Bearer {}", tokens.access()));
    let answer = scene.app.send_admin(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 401);
}
