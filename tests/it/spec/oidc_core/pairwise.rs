//! Core §8: clients that know people by names of their sector.

use keystead::domain::{
    ClientMetadata, GrantType, RedirectUri, RegistrationMode, Scope, SigningAlgorithm, SubjectType, UserId,
};
use serde_json::{Value, json};
use time::Duration as Span;

use super::{PAT, error};
use crate::support::{
    AdminApi, Browser, Operator, Publisher, Registrant, RelyingParty, Scene, TestApp, Tokens, jwt_part, own_metadata,
    param, web_metadata,
};

fn pairwise(metadata: ClientMetadata) -> ClientMetadata {
    let mut metadata = metadata;
    metadata.protocol.subject_type = SubjectType::Pairwise;
    metadata
}

/// A pairwise application at this host.
async fn at(app: &TestApp, id: &str, host: &str) -> RelyingParty {
    let redirect_uri = format!("https://{host}/cb");
    let redirect_uris = vec![RedirectUri::from_registered(redirect_uri.clone())];
    let client = app.client(id, pairwise(ClientMetadata { redirect_uris, ..web_metadata() })).await;
    RelyingParty { redirect_uri, ..RelyingParty::web(client) }
}

async fn sign_in(app: &TestApp, rp: &RelyingParty) -> Tokens {
    rp.tokens(app, &mut Browser::default(), PAT).await
}

fn names(tokens: &Tokens) -> (String, String) {
    let claims = tokens.claims("id_token");
    (claims["sub"].as_str().unwrap().to_owned(), claims["sid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn section_8_1_clients_of_one_sector_know_a_person_by_one_name_and_others_by_another() {
    let app = TestApp::start().await;
    let user = app.person(PAT).await;
    let mut browser = Browser::default();
    let mut seen = Vec::new();
    for (id, host) in [("one", "a.example"), ("two", "a.example"), ("three", "b.example")] {
        let tokens = at(&app, id, host).await.tokens(&app, &mut browser, PAT).await;
        seen.push(names(&tokens));
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0].0, seen[2].0);
    assert_ne!(seen[0].1, seen[2].1, "nor do they find each other by the session");
    let public = RelyingParty::web(app.web_client().await).tokens(&app, &mut browser, PAT).await;
    assert_eq!(names(&public).0, user.to_string());
    assert!(seen.iter().all(|(sub, _)| sub.len() == 43 && *sub != user.to_string()));
}

#[tokio::test]
async fn section_8_1_a_name_stays_on_every_replica_and_whatever_keys_rotate() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = at(&app, "one", "a.example").await;
    let first = sign_in(&app, &rp).await;
    app.engine.rotate_keys(None, &keystead::domain::Actor::Cli, &keystead::domain::Origin::default()).await.unwrap();
    app.wait(Span::days(400));
    app.engine.maintain_keys().await.unwrap();
    let replica = app.replica().await;
    let second = sign_in(&replica, &rp).await;
    assert_eq!(names(&first).0, names(&second).0);
    let refreshed = Tokens::of(&rp.refresh(&replica, second.refresh()).await);
    assert_eq!(names(&refreshed), names(&second), "Core §12.2");
}

#[tokio::test]
async fn section_8_whatever_tells_the_client_of_the_person_uses_its_name() {
    let mut scene = Scene::with(pairwise).await;
    let tokens = scene.tokens().await;
    let (sub, sid) = names(&tokens);
    let access = tokens.claims("access_token");
    assert_eq!((&access["sub"], &access["sid"]), (&json!(sub), &json!(sid)));
    assert_eq!(scene.userinfo(tokens.access()).await.json()["sub"], sub);
    for token in [tokens.access(), tokens.refresh()] {
        let asked = scene.app.post_as("/oauth2/introspect", scene.rp.client.pair(), &[("token", token)]).await;
        assert_eq!(asked.json()["sub"], sub);
        assert!(!asked.body.contains(&scene.user.to_string()), "{}", asked.body);
    }
    for name in ["access_token", "id_token"] {
        assert!(!tokens.claims(name).to_string().contains(&scene.user.to_string()), "{name}");
    }
}

#[tokio::test]
async fn section_8_a_signed_userinfo_answer_and_an_exchanged_token_keep_the_name() {
    let app = TestApp::start().await;
    let mut gateway = ClientMetadata { grant_types: vec![GrantType::TokenExchange], ..ClientMetadata::default() };
    gateway.scope = Scope::parse("a:read").unwrap();
    gateway.protocol.token_exchange_audiences = vec!["https://a.example".into()];
    gateway.protocol.token_exchange_impersonation = true;
    let gateway = app.client("gateway", gateway).await;
    app.resource_server("https://a.example", "a:read", SigningAlgorithm::Es256, &["gateway"]).await;
    let mut scene = Scene::over(app, |metadata| {
        let mut metadata = pairwise(metadata);
        metadata.protocol.userinfo_signed_response_alg = Some(SigningAlgorithm::Es256);
        metadata.scope = Scope::parse("openid a:read").unwrap();
        metadata
    })
    .await;
    let tokens = scene.tokens().await;
    let (sub, _) = names(&tokens);
    assert_eq!(jwt_part(&scene.userinfo(tokens.access()).await.body, 1)["sub"], sub);
    let params = [
        ("grant_type", GrantType::TokenExchange.as_str()),
        ("subject_token", tokens.access()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let exchanged = Tokens::of(&scene.app.post_as("/oauth2/token", gateway.pair(), &params).await);
    assert_eq!(exchanged.claims("access_token")["sub"], sub);
    assert!(!exchanged.claims("access_token").to_string().contains(&scene.user.to_string()));
}

#[tokio::test]
async fn section_8_a_logout_token_has_the_names_of_the_id_token() {
    let publisher = Publisher::of("").await;
    let address = publisher.url("/backchannel");
    let mut scene = Scene::with(|metadata| {
        let mut metadata = pairwise(metadata);
        metadata.protocol.backchannel_logout_uri = Some(address);
        metadata
    })
    .await;
    let tokens = scene.tokens().await;
    let query = format!("id_token_hint={}", tokens.text("id_token"));
    let answer = scene.browser.get(&scene.app, &format!("/oauth2/end_session?{query}")).await;
    assert!(answer.body.contains("You are signed out"), "the hint finds the session: {}", answer.body);
    scene.app.engine.tell_logouts().await.unwrap();
    let [body] = publisher.heard(1).await.try_into().unwrap();
    let logout: Value = jwt_part(&body, 1);
    assert_eq!((logout["sub"].clone(), logout["sid"].clone()), {
        let (sub, sid) = names(&tokens);
        (json!(sub), json!(sid))
    });
}

#[tokio::test]
async fn section_3_1_2_1_an_id_token_hint_finds_the_person_by_the_name_of_the_client() {
    let app = TestApp::start().await;
    for email in [PAT, super::OTHER] {
        app.person(email).await;
    }
    let (rp, elsewhere) = (at(&app, "one", "a.example").await, at(&app, "two", "b.example").await);
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, PAT).await;
    let hint = [("id_token_hint", tokens.text("id_token")), ("prompt", "none")];
    let answer = browser.get(&app, &rp.authorization_path(&hint)).await;
    assert!(param(answer.location(), "code").is_some(), "{}", answer.location());
    let mut other = Browser::default();
    rp.tokens(&app, &mut other, super::OTHER).await;
    let answer = other.get(&app, &rp.authorization_path(&hint)).await;
    assert_eq!(error(&answer).as_deref(), Some("login_required"));
    let answer = browser.get(&app, &elsewhere.authorization_path(&hint)).await;
    assert_eq!(error(&answer).as_deref(), Some("invalid_request"), "another sector's name means nobody here");
}

#[tokio::test]
async fn a_client_that_comes_to_know_people_by_other_names_loses_its_grants() {
    let mut scene = Scene::with(pairwise).await;
    let tokens = scene.tokens().await;
    scene.app.wait(Span::seconds(2));
    let operator = Operator(&scene.app);
    operator.change_client("web", |metadata| metadata.client_name = "Renamed".into()).await;
    assert!(scene.is_active(tokens.access()).await, "another name of the application changes nothing");
    operator.change_client("web", |metadata| metadata.protocol.subject_type = SubjectType::Public).await;
    assert!(!scene.is_active(tokens.access()).await);
    assert_eq!(scene.refresh(tokens.refresh()).await.error(), "invalid_grant");
    scene.app.wait(Span::seconds(2));
    let after = scene.tokens().await;
    assert_eq!(names(&after).0, scene.user.to_string());
}

#[tokio::test]
async fn operators_find_the_person_of_a_name_and_the_name_of_a_person() {
    let app = TestApp::start().await;
    let user: UserId = app.person(PAT).await;
    let rp = at(&app, "one", "a.example").await;
    let (sub, _) = names(&sign_in(&app, &rp).await);
    let api = AdminApi::with_scope(&app, "keystead:admin.read").await;
    let expected = json!({ "client_id": "one", "user_id": user, "sub": sub, "subject_type": "pairwise" });
    for name in [&user.to_string(), &sub] {
        assert_eq!(api.show(&format!("/clients/one/subjects/{name}")).await, expected);
    }
    app.web_client().await;
    assert_eq!(api.show(&format!("/clients/web/subjects/{user}")).await["sub"], user.to_string());
    let nobody = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    for path in [&format!("one/subjects/{nobody}"), &format!("web/subjects/{sub}"), "one/subjects/x", "none/subjects/x"]
    {
        assert_eq!(api.get(&format!("/clients/{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn protocol_43_a_sector_lists_every_redirect_uri_of_its_clients() {
    let app = TestApp::with_registration(RegistrationMode::Open).await;
    let publisher = Publisher::of(json!(["https://rp.example/cb", "https://rp.other/cb"])).await;
    let with = |uris: &[&str]| {
        let mut metadata = own_metadata();
        metadata["subject_type"] = json!("pairwise");
        metadata["redirect_uris"] = json!(uris);
        metadata["sector_identifier_uri"] = json!(publisher.url("/sector"));
        metadata
    };
    let (both, beyond) = (with(&["https://rp.example/cb", "https://rp.other/cb"]), with(&["https://rp.example/x"]));
    let made = Registrant::of(&app.register(None, &both).await);
    assert_eq!(made.document["sector_identifier_uri"], both["sector_identifier_uri"]);
    let refused = app.register(None, &beyond).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_client_metadata"));
    let mut changed = beyond.clone();
    changed["client_id"] = json!(made.id);
    let refused = made.call(&app, axum::http::Method::PUT, Some(&changed)).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_client_metadata"));
    let api = AdminApi::open(&app).await;
    assert_eq!(api.post("/clients", beyond.clone()).await.refused_members(), ["sector_identifier_uri"]);
    api.create("/clients", both.clone()).await;
    let uris = json!({ "redirect_uris": ["https://rp.example/x"] });
    let path = format!("/clients/{}", made.id);
    assert_eq!(api.patch(&path, uris).await.refused_members(), ["sector_identifier_uri"]);
    publisher.claim("text/plain");
    assert_eq!(
        app.register(None, &both).await.error(),
        "invalid_client_metadata",
        "a text that anybody may have put there"
    );
    publisher.claim("application/json");
    publisher.fail_with(404);
    api.change(&path, json!({ "client_name": "What was read is not read again" })).await;
    assert_eq!(app.register(None, &both).await.error(), "invalid_client_metadata");
    let mut without = both;
    without["sector_identifier_uri"] = Value::Null;
    assert_eq!(app.register(None, &without).await.error(), "invalid_client_metadata", "two hosts and no list");
}

#[tokio::test]
async fn security_69_who_is_refused_for_a_sector_list_cannot_have_it_read_without_end() {
    let app = TestApp::with_registration(RegistrationMode::InitialAccessToken).await;
    let publisher = Publisher::of(json!(["https://rp.example/cb"])).await;
    let admin = AdminApi::open(&app).await;
    let given = admin.create("/initial-access-tokens", json!({ "uses": 2 })).await;
    let token = given["initial_access_token"].as_str();
    let mut metadata = own_metadata();
    metadata["subject_type"] = json!("pairwise");
    metadata["sector_identifier_uri"] = json!(publisher.url("/sector"));
    let made = Registrant::of(&app.register(token, &metadata).await);
    metadata["redirect_uris"] = json!(["https://rp.example/elsewhere"]);
    let strict = app.with_http(|options| options.sign_ins_per_source_per_minute = 3);
    for expected in [400, 400, 400, 429, 429] {
        assert_eq!(strict.register(token, &metadata).await.status, expected);
    }
    assert_eq!(publisher.received().len(), 4);
    let app = strict.with_http(|options| options.sign_ins_per_source_per_minute = 1000);
    metadata["client_id"] = json!(made.id);
    let (refused, read_before) = loop {
        let read_before = publisher.received().len();
        let answer = made.call(&app, axum::http::Method::PUT, Some(&metadata)).await;
        if answer.status != 400 {
            break (answer, read_before);
        }
    };
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(publisher.received().len(), read_before, "nothing is read for a change that may not be made");
    assert!((64..74).contains(&read_before), "{read_before}");
}
