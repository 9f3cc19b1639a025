//! OpenID Connect Discovery 1.0 and RFC 8414; the key set of RFC 7517.

use axum::body::Body;
use axum::http::Request;
use keystead::domain::{ClientMetadata, SigningAlgorithm};
use serde_json::{Value, json};

use crate::support::{ISSUER, Scene, TestApp};

const ADDRESSES: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

/// What is said about authorization requests and their answers.
fn front_channel() -> serde_json::Map<String, Value> {
    let members = json!({
        "pushed_authorization_request_endpoint": "https://id.example/oauth2/par",
        "response_modes_supported": ["query", "form_post", "query.jwt", "form_post.jwt", "jwt"],
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "request_object_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"],
        "require_signed_request_object": false,
        "require_pushed_authorization_requests": false,
        "authorization_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA"],
        "authorization_response_iss_parameter_supported": true,
    });
    members.as_object().unwrap().clone()
}

#[tokio::test]
async fn section_3_the_document_says_exactly_what_works() {
    let app = TestApp::start().await;
    app.api().await;
    let document = app.get(ADDRESSES[0]).await.json();
    let mut expected = json!({
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/oauth2/authorize",
        "token_endpoint": "https://id.example/oauth2/token",
        "userinfo_endpoint": "https://id.example/oauth2/userinfo",
        "jwks_uri": "https://id.example/oauth2/jwks",
        "introspection_endpoint": "https://id.example/oauth2/introspect",
        "revocation_endpoint": "https://id.example/oauth2/revoke",
        "device_authorization_endpoint": "https://id.example/oauth2/device_authorization",
        "end_session_endpoint": "https://id.example/oauth2/end_session",
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access", "api:read", "api:write"],
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"],
        "userinfo_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA"],
        "introspection_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"],
        "claim_types_supported": ["normal"],
        "claims_supported": document["claims_supported"],
        "claims_parameter_supported": true,
        "acr_values_supported": ["urn:keystead:acr:password"],
        "ui_locales_supported": ["en"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    });
    expected.as_object_mut().unwrap().extend(front_channel());
    assert_eq!(document, expected);
}

#[tokio::test]
async fn section_4_protocol_40_the_issuer_is_the_address_without_the_well_known_suffix() {
    let app = TestApp::start().await;
    for address in ADDRESSES {
        let answer = app.get(address).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let document = answer.json();
        assert_eq!(document["issuer"], ISSUER);
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                assert!(value.as_str().unwrap().starts_with("https://id.example/"), "{name}");
            }
        }
        for claim in ["sub", "iss", "auth_time", "email", "name", "address"] {
            assert!(document["claims_supported"].as_array().unwrap().contains(&json!(claim)), "{claim}");
        }
    }
    assert_eq!(app.get(ADDRESSES[0]).await.body, app.get(ADDRESSES[1]).await.body);
}

#[tokio::test]
async fn section_3_every_advertised_endpoint_is_there() {
    let app = TestApp::start().await;
    let document = app.get(ADDRESSES[0]).await.json();
    let endpoints =
        document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    let paths: Vec<&str> = endpoints.map(|(_, url)| url.as_str().unwrap().strip_prefix(ISSUER).unwrap()).collect();
    assert_eq!(paths.len(), 9, "{paths:?}");
    for path in paths {
        let request = Request::options(path).body(Body::empty()).unwrap();
        assert_ne!(app.send(request).await.status, 404, "{path}");
        assert_ne!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn section_3_scopes_of_apis_are_advertised_and_those_of_the_admin_api_are_not() {
    let app = TestApp::start().await;
    let scopes = async || app.get(ADDRESSES[0]).await.json()["scopes_supported"].clone();
    assert!(!scopes().await.to_string().contains("keystead"));
    assert!(scopes().await.as_array().unwrap().contains(&json!("openid")));
    app.resource_server("https://new.example", "new:read", SigningAlgorithm::Es256, &[]).await;
    assert!(scopes().await.as_array().unwrap().contains(&json!("new:read")), "without a restart");
}

#[tokio::test]
async fn protocol_37_every_id_token_names_a_published_key() {
    for &algorithm in SigningAlgorithm::ALL {
        let mut scene =
            Scene::with(|metadata| ClientMetadata { id_token_signed_response_alg: algorithm, ..metadata }).await;
        let tokens = scene.tokens().await;
        let set = scene.app.get("/oauth2/jwks").await.json();
        for jose in [tokens.jose("id_token"), scene.refreshed(&tokens).await.jose("id_token")] {
            let named: Vec<&Value> =
                set["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == jose["kid"]).collect();
            assert_eq!(named.len(), 1, "{jose}");
            assert_eq!((&named[0]["alg"], &jose["alg"]), (&json!(algorithm.as_str()), &json!(algorithm.as_str())));
        }
    }
}

#[tokio::test]
async fn the_key_set_may_be_kept_as_long_as_a_new_key_waits() {
    let app = TestApp::start().await;
    let answer = app.get("/oauth2/jwks").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(app.get("/oauth2/jwks").await.body, answer.body, "the same bytes each time");
    let post = app.post("/oauth2/jwks", &[]).await;
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET,HEAD"));
}
