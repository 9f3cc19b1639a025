//! RFC 9470: step-up authentication. Keystead is the authorization server, and at userinfo the resource server too.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    AdminApi, Answer, EMAIL, Operator, ProofKey, Scene, TestApp, Tokens, jwks, jwt_part, param, verify,
};

const API: &str = "https://api.example";
const PASSWORD_ACR: &str = "urn:keystead:acr:password";

/// An API that wants a sign-in of this class that is at most five minutes old, as docs/step-up.md tells its developer.
struct Api {
    acr: &'static str,
    max_age: i64,
}

impl Api {
    /// Judges what a token says: the claims of the JWT or the members of introspection, which are the same.
    fn judge(&self, claims: &Value, now: i64) -> Result<(), String> {
        let age = claims["auth_time"].as_i64().map_or(i64::MAX, |auth_time| now - auth_time);
        if claims["acr"] == self.acr && age <= self.max_age {
            return Ok(());
        }
        Err(format!(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"A more recent sign-in is needed\", \
             acr_values=\"{}\", max_age=\"{}\"",
            self.acr, self.max_age
        ))
    }

    /// Verifies the token itself.
    async fn call(&self, app: &TestApp, token: &str) -> Result<(), String> {
        let claims = verify(&jwks(app).await, token, API).unwrap();
        self.judge(&claims, app.clock.now().unix_timestamp())
    }

    /// Asks the authorization server.
    async fn call_and_introspect(&self, app: &TestApp, token: &str) -> Result<(), String> {
        let api = ("api", "api-secret-with-enough-characters");
        let answer = app.post_as("/oauth2/introspect", api, &[("token", token)]).await.json();
        assert_eq!(answer["active"], true, "what is old is not inactive");
        self.judge(&answer, app.clock.now().unix_timestamp())
    }
}

/// A person, and an application that calls the API.
async fn scene() -> Scene {
    let app = TestApp::start().await;
    app.api().await;
    Scene::over(app, |mut metadata| {
        metadata.scope = keystead::domain::Scope::parse("openid api:read offline_access").unwrap();
        metadata
    })
    .await
}

/// A parameter of a challenge.
fn challenged(challenge: &str, name: &str) -> String {
    let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name}: {challenge}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn section_4_a_client_steps_up_as_the_api_challenges_and_the_new_token_is_accepted() {
    let (mut scene, api) = (scene().await, Api { acr: PASSWORD_ACR, max_age: 300 });
    let first = scene.tokens().await;
    assert_eq!(api.call(&scene.app, first.access()).await, Ok(()));
    scene.app.wait(Duration::seconds(301));
    let challenge = api.call(&scene.app, first.access()).await.unwrap_err();
    assert_eq!(api.call_and_introspect(&scene.app, first.access()).await.unwrap_err(), challenge);
    let refreshed = scene.refreshed(&first).await;
    assert!(api.call(&scene.app, refreshed.access()).await.is_err(), "a refresh is no sign-in");
    let (acr_values, max_age) = (challenged(&challenge, "acr_values"), challenged(&challenge, "max_age"));
    let more = [("acr_values", acr_values.as_str()), ("max_age", max_age.as_str())];
    let page = scene.browser.open(&scene.app, &scene.rp.authorization_path(&more)).await;
    assert!(page.shows("login-submit"), "the session is there but too old");
    let answer = scene.browser.sign_in(&scene.app, &page, EMAIL).await;
    let second = Tokens::of(&scene.redeem(&param(answer.location(), "code").unwrap()).await);
    assert_eq!(api.call(&scene.app, second.access()).await, Ok(()));
    assert_eq!(api.call_and_introspect(&scene.app, second.access()).await, Ok(()));
    assert_eq!(second.claims("access_token")["sid"], first.claims("access_token")["sid"], "the session goes on");
    // The same browser session, but each family says how its own authorization was given.
    let old = scene.refreshed(&refreshed).await;
    assert_eq!(old.claims("access_token")["auth_time"], first.claims("access_token")["auth_time"]);
    assert!(api.call(&scene.app, old.access()).await.is_err());
}

#[tokio::test]
async fn section_5_a_class_that_nobody_reaches_is_told_by_the_token_or_by_an_error_and_never_claimed() {
    let (mut scene, api) = (scene().await, Api { acr: "urn:example:gold", max_age: 300 });
    let tokens = scene.tokens_for(&[("acr_values", api.acr)]).await;
    assert_eq!(tokens.claims("access_token")["acr"], PASSWORD_ACR);
    let challenge = api.call(&scene.app, tokens.access()).await.unwrap_err();
    assert_eq!(challenged(&challenge, "acr_values"), "urn:example:gold");
    let claims = r#"{"id_token":{"acr":{"essential":true,"values":["urn:example:gold"]}}}"#;
    let answer = scene.authorize(&[("claims", claims)]).await;
    assert_eq!(param(answer.location(), "error").as_deref(), Some("unmet_authentication_requirements"));
    let known = scene.app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(known["acr_values_supported"], json!([PASSWORD_ACR]));
}

#[tokio::test]
async fn section_5_a_silent_step_up_needs_a_young_session() {
    let mut scene = scene().await;
    scene.tokens().await;
    scene.app.wait(Duration::seconds(300));
    let silent = scene.rp.authorization_path(&[("max_age", "300"), ("prompt", "none")]);
    assert!(param(scene.browser.get(&scene.app, &silent).await.location(), "code").is_some());
    scene.app.wait(Duration::seconds(1));
    let late = scene.browser.get(&scene.app, &silent).await;
    assert_eq!(param(late.location(), "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn section_6_jwt_and_introspection_say_the_same_about_the_sign_in() {
    let mut scene = scene().await;
    let signed_in = scene.app.clock.now().unix_timestamp();
    let tokens = scene.tokens().await;
    let introspect = [("token", tokens.access())];
    let told = scene.app.post_as("/oauth2/introspect", scene.rp.client.pair(), &introspect).await.json();
    for claims in [jwt_part(tokens.access(), 1), told] {
        assert_eq!((&claims["auth_time"], &claims["acr"]), (&json!(signed_in), &json!(PASSWORD_ACR)));
    }
}

/// Whether userinfo answers, and the challenge where it does not.
async fn asked(scene: &Scene, tokens: &Tokens) -> (u16, String) {
    let answer: Answer = scene.userinfo(tokens.access()).await;
    (answer.status.as_u16(), answer.header("www-authenticate").to_owned())
}

#[tokio::test]
async fn section_3_userinfo_challenges_where_an_operator_wants_a_recent_sign_in() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    scene.app.wait(Duration::seconds(61));
    assert_eq!(asked(&scene, &first).await.0, 200);
    Operator(&scene.app).change_client("web", |m| m.protocol.userinfo_max_authentication_age = Some(60)).await;
    let (status, challenge) = asked(&scene, &first).await;
    assert_eq!(status, 401);
    assert_eq!(
        challenge,
        "Bearer realm=\"keystead\", error=\"insufficient_user_authentication\", error_description=\"The person signed in too long \
         ago; repeat the authorization request with this max_age.\", max_age=\"60\""
    );
    let answer = scene.userinfo(first.access()).await;
    assert_eq!(
        (answer.error().as_str(), answer.header("cache-control")),
        ("insufficient_user_authentication", "no-store")
    );
    assert!(scene.rp.is_active(&scene.app, first.access()).await, "the token is as good as before elsewhere");
    let max_age = challenged(&challenge, "max_age");
    let second = scene.tokens_for(&[("max_age", &max_age)]).await;
    assert_eq!(asked(&scene, &second).await.0, 200);
    assert_eq!(asked(&scene, &first).await.0, 401);
    scene.app.wait(Duration::seconds(60));
    assert_eq!(asked(&scene, &second).await.0, 200);
    scene.app.wait(Duration::seconds(1));
    assert_eq!(asked(&scene, &scene.refreshed(&second).await).await.0, 401);
}

#[tokio::test]
async fn section_3_who_presents_no_live_token_learns_nothing_of_the_age() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.protocol.userinfo_max_authentication_age = Some(60);
        metadata
    })
    .await;
    let tokens = scene.tokens().await;
    scene.app.wait(Duration::seconds(61));
    let revoke = [("token", tokens.access())];
    assert_eq!(scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &revoke).await.status, 200);
    let answer = scene.userinfo(tokens.access()).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_token"));
    assert!(!answer.header("www-authenticate").contains("max_age"));
}

#[tokio::test]
async fn section_3_an_operator_registers_the_age_within_bounds() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let client = json!({ "client_name": "Shop", "redirect_uris": ["https://shop.example/cb"], "userinfo_max_authentication_age": 600 });
    let made = admin.create("/clients", client).await;
    assert_eq!(made["userinfo_max_authentication_age"], 600);
    let path = format!("/clients/{}", made["client_id"].as_str().unwrap());
    for refused in [0, 9, 31_536_001, -1] {
        let answer = admin.patch(&path, json!({ "userinfo_max_authentication_age": refused })).await;
        assert_eq!(answer.refused_members(), ["userinfo_max_authentication_age"], "{refused}");
    }
    let changed = admin.change(&path, json!({ "userinfo_max_authentication_age": null })).await;
    assert!(changed.get("userinfo_max_authentication_age").is_none());
}

#[tokio::test]
async fn section_3_the_challenge_for_a_bound_token_has_its_scheme() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.protocol.userinfo_max_authentication_age = Some(60);
        metadata
    })
    .await;
    let key = ProofKey::generate();
    let code = scene.code().await;
    let tokens = Tokens::of(&scene.rp.redeem_with(&scene.app, &[&key.proof(&scene.app)], &code).await);
    scene.app.wait(Duration::seconds(61));
    let proof = key.proof_beside(&scene.app, tokens.access());
    let answer = scene.app.userinfo_with(&format!("DPoP {}", tokens.access()), &[&proof]).await;
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("DPoP realm=\"keystead\", error=\"insufficient_user_authentication\""),
        "{challenge}"
    );
    assert_eq!(challenged(challenge, "max_age"), "60");
}
