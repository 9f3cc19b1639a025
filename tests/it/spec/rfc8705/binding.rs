//! Tokens that are bound to a certificate (§3, §4).

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::{ClientAuthMethod, ClientMetadata, ClientProtocol, job, machine, named, start};
use crate::support::tls::{Authority, Identity};
use crate::support::{AdminApi, Answer, ProofKey, Scene, TestApp, Tokens, VERIFIER};

fn bound() -> ClientProtocol {
    ClientProtocol { tls_client_certificate_bound_access_tokens: true, ..ClientProtocol::default() }
}

/// A web application without a secret whose tokens are bound.
async fn public_scene() -> Scene {
    let change =
        |metadata| ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, protocol: bound(), ..metadata };
    Scene::over(start(&Authority::new("Clients")).await, change).await
}

async fn redeem(scene: &mut Scene, shows: &Identity) -> Answer {
    let code = scene.code().await;
    let params = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "https://rp.example/cb"),
        ("code_verifier", VERIFIER),
        ("client_id", "web"),
    ];
    scene.app.post_showing(shows, "/oauth2/token", &params).await
}

async fn refresh(scene: &Scene, shows: &Identity, token: &str) -> Answer {
    let params = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "web")];
    scene.app.post_showing(shows, "/oauth2/token", &params).await
}

pub async fn userinfo(app: &TestApp, shows: Option<&Identity>, token: &str, method: &str) -> Answer {
    let request = Request::builder().method(method).uri("/oauth2/userinfo");
    let mut request = request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    if let Some(identity) = shows {
        request.extensions_mut().insert(identity.chain());
    }
    app.send(request).await
}

#[tokio::test]
async fn section_3_a_bound_token_is_of_use_with_its_certificate_only() {
    let mut scene = public_scene().await;
    let (own, other) = (Identity::self_signed(|_| {}), Identity::self_signed(|_| {}));
    let tokens = Tokens::of(&redeem(&mut scene, &own).await);
    assert_eq!(tokens.claims("access_token")["cnf"], json!({ "x5t#S256": own.thumbprint() }));
    for method in ["GET", "POST"] {
        assert_eq!(userinfo(&scene.app, Some(&own), tokens.access(), method).await.status, 200);
        for wrong in [Some(&other), None] {
            let answer = userinfo(&scene.app, wrong, tokens.access(), method).await;
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert!(answer.header("www-authenticate").contains("invalid_token"));
        }
    }
}

#[tokio::test]
async fn section_3_2_introspection_tells_the_certificate() {
    let app = start(&Authority::new("Clients")).await;
    let api = app.api().await;
    let own = Identity::self_signed(|_| {});
    let protocol = ClientProtocol { jwks: Some(own.jwks()), ..bound() };
    app.client("job", machine(ClientAuthMethod::SelfSignedTlsClientAuth, protocol)).await;
    let made = super::ask(&app, &own).await.json();
    assert_eq!(made["token_type"], "Bearer");
    let token = made["access_token"].as_str().unwrap();
    let answer = app.post_as("/oauth2/introspect", api.pair(), &[("token", token)]).await.json();
    assert_eq!(answer["cnf"], json!({ "x5t#S256": own.thumbprint() }), "{answer}");
    assert_eq!(answer["token_type"], "Bearer");
}

#[tokio::test]
async fn section_3_4_without_a_certificate_or_with_a_proof_beside_it_there_is_no_token() {
    let mut scene = public_scene().await;
    let own = Identity::self_signed(|_| {});
    scene.rp.public = true;
    let code = scene.code().await;
    let without = scene.redeem(&code).await;
    assert_eq!((without.status.as_u16(), without.error().as_str()), (400, "invalid_request"), "{}", without.body);
    let tokens = Tokens::of(&redeem(&mut scene, &own).await);
    let proof = ProofKey::generate().proof(&scene.app);
    let params = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("client_id", "web")];
    let mut request = crate::support::form("/oauth2/token", &params);
    request.headers_mut().insert("dpop", proof.parse().unwrap());
    request.extensions_mut().insert(own.chain());
    let both = scene.app.send(request).await;
    assert_eq!((both.status.as_u16(), both.error().as_str()), (400, "invalid_dpop_proof"), "{}", both.body);
    assert_eq!(refresh(&scene, &own, tokens.refresh()).await.status, 200, "neither request used anything up");
}

#[tokio::test]
async fn section_4_a_refresh_token_of_a_public_client_is_bound_too() {
    let mut scene = public_scene().await;
    let (own, other) = (Identity::self_signed(|_| {}), Identity::self_signed(|_| {}));
    let tokens = Tokens::of(&redeem(&mut scene, &own).await);
    let stolen = refresh(&scene, &other, tokens.refresh()).await;
    assert_eq!((stolen.status.as_u16(), stolen.error().as_str()), (400, "invalid_grant"), "{}", stolen.body);
    let next = Tokens::of(&refresh(&scene, &own, tokens.refresh()).await);
    assert_eq!(next.claims("access_token")["cnf"]["x5t#S256"], own.thumbprint());
    assert_eq!(refresh(&scene, &other, next.refresh()).await.error(), "invalid_grant");
    assert_eq!(refresh(&scene, &own, next.refresh()).await.status, 200, "a thief with a copy ends nothing");
}

#[tokio::test]
async fn section_4_a_confidential_client_may_change_its_certificate() {
    let authority = Authority::new("Clients");
    let protocol = ClientProtocol { tls_client_auth_san_uri: Some(super::SPIFFE.to_owned()), ..bound() };
    let change =
        |metadata| ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::TlsClientAuth, protocol, ..metadata };
    let mut scene = Scene::over(start(&authority).await, change).await;
    let (first, second) = (authority.issue(named(super::SPIFFE)), authority.issue(named(super::SPIFFE)));
    let tokens = Tokens::of(&redeem(&mut scene, &first).await);
    let next = Tokens::of(&refresh(&scene, &second, tokens.refresh()).await);
    assert_eq!(next.claims("access_token")["cnf"]["x5t#S256"], second.thumbprint());
}

#[tokio::test]
async fn section_3_3_only_who_registered_it_gets_bound_tokens() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    job(&app).await;
    let token = super::ask(&app, &authority.issue(named(super::SPIFFE))).await.json();
    let tokens = Tokens(token);
    assert!(tokens.claims("access_token").get("cnf").is_none());
    let document = app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);

    let without = TestApp::start().await;
    let document = without.get("/.well-known/openid-configuration").await.json();
    assert!(document.get("tls_client_certificate_bound_access_tokens").is_none());
    let job = json!({ "client_name": "Job", "grant_types": ["client_credentials"],
        "tls_client_certificate_bound_access_tokens": true });
    let refused = AdminApi::open(&without).await.post("/admin/v1/clients", job).await;
    assert_eq!(refused.refused_members(), ["tls_client_certificate_bound_access_tokens"], "{}", refused.body);
}
