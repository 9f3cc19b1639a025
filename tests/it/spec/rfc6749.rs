//! RFC 6749: the OAuth 2.0 framework.

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use keystead::domain::{ClientMetadata, GrantType};
use time::Duration;

use crate::support::{Answer, Browser, ClientFixture, RelyingParty, Scene, TestApp, Tokens, basic};

#[tokio::test]
async fn section_4_1_a_person_signs_in_and_the_client_gets_tokens() {
    let app = TestApp::start().await;
    let user = app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, "pat@example.com").await;
    assert_eq!(tokens.claims("id_token")["sub"], user.to_string());
    assert_eq!(tokens.claims("id_token")["nonce"], "the-nonce");
    assert_eq!(tokens.jose("access_token")["typ"], "at+jwt");
    assert!(rp.is_active(&app, tokens.access()).await);
    let info = app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await;
    assert_eq!(info.json()["email"], "pat@example.com");
}

#[tokio::test]
async fn section_6_a_refresh_rotates_and_the_old_token_dies_once_its_successor_was_used() {
    let app = TestApp::start().await;
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let first = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    let second = Tokens(rp.refresh(&app, first.refresh()).await.json());
    let again = Tokens(rp.refresh(&app, first.refresh()).await.json());
    assert_eq!(second.refresh(), again.refresh(), "a lost answer is given again");
    let third = Tokens(rp.refresh(&app, second.refresh()).await.json());
    let theft = rp.refresh(&app, first.refresh()).await;
    assert_eq!((theft.error().as_str(), theft.reason().as_str()), ("invalid_grant", "reused"));
    assert_eq!(rp.refresh(&app, third.refresh()).await.error(), "invalid_grant");
    assert!(!rp.is_active(&app, third.access()).await);
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Posts to the token endpoint as the service, body and content type as they are.
async fn post_raw(app: &TestApp, service: &ClientFixture, content_type: &str, body: &[u8]) -> Answer {
    let request = Request::post("/oauth2/token")
        .header(header::CONTENT_TYPE, content_type)
        .header(header::AUTHORIZATION, basic(&service.id, &service.secret));
    app.send(request.body(Body::from(body.to_vec())).unwrap()).await
}

#[tokio::test]
async fn section_2_3_1_protocol_27_id_and_secret_are_form_decoded_after_splitting() {
    let app = TestApp::start().await;
    app.api().await;
    let odd = app.machine("https://client.example/a:b+c%20d?e=f&g", "api:read").await;
    let params = [("grant_type", "client_credentials")];
    let tokens = Tokens::of(&app.post_as("/oauth2/token", odd.pair(), &params).await);
    assert_eq!(tokens.claims("access_token")["sub"], odd.id);
    let raw = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", odd.id, odd.secret));
    let mut request = crate::support::form("/oauth2/token", &params);
    request.headers_mut().insert(header::AUTHORIZATION, format!("Basic {raw}").parse().unwrap());
    assert_eq!(app.send(request).await.status, 401, "the first colon would end the id");
}

#[tokio::test]
async fn section_3_2_the_token_endpoint_takes_a_posted_form_and_nothing_else() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let good = b"grant_type=client_credentials";
    assert_eq!(post_raw(&app, &service, FORM, good).await.status, 200);
    assert_eq!(post_raw(&app, &service, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", good).await.status, 200);
    let table: [(&str, &[u8]); 9] = [
        ("application/json", br#"{"grant_type":"client_credentials"}"#),
        ("multipart/form-data", good),
        ("text/plain", good),
        ("", good),
        ("application/x-www-form-urlencoded2", good),
        (FORM, b""),
        (FORM, b"grant_type=client_credentials&x=%ff"),
        (FORM, b"grant_type=client_credentials&x=\xff"),
        (FORM, b"grant_type=client_credentials&x=%00"),
    ];
    for (content_type, body) in table {
        let answer = post_raw(&app, &service, content_type, body).await;
        let seen = (answer.status.as_u16(), answer.error());
        assert_eq!(seen, (400, "invalid_request".to_owned()), "{content_type} {}", String::from_utf8_lossy(body));
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = Request::builder().method(method).uri("/oauth2/token").body(Body::empty()).unwrap();
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
    }
}

#[tokio::test]
async fn section_3_2_unknown_parameters_are_ignored_and_empty_ones_count_as_left_out() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let ask = async |body: &str| post_raw(&app, &service, FORM, body.as_bytes()).await;
    for body in [
        "grant_type=client_credentials&future=1&code=x",
        "grant_type=client_credentials&scope=&resource=&client_secret=",
    ] {
        assert_eq!(Tokens::of(&ask(body).await).text("scope"), "api:read api:write", "{body}");
    }
    for (body, missing) in [
        ("grant_type=", "grant_type"),
        ("scope=api:read", "grant_type"),
        ("Grant_Type=client_credentials", "grant_type"),
        ("grant_type=authorization_code&code=", "code"),
        ("grant_type=refresh_token", "refresh_token"),
    ] {
        let answer = ask(body).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{body}");
        assert!(answer.body.contains(&format!("The parameter {missing} is missing.")), "{}", answer.body);
    }
}

#[tokio::test]
async fn section_4_4_a_machine_gets_an_access_token_and_nothing_else() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let answer = app.post_as("/oauth2/token", service.pair(), &[("grant_type", "client_credentials")]).await;
    let mut body = Tokens::of(&answer).0;
    assert!(body["access_token"].take().is_string());
    insta::assert_json_snapshot!(body, @r#"
    {
      "access_token": null,
      "expires_in": 600,
      "scope": "api:read api:write",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn section_5_1_protocol_29_33_the_token_response_on_the_wire() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let redeemed = scene.redeem(&code).await;
    let refreshed = scene.refresh(Tokens::of(&redeemed).refresh()).await;
    for answer in [redeemed, refreshed] {
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
        let mut body = answer.json();
        for token in ["access_token", "refresh_token", "id_token"] {
            assert!(body[token].take().is_string(), "{token}");
        }
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(body, @r#"
            {
              "access_token": null,
              "expires_in": 600,
              "id_token": null,
              "refresh_token": null,
              "refresh_token_expires_in": 2592000,
              "scope": "address email offline_access openid phone profile",
              "token_type": "Bearer"
            }
            "#);
        }
    }
}

#[tokio::test]
async fn section_5_2_protocol_28_errors_are_json_with_the_right_status_and_plain_descriptions() {
    let mut scene = Scene::start().await;
    let refresh = scene.tokens().await.refresh().to_owned();
    let base = ("grant_type", "refresh_token");
    let table = [
        (&[("grant_type", "\"täxt\"\\\r\n")][..], 400, "unsupported_grant_type"),
        (&[("grant_type", "client_credentials")], 400, "unauthorized_client"),
        (&[base, ("refresh_token", "x")], 400, "invalid_grant"),
        (&[base, ("refresh_token", &refresh), ("scope", "öpenid")], 400, "invalid_scope"),
        (&[base, ("refresh_token", &refresh), ("scope", "\"quoted\"")], 400, "invalid_scope"),
        (&[base, ("refresh_token", &refresh), ("resource", "https://ü.example/\"\\")], 400, "invalid_target"),
        (&[base, base, ("\"\\ü", "1")], 400, "invalid_request"),
    ];
    for (params, status, error) in table {
        let answer = scene.rp.token(&scene.app, params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (status, error), "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        let description = body["error_description"].as_str().unwrap();
        assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{description}");
        assert!(!description.is_empty());
    }
}

#[tokio::test]
async fn section_6_protocol_30_a_refresh_gives_a_new_id_token_of_the_same_person() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    scene.app.wait(Duration::minutes(7));
    let second = scene.refreshed(&first).await;
    let (before, after) = (first.claims("id_token"), second.claims("id_token"));
    for same in ["iss", "sub", "aud", "auth_time", "acr", "amr", "sid"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert!(before.get("azp").is_none() && after.get("azp").is_none());
    assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 420);
    assert_eq!(after["exp"].as_i64().unwrap() - before["exp"].as_i64().unwrap(), 420);
    assert_eq!((before["nonce"].as_str(), after.get("nonce")), (Some("the-nonce"), None));
    let algorithm = keystead::domain::SigningAlgorithm::Rs256;
    assert_eq!(after["at_hash"], keystead::crypto::left_half_hash(second.access(), algorithm));
}

/// The refresh token of the scene's only grant, as the server derives it.
async fn scene_refresh_token(scene: &Scene) -> String {
    use keystead::crypto::{PositionKind, derive};
    let grant = scene.app.sql_text("SELECT id::text FROM grants").await;
    let position =
        keystead::domain::Position { grant: keystead::domain::GrantId(grant.parse().unwrap()), generation: 1 };
    let keyring = scene.app.engine.snapshots.keyring().unwrap();
    let kid = keyring.mac_kid(scene.app.clock.now()).unwrap();
    derive(&keyring, kid, PositionKind::RefreshToken, position).unwrap().expose().to_owned()
}

#[tokio::test]
async fn section_6_a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let only_codes = |metadata| ClientMetadata { grant_types: vec![GrantType::AuthorizationCode], ..metadata };
    let mut scene = Scene::with(only_codes).await;
    let code = scene.code().await;
    let tokens = Tokens::of(&scene.redeem(&code).await);
    assert!(tokens.0.get("refresh_token").is_none() && tokens.0.get("refresh_token_expires_in").is_none());
    assert_eq!(scene.refresh(&scene_refresh_token(&scene).await).await.error(), "unauthorized_client");
    assert!(scene.is_active(tokens.access()).await);
}

/// Shannon entropy in bits of all characters of a text, as the conformance suite measures it.
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::<char, f64>::new();
    for character in text.chars() {
        *counts.entry(character).or_default() += 1.0;
    }
    let length: f64 = counts.values().sum();
    counts.values().map(|count| -count * (count / length).log2()).sum()
}

#[tokio::test]
async fn section_10_10_protocol_32_tokens_and_codes_cannot_be_guessed() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let tokens = Tokens::of(&scene.redeem(&code).await);
    let (other_code, other) = (scene.code().await, scene.tokens().await);
    for (text, prefix) in [(code.as_str(), "ksc_"), (tokens.refresh(), "ksr_"), (tokens.access(), "eyJ")] {
        assert!(text.starts_with(prefix) && entropy(text) > 128.0, "{text} {}", entropy(text));
    }
    // What two of a kind do not share is the part that nobody can guess: at least 128 bits of it.
    for (one, two) in [(code.as_str(), other_code.as_str()), (tokens.refresh(), other.refresh())] {
        let differing = one.bytes().zip(two.bytes()).filter(|(a, b)| a != b).count();
        assert!(differing >= 35, "{one} {two}");
    }
    let jti = |tokens: &Tokens| {
        tokens.claims("access_token")["jti"].as_str().unwrap().split('.').next_back().unwrap().to_owned()
    };
    assert!(jti(&tokens).len() == 22 && jti(&tokens) != jti(&other), "128 random bits");
}
