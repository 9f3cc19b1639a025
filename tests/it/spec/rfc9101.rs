//! RFC 9101, request objects by value (JAR), and FAPI 2.0 Message Signing.

use keystead::domain::{ClientMetadata, SigningAlgorithm};
use serde_json::{Value, json};

use crate::support::{
    ASSERTION_TYPE, Answer, Browser, EMAIL, Es256, ISSUER, Publisher, RelyingParty, Scene, Tokens, compact, param,
    web_metadata,
};

/// A scene whose application registered the public half of the key.
async fn signing(change: impl FnOnce(&mut ClientMetadata)) -> (Scene, Es256) {
    let key = Es256::foreign("client-key");
    let mut metadata = web_metadata();
    metadata.protocol.jwks = Some(json!({ "keys": [key.jwk()] }));
    change(&mut metadata);
    (Scene::with(|_| metadata).await, key)
}

/// The claims of a good object with others; null takes one away.
fn claims(scene: &Scene, more: Value) -> Value {
    let now = scene.app.clock.now().unix_timestamp();
    let mut claims: serde_json::Map<String, Value> =
        scene.rp.request(&[]).into_iter().map(|(name, value)| (name, value.into())).collect();
    claims.extend(
        json!({ "iss": "web", "aud": ISSUER, "exp": now + 300, "nbf": now, "jti": "1" }).as_object().unwrap().clone(),
    );
    claims.extend(more.as_object().unwrap().clone());
    claims.retain(|_, value| !value.is_null());
    Value::Object(claims)
}

/// The path of a request of which only the client and the object count.
fn path(object: &str) -> String {
    format!("/oauth2/authorize?client_id=web&request={object}")
}

async fn push(scene: &Scene, object: &str) -> Answer {
    scene.app.post_as("/oauth2/par", scene.rp.client.pair(), &[("request", object)]).await
}

#[tokio::test]
async fn section_5_a_signed_request_is_answered_by_what_the_object_says() {
    let (mut scene, key) = signing(|_| ()).await;
    let object = key.request_object(&claims(&scene, json!({ "state": "inside", "max_age": 1000 })));
    let answer = scene.browser.authorize(&scene.app, &path(&object), EMAIL).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("inside"), "{}", answer.body);
    Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    let pushed = push(&scene, &object).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let path = scene.rp.path_of(pushed.json()["request_uri"].as_str().unwrap());
    let answer = scene.browser.authorize(&scene.app, &path, EMAIL).await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some("inside"));
    Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
}

#[tokio::test]
async fn section_6_3_protocol_21_only_parameters_inside_the_object_count() {
    let (mut scene, key) = signing(|_| ()).await;
    let object = key.request_object(&claims(&scene, json!({ "state": null, "nonce": null, "scope": "openid" })));
    let outside = "&state=outside&nonce=outside&scope=openid+email&response_mode=form_post&prompt=none&response_type=token\
                   &redirect_uri=https%3A%2F%2Fevil.example%2F";
    let answer = scene.browser.authorize(&scene.app, &format!("{}{outside}", path(&object)), EMAIL).await;
    assert!(answer.location().starts_with("https://rp.example/cb?code="), "{} {}", answer.status, answer.body);
    assert_eq!(param(answer.location(), "state"), None);
    let tokens = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    assert_eq!(tokens.text("scope"), "openid");
    assert_eq!(tokens.claims("id_token").get("nonce"), None);
    // A redirect URI outside is none.
    let without = key.request_object(&claims(&scene, json!({ "redirect_uri": null })));
    let more = "&redirect_uri=https%3A%2F%2Frp.example%2Fcb";
    let shown = scene.browser.open(&scene.app, &format!("{}{more}", path(&without))).await;
    assert_eq!((shown.status.as_u16(), shown.location()), (400, ""), "{}", shown.body);
    assert!(shown.body.contains("redirect_uri"));
    // Errors go where the object says, as it says.
    let wrong = key.request_object(&claims(&scene, json!({ "scope": "nonsense", "response_mode": "form_post" })));
    let posted = scene.browser.open(&scene.app, &path(&wrong)).await;
    assert_eq!((posted.hidden("error").as_str(), posted.hidden("state").as_str()), ("invalid_scope", "the-state"));
}

#[tokio::test]
async fn protocol_63_an_object_that_does_not_hold_is_refused_in_front_and_when_pushed() {
    let (mut scene, key) = signing(|_| ()).await;
    let now = scene.app.clock.now().unix_timestamp();
    let cases = [
        json!({ "exp": null }),
        json!({ "exp": now }),
        json!({ "exp": now + 3601 }),
        json!({ "nbf": now + 11 }),
        json!({ "nbf": now - 3601 }),
        json!({ "iss": "other" }),
        json!({ "aud": "https://other.example" }),
        json!({ "aud": format!("{ISSUER}/oauth2/par") }),
        json!({ "client_id": "other" }),
        json!({ "client_id": null }),
        json!({ "request": "e30.e30.x" }),
        json!({ "request_uri": "https://rp.example/r" }),
    ];
    for more in cases {
        let object = key.request_object(&claims(&scene, more.clone()));
        let pushed = push(&scene, &object).await;
        assert_eq!((pushed.status.as_u16(), pushed.error().as_str()), (400, "invalid_request_object"), "{more}");
        let shown = scene.browser.open(&scene.app, &path(&object)).await;
        assert_eq!((shown.status.as_u16(), shown.page_code()), (400, "invalid_request_object"), "{more}");
    }
    for more in [json!({ "nbf": now + 8 }), json!({ "aud": [ISSUER] }), json!({ "exp": now + 3600 })] {
        let object = key.request_object(&claims(&scene, more.clone()));
        assert_eq!(push(&scene, &object).await.status, 201, "{more}");
    }
    let object = key.request_object(&claims(&scene, json!({ "nbf": null })));
    assert_eq!(push(&scene, &object).await.error(), "invalid_request_object", "pushed it needs nbf");
    assert!(
        scene.browser.open(&scene.app, &path(&object)).await.shows("login-submit"),
        "by the browser it may have none"
    );
}

#[tokio::test]
async fn security_29_the_signature_is_the_clients_own_under_an_algorithm_that_is_allowed() {
    let (scene, key) = signing(|_| ()).await;
    let good = claims(&scene, json!({}));
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "oauth-authz-req+jwt", "kid": kid });
    let signed = key.request_object(&good);
    let (text, signature) = signed.rsplit_once('.').unwrap();
    let changed = claims(&scene, json!({ "scope": "openid phone" }));
    let other_text = compact(&header("ES256", "client-key"), &changed, |_| Vec::new());
    let stranger = Es256::foreign("client-key");
    let own_key = json!({ "alg": "ES256", "kid": "client-key", "jwk": stranger.jwk(), "jku": "https://evil.example/" });
    for (what, object) in [
        ("none", compact(&header("none", "client-key"), &good, |_| Vec::new())),
        ("an HMAC", compact(&header("HS256", "client-key"), &good, |_| vec![1; 32])),
        ("no signature", format!("{text}.")),
        ("changed claims", format!("{}{signature}", other_text)),
        ("another key", stranger.request_object(&good)),
        ("a key in the header", stranger.sign(&own_key, &good)),
        ("an unknown kid", key.sign(&header("ES256", "another"), &good)),
        ("another use", key.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "client-key" }), &good)),
        ("an extension", key.sign(&json!({ "alg": "ES256", "kid": "client-key", "crit": ["exp"] }), &good)),
        ("encrypted", "a.b.c.d.e".into()),
    ] {
        assert_eq!(push(&scene, &object).await.error(), "invalid_request_object", "{what}");
    }
    assert_eq!(push(&scene, &signed).await.status, 201, "the object itself holds");
    // The server's own key is not the client's.
    let server = Es256::of(&scene.app);
    assert_eq!(push(&scene, &server.request_object(&good)).await.error(), "invalid_request_object");
}

#[tokio::test]
async fn section_4_only_the_registered_algorithm_counts_and_without_keys_nothing_does() {
    let alg = Some(SigningAlgorithm::Ps256);
    let (scene, key) = signing(|metadata| metadata.protocol.request_object_signing_alg = alg).await;
    let object = key.request_object(&claims(&scene, json!({})));
    assert_eq!(push(&scene, &object).await.error(), "invalid_request_object", "ES256 for a client of PS256");
    let (scene, key) = signing(|metadata| metadata.protocol.jwks = None).await;
    let object = key.request_object(&claims(&scene, json!({})));
    let refused = push(&scene, &object).await;
    assert_eq!(refused.error(), "invalid_request_object");
    assert!(refused.body.contains("no jwks or jwks_uri is registered"), "{}", refused.body);
}

#[tokio::test]
async fn section_6_2_keys_are_read_from_where_the_client_publishes_them() {
    let (old, new) = (Es256::foreign("old"), Es256::foreign("new"));
    let publisher = Publisher::of(old.jwks()).await;
    let (scene, _) = signing(|metadata| {
        metadata.protocol.jwks = None;
        metadata.protocol.jwks_uri = Some(publisher.url("/jwks"));
    })
    .await;
    let object = |key: &Es256| key.request_object(&claims(&scene, json!({})));
    assert_eq!(push(&scene, &object(&old)).await.status, 201);
    publisher.publish(new.jwks());
    assert_eq!(push(&scene, &object(&new)).await.error(), "invalid_request_object", "asked for once a minute");
    scene.app.wait(time::Duration::minutes(1));
    assert_eq!(push(&scene, &object(&new)).await.status, 201, "an unknown kid makes us look again");
    assert_eq!(push(&scene, &object(&old)).await.error(), "invalid_request_object");
    let late = new.request_object(&claims(&scene, json!({ "exp": 1 })));
    assert_eq!(push(&scene, &late).await.error(), "invalid_request_object");
    assert_eq!(publisher.received().len(), 2);
}

#[tokio::test]
async fn security_30_request_objects_and_client_assertions_cannot_take_each_others_place() {
    let (scene, key) = signing(|metadata| {
        metadata.token_endpoint_auth_method = keystead::domain::ClientAuthMethod::PrivateKeyJwt;
    })
    .await;
    let object = key.request_object(&claims(&scene, json!({})));
    let send = async |request: &str, assertion: &str| {
        let params = [("request", request), ASSERTION_TYPE, ("client_assertion", assertion)];
        scene.app.post("/oauth2/par", &params).await
    };
    assert_eq!(send(&object, &object).await.error(), "invalid_client");
    let unnamed = key.sign(&json!({ "alg": "ES256", "kid": "client-key" }), &claims(&scene, json!({})));
    assert_eq!(send(&object, &unnamed).await.error(), "invalid_client", "without sub it authenticates nobody");
    let assertion = || key.assertion(&scene.app, "web");
    assert_eq!(send(&assertion(), &assertion()).await.error(), "invalid_request_object");
    let both = key.assertion_with(&scene.app, "web", claims(&scene, json!({})));
    assert_eq!(send(&both, &assertion()).await.error(), "invalid_request_object", "its sub is the client");
    assert_eq!(send(&object, &assertion()).await.status, 201);
}

#[tokio::test]
async fn a_client_whose_platform_signs_for_it_cannot_sign_requests() {
    let (scene, key) = signing(|metadata| {
        metadata.protocol.client_assertion_issuer = Some("https://cluster.example".into());
        metadata.protocol.client_assertion_subject = Some("system:serviceaccount:shop:web".into());
    })
    .await;
    let object = key.request_object(&claims(&scene, json!({})));
    assert_eq!(push(&scene, &object).await.error(), "invalid_request_object", "the key is the platform's");
}

#[tokio::test]
async fn section_10_5_a_client_that_must_sign_cannot_send_plain_parameters() {
    let (mut scene, key) = signing(|metadata| metadata.protocol.require_signed_request_object = true).await;
    let answer = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[])).await;
    assert_eq!(param(answer.location(), "error").as_deref(), Some("invalid_request"));
    assert_eq!(scene.rp.push(&scene.app, &[]).await.error(), "invalid_request");
    let object = key.request_object(&claims(&scene, json!({})));
    let answer = scene.browser.authorize(&scene.app, &path(&object), EMAIL).await;
    assert!(param(answer.location(), "code").is_some(), "{}", answer.body);
    let pushed = push(&scene, &object).await;
    let path = scene.rp.path_of(pushed.json()["request_uri"].as_str().unwrap());
    let answer = scene.browser.authorize(&scene.app, &path, EMAIL).await;
    assert!(param(answer.location(), "code").is_some(), "signed when it was pushed");
}

#[tokio::test]
async fn security_27_another_clients_object_is_refused_even_under_the_same_key() {
    let (scene, key) = signing(|_| ()).await;
    let mut metadata = web_metadata();
    metadata.protocol.jwks = Some(json!({ "keys": [key.jwk()] }));
    let other = RelyingParty::web(scene.app.client("other", metadata).await);
    let object = key.request_object(&claims(&scene, json!({})));
    let pushed = scene.app.post_as("/oauth2/par", other.client.pair(), &[("request", &object)]).await;
    assert_eq!(pushed.error(), "invalid_request_object");
    let path = format!("/oauth2/authorize?client_id=other&request={object}");
    let shown = Browser::default().open(&scene.app, &path).await;
    assert_eq!((shown.status.as_u16(), shown.page_code()), (400, "invalid_request_object"));
}

#[tokio::test]
async fn security_25_no_address_in_a_request_is_fetched() {
    let scene = Scene::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let addresses = [
        format!("http://{here}/r"),
        format!("https://{here}/r"),
        "http://169.254.169.254/".into(),
        "http://[::ffff:127.0.0.1]/".into(),
        "urn:example:r".into(),
        "URN:IETF:PARAMS:OAUTH:REQUEST_URI:x".into(),
    ];
    for address in addresses {
        let answer = scene.app.get(&scene.rp.authorization_path(&[("request_uri", &address)])).await;
        let error = param(answer.location(), "error");
        assert_eq!(error.as_deref(), Some("request_uri_not_supported"), "{address}");
    }
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
}
