//! RFC 8693: token exchange. A gateway speaks for the API A, gets people's tokens there, and exchanges them for narrower ones.

use keystead::domain::{ClientMetadata, GrantType, Scope, SigningAlgorithm};
use serde_json::{Value, json};
use time::Duration as Span;

use crate::support::{
    Answer, ClientFixture, Es256, Operator, ProofKey, RelyingParty, Scene, TestApp, Tokens, jwt_part,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const A: &str = "https://a.example";
const B: &str = "https://b.example";

/// A person with a web application, two APIs, and the gateway.
struct Exchange {
    scene: Scene,
    gateway: ClientFixture,
}

fn gateway_metadata() -> ClientMetadata {
    let mut metadata = ClientMetadata {
        grant_types: vec![GrantType::TokenExchange, GrantType::ClientCredentials],
        scope: Scope::parse("a:read a:write b:read").unwrap(),
        ..ClientMetadata::default()
    };
    metadata.protocol.token_exchange_audiences = vec![A.into(), B.into()];
    metadata.protocol.token_exchange_delegation = true;
    metadata.protocol.token_exchange_impersonation = true;
    metadata
}

impl Exchange {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let gateway = app.client("gateway", gateway_metadata()).await;
        app.resource_server(A, "a:read a:write", SigningAlgorithm::Es256, &["gateway"]).await;
        app.resource_server(B, "b:read b:write", SigningAlgorithm::Es256, &[]).await;
        let scope = Scope::parse("openid email offline_access a:read b:read b:write").unwrap();
        let scene = Scene::over(app, |metadata| ClientMetadata { scope, ..metadata }).await;
        Self { scene, gateway }
    }

    fn app(&self) -> &TestApp {
        &self.scene.app
    }

    async fn exchange_as(&self, client: &ClientFixture, token: &str, more: &[(&str, &str)]) -> Answer {
        let mut params = vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
        params.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        params.extend_from_slice(more);
        self.app().post_as("/oauth2/token", client.pair(), &params).await
    }

    async fn exchange(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        self.exchange_as(&self.gateway, token, more).await
    }

    async fn is_active(&self, client: &ClientFixture, token: &str) -> bool {
        let answer = self.app().post_as("/oauth2/introspect", client.pair(), &[("token", token)]).await;
        answer.json()["active"].as_bool().unwrap()
    }

    /// The gateway's own token, which shows that it acts.
    async fn actor_token(&self) -> String {
        let params = [("grant_type", "client_credentials"), ("scope", "a:read")];
        Tokens::of(&self.app().post_as("/oauth2/token", self.gateway.pair(), &params).await).access().to_owned()
    }
}

fn claims(answer: &Answer) -> Value {
    Tokens::of(answer).claims("access_token")
}

#[tokio::test]
async fn section_2_2_an_exchange_gives_a_narrower_token_of_the_same_person() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens().await;
    let answer = exchange.exchange(subject.access(), &[("audience", B), ("scope", "b:read")]).await;
    let (body, new, old) = (answer.json(), claims(&answer), subject.claims("access_token"));
    assert_eq!((&body["issued_token_type"], &body["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));
    assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&new["aud"], &new["scope"], &new["client_id"]), (&json!([B]), &json!("b:read"), &json!("gateway")));
    for kept in ["sub", "auth_time", "acr", "amr", "sid", "iss"] {
        assert_eq!(new[kept], old[kept], "{kept}");
    }
    assert_eq!(new["exchanged_from"], json!([{ "jti": old["jti"], "client_id": "web" }]));
    assert!(new.get("act").is_none(), "nobody acts: it is impersonation");
    assert!(exchange.is_active(&exchange.gateway, body["access_token"].as_str().unwrap()).await);
    let all = claims(&exchange.exchange(subject.access(), &[]).await);
    assert_eq!((&all["aud"], &all["scope"]), (&json!([A, B]), &json!("a:read b:read")));
    let by_resource = claims(&exchange.exchange(subject.access(), &[("resource", A)]).await);
    assert_eq!((&by_resource["aud"], &by_resource["scope"]), (&json!([A]), &json!("a:read")));
}

#[tokio::test]
async fn section_4_1_delegation_names_the_actor_and_keeps_those_before() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens().await;
    let actor = exchange.actor_token().await;
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let first = Tokens::of(&exchange.exchange(subject.access(), &acting).await);
    assert_eq!(first.claims("access_token")["act"], json!({ "sub": "gateway" }));
    let second = exchange.app().client("second", gateway_metadata()).await;
    exchange.app().resource_server("https://c.example", "c:read", SigningAlgorithm::Es256, &["second"]).await;
    // Not for an API of the second client: it is none of its business.
    assert_eq!(exchange.exchange_as(&second, first.access(), &[]).await.error(), "invalid_request");
    let again = claims(&exchange.exchange(first.access(), &acting).await);
    assert_eq!(again["act"], json!({ "sub": "gateway", "act": { "sub": "gateway" } }));
    let silent = claims(&exchange.exchange(first.access(), &[]).await);
    assert_eq!(silent["act"], json!({ "sub": "gateway" }), "impersonation does not wash the actor off");
    let introspect = [("token", first.access())];
    let told = exchange.app().post_as("/oauth2/introspect", exchange.gateway.pair(), &introspect).await.json();
    assert_eq!((&told["active"], &told["act"]["sub"]), (&json!(true), &json!("gateway")));
}

#[tokio::test]
async fn security_45_the_actor_is_the_client_itself() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens().await;
    let exchanged = Tokens::of(&exchange.exchange(subject.access(), &[]).await);
    let other = exchange.app().machine("other", "a:read").await;
    let others = exchange.app().machine_token(&other, "a:read").await;
    for (what, actor) in
        [("a person", subject.access()), ("an exchanged one", exchanged.access()), ("another", &others)]
    {
        let acting = [("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)];
        assert_eq!(exchange.exchange(subject.access(), &acting).await.error(), "invalid_request", "{what}");
    }
}

#[tokio::test]
async fn security_33_45_nothing_gets_wider() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens_for(&[("scope", "openid email a:read b:write")]).await;
    let narrow = exchange.scene.tokens_for(&[("scope", "openid a:read")]).await;
    for (token, more, expected) in [
        (&subject, &[("scope", "a:write")][..], "invalid_scope"),
        (&subject, &[("scope", "b:write")], "invalid_scope"),
        (&subject, &[("scope", "b:read")], "invalid_scope"),
        (&subject, &[("scope", "openid")], "invalid_scope"),
        (&subject, &[("scope", "a:read offline_access")], "invalid_scope"),
        (&subject, &[("audience", B), ("scope", "a:read")], "invalid_scope"),
        (&subject, &[("audience", B)], "invalid_target"),
        (&subject, &[("audience", "https://unknown.example")], "invalid_target"),
        (&subject, &[("audience", "https://id.example")], "invalid_target"),
        (&subject, &[("audience", "urn:keystead:admin")], "invalid_target"),
        (&narrow, &[("resource", B)], "invalid_target"),
        (&narrow, &[("resource", A), ("audience", B)], "invalid_target"),
        (&narrow, &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], "invalid_request"),
        (&narrow, &[("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")], "invalid_request"),
    ] {
        assert_eq!(exchange.exchange(token.access(), more).await.error(), expected, "{more:?}");
    }
    exchange.app().wait(Span::minutes(9));
    let old = narrow.claims("access_token");
    assert_eq!(claims(&exchange.exchange(narrow.access(), &[]).await)["exp"], old["exp"], "nor longer");
}

#[tokio::test]
async fn security_45_only_a_live_token_of_ours_that_is_meant_for_the_client_is_exchanged() {
    let mut exchange = Exchange::start().await;
    let elsewhere = exchange.scene.tokens_for(&[("scope", "openid b:read")]).await;
    let refused = exchange.exchange(elsewhere.access(), &[]).await;
    assert_eq!(refused.error(), "invalid_request", "found somewhere");
    let subject = exchange.scene.tokens().await;
    let forged = Es256::foreign(subject.jose("access_token")["kid"].as_str().unwrap());
    let forged = forged.access_token(&subject.claims("access_token"));
    let foreign = Es256::of(exchange.app());
    let mut other = subject.claims("access_token");
    other["iss"] = json!("https://other.example");
    let foreign = foreign.access_token(&other);
    for (what, token) in [
        ("an ID token", subject.text("id_token")),
        ("a refresh token", subject.refresh()),
        ("garbage", "x"),
        ("another key", &forged),
        ("another issuer", &foreign),
    ] {
        let answer = exchange.exchange(token, &[]).await;
        assert_eq!(
            (answer.error(), &answer.body),
            ("invalid_request".into(), &refused.body),
            "{what}: one answer for all"
        );
    }
    exchange.app().wait(Span::minutes(10));
    assert_eq!(exchange.exchange(subject.access(), &[]).await.body, refused.body, "expired");
}

#[tokio::test]
async fn security_45_a_token_that_is_bound_to_a_key_is_not_washed() {
    let mut exchange = Exchange::start().await;
    let mut bound = exchange.scene.tokens().await.claims("access_token");
    bound["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    let token = Es256::of(exchange.app()).access_token(&bound);
    let answer = exchange.exchange(&token, &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    assert!(answer.body.contains("cnf"), "{}", answer.body);
}

#[tokio::test]
async fn a_client_that_proves_a_key_gets_a_token_that_is_bound_to_it() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens().await;
    let (key, gateway) = (ProofKey::generate(), RelyingParty::web(exchange.gateway.clone()));
    let params = [("grant_type", EXCHANGE), ("subject_token", subject.access()), ("subject_token_type", ACCESS_TOKEN)];
    let answer = gateway.token_with(exchange.app(), &[&key.proof(exchange.app())], &params).await;
    let tokens = Tokens::of(&answer);
    assert_eq!(tokens.text("token_type"), "DPoP");
    assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], key.jkt());
    assert_eq!(exchange.exchange(tokens.access(), &[]).await.error(), "invalid_request", "and stays so");
}

#[tokio::test]
async fn security_45_a_client_exchanges_only_what_it_is_registered_for() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens().await;
    let actor = exchange.actor_token().await;
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let web = exchange.scene.rp.client.clone();
    assert_eq!(exchange.exchange_as(&web, subject.access(), &[]).await.error(), "unauthorized_client");
    let operator = Operator(&exchange.scene.app);
    operator.change_client("gateway", |m| m.protocol.token_exchange_impersonation = false).await;
    assert_eq!(exchange.exchange(subject.access(), &[]).await.error(), "unauthorized_client");
    assert_eq!(exchange.exchange(subject.access(), &acting).await.status, 200);
    operator.change_client("gateway", |m| m.protocol.token_exchange_audiences = vec![B.into()]).await;
    assert_eq!(exchange.exchange(subject.access(), &[("audience", A)]).await.error(), "unauthorized_client");
    let of_b = exchange.exchange(subject.access(), &acting).await;
    assert_eq!(claims(&of_b)["aud"], json!([B]));
    let no_secret = [("grant_type", EXCHANGE), ("client_id", "gateway"), ("subject_token", subject.access())];
    assert_eq!(exchange.app().post("/oauth2/token", &no_secret).await.error(), "invalid_client");
}

#[tokio::test]
async fn security_45_an_exchanged_token_dies_with_what_it_came_from() {
    for end in ["nothing", "subject", "middle", "family", "lock", "grant", "web", "gateway", "secret rotation"] {
        let mut exchange = Exchange::start().await;
        let subject = exchange.scene.tokens().await;
        let middle = Tokens::of(&exchange.exchange(subject.access(), &[]).await);
        let last = Tokens::of(&exchange.exchange(middle.access(), &[("audience", B)]).await);
        assert!(exchange.is_active(&exchange.gateway, last.access()).await);
        let (app, web) = (exchange.app(), exchange.scene.rp.client.pair());
        let revoke = async |client, token: &str| app.post_as("/oauth2/revoke", client, &[("token", token)]).await;
        match end {
            "subject" => drop(revoke(web, subject.access()).await),
            "middle" => drop(revoke(exchange.gateway.pair(), middle.access()).await),
            "family" => drop(revoke(web, subject.refresh()).await),
            "lock" => Operator(app).lock(exchange.scene.user).await,
            "grant" => Operator(app).end_grant_of(subject.access()).await,
            "web" => Operator(app).disable_client("web", true).await,
            "gateway" => {
                Operator(app).disable_client("gateway", true).await;
                app.wait(Span::seconds(1));
                Operator(app).disable_client("gateway", false).await;
            }
            _ => drop(Operator(app).add_secret("gateway").await),
        }
        let lives = matches!(end, "nothing" | "secret rotation");
        assert_eq!(exchange.is_active(&exchange.gateway, last.access()).await, lives, "{end}");
        let again = exchange.exchange(last.access(), &[]).await;
        assert_eq!(again.status == 200, lives, "{end}: {}", again.body);
    }
}

#[tokio::test]
async fn security_45_a_sign_out_ends_exchanged_tokens_too() {
    let mut exchange = Exchange::start().await;
    let subject = exchange.scene.tokens_for(&[("scope", "openid a:read b:read")]).await;
    let exchanged = Tokens::of(&exchange.exchange(subject.access(), &[]).await);
    exchange.scene.sign_out().await;
    assert!(!exchange.is_active(&exchange.gateway, exchanged.access()).await);
    assert_eq!(exchange.exchange(subject.access(), &[]).await.error(), "invalid_request");
}

#[tokio::test]
async fn a_machines_token_is_exchanged_as_well_and_dies_with_the_machine() {
    let exchange = Exchange::start().await;
    let machine = exchange.app().machine("machine", "a:read b:read").await;
    let token = exchange.app().machine_token(&machine, "a:read b:read").await;
    let exchanged = Tokens::of(&exchange.exchange(&token, &[("resource", B)]).await);
    let claims = exchanged.claims("access_token");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("machine"), &json!("gateway")));
    assert_eq!(jwt_part(&token, 1)["jti"], claims["exchanged_from"][0]["jti"]);
    assert!(exchange.is_active(&exchange.gateway, exchanged.access()).await);
    Operator(exchange.app()).disable_client("machine", true).await;
    assert!(!exchange.is_active(&exchange.gateway, exchanged.access()).await);
}

#[tokio::test]
async fn exchanges_do_not_go_on_for_ever() {
    let mut exchange = Exchange::start().await;
    let mut token = exchange.scene.tokens().await.access().to_owned();
    for _ in 0..4 {
        token = Tokens::of(&exchange.exchange(&token, &[]).await).access().to_owned();
    }
    let answer = exchange.exchange(&token, &[]).await;
    assert_eq!(answer.error(), "invalid_request");
    assert!(answer.body.contains("4 times"), "{}", answer.body);
}
