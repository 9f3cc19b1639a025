//! RFC 7523 §2.1: JWTs as authorization grants. A personnel system vouches for people to a robot.

use std::sync::Arc;

use keystead::domain::{
    AssertionIssuer, AssertionSubject, ClientMetadata, GrantType, RedirectUri, RegistrationMode, Scope, SubjectType,
    UserId,
};
use serde_json::{Value, json};
use time::Duration as Span;

use crate::support::{
    AdminApi, Answer, ClientFixture, Es256, ISSUER, Operator, ProofKey, Publisher, RelyingParty, TestApp, Tokens,
    at_once, compact, jwks, own_metadata, verify,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const HR: &str = "https://hr.example";
const API: &str = "https://api.example";
const PAT: &str = "pat@example.com";

/// A server with an API, a person, the robot, and the key of the personnel system.
struct Stage {
    app: TestApp,
    user: UserId,
    robot: ClientFixture,
    api: ClientFixture,
    key: Es256,
}

fn robot(key: &Es256, subject: AssertionSubject) -> ClientMetadata {
    let mut metadata = ClientMetadata {
        grant_types: vec![GrantType::JwtBearer],
        scope: Scope::parse("openid api:read api:write").unwrap(),
        ..ClientMetadata::default()
    };
    metadata.protocol.assertion_grant_issuer =
        Some(AssertionIssuer { issuer: HR.into(), jwks: Some(key.jwks()), jwks_uri: None, subject });
    metadata
}

impl Stage {
    async fn set(subject: AssertionSubject) -> Self {
        let app = TestApp::start().await;
        let (user, api, key) = (app.person(PAT).await, app.api().await, Es256::foreign("hr-1"));
        let robot = app.client("robot", robot(&key, subject)).await;
        Self { app, user, robot, api, key }
    }

    /// An assertion with other claims; null takes one away.
    fn assertion(&self, more: Value) -> String {
        let mut claims = json!({ "iss": HR, "sub": self.user, "email": PAT, "email_verified": true });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.key.assertion_with(&self.app, "robot", claims)
    }

    async fn present(&self, assertion: &str, more: &[(&str, &str)]) -> Answer {
        present(&self.app, &self.robot, assertion, more).await
    }

    /// A token for the person.
    async fn token(&self) -> Tokens {
        Tokens::of(&self.present(&self.assertion(json!({})), &[]).await)
    }

    async fn introspect(&self, token: &str) -> Value {
        self.app.post_as("/oauth2/introspect", self.api.pair(), &[("token", token)]).await.json()
    }
}

async fn present(app: &TestApp, client: &ClientFixture, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let mut params = vec![("grant_type", GRANT), ("assertion", assertion)];
    params.extend_from_slice(more);
    app.post_as("/oauth2/token", client.pair(), &params).await
}

/// The `error_reason` of a refusal.
fn reason(answer: &Answer) -> String {
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"), "{}", answer.body);
    answer.json()["error_reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn section_2_1_a_client_acts_for_the_person_for_whom_a_trusted_issuer_vouches() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let answer = stage.present(&stage.assertion(json!({})), &[]).await;
    let tokens = Tokens::of(&answer);
    assert_eq!(answer.header("cache-control"), "no-store");
    for absent in ["refresh_token", "id_token"] {
        assert!(tokens.0.get(absent).is_none(), "{absent}");
    }
    assert_eq!((&tokens.0["scope"], &tokens.0["token_type"]), (&json!("api:read api:write"), &json!("Bearer")));
    let claims = verify(&jwks(&stage.app).await, tokens.access(), API).unwrap();
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(stage.user), &json!("robot")));
    for absent in ["auth_time", "acr", "amr", "sid"] {
        assert!(claims.get(absent).is_none(), "nobody signed in: {absent}");
    }
    assert_eq!(stage.introspect(tokens.access()).await["sub"], json!(stage.user));
    let admin = AdminApi::open(&stage.app).await;
    let grants = admin.items(&format!("/users/{}/grants", stage.user)).await;
    assert_eq!((grants.len(), &grants[0]["client_id"]), (1, &json!("robot")));
    let event = admin.event(grants[0]["id"].as_str().unwrap(), "grant.by_assertion").await;
    assert_eq!(event["details"], json!({ "client_id": "robot", "user_id": stage.user, "issuer": HR }));
}

#[tokio::test]
async fn section_3_a_verified_address_finds_the_person_and_no_other_does() {
    let stage = Stage::set(AssertionSubject::Email).await;
    let tokens =
        Tokens::of(&stage.present(&stage.assertion(json!({ "sub": "4711", "email": "PAT@example.com" })), &[]).await);
    assert_eq!(tokens.claims("access_token")["sub"], json!(stage.user));
    let admin = AdminApi::open(&stage.app).await;
    admin.change(&format!("/users/{}", stage.user), json!({ "email_verified": false })).await;
    assert_eq!(reason(&stage.present(&stage.assertion(json!({})), &[]).await), "unknown");
    for (claims, expected) in [
        (json!({ "email": "nobody@example.com" }), "unknown"),
        (json!({ "email_verified": false }), "claims"),
        (json!({ "email": stage.user }), "unknown"),
    ] {
        assert_eq!(reason(&stage.present(&stage.assertion(claims.clone()), &[]).await), expected, "{claims}");
    }
}

#[tokio::test]
async fn security_27_keys_algorithms_and_claims_of_others_are_refused_as_grants() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let now = stage.app.clock.now().unix_timestamp();
    let claims = json!({ "iss": HR, "sub": stage.user, "aud": ISSUER, "exp": now + 60, "jti": "1" });
    let typed = |typ: &str| stage.key.sign(&json!({ "alg": "ES256", "typ": typ, "kid": "hr-1" }), &claims);
    for (what, assertion, expected) in [
        ("another key", Es256::foreign("hr-1").assertion_with(&stage.app, "robot", claims.clone()), "signature"),
        ("an unknown key", Es256::foreign("hr-2").assertion_with(&stage.app, "robot", claims.clone()), "signature"),
        ("our own key", Es256::of(&stage.app).assertion_with(&stage.app, "robot", claims.clone()), "signature"),
        ("no signature", compact(&json!({ "alg": "none" }), &claims, |_| Vec::new()), "signature"),
        ("no JWT", "a.b.c".to_owned(), "signature"),
        ("an access token", typed("at+jwt"), "claims"),
        ("a client assertion", typed("client-authentication+jwt"), "claims"),
        ("another issuer", stage.assertion(json!({ "iss": "https://other.example" })), "claims"),
        ("the client itself", stage.assertion(json!({ "iss": "robot" })), "claims"),
        ("another server", stage.assertion(json!({ "aud": "https://other.example" })), "claims"),
        ("two servers", stage.assertion(json!({ "aud": [ISSUER, "https://other.example"] })), "claims"),
        ("another client", stage.assertion(json!({ "client_id": "other" })), "claims"),
        ("a year", stage.assertion(json!({ "exp": now + 31_536_000 })), "claims"),
        ("too late", stage.assertion(json!({ "exp": now })), "expired"),
        ("the future", stage.assertion(json!({ "nbf": now + 3600 })), "claims"),
        ("no name", stage.assertion(json!({ "jti": "" })), "claims"),
        ("nobody", stage.assertion(json!({ "sub": "018f3c1e-0000-7000-8000-000000000000" })), "unknown"),
        ("no person", stage.assertion(json!({ "sub": "robot" })), "unknown"),
    ] {
        assert_eq!(reason(&stage.present(&assertion, &[]).await), expected, "{what}");
    }
    assert_eq!(stage.present("", &[]).await.error(), "invalid_request");
    Tokens::of(&stage.present(&typed("authorization-grant+jwt"), &[]).await);
}

#[tokio::test]
async fn security_27_an_assertion_gives_one_token_on_all_replicas() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let other = stage.app.replica().await;
    let assertion = stage.assertion(json!({}));
    assert_eq!(stage.present(&assertion, &[]).await.status, 200);
    assert_eq!(reason(&present(&other, &stage.robot, &assertion, &[]).await), "used");
    let assertion = stage.assertion(json!({}));
    let (stage, other) = (Arc::new(stage), Arc::new(other));
    let answers = at_once(50, |i| {
        let (stage, other, assertion) = (Arc::clone(&stage), Arc::clone(&other), assertion.clone());
        async move { present(if i % 2 == 0 { &stage.app } else { &other }, &stage.robot, &assertion, &[]).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| reason(answer) == "used"));
}

#[tokio::test]
async fn security_37_the_token_ends_with_the_account_and_with_all_that_is_open() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let operator = Operator(&stage.app);
    let first = stage.token().await;
    operator.sign_out_everywhere(stage.user).await;
    assert_eq!(stage.introspect(first.access()).await, json!({ "active": false }));
    let second = stage.token().await;
    assert_eq!(stage.introspect(second.access()).await["active"], true);
    operator.lock(stage.user).await;
    assert_eq!(stage.introspect(second.access()).await, json!({ "active": false }));
    assert_eq!(reason(&stage.present(&stage.assertion(json!({})), &[]).await), "unknown");
    operator.unlock(stage.user).await;
    let third = stage.token().await;
    let revoked = [("token", third.access())];
    assert_eq!(stage.app.post_as("/oauth2/revoke", stage.robot.pair(), &revoked).await.status, 200);
    assert_eq!(stage.introspect(third.access()).await, json!({ "active": false }));
    let fourth = stage.token().await;
    operator.end_grant_of(fourth.access()).await;
    assert_eq!(stage.introspect(fourth.access()).await, json!({ "active": false }));
    assert!(!stage.app.dump().await.contains(fourth.access()));
}

#[tokio::test]
async fn section_3_1_scope_and_resource_are_limited_by_the_registration() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let assertion = stage.assertion(json!({}));
    for (more, error) in [
        ([("scope", "openid")], "invalid_scope"),
        ([("scope", "offline_access")], "invalid_scope"),
        ([("scope", "keystead:admin")], "invalid_scope"),
        ([("resource", "https://other.example")], "invalid_target"),
    ] {
        assert_eq!(stage.present(&assertion, &more).await.error(), error, "{more:?}");
    }
    let asked = [("scope", "api:read"), ("resource", API)];
    let tokens = Tokens::of(&stage.present(&assertion, &asked).await);
    assert_eq!(tokens.0["scope"], "api:read", "and the refusals have not used it up");
    assert_eq!(tokens.claims("access_token")["aud"], json!([API]));
}

#[tokio::test]
async fn a_proof_binds_the_token_to_its_key() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let (key, assertion) = (ProofKey::generate(), stage.assertion(json!({})));
    let rp = RelyingParty::web(stage.robot.clone());
    let params = [("grant_type", GRANT), ("assertion", assertion.as_str())];
    let tokens = Tokens::of(&rp.token_with(&stage.app, &[&key.proof(&stage.app)], &params).await);
    assert_eq!(tokens.0["token_type"], "DPoP");
    assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], key.jkt());
}

#[tokio::test]
async fn security_45_nobody_presents_assertions_unless_an_operator_registered_whose() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let web = stage.app.web_client().await;
    let refused = present(&stage.app, &web, &stage.assertion(json!({})), &[]).await;
    assert_eq!(refused.error(), "unauthorized_client");
    let stranger = [("grant_type", GRANT), ("assertion", "a.b.c"), ("client_id", "robot")];
    assert_eq!(stage.app.post("/oauth2/token", &stranger).await.error(), "invalid_client");
    let open = TestApp::with_registration(RegistrationMode::Open).await;
    let mut own = own_metadata();
    own["grant_types"] = json!([GRANT]);
    own["redirect_uris"] = json!([]);
    own["assertion_grant_issuer"] = json!({ "issuer": HR, "jwks": stage.key.jwks(), "subject": "user_id" });
    assert_eq!(open.register(None, &own).await.error(), "invalid_client_metadata");
}

#[tokio::test]
async fn operators_name_an_issuer_whose_keys_are_fetched() {
    let stage = Stage::set(AssertionSubject::UserId).await;
    let publisher = Publisher::of(stage.key.jwks()).await;
    let admin = AdminApi::open(&stage.app).await;
    let issuer = json!({ "issuer": HR, "jwks_uri": publisher.url("/jwks"), "subject": "email" });
    let wanted = json!({ "client_id": "second", "client_name": "Second", "grant_types": [GRANT], "scope": "api:read",
                         "assertion_grant_issuer": issuer });
    let created = admin.create("/clients", wanted.clone()).await;
    assert_eq!(created["assertion_grant_issuer"], issuer);
    let second = ClientFixture { id: "second".into(), secret: created["client_secret"].as_str().unwrap().into() };
    Tokens::of(&present(&stage.app, &second, &stage.assertion(json!({})), &[]).await);
    for (member, value) in [("jwks_uri", json!("http://hr.example/")), ("jwks", json!({})), ("other", json!(1))] {
        let mut wrong = wanted.clone();
        wrong["client_id"] = json!("third");
        wrong["assertion_grant_issuer"][member] = value;
        let named = admin.post("/clients", wrong).await.refused_members();
        assert!(named.iter().all(|name| name.starts_with("assertion_grant_issuer")), "{member}: {named:?}");
    }
    publisher.fail_with(500);
    stage.app.wait(Span::hours(3));
    let refused = present(&stage.app, &second, &stage.assertion(json!({})), &[]).await;
    assert_eq!(reason(&refused), "signature");
}

#[tokio::test]
async fn section_8_a_pairwise_client_gets_its_own_name_of_the_person() {
    let stage = Stage::set(AssertionSubject::Email).await;
    let mut metadata = robot(&stage.key, AssertionSubject::Email);
    metadata.redirect_uris = vec![RedirectUri::from_registered("https://robots.example/cb".into())];
    metadata.protocol.subject_type = SubjectType::Pairwise;
    let discreet = stage.app.client("discreet", metadata).await;
    let tokens = Tokens::of(&present(&stage.app, &discreet, &stage.assertion(json!({})), &[]).await);
    let claims = tokens.claims("access_token").to_string();
    assert!(!claims.contains(&stage.user.to_string()), "{claims}");
}
