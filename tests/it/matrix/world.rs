//! A server, a person, a web application, and one of everything that an event may end.

use std::collections::BTreeMap;

use keystead::domain::{ClientMetadata, GrantType, Scope, SigningAlgorithm};
use serde_json::Value;
use time::Duration;

use super::Outcome;
use crate::support::{Answer, Browser, ClientFixture, EMAIL, Scene, TestApp, Tokens, param, web_metadata};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const SOMEBODY_ELSE: &str = "other@example.com";
const A: &str = "https://a.example";
const B: &str = "https://b.example";
const ONLINE: &str = "openid a:read b:read";
const OFFLINE: &str = "openid offline_access a:read b:read";

/// What one authorization led to; the code of it is spent.
pub struct Family {
    pub spent_code: String,
    pub tokens: Tokens,
    /// An access token that the gateway got for the family's.
    pub exchanged: String,
}

/// Everything belongs to `web` and was allowed in one browser session, but for the exchanged tokens, which are the gateway's.
pub struct World {
    pub scene: Scene,
    pub gateway: ClientFixture,
    /// May introspect the tokens of both APIs; nothing happens to it.
    auditor: ClientFixture,
    /// Nothing happens to it either; it shows whether the browser session lives.
    bystander: ClientFixture,
    pub online: Family,
    pub offline: Family,
    codes: [String; 2],
    device_pending: Value,
    devices_allowed: [String; 2],
    request_uri: String,
    own_token: String,
}

impl World {
    pub async fn make() -> Self {
        let app = TestApp::start_with(|policy| {
            policy.authorization_code_lifetime = Duration::minutes(5);
            policy.jwks_max_age = Duration::seconds(30);
        })
        .await;
        let gateway = app.client("gateway", gateway_metadata()).await;
        let nothing = || ClientMetadata { grant_types: Vec::new(), ..ClientMetadata::default() };
        let auditor = app.client("auditor", nothing()).await;
        let bystander = app.client("bystander", web_metadata()).await;
        app.resource_server(A, "a:read", SigningAlgorithm::Es256, &["gateway", "auditor"]).await;
        app.resource_server(B, "b:read", SigningAlgorithm::Es256, &["auditor"]).await;
        let mut scene = Scene::over(app, web).await;
        let (online, offline) =
            (family(&mut scene, &gateway, ONLINE).await, family(&mut scene, &gateway, OFFLINE).await);
        let codes = [scene.code_for(&[("scope", ONLINE)]).await, scene.code_for(&[("scope", OFFLINE)]).await];
        let devices_allowed = [allowed_device(&mut scene, ONLINE).await, allowed_device(&mut scene, OFFLINE).await];
        let device_pending = device(&scene, ONLINE).await;
        let pushed = scene.rp.push(&scene.app, &[("scope", ONLINE)]).await.json();
        let request_uri = pushed["request_uri"].as_str().unwrap().to_owned();
        let own = scene.rp.token(&scene.app, &[("grant_type", "client_credentials"), ("scope", "a:read")]).await;
        let own_token = Tokens::of(&own).access().to_owned();
        // What happens in the same second counts as later.
        scene.app.wait(Duration::seconds(2));
        Self {
            scene,
            gateway,
            auditor,
            bystander,
            online,
            offline,
            codes,
            device_pending,
            devices_allowed,
            request_uri,
            own_token,
        }
    }

    pub fn families(&mut self) -> [&mut Family; 2] {
        [&mut self.online, &mut self.offline]
    }

    /// Tries everything and says what works. Access tokens come first, since some tries have effects.
    pub async fn probe(mut self) -> Outcome {
        self.scene.app.wait(Duration::seconds(2));
        let mut found = BTreeMap::new();
        found.insert("session", self.session_lives().await);
        found.insert("own_token", self.introspects(&self.own_token).await);
        for (name, family) in [("access_token", &self.online), ("offline_access_token", &self.offline)] {
            found.insert(name, self.access_token_lives(family.tokens.access()).await);
        }
        found.insert("exchanged_token", self.introspects(&self.online.exchanged).await);
        found.insert("offline_exchanged_token", self.introspects(&self.offline.exchanged).await);
        for (name, family) in [("refresh_token", &self.online), ("offline_refresh_token", &self.offline)] {
            found.insert(name, self.refresh_token_lives(family.tokens.refresh()).await);
        }
        for (name, code) in [("code", &self.codes[0]), ("offline_code", &self.codes[1])] {
            found.insert(name, works(&self.scene.redeem(code).await));
        }
        for (name, code) in
            [("device_allowed", &self.devices_allowed[0]), ("offline_device_allowed", &self.devices_allowed[1])]
        {
            found.insert(name, works(&self.poll(code).await));
        }
        found.insert("device_pending", self.device_can_still_be_connected().await);
        found.insert("pushed_request", self.pushed_request_lives().await);
        found
    }

    async fn introspects(&self, token: &str) -> bool {
        let answer = self.scene.app.post_as("/oauth2/introspect", self.auditor.pair(), &[("token", token)]).await;
        answer.json()["active"].as_bool().unwrap()
    }

    async fn access_token_lives(&self, token: &str) -> bool {
        let active = self.introspects(token).await;
        assert_eq!(self.scene.userinfo(token).await.status == 200, active, "userinfo and introspection agree");
        active
    }

    async fn refresh_token_lives(&self, token: &str) -> bool {
        let params = [("token", token)];
        let shown = self.scene.app.post_as("/oauth2/introspect", self.scene.rp.client.pair(), &params).await;
        let lives = works(&self.scene.refresh(token).await);
        // A client that is off is not even told.
        assert_eq!(shown.json()["active"].as_bool().unwrap_or(false), lives, "introspection and the grant agree");
        lives
    }

    async fn poll(&self, device_code: &str) -> Answer {
        self.scene.rp.token(&self.scene.app, &[("grant_type", DEVICE_CODE), ("device_code", device_code)]).await
    }

    /// By somebody to whom nothing happened.
    async fn device_can_still_be_connected(&self) -> bool {
        let (app, mut browser) = (&self.scene.app, Browser::default());
        app.person(SOMEBODY_ELSE).await;
        let page = enter(app, &mut browser, SOMEBODY_ELSE, &self.device_pending).await;
        if page.shows("consent-allow") {
            browser.submit(app, &page, "/device", &[("decision", "allow")]).await;
        }
        let answer = self.poll(self.device_pending["device_code"].as_str().unwrap()).await;
        answer.status == 200
    }

    async fn session_lives(&mut self) -> bool {
        let redirect_uri = "https://rp.example/cb";
        let params = [
            ("client_id", self.bystander.id.as_str()),
            ("redirect_uri", redirect_uri),
            ("prompt", "none"),
            ("scope", "openid"),
        ];
        let path = self.scene.rp.authorization_path(&params);
        let answer = self.scene.browser.clone().get(&self.scene.app, &path).await;
        match param(answer.location(), "error").as_deref() {
            Some("consent_required") => true,
            Some("login_required") => false,
            other => panic!("{other:?} {}", answer.body),
        }
    }

    async fn pushed_request_lives(&self) -> bool {
        let mut browser = Browser::default();
        let page = browser.open(&self.scene.app, &self.scene.rp.path_of(&self.request_uri)).await;
        assert!(page.shows("login-submit") || page.status == 400, "{} {}", page.status, page.body);
        page.shows("login-submit")
    }
}

/// Whether the token endpoint gave tokens; what else it says must be a refusal and no breakdown.
fn works(answer: &Answer) -> bool {
    let refused = matches!(answer.error().as_str(), "invalid_grant" | "invalid_client");
    assert!(answer.status == 200 || refused, "{} {}", answer.status, answer.body);
    answer.status == 200
}

fn web(metadata: ClientMetadata) -> ClientMetadata {
    let grant_types = vec![
        GrantType::AuthorizationCode,
        GrantType::RefreshToken,
        GrantType::DeviceCode,
        GrantType::ClientCredentials,
    ];
    ClientMetadata { grant_types, scope: Scope::parse(OFFLINE).unwrap(), ..metadata }
}

fn gateway_metadata() -> ClientMetadata {
    let mut metadata = ClientMetadata {
        grant_types: vec![GrantType::TokenExchange],
        scope: Scope::parse("a:read b:read").unwrap(),
        ..ClientMetadata::default()
    };
    metadata.protocol.token_exchange_audiences = vec![B.into()];
    metadata.protocol.token_exchange_impersonation = true;
    metadata
}

async fn family(scene: &mut Scene, gateway: &ClientFixture, scope: &str) -> Family {
    let spent_code = scene.code_for(&[("scope", scope)]).await;
    let tokens = Tokens::of(&scene.redeem(&spent_code).await);
    let params = [
        ("grant_type", EXCHANGE),
        ("subject_token", tokens.access()),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", B),
    ];
    let exchanged = Tokens::of(&scene.app.post_as("/oauth2/token", gateway.pair(), &params).await).access().to_owned();
    Family { spent_code, tokens, exchanged }
}

async fn device(scene: &Scene, scope: &str) -> Value {
    let params = [("scope", scope)];
    let answer = scene.app.post_as("/oauth2/device_authorization", scene.rp.client.pair(), &params).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// A device that the person allowed and that has not heard of it yet.
async fn allowed_device(scene: &mut Scene, scope: &str) -> String {
    let codes = device(scene, scope).await;
    let Scene { app, browser, .. } = scene;
    let page = enter(app, browser, EMAIL, &codes).await;
    let done = browser.submit(app, &page, "/device", &[("decision", "allow")]).await;
    assert!(done.shows("device-allowed"), "{}", done.body);
    codes["device_code"].as_str().unwrap().to_owned()
}

/// A person types the user code; the answer is the page that follows, signed in where that is asked.
async fn enter(app: &TestApp, browser: &mut Browser, email: &str, codes: &Value) -> Answer {
    let field = browser.get(app, "/device").await;
    let user_code = [("user_code", codes["user_code"].as_str().unwrap())];
    let page = browser.submit(app, &field, "/device", &user_code).await;
    if !page.shows("login-submit") {
        return page;
    }
    browser.sign_in(app, &page, email).await
}
