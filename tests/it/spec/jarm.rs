//! JWT Secured Authorization Response Mode (JARM).

use keystead::domain::{ClientMetadata, ResponseMode, SigningAlgorithm};
use serde_json::Value;

use crate::support::{Answer, Browser, ISSUER, Scene, Tokens, hidden_fields, jwks, jwt_part, param, verify_with};

/// The signed answer that a redirect or a form carries; nothing stands beside it.
fn response(answer: &Answer) -> String {
    if answer.location().is_empty() {
        let fields = hidden_fields(&answer.body);
        assert!(fields.len() == 1 && fields[0].0 == "response", "{fields:?}");
        return fields[0].1.clone();
    }
    let (address, query) = answer.location().split_once('?').unwrap();
    assert!(address == "https://rp.example/cb" && query.starts_with("response="), "{}", answer.location());
    assert_eq!(query.matches('=').count(), 1, "{query}");
    param(answer.location(), "response").unwrap()
}

async fn claims(scene: &Scene, answer: &Answer) -> Value {
    let keys = jwks(&scene.app).await;
    verify_with(&keys, &response(answer), "web", &["iss", "aud", "exp"]).unwrap()
}

fn signing_with(algorithm: Option<SigningAlgorithm>) -> impl FnOnce(ClientMetadata) -> ClientMetadata {
    move |mut metadata| {
        metadata.protocol.authorization_signed_response_alg = algorithm;
        metadata
    }
}

#[tokio::test]
async fn section_2_3_every_signed_mode_carries_one_jwt_with_the_whole_answer() {
    let mut scene = Scene::start().await;
    for mode in ["jwt", "query.jwt", "form_post.jwt"] {
        let answer = scene.authorize(&[("response_mode", mode)]).await;
        assert_eq!(answer.location().is_empty(), mode == "form_post.jwt", "{mode}");
        let claims = claims(&scene, &answer).await;
        let now = scene.app.clock.now().unix_timestamp();
        assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &"web".into()), "{mode}");
        assert_eq!((&claims["state"], claims["exp"].as_i64()), (&"the-state".into(), Some(now + 300)), "{mode}");
        assert_eq!(claims.as_object().unwrap().len(), 5, "{claims}");
        Tokens::of(&scene.redeem(claims["code"].as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn section_3_the_answer_is_signed_with_the_registered_algorithm_and_rs256_by_default() {
    for algorithm in SigningAlgorithm::ALL.iter().copied().map(Some).chain([None]) {
        let mut scene = Scene::with(signing_with(algorithm)).await;
        let answer = scene.authorize(&[("response_mode", "jwt")]).await;
        let expected = algorithm.unwrap_or(SigningAlgorithm::Rs256).as_str();
        assert_eq!(jwt_part(&response(&answer), 0)["alg"], expected);
        assert!(claims(&scene, &answer).await["code"].is_string());
    }
}

#[tokio::test]
async fn protocol_63_errors_are_signed_too() {
    let mut scene = Scene::start().await;
    for mode in ["jwt", "form_post.jwt"] {
        let mode = ("response_mode", mode);
        for (name, value, error) in [
            ("scope", "openid admin", "invalid_scope"),
            ("prompt", "none", "login_required"),
            ("response_type", "", "invalid_request"),
            ("request", "e30.e30.x", "invalid_request_object"),
        ] {
            let mut stranger = Browser::default();
            let answer = stranger.open(&scene.app, &scene.rp.authorization_path(&[mode, (name, value)])).await;
            let claims = claims(&scene, &answer).await;
            assert_eq!((&claims["error"], &claims["state"]), (&error.into(), &"the-state".into()), "{name}");
            assert!(claims["error_description"].is_string() && claims.get("code").is_none(), "{claims}");
        }
        let login = Browser::default().open(&scene.app, &scene.rp.authorization_path(&[mode])).await;
        let back = login.attribute("login-cancel", "href");
        scene.app.wait(time::Duration::minutes(20));
        let cancelled = scene.browser.open(&scene.app, &back).await;
        let claims = claims(&scene, &cancelled).await;
        assert_eq!(claims["error"], "access_denied");
        let now = scene.app.clock.now().unix_timestamp();
        assert_eq!(claims["exp"], now + 300, "made when the person turns back, not when the page was");
    }
}

#[tokio::test]
async fn security_73_a_client_that_takes_only_signed_answers_gets_no_other() {
    let mut scene = Scene::with(|mut metadata| {
        metadata.protocol.response_modes = Some(vec![ResponseMode::QueryJwt]);
        metadata
    })
    .await;
    for mode in ["", "jwt", "query.jwt"] {
        let answer = scene.authorize(&[("response_mode", mode)]).await;
        assert!(claims(&scene, &answer).await["code"].is_string(), "{mode}");
    }
    for mode in ["query", "form_post", "form_post.jwt", "fragment"] {
        let answer = scene.authorize(&[("response_mode", mode)]).await;
        assert_eq!(claims(&scene, &answer).await["error"], "invalid_request", "{mode}");
    }
}

#[tokio::test]
async fn security_30_a_signed_answer_is_no_id_token_hint_and_no_access_token() {
    let mut scene = Scene::with(signing_with(Some(SigningAlgorithm::Es256))).await;
    let answer = scene.authorize(&[("response_mode", "jwt")]).await;
    let jwt = response(&answer);
    let hinted = scene.authorize(&[("id_token_hint", &jwt)]).await;
    assert_eq!(param(hinted.location(), "error").as_deref(), Some("invalid_request"));
    assert_eq!(scene.userinfo(&jwt).await.status, 401);
    let path = format!("/oauth2/end_session?id_token_hint={jwt}");
    assert_eq!(scene.browser.open(&scene.app, &path).await.status, 400);
}
