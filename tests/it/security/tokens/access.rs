//! Access tokens and where they may be sent: SECURITY 31, 32, 40.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::{ClientId, ClientMetadata, KeyAlgorithm, Scope, SigningAlgorithm};
use serde_json::json;

use crate::support::{ISSUER, RelyingParty, Scene, TestApp, Tokens, form, jwks, verify};

/// An application that may use `a:read` and `b:read` beside what is about people, and the APIs that own them.
async fn two_apis() -> Scene {
    let app = TestApp::start().await;
    app.resource_server("https://a.example", "a:read a:write", SigningAlgorithm::Es256, &[]).await;
    app.resource_server("https://b.example", "b:read", SigningAlgorithm::Es256, &[]).await;
    app.resource_server("https://closed.example", "closed:read", SigningAlgorithm::Es256, &[]).await;
    let scope = Scope::parse("openid offline_access a:read b:read").unwrap();
    Scene::over(app, |metadata| ClientMetadata { scope, ..metadata }).await
}

#[tokio::test]
async fn security_31_an_access_token_says_what_rfc_9068_asks_for_and_no_more() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    assert_eq!(tokens.jose("access_token")["typ"], "at+jwt");
    let mut claims = tokens.claims("access_token");
    let now = scene.app.clock.now().unix_timestamp();
    let (jti, sid) = (claims["jti"].take(), claims["sid"].take());
    assert!(jti.as_str().unwrap().len() >= 22 && sid.is_string());
    let expected = json!({
        "iss": ISSUER, "aud": [ISSUER], "sub": scene.user, "client_id": "web", "iat": now, "exp": now + 600, "jti": null,
        "scope": "address email offline_access openid phone profile", "sid": null,
        "auth_time": now, "acr": "urn:keystead:acr:password", "amr": ["pwd"],
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn security_31_the_audience_is_the_asked_resource_in_every_grant() {
    let mut scene = two_apis().await;
    let a = [("resource", "https://a.example")];
    let code = scene.code_for(&[("resource", "https://a.example"), ("scope", "openid offline_access a:read")]).await;
    let first = Tokens::of(&scene.redeem(&code).await);
    assert_eq!(first.claims("access_token")["aud"], json!(["https://a.example"]));
    let second = Tokens::of(&scene.refresh_with(first.refresh(), &a).await);
    assert_eq!(second.claims("access_token")["aud"], json!(["https://a.example"]));
    assert_eq!(scene.userinfo(second.access()).await.status, 401, "it is for the API only");
    let job = scene.app.machine("job", "a:read b:read").await;
    let answer = scene.app.post_as("/oauth2/token", job.pair(), &[("grant_type", "client_credentials"), a[0]]).await;
    let claims = Tokens::of(&answer).claims("access_token");
    assert_eq!((claims["aud"].clone(), claims["scope"].clone()), (json!(["https://a.example"]), json!("a:read")));
}

#[tokio::test]
async fn security_31_no_grant_widens_the_audience() {
    let mut scene = two_apis().await;
    let granted = [("resource", "https://a.example"), ("scope", "openid offline_access a:read")];
    let code = scene.code_for(&granted).await;
    let others =
        ["https://b.example", "https://closed.example", "https://nobody.example", "urn:keystead:admin", ISSUER];
    for resource in others.iter().chain(&["not a uri", "/relative", "https://a.example#x", "https://a.example/"]) {
        let more = [("resource", *resource)];
        assert_eq!(scene.redeem_with(&code, &more).await.error(), "invalid_target", "code: {resource}");
        let both = [("resource", "https://a.example"), more[0]];
        assert_eq!(scene.redeem_with(&code, &both).await.error(), "invalid_target", "code: {resource}");
    }
    let tokens = Tokens::of(&scene.redeem(&code).await);
    for resource in others {
        let more = [("resource", resource)];
        assert_eq!(scene.refresh_with(tokens.refresh(), &more).await.error(), "invalid_target", "refresh: {resource}");
        let answer = scene.authorize(&[granted[1], more[0]]).await;
        assert!(answer.location().contains("error=invalid_"), "authorize: {resource} {}", answer.location());
    }
    scene.app.wait(time::Duration::minutes(5));
    assert_eq!(scene.refresh(tokens.refresh()).await.status, 200, "no refused request has rotated the token");
}

#[tokio::test]
async fn security_31_a_resource_of_which_the_scope_holds_nothing_is_refused() {
    let mut scene = two_apis().await;
    let tokens = scene.tokens_for(&[("scope", "openid offline_access")]).await;
    assert_eq!(tokens.claims("access_token")["aud"], json!([ISSUER]));
    for resource in ["https://a.example", "urn:keystead:admin"] {
        let more = [("resource", resource)];
        assert_eq!(scene.refresh_with(tokens.refresh(), &more).await.error(), "invalid_target", "{resource}");
        let answer = scene.authorize(&[("scope", "openid"), more[0]]).await;
        assert!(answer.location().contains("error=invalid_target"), "{}", answer.location());
    }
    scene.app.service().await;
    let rp = RelyingParty { client: scene.app.machine("job", "api:read").await, ..scene.rp.clone() };
    let base = [("grant_type", "client_credentials"), ("resource", "https://api.example")];
    for resource in ["https://a.example", "urn:keystead:admin", ISSUER] {
        let answer = rp.token(&scene.app, &[base[0], base[1], ("resource", resource)]).await;
        assert_eq!(answer.error(), "invalid_target", "{resource}");
    }
    assert_eq!(rp.token(&scene.app, &base).await.status, 200);
}

#[tokio::test]
async fn security_32_a_clients_own_subject_is_never_a_persons() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let person = tokens.claims("access_token")["sub"].as_str().unwrap().to_owned();
    assert!(uuid::Uuid::try_parse(&person).is_ok());
    let service = scene.app.service().await;
    let answer = scene.app.post_as("/oauth2/token", service.pair(), &[("grant_type", "client_credentials")]).await;
    let claims = Tokens::of(&answer).claims("access_token");
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some("service"), Some("service")));
    for member in ["sid", "auth_time", "acr", "amr"] {
        assert!(claims.get(member).is_none(), "{member}");
    }
    let simple = person.replace('-', "");
    for id in [person.clone(), simple, person.to_uppercase(), format!("{{{person}}}"), format!("urn:uuid:{person}")] {
        assert!(ClientId::parse(&id).is_none(), "{id}");
    }
}

#[tokio::test]
async fn security_40_a_token_in_the_address_is_refused() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let (access, refresh) = (tokens.access(), tokens.refresh());
    let bearer = format!("Bearer {access}");
    for path in
        [format!("/oauth2/userinfo?access_token={access}"), format!("/oauth2/userinfo?x=1&acc%65ss_token={access}")]
    {
        let bare = scene.app.get(&path).await;
        assert_eq!((bare.status.as_u16(), bare.error().as_str()), (400, "invalid_request"));
        assert!(!bare.body.contains("pat@example.com"));
        assert_eq!(scene.app.get_as(&path, &bearer).await.status, 400, "also beside the header");
        let mut post = Request::post(&path).body(Body::empty()).unwrap();
        assert_eq!(scene.app.send(post).await.status, 400);
        post = form(&path, &[("access_token", access)]);
        assert_eq!(scene.app.send(post).await.status, 400);
    }
    for (path, params) in [
        (format!("/oauth2/introspect?token={access}"), vec![]),
        (format!("/oauth2/revoke?token={access}"), vec![]),
        (format!("/oauth2/token?refresh_token={refresh}"), vec![("grant_type", "refresh_token")]),
        (format!("/oauth2/token?client_secret={}", scene.rp.client.secret), vec![("grant_type", "client_credentials")]),
    ] {
        let answer = scene.app.post_as(&path, scene.rp.client.pair(), &params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{path}");
    }
    assert!(scene.is_active(access).await && scene.is_active(refresh).await, "nothing happened");
}

#[tokio::test]
async fn resource_servers_verify_tokens_of_every_algorithm_with_the_published_keys() {
    let app = TestApp::start().await;
    let everything: Vec<String> = SigningAlgorithm::ALL.iter().map(|a| a.as_str().to_lowercase()).collect();
    for (&algorithm, name) in SigningAlgorithm::ALL.iter().zip(&everything) {
        app.resource_server(&format!("https://{name}.example"), &format!("{name}:use"), algorithm, &[]).await;
    }
    let scope: Vec<String> = everything.iter().map(|name| format!("{name}:use")).collect();
    let job = app.machine("job", &scope.join(" ")).await;
    let keys = jwks(&app).await;
    for (algorithm, name) in SigningAlgorithm::ALL.iter().zip(&everything) {
        let params = [("grant_type", "client_credentials"), ("scope", &format!("{name}:use"))];
        let tokens = Tokens::of(&app.post_as("/oauth2/token", job.pair(), &params).await);
        assert_eq!(tokens.jose("access_token")["alg"], algorithm.as_str());
        let audience = format!("https://{name}.example");
        let claims = verify(&keys, tokens.access(), &audience).unwrap();
        assert_eq!(claims["scope"], format!("{name}:use"));
        assert!(verify(&keys, tokens.access(), "https://other.example").is_err(), "{name}");
        assert!(verify(&keys, &tokens.access().replace(".ey", ".eY"), &audience).is_err(), "{name}");
    }
    let mixed = [("grant_type", "client_credentials"), ("scope", "es256:use rs256:use")];
    assert_eq!(app.post_as("/oauth2/token", job.pair(), &mixed).await.error(), "invalid_target");
}

#[tokio::test]
async fn relying_parties_verify_id_tokens_of_every_algorithm_with_the_published_keys() {
    for &algorithm in SigningAlgorithm::ALL {
        let change = |metadata| ClientMetadata { id_token_signed_response_alg: algorithm, ..metadata };
        let mut scene = Scene::with(change).await;
        let tokens = scene.tokens().await;
        let claims = verify(&jwks(&scene.app).await, tokens.text("id_token"), "web").unwrap();
        assert_eq!(tokens.jose("id_token")["alg"], KeyAlgorithm::Signing(algorithm).as_str());
        assert_eq!(claims["at_hash"], keystead::crypto::left_half_hash(tokens.access(), algorithm));
        assert_eq!(claims["sub"], scene.user.to_string());
    }
}

#[tokio::test]
async fn an_access_token_is_sent_in_one_way_only() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let mut both = form("/oauth2/userinfo", &[("access_token", tokens.access())]);
    both.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", tokens.access()).parse().unwrap());
    assert_eq!(scene.app.send(both).await.error(), "invalid_request");
    let twice = form("/oauth2/userinfo", &[("access_token", tokens.access()), ("access_token", tokens.access())]);
    assert_eq!(scene.app.send(twice).await.error(), "invalid_request");
}
