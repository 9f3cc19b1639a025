//! The FAPI 2.0 Security Profile with mutual TLS: the client shows a certificate, and its tokens are bound to it.

use serde_json::json;

use super::binding::userinfo;
use super::{SPIFFE, named, start};
use crate::support::tls::{Authority, Identity};
use crate::support::{AdminApi, Answer, Browser, EMAIL, ISSUER, RelyingParty, TestApp, Tokens, VERIFIER, param};

async fn bank(app: &TestApp) -> RelyingParty {
    let document = json!({
        "client_name": "Bank", "profile": "fapi2", "redirect_uris": ["https://rp.example/cb"],
        "scope": "openid offline_access", "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_uri": SPIFFE, "tls_client_certificate_bound_access_tokens": true,
        "dpop_bound_access_tokens": false,
    });
    let made = AdminApi::open(app).await.create("/clients", document).await;
    let mut rp = RelyingParty::web(app.service().await);
    rp.client.id = made["client_id"].as_str().unwrap().to_owned();
    rp.scope = "openid offline_access".into();
    rp
}

async fn push(app: &TestApp, rp: &RelyingParty, shows: &Identity) -> Answer {
    let params = rp.request(&[]);
    let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    app.post_showing(shows, "/oauth2/par", &params).await
}

#[tokio::test]
async fn fapi2_the_whole_flow_with_certificates() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    app.person(EMAIL).await;
    let (rp, mut browser) = (bank(&app).await, Browser::default());
    let (own, other) = (authority.issue(named(SPIFFE)), authority.issue(named("spiffe://example/other")));
    let unpushed = browser.authorize(&app, &rp.authorization_path(&[]), EMAIL).await;
    assert!(param(unpushed.location(), "code").is_none(), "{}", unpushed.location());
    assert_eq!(push(&app, &rp, &other).await.error(), "invalid_client");
    let pushed = push(&app, &rp, &own).await.json();
    let back = browser.authorize(&app, &rp.path_of(pushed["request_uri"].as_str().unwrap()), EMAIL).await;
    assert_eq!(param(back.location(), "iss").as_deref(), Some(ISSUER));
    let code = param(back.location(), "code").unwrap_or_else(|| panic!("{} {}", back.location(), back.body));
    let id = rp.client.id.as_str();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "https://rp.example/cb"),
        ("code_verifier", VERIFIER),
        ("client_id", id),
    ];
    assert_eq!(app.post_showing(&other, "/oauth2/token", &redeem).await.error(), "invalid_client");
    let tokens = Tokens::of(&app.post_showing(&own, "/oauth2/token", &redeem).await);
    assert_eq!(tokens.claims("access_token")["cnf"], json!({ "x5t#S256": own.thumbprint() }));
    assert_eq!(tokens.jose("id_token")["alg"], "PS256");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("client_id", id)];
    let again = Tokens::of(&app.post_showing(&own, "/oauth2/token", &refresh).await);
    assert_eq!(again.refresh(), tokens.refresh(), "FAPI 2.0 does not rotate");
    assert_eq!(userinfo(&app, Some(&own), again.access(), "GET").await.status, 200);
    assert_eq!(userinfo(&app, Some(&other), again.access(), "GET").await.status, 401);
}
