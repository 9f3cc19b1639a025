//! §5.5: claims that are asked for by name, in the `claims` parameter.

use keystead::domain::{Scope, SubjectType};
use serde_json::{Value, json};
use time::Duration;

use super::{OTHER, error};
use crate::support::{EMAIL, Es256, ISSUER, Operator, Scene, Tokens, at_once, param, send, web_metadata};

/// A person, and an application that asks for nothing but to know who it is.
async fn scene() -> Scene {
    let mut scene = Scene::start().await;
    scene.rp.scope = "openid".into();
    scene
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn userinfo(scene: &Scene, tokens: &Tokens) -> Value {
    scene.userinfo(tokens.access()).await.json()
}

#[tokio::test]
async fn protocol_24_a_claim_is_given_where_it_is_asked_for_and_nowhere_else() {
    let mut scene = scene().await;
    let asked = r#"{"userinfo":{"name":{"essential":true}}}"#;
    let tokens = scene.tokens_for(&[("claims", asked)]).await;
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["name", "sub"]);
    assert!(tokens.claims("id_token").get("name").is_none());
    assert!(!tokens.claims("access_token").to_string().contains("name"), "no API learns what was asked for");
    let asked = r#"{"id_token":{"email":null,"auth_time":{"essential":true},"birthdate":null}}"#;
    let tokens = scene.tokens_for(&[("claims", asked)]).await;
    let id_token = tokens.claims("id_token");
    assert_eq!((&id_token["email"], id_token.get("birthdate")), (&json!(EMAIL), None), "what is unknown is left out");
    assert!(id_token["auth_time"].is_i64());
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["sub"]);
    let tokens = scene.tokens().await;
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["sub"], "an earlier request gives nothing to a later one");
}

#[tokio::test]
async fn section_5_5_refreshed_tokens_hold_what_was_asked_for_as_it_is_by_then() {
    let mut scene = scene().await;
    let asked = r#"{"userinfo":{"nickname":null},"id_token":{"name":null,"email_verified":null}}"#;
    let first = scene.tokens_for(&[("claims", asked)]).await;
    scene
        .app
        .sql_text("UPDATE users SET profile = profile || '{\"name\":\"New\",\"nickname\":\"N\"}' RETURNING email")
        .await;
    let second = scene.refreshed(&first).await;
    assert_eq!(second.claims("id_token")["name"], "New");
    assert_eq!(second.claims("id_token")["email_verified"], true);
    assert_eq!(second.claims("id_token").get("nickname"), None);
    assert_eq!(names(&userinfo(&scene, &second).await), ["nickname", "sub"]);
    let replayed = scene.refreshed(&first).await;
    assert_eq!(replayed.claims("id_token")["name"], "New", "within the grace period too");
    let narrow = Tokens::of(&scene.refresh_with(second.refresh(), &[("scope", "openid")]).await);
    assert_eq!(names(&userinfo(&scene, &narrow).await), ["nickname", "sub"]);
}

#[tokio::test]
async fn section_5_5_objects_and_pushed_requests_ask_as_plain_ones_do() {
    let key = Es256::foreign("client-key");
    let mut metadata = web_metadata();
    metadata.protocol.jwks = Some(key.jwks());
    let mut scene = Scene::with(|_| metadata).await;
    scene.rp.scope = "openid".into();
    let now = scene.app.clock.now().unix_timestamp();
    let mut object: serde_json::Map<String, Value> =
        scene.rp.request(&[]).into_iter().map(|(name, value)| (name, value.into())).collect();
    let about = json!({ "iss": "web", "aud": ISSUER, "exp": now + 300, "nbf": now, "jti": "1",
        "claims": { "userinfo": { "name": null } } });
    object.extend(about.as_object().unwrap().clone());
    let object = key.request_object(&Value::Object(object));
    let pushed = scene.rp.push(&scene.app, &[("claims", r#"{"userinfo":{"name":null}}"#)]).await;
    let pushed = scene.rp.path_of(pushed.json()["request_uri"].as_str().unwrap());
    for path in [format!("/oauth2/authorize?client_id=web&request={object}"), pushed] {
        let answer = scene.browser.authorize(&scene.app, &path, EMAIL).await;
        let tokens = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
        assert_eq!(names(&userinfo(&scene, &tokens).await), ["name", "sub"]);
    }
    let refused = scene.rp.push(&scene.app, &[("claims", "{\"userinfo\":[]}")]).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn section_5_5_what_cannot_be_read_is_refused_and_what_is_unknown_is_ignored() {
    let mut scene = scene().await;
    scene.tokens().await;
    for malformed in
        ["{", "[]", "name", r#"{"userinfo":{"name":1}}"#, r#"{"id_token":{"sub":null,"sub":{"value":"x"}}}"#]
    {
        let answer = scene.authorize(&[("claims", malformed)]).await;
        assert_eq!(error(&answer).as_deref(), Some("invalid_request"), "{malformed}");
        let sentence = param(answer.location(), "error_description").unwrap();
        assert!(sentence.starts_with("The parameter claims is refused: "), "{sentence}");
    }
    for ignored in [
        "{}",
        r#"{"userinfo":{"groups":{"essential":true,"values":["admin"]},"iss":{"value":"https://evil.example"}}}"#,
        r#"{"id_token":{"aud":{"value":"other"},"exp":{"value":9999999999},"amr":{"essential":true,"values":["otp"]}}}"#,
        r#"{"verified_claims":{"claims":{"name":null}},"access_token":{"name":null}}"#,
    ] {
        let tokens = scene.tokens_for(&[("claims", ignored)]).await;
        assert_eq!(names(&userinfo(&scene, &tokens).await), ["sub"], "{ignored}");
        let id_token = tokens.claims("id_token");
        assert_eq!((&id_token["aud"], &id_token["iss"]), (&json!("web"), &json!(ISSUER)), "{ignored}");
        assert_eq!(id_token["amr"], json!(["pwd"]), "{ignored}");
    }
}

#[tokio::test]
async fn security_15_claims_by_name_need_the_consent_of_the_person_and_the_page_names_them() {
    let mut scene = scene().await;
    scene.tokens().await;
    let asked = ("claims", r#"{"userinfo":{"birthdate":null},"id_token":{"email":null,"gender":null}}"#);
    let silent = scene.browser.get(&scene.app, &scene.rp.authorization_path(&[asked, ("prompt", "none")])).await;
    assert_eq!(error(&silent).as_deref(), Some("consent_required"));
    let page = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[asked])).await;
    assert!(page.shows("consent-allow"), "{}", page.body);
    for word in ["your gender and your birthday", "your e-mail address"] {
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
    assert!(!page.body.contains("your full name"));
    let denied = scene.browser.clone().submit(&scene.app, &page, "/consent", &[("decision", "deny")]).await;
    assert_eq!(error(&denied).as_deref(), Some("access_denied"));
    let allowed = scene.browser.submit(&scene.app, &page, "/consent", &[("decision", "allow")]).await;
    assert!(param(allowed.location(), "code").is_some());
    let again = scene.browser.get(&scene.app, &scene.rp.authorization_path(&[asked, ("prompt", "none")])).await;
    assert!(param(again.location(), "code").is_some(), "remembered");
    let more = ("claims", r#"{"userinfo":{"birthdate":null,"name":null}}"#);
    assert!(scene.browser.open(&scene.app, &scene.rp.authorization_path(&[more])).await.shows("consent-allow"));
    let scope = [("scope", "openid profile"), ("prompt", "none")];
    let wider = scene.browser.get(&scene.app, &scene.rp.authorization_path(&scope)).await;
    assert_eq!(error(&wider).as_deref(), Some("consent_required"), "a claim by name does not allow its whole scope");
}

#[tokio::test]
async fn security_15_claims_that_an_allowed_scope_covers_are_not_asked_about_again() {
    let mut scene = Scene::start().await;
    scene.rp.scope = "openid email".into();
    scene.tokens().await;
    scene.rp.scope = "openid".into();
    let asked = ("claims", r#"{"id_token":{"email":null}}"#);
    let silent = scene.browser.get(&scene.app, &scene.rp.authorization_path(&[asked, ("prompt", "none")])).await;
    let tokens = Tokens::of(&scene.redeem(&param(silent.location(), "code").unwrap()).await);
    assert_eq!(tokens.claims("id_token")["email"], EMAIL);
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["sub"], "the scope was not asked for this time");
}

#[tokio::test]
async fn section_5_5_registration_is_the_limit_also_when_it_shrinks_later() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.scope = Scope::parse("openid profile offline_access").unwrap();
        metadata
    })
    .await;
    scene.rp.scope = "openid".into();
    let asked = r#"{"userinfo":{"email":{"essential":true},"name":null},"id_token":{"phone_number":null,"name":null}}"#;
    let page = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[("claims", asked)])).await;
    let consent = scene.browser.sign_in(&scene.app, &page, EMAIL).await;
    assert!(consent.body.contains("your full name") && !consent.body.contains("e-mail address"), "{}", consent.body);
    let answer = scene.browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await;
    let tokens = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["name", "sub"]);
    assert_eq!(tokens.claims("id_token")["name"], "Pat Person");
    Operator(&scene.app).change_client("web", |metadata| metadata.scope = Scope::parse("openid").unwrap()).await;
    assert_eq!(names(&userinfo(&scene, &tokens).await), ["sub"]);
    assert_eq!(scene.refreshed(&tokens).await.claims("id_token").get("name"), None);
}

#[tokio::test]
async fn section_5_5_1_a_sub_with_a_value_never_gives_a_code_for_another_person() {
    let mut scene = scene().await;
    let other = scene.app.person(OTHER).await;
    scene.tokens().await;
    scene.app.wait(Duration::seconds(1));
    let claims = format!(r#"{{"id_token":{{"sub":{{"value":"{other}"}}}}}}"#);
    let with = |more: &[(&str, &str)]| scene.rp.authorization_path(&[&[("claims", claims.as_str())], more].concat());
    let silent = scene.browser.clone().get(&scene.app, &with(&[("prompt", "none")])).await;
    assert_eq!(error(&silent).as_deref(), Some("login_required"));
    let mut browser = scene.browser.clone();
    let page = browser.open(&scene.app, &with(&[])).await;
    assert!(page.shows("login-submit"));
    scene.app.wait(Duration::seconds(1));
    let wrong = browser.clone().sign_in(&scene.app, &page, EMAIL).await;
    assert_eq!(error(&wrong).as_deref(), Some("login_required"), "asked once, not round and round");
    let consent = browser.open(&scene.app, &with(&[])).await;
    let consent = browser.sign_in(&scene.app, &consent, OTHER).await;
    let right = browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await;
    let tokens = Tokens::of(&scene.redeem(&param(right.location(), "code").unwrap()).await);
    assert_eq!(tokens.claims("id_token")["sub"], other.to_string());
    let silent = browser.get(&scene.app, &with(&[("prompt", "none")])).await;
    assert!(param(silent.location(), "code").is_some(), "{}", silent.location());
    let nobody = [("claims", r#"{"userinfo":{"sub":{"value":"nobody"}}}"#), ("prompt", "none")];
    let nobody = browser.get(&scene.app, &scene.rp.authorization_path(&nobody)).await;
    assert_eq!(error(&nobody).as_deref(), Some("login_required"));
}

#[tokio::test]
async fn section_5_5_1_a_pairwise_client_names_the_person_as_it_knows_them() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.protocol.subject_type = SubjectType::Pairwise;
        metadata
    })
    .await;
    let known = scene.tokens().await.claims("id_token")["sub"].as_str().unwrap().to_owned();
    let of_all = scene.user.to_string();
    assert_ne!(known, of_all);
    for (sub, expected) in [(known, None), (of_all, Some("login_required"))] {
        let claims = format!(r#"{{"id_token":{{"sub":{{"value":"{sub}"}}}}}}"#);
        let path = scene.rp.authorization_path(&[("claims", &claims), ("prompt", "none")]);
        let answer = scene.browser.get(&scene.app, &path).await;
        assert_eq!(error(&answer).as_deref(), expected, "{}", answer.location());
    }
}

#[tokio::test]
async fn section_5_5_1_1_an_essential_acr_that_nobody_reaches_fails_and_a_voluntary_one_never_does() {
    let mut scene = scene().await;
    let acr =
        |essential: bool, member: &str| format!(r#"{{"id_token":{{"acr":{{"essential":{essential},{member}}}}}}}"#);
    let page = scene.rp.authorization_path(&[("claims", &acr(true, r#""value":"urn:example:gold""#))]);
    let answer = scene.browser.get(&scene.app, &page).await;
    assert_eq!(error(&answer).as_deref(), Some("unmet_authentication_requirements"), "the person need not try");
    assert_eq!(param(answer.location(), "state").as_deref(), Some("the-state"));
    let reachable = r#""values":["urn:example:gold","urn:keystead:acr:password"]"#;
    for claims in [
        acr(false, r#""value":"urn:example:gold""#),
        acr(false, reachable),
        acr(true, reachable),
        r#"{"id_token":{"acr":{"essential":true}}}"#.to_owned(),
    ] {
        let tokens = scene.tokens_for(&[("claims", &claims), ("acr_values", "urn:example:gold")]).await;
        assert_eq!(tokens.claims("id_token")["acr"], "urn:keystead:acr:password", "told as it is: {claims}");
    }
}

#[tokio::test]
async fn section_5_5_1_1_a_session_of_another_class_signs_in_again() {
    let mut scene = scene().await;
    scene.tokens().await;
    scene.app.wait(Duration::seconds(1));
    // Nothing here makes such a session; another version of this server may have.
    scene.app.sql_text("UPDATE sessions SET acr = 'urn:example:weaker' RETURNING acr").await;
    let claims = r#"{"id_token":{"acr":{"essential":true,"value":"urn:keystead:acr:password"}}}"#;
    for asked in [("claims", claims), ("acr_values", "urn:keystead:acr:password")] {
        let path = scene.rp.authorization_path(&[asked]);
        assert!(scene.browser.clone().open(&scene.app, &path).await.shows("login-submit"), "{asked:?}");
    }
    let silent = |asked| scene.rp.authorization_path(&[asked, ("prompt", "none")]);
    let essential = scene.browser.clone().get(&scene.app, &silent(("claims", claims))).await;
    assert_eq!(error(&essential).as_deref(), Some("login_required"));
    let wish = scene.browser.clone().get(&scene.app, &silent(("acr_values", "urn:keystead:acr:password"))).await;
    let tokens = Tokens::of(&scene.redeem(&param(wish.location(), "code").unwrap()).await);
    assert_eq!(tokens.claims("id_token")["acr"], "urn:example:weaker", "never overstated");
    let tokens = scene.tokens_for(&[("claims", claims)]).await;
    assert_eq!(tokens.claims("id_token")["acr"], "urn:keystead:acr:password");
}

#[tokio::test]
async fn security_21_fifty_refreshes_at_once_all_hold_what_was_asked_for() {
    let mut scene = scene().await;
    let asked = r#"{"userinfo":{"name":null},"id_token":{"email":null}}"#;
    let tokens = scene.tokens_for(&[("claims", asked)]).await;
    let scene = std::sync::Arc::new(scene);
    let answers = at_once(50, |_| {
        let (scene, token) = (std::sync::Arc::clone(&scene), tokens.refresh().to_owned());
        async move { Tokens::of(&scene.refresh(&token).await) }
    })
    .await;
    for answer in &answers {
        assert_eq!(
            (answer.claims("id_token")["email"].as_str(), answer.refresh()),
            (Some(EMAIL), answers[0].refresh())
        );
    }
    assert_eq!(names(&userinfo(&scene, &answers[49]).await), ["name", "sub"]);
}

#[tokio::test]
async fn section_5_5_claims_without_openid_give_nothing() {
    let mut scene = Scene::start().await;
    scene.rp.scope = "profile".into();
    let asked = ("claims", r#"{"userinfo":{"email":null},"id_token":{"email":null}}"#);
    let tokens = scene.tokens_for(&[asked]).await;
    assert_eq!(tokens.text("id_token"), "");
    assert_eq!(scene.userinfo(tokens.access()).await.status, 403);
    assert_eq!(scene.app.sql_count("grants WHERE requested_claims IS NOT NULL").await, 0);
    assert_eq!(scene.app.sql_count("consents WHERE claims <> '{}'").await, 0);
}

#[tokio::test]
async fn security_21_consents_for_different_claims_at_the_same_moment_are_both_remembered() {
    let mut scene = scene().await;
    scene.tokens().await;
    let names = ["name", "email", "gender", "phone_number"];
    let mut pages = Vec::new();
    for name in names {
        let asked = format!(r#"{{"userinfo":{{"{name}":null}}}}"#);
        let page = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[("claims", &asked)])).await;
        assert!(page.shows("consent-allow"), "{name}");
        pages.push(scene.browser.filled_in(&page, "/consent", &[("decision", "allow")]));
    }
    let pages = std::sync::Mutex::new(pages);
    let router = scene.app.public.clone();
    let answers = at_once(names.len(), |_| {
        let (router, form) = (router.clone(), pages.lock().unwrap().pop().unwrap());
        async move { send(&router, form).await }
    })
    .await;
    assert!(answers.iter().all(|answer| param(answer.location(), "code").is_some()));
    let all = r#"{"id_token":{"name":null,"email":null,"gender":null,"phone_number":null}}"#;
    let path = scene.rp.authorization_path(&[("claims", all), ("prompt", "none")]);
    let silent = scene.browser.get(&scene.app, &path).await;
    assert!(param(silent.location(), "code").is_some(), "{}", silent.location());
}
