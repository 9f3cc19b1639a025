//! Tokens, codes and clients that are bound to a key (§5, §6, §10).

use keystead::domain::ClientMetadata;
use serde_json::json;

use super::{bound, bound_scene, public_scene, tokens_of};
use crate::support::{AdminApi, Operator, ProofKey, RelyingParty, Scene, TestApp, Tokens};

#[tokio::test]
async fn section_5_6_1_whatever_the_grant_the_access_token_is_bound_to_the_proven_key() {
    let mut scene = Scene::start().await;
    let service = RelyingParty::web(scene.app.service().await);
    let key = ProofKey::generate();
    let redeemed = tokens_of(&mut scene, &key).await;
    let refreshed = scene.rp.refresh_with(&scene.app, &[&key.proof(&scene.app)], redeemed.refresh()).await;
    let params = [("grant_type", "client_credentials")];
    let own = service.token_with(&scene.app, &[&key.proof(&scene.app)], &params).await;
    for tokens in [redeemed, Tokens::of(&refreshed), Tokens::of(&own)] {
        assert_eq!(tokens.text("token_type"), "DPoP");
        assert_eq!(tokens.claims("access_token")["cnf"], json!({ "jkt": key.jkt() }));
    }
    let bearer = scene.tokens().await;
    assert_eq!((bearer.text("token_type"), bearer.claims("access_token").get("cnf")), ("Bearer", None));
}

#[tokio::test]
async fn section_6_2_introspection_shows_the_key_and_the_type() {
    let mut scene = Scene::start().await;
    let key = ProofKey::generate();
    let tokens = tokens_of(&mut scene, &key).await;
    let introspect =
        async |token: &str| scene.app.post_as("/oauth2/introspect", scene.rp.client.pair(), &[("token", token)]).await;
    let answer = introspect(tokens.access()).await.json();
    assert_eq!((&answer["active"], &answer["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(answer["cnf"], json!({ "jkt": key.jkt() }));
    let bearer = scene.rp.tokens(&scene.app, &mut scene.browser, crate::support::EMAIL).await;
    let answer = introspect(bearer.access()).await.json();
    assert_eq!((&answer["token_type"], answer.get("cnf")), (&json!("Bearer"), None));
}

#[tokio::test]
async fn section_5_2_a_client_that_registered_it_gets_nothing_without_a_proof() {
    let mut scene = bound_scene().await;
    let key = ProofKey::generate();
    let code = scene.code().await;
    let refused = async |params: &[(&str, &str)]| {
        let answer = scene.rp.token_with(&scene.app, &[], params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_dpop_proof"), "{params:?}");
    };
    refused(&[("grant_type", "authorization_code"), ("code", &code)]).await;
    refused(&[("grant_type", "refresh_token"), ("refresh_token", "ksr_x")]).await;
    let tokens = Tokens::of(&scene.rp.redeem_with(&scene.app, &[&key.proof(&scene.app)], &code).await);
    refused(&[("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())]).await;
    Tokens::of(&scene.rp.refresh_with(&scene.app, &[&key.proof(&scene.app)], tokens.refresh()).await);
}

#[tokio::test]
async fn section_10_security_22_a_code_is_redeemed_by_the_key_of_its_request() {
    for mut scene in [Scene::start().await, public_scene().await] {
        let (key, thief) = (ProofKey::generate(), ProofKey::generate());
        let code = scene.code_for(&[("dpop_jkt", &key.jkt())]).await;
        let answer = scene.rp.redeem_with(&scene.app, &[&thief.proof(&scene.app)], &code).await;
        assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_key_mismatch"));
        let answer = scene.rp.redeem_with(&scene.app, &[], &code).await;
        assert_eq!((answer.error().as_str(), answer.reason().as_str()), ("invalid_grant", "dpop_proof_missing"));
        Tokens::of(&scene.rp.redeem_with(&scene.app, &[&key.proof(&scene.app)], &code).await);
    }
}

#[tokio::test]
async fn section_10_a_dpop_jkt_that_cannot_be_one_is_refused() {
    let mut scene = Scene::start().await;
    for wrong in ["x", &"A".repeat(44), &"=".repeat(43)] {
        let answer = scene.authorize(&[("dpop_jkt", wrong)]).await;
        assert!(answer.location().contains("error=invalid_request"), "{wrong}: {}", answer.location());
    }
}

#[tokio::test]
async fn security_34_a_bound_token_does_not_open_the_admin_api() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let refused = admin
        .post(
            "/clients",
            json!({ "client_name": "Robot", "grant_types": ["client_credentials"], "scope": "keystead:admin",
                    "dpop_bound_access_tokens": true }),
        )
        .await;
    assert!(refused.status == 400 && refused.body.contains("dpop_bound_access_tokens"), "{}", refused.body);
    let robot = RelyingParty::web(app.machine("robot", "keystead:admin").await);
    let key = ProofKey::generate();
    let params = [("grant_type", "client_credentials")];
    let tokens = Tokens::of(&robot.token_with(&app, &[&key.proof(&app)], &params).await);
    let path = axum::http::Request::get("/admin/v1/clients");
    let bearer = path.header("authorization", format!("Bearer {}", tokens.access()));
    assert_eq!(app.send_admin(bearer.body(axum::body::Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn section_5_2_the_registration_says_whether_refresh_tokens_stay() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let client = |method: &str, bound: bool| {
        json!({ "client_name": "Bank", "redirect_uris": ["https://rp.example/cb"], "token_endpoint_auth_method": method,
                "grant_types": ["authorization_code", "refresh_token"], "dpop_bound_access_tokens": bound,
                "refresh_token_rotation": "static" })
    };
    let created = admin.create("/clients", client("client_secret_basic", true)).await;
    assert_eq!(
        (&created["dpop_bound_access_tokens"], &created["refresh_token_rotation"]),
        (&json!(true), &json!("static"))
    );
    for (method, bound) in [("client_secret_basic", false), ("none", true)] {
        let answer = admin.post("/clients", client(method, bound)).await;
        assert!(answer.status == 400 && answer.body.contains("refresh_token_rotation"), "{}", answer.body);
    }
}

#[tokio::test]
async fn section_5_2_a_client_that_registers_it_later_binds_its_old_families() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let protocol = bound(ClientMetadata::default()).protocol;
    Operator(&scene.app).change_client("web", |metadata| metadata.protocol = protocol).await;
    assert_eq!(scene.refresh(tokens.refresh()).await.error(), "invalid_dpop_proof");
    let key = ProofKey::generate();
    let refreshed = scene.rp.refresh_with(&scene.app, &[&key.proof(&scene.app)], tokens.refresh()).await;
    assert_eq!(Tokens::of(&refreshed).text("token_type"), "DPoP");
}
