//! Tokens that this server did not make, or made for something else: SECURITY 29, 30, 38.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Es256, ISSUER, Scene, Tokens, compact, jwt_part};

/// The claims of a good access token of the scene's person, fresh enough for whatever header.
fn good_claims(tokens: &Tokens) -> Value {
    tokens.claims("access_token")
}

/// Asserts that no endpoint takes the text for a token.
async fn assert_useless(scene: &Scene, token: &str, what: &str) {
    let info = scene.userinfo(token).await;
    assert_eq!((info.status.as_u16(), info.error().as_str()), (401, "invalid_token"), "userinfo: {what}");
    let web = scene.rp.client.pair();
    let answer = scene.app.post_as("/oauth2/introspect", web, &[("token", token)]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"active":false}"#), "introspection: {what}");
    let answer = scene.app.post_as("/oauth2/revoke", web, &[("token", token)]).await;
    assert_eq!(answer.status, 200, "revocation: {what}");
    assert_eq!(scene.app.sql_count("revoked_tokens").await, 0, "revocation: {what}");
    assert_eq!(scene.refresh(token).await.error(), "invalid_grant", "refresh: {what}");
}

#[tokio::test]
async fn a_token_signed_by_the_servers_own_key_is_good_so_the_forgeries_fail_for_their_own_reasons() {
    let mut scene = Scene::start().await;
    let claims = good_claims(&scene.tokens().await);
    assert!(scene.is_active(&Es256::of(&scene.app).access_token(&claims)).await);
}

#[tokio::test]
async fn security_29_the_token_does_not_choose_its_algorithm() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let claims = good_claims(&tokens);
    let own = Es256::of(&scene.app);
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "at+jwt", "kid": kid });
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        assert_useless(&scene, &compact(&header(alg, &own.kid), &claims, |_| Vec::new()), alg).await;
    }
    for signature in [vec![0; 64], vec![0xff; 64], vec![0; 70], vec![0x30, 6, 2, 1, 0, 2, 1, 0], Vec::new()] {
        let what = format!("a signature of {signature:?}");
        assert_useless(&scene, &compact(&header("ES256", &own.kid), &claims, |_| signature), &what).await;
    }
    for alg in ["HS256", "RS256", "PS256", "EdDSA", "ES384", "ES512", "es256", "ES256K"] {
        assert_useless(&scene, &own.sign(&header(alg, &own.kid), &claims), alg).await;
    }
    // Every published key as an HMAC secret, in each form in which a careless verifier would take it.
    let published = scene.app.get("/oauth2/jwks").await.json();
    for jwk in published["keys"].as_array().unwrap() {
        let member = jwk.get("x").or(jwk.get("n")).unwrap().as_str().unwrap();
        for secret in [jwk.to_string(), member.to_owned(), String::new()] {
            let kid = jwk["kid"].as_str().unwrap();
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let token = compact(&header("HS256", kid), &claims, |text| hmac::sign(&key, text).as_ref().to_vec());
            assert_useless(&scene, &token, kid).await;
        }
    }
}

#[tokio::test]
async fn security_29_keys_that_a_token_brings_or_points_to_are_ignored_and_nothing_is_fetched() {
    let mut scene = Scene::start().await;
    let claims = good_claims(&scene.tokens().await);
    let own = Es256::of(&scene.app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let evil = Es256::foreign(&own.kid);
    let table = [
        ("jwk", evil.jwk()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!([url])),
        ("kid", json!(own.kid)),
        ("kid", json!("unknown")),
        ("kid", json!(url)),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", Value::Null),
        ("kid", json!(["a"])),
    ];
    for (name, value) in table {
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": own.kid });
        header[name] = value.clone();
        assert_useless(&scene, &evil.sign(&header, &claims), &format!("{name} {value}")).await;
    }
    let fetched = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept()).await;
    assert!(fetched.is_err(), "somebody came to fetch keys");
}

#[tokio::test]
async fn security_29_a_mac_keys_name_is_no_signing_key() {
    let mut scene = Scene::start().await;
    let claims = good_claims(&scene.tokens().await);
    let mac = scene.app.engine.snapshots.keyring().unwrap().mac_kid(scene.app.clock.now()).unwrap().to_string();
    for alg in ["HS256", "HMAC-SHA256", "ES256"] {
        let token = Es256::foreign(&mac).sign(&json!({ "alg": alg, "typ": "at+jwt", "kid": mac }), &claims);
        assert_useless(&scene, &token, alg).await;
    }
}

#[tokio::test]
async fn security_30_header_and_claims_of_a_token_must_be_those_of_an_access_token() {
    let mut scene = Scene::start().await;
    let good = good_claims(&scene.tokens().await);
    let own = Es256::of(&scene.app);
    let now = scene.app.clock.now().unix_timestamp();
    for typ in [json!("JWT"), json!("jwt"), json!("logout+jwt"), json!("dpop+jwt"), json!("at"), json!(""), Value::Null]
    {
        let header = json!({ "alg": "ES256", "typ": typ, "kid": own.kid });
        assert_useless(&scene, &own.sign(&header, &good), &format!("typ {typ}")).await;
    }
    let untyped = json!({ "alg": "ES256", "kid": own.kid });
    assert_useless(&scene, &own.sign(&untyped, &good), "no typ").await;
    let critical = json!({ "alg": "ES256", "typ": "at+jwt", "kid": own.kid, "crit": ["exp"] });
    assert_useless(&scene, &own.sign(&critical, &good), "crit").await;
    let table = [
        ("iss", json!("https://id.example/")),
        ("iss", json!("https://ID.example")),
        ("iss", json!("https://evil.example")),
        ("iss", json!([ISSUER])),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!("9999999999")),
        ("exp", Value::Null),
        ("nbf", json!(now + 1)),
        ("iat", json!("now")),
        ("client_id", json!("nobody")),
        ("client_id", json!("")),
        ("scope", json!(["openid"])),
        ("aud", json!(7)),
    ];
    for (name, value) in table {
        let mut claims = good.clone();
        claims[name] = value.clone();
        assert_useless(&scene, &own.access_token(&claims), &format!("{name} {value}")).await;
    }
}

#[tokio::test]
async fn security_30_other_kinds_of_tokens_are_no_access_tokens() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let code = scene.code().await;
    for (what, token) in [("ID token", tokens.text("id_token")), ("code", &code), ("client id", "web"), ("a dot", ".")]
    {
        assert_useless(&scene, token, what).await;
    }
    let info = scene.userinfo(tokens.refresh()).await;
    assert_eq!((info.status.as_u16(), info.error().as_str()), (401, "invalid_token"), "a refresh token at userinfo");
    assert_eq!(scene.redeem(&code).await.status, 200, "the code is as good as before");
    assert_eq!(scene.refresh(tokens.refresh()).await.status, 200, "and so is the refresh token");
}

#[tokio::test]
async fn security_30_an_access_token_is_no_id_token_hint() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let own = Es256::of(&scene.app);
    let id_claims = tokens.claims("id_token");
    let foreign = Es256::foreign(&own.kid);
    let as_id_token = json!({ "alg": "ES256", "typ": "JWT", "kid": own.kid });
    let mut elsewhere = id_claims.clone();
    elsewhere["iss"] = json!("https://evil.example");
    let wrong = [
        tokens.access().to_owned(),
        tokens.refresh().to_owned(),
        foreign.sign(&as_id_token, &id_claims),
        compact(&json!({ "alg": "none", "typ": "JWT" }), &id_claims, |_| Vec::new()),
        own.sign(&as_id_token, &elsewhere),
        own.sign(&json!({ "alg": "ES256", "typ": "logout+jwt", "kid": own.kid }), &id_claims),
        "garbage".to_owned(),
    ];
    for hint in &wrong {
        let answer = scene.authorize(&[("id_token_hint", hint), ("prompt", "none")]).await;
        assert!(answer.location().contains("error=invalid_request"), "{hint} {}", answer.location());
        let bye = form_urlencoded::byte_serialize(b"https://rp.example/bye").collect::<String>();
        let path = format!("/oauth2/end_session?id_token_hint={hint}&post_logout_redirect_uri={bye}");
        let answer: Answer = scene.browser.open(&scene.app, &path).await;
        assert_eq!(answer.location(), "", "{hint}");
    }
    let right = own.sign(&as_id_token, &id_claims);
    let answer = scene.authorize(&[("id_token_hint", &right), ("prompt", "none"), ("scope", "openid")]).await;
    assert!(answer.location().contains("code="), "the session lives on: {}", answer.location());
}

#[tokio::test]
async fn security_30_no_token_authenticates_a_client() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for assertion in [tokens.access(), tokens.text("id_token")] {
        let params = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh()),
            ("client_id", "web"),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ];
        assert_eq!(scene.app.post("/oauth2/token", &params).await.error(), "invalid_client");
        let bearer = format!("Bearer {assertion}");
        let mut request = crate::support::form("/oauth2/introspect", &[("token", tokens.access())]);
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        assert_eq!(scene.app.send(request).await.error(), "invalid_client");
    }
}

#[tokio::test]
async fn security_38_no_cut_padded_or_respelled_access_token_works() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let token = tokens.access();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let altered = [
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!("{signed}."),
        signed.to_owned(),
        token.replace('.', ".."),
        token.replace('.', "%2E"),
        token.to_lowercase(),
        token.replace('-', "+").replace('_', "/") + "==",
        token.replacen('e', "е", 1),
        token.replacen("eyJ", "eyI", 1),
        format!("{token}\u{200d}"),
    ];
    for text in altered.iter().filter(|text| text.is_ascii()) {
        assert_useless(&scene, text, text).await;
    }
    let web = scene.rp.client.pair();
    for text in altered.iter().chain([&format!(" {token}"), &format!("{token} "), &format!("{token}\n")]) {
        let answer = scene.app.post_as("/oauth2/introspect", web, &[("token", text)]).await;
        assert_eq!(answer.body, r#"{"active":false}"#, "{text:?}");
        let answer = scene.app.post("/oauth2/userinfo", &[("access_token", text)]).await;
        assert_eq!(answer.status, 401, "{text:?}");
    }
    assert!(scene.is_active(token).await);
}

#[tokio::test]
async fn security_38_no_cut_padded_or_respelled_refresh_token_works() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let token = tokens.refresh();
    let body = &token[4..];
    let mut altered: Vec<String> = (0..token.len()).map(|length| token[..length].to_owned()).collect();
    altered.extend([format!("{token}A"), format!("{token}="), format!("{token} "), format!(" {token}")]);
    altered.extend([token.to_uppercase(), token.to_lowercase(), body.to_owned(), format!("KSR_{body}")]);
    altered.extend([format!("ksr_{token}"), format!("{token}\u{301}"), token.replacen('s', "ѕ", 1)]);
    // Each place of the position changed: kid, grant, generation, MAC.
    altered.extend([4, 20, 38, 41, 60, 83].map(|at| {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    for text in &altered {
        let error = if text.is_empty() { "invalid_request" } else { "invalid_grant" };
        assert_eq!(scene.refresh(text).await.error(), error, "{text:?}");
    }
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
    assert_eq!(scene.refresh(token).await.status, 200);
}

#[tokio::test]
async fn a_clock_that_jumps_back_neither_kills_nor_widens_anything() {
    let mut scene = Scene::start().await;
    scene.app.wait(Duration::hours(5));
    let first = scene.tokens().await;
    scene.app.wait(Duration::hours(-4));
    assert!(scene.is_active(first.access()).await, "issued in what is the future now");
    let second = scene.refreshed(&first).await;
    assert_eq!(jwt_part(second.access(), 1)["iat"], scene.app.clock.now().unix_timestamp());
    scene.app.wait(Duration::minutes(-30));
    let again = scene.refreshed(&first).await;
    assert_eq!(again.refresh(), second.refresh(), "a lost answer is given again");
    let third = scene.refreshed(&second).await;
    assert_eq!(scene.refresh(first.refresh()).await.reason(), "reused", "but theft is theft at any time");
    assert!(!scene.is_active(third.access()).await);
    let code = scene.code().await;
    scene.app.wait(Duration::minutes(-20));
    assert_eq!(scene.redeem(&code).await.status, 200);
    assert_eq!(scene.redeem(&code).await.reason(), "reused");
}
