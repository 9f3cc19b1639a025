//! A device without a browser, and the person who connects it.

use keystead::domain::{ClientAuthMethod, ClientMetadata, GrantType, UserId};
use serde_json::Value;

use super::fixtures::web_metadata;
use super::{Answer, Browser, RelyingParty, TestApp, Tokens};

const EMAIL: &str = "pat@example.com";
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A server, a television, and a person with a browser.
pub struct Television {
    pub app: TestApp,
    pub user: UserId,
    pub rp: RelyingParty,
    pub browser: Browser,
}

/// What the device got to begin with.
pub struct Codes(pub Value);

impl Codes {
    pub fn device(&self) -> &str {
        self.0["device_code"].as_str().unwrap()
    }

    pub fn user(&self) -> &str {
        self.0["user_code"].as_str().unwrap()
    }
}

/// What a public client on a device registers.
pub fn device_metadata() -> ClientMetadata {
    ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::None,
        grant_types: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        redirect_uris: Vec::new(),
        ..web_metadata()
    }
}

impl Television {
    pub async fn start() -> Self {
        Self::with(device_metadata()).await
    }

    pub async fn with(metadata: ClientMetadata) -> Self {
        let app = TestApp::start().await;
        let user = app.person(EMAIL).await;
        let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
        let client = app.client("tv", metadata).await;
        let rp = RelyingParty { public, ..RelyingParty::web(client) };
        Self { app, user, rp, browser: Browser::default() }
    }

    /// Asks for codes.
    pub async fn ask(&self, params: &[(&str, &str)]) -> Answer {
        let mut params = params.to_vec();
        if self.rp.public {
            params.push(("client_id", "tv"));
            return self.app.post("/oauth2/device_authorization", &params).await;
        }
        self.app.post_as("/oauth2/device_authorization", self.rp.client.pair(), &params).await
    }

    /// Codes for this scope.
    pub async fn codes(&self, scope: &str) -> Codes {
        let answer = self.ask(&[("scope", scope)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Codes(answer.json())
    }

    pub async fn poll(&self, codes: &Codes) -> Answer {
        self.rp.token(&self.app, &[("grant_type", DEVICE_CODE), ("device_code", codes.device())]).await
    }

    /// The person types a code; the answer is the page that follows, signed in where that is asked.
    pub async fn enter(&mut self, user_code: &str) -> Answer {
        let field = self.browser.get(&self.app, "/device").await;
        assert!(field.shows("user-code"), "{}", field.body);
        let mut page = self.browser.submit(&self.app, &field, "/device", &[("user_code", user_code)]).await;
        if page.shows("login-submit") {
            page = self.browser.sign_in(&self.app, &page, EMAIL).await;
        }
        page
    }

    /// The person types the code and decides.
    pub async fn decide(&mut self, codes: &Codes, decision: &str) -> Answer {
        let page = self.enter(codes.user()).await;
        assert!(page.shows("consent-allow"), "{}", page.body);
        self.browser.submit(&self.app, &page, "/device", &[("decision", decision)]).await
    }

    /// All of it.
    pub async fn tokens(&mut self, scope: &str) -> Tokens {
        let codes = self.codes(scope).await;
        let done = self.decide(&codes, "allow").await;
        assert!(done.shows("device-allowed"), "{}", done.body);
        Tokens::of(&self.poll(&codes).await)
    }

    /// Whether userinfo takes the token.
    pub async fn works(&self, tokens: &Tokens) -> bool {
        self.app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await.status == 200
    }
}
