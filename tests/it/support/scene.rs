//! The usual scene: a server, a person, and a web application in front of the person.

use keystead::domain::{ClientMetadata, UserId};

use super::fixtures::web_metadata;
use super::{Answer, Browser, RelyingParty, TestApp, Tokens, param};

/// The person of the scene.
pub const EMAIL: &str = "pat@example.com";

/// A server of its own with one person and one web application.
pub struct Scene {
    pub app: TestApp,
    pub user: UserId,
    pub rp: RelyingParty,
    pub browser: Browser,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with(|metadata| metadata).await
    }

    /// The same with another registration of the application; it asks for all that it is registered for.
    pub async fn with(change: impl FnOnce(ClientMetadata) -> ClientMetadata) -> Self {
        Self::over(TestApp::start().await, change).await
    }

    /// The same on a server that was prepared, with APIs for example.
    pub async fn over(app: TestApp, change: impl FnOnce(ClientMetadata) -> ClientMetadata) -> Self {
        let user = app.person(EMAIL).await;
        let metadata = change(web_metadata());
        let scope = metadata.scope.to_string();
        let rp = RelyingParty { scope, ..RelyingParty::web(app.client("web", metadata).await) };
        Self { app, user, rp, browser: Browser::default() }
    }

    /// A fresh code.
    pub async fn code(&mut self) -> String {
        self.code_for(&[]).await
    }

    /// The code of an authorization request with other parameters.
    pub async fn code_for(&mut self, more: &[(&str, &str)]) -> String {
        let answer = self.authorize(more).await;
        param(answer.location(), "code")
            .unwrap_or_else(|| panic!("no code: {} {} {}", answer.status, answer.location(), answer.body))
    }

    /// Goes through an authorization request to its last answer.
    pub async fn authorize(&mut self, more: &[(&str, &str)]) -> Answer {
        let path = self.rp.authorization_path(more);
        self.browser.authorize(&self.app, &path, EMAIL).await
    }

    pub async fn redeem(&self, code: &str) -> Answer {
        self.rp.redeem(&self.app, code).await
    }

    /// Redeems a code with other parameters.
    pub async fn redeem_with(&self, code: &str, more: &[(&str, &str)]) -> Answer {
        let mut params = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.rp.redirect_uri.as_str()),
            ("code_verifier", super::VERIFIER),
        ];
        params.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        params.extend_from_slice(more);
        self.rp.token(&self.app, &params).await
    }

    /// Tokens of a new authorization.
    pub async fn tokens(&mut self) -> Tokens {
        self.tokens_for(&[]).await
    }

    /// Tokens of an authorization request with other parameters.
    pub async fn tokens_for(&mut self, more: &[(&str, &str)]) -> Tokens {
        let code = self.code_for(more).await;
        Tokens::of(&self.redeem(&code).await)
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.rp.refresh(&self.app, refresh_token).await
    }

    /// Refreshes with further parameters.
    pub async fn refresh_with(&self, refresh_token: &str, more: &[(&str, &str)]) -> Answer {
        let mut params = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        params.extend_from_slice(more);
        self.rp.token(&self.app, &params).await
    }

    /// A refresh that works.
    pub async fn refreshed(&self, tokens: &Tokens) -> Tokens {
        Tokens::of(&self.refresh(tokens.refresh()).await)
    }

    pub async fn userinfo(&self, access_token: &str) -> Answer {
        self.app.get_as("/oauth2/userinfo", &format!("Bearer {access_token}")).await
    }

    /// Whether introspection calls it active, and for an access token userinfo agrees.
    pub async fn is_active(&self, token: &str) -> bool {
        let active = self.rp.is_active(&self.app, token).await;
        if !token.starts_with("ksr_") {
            assert_eq!(self.userinfo(token).await.status == 200, active, "userinfo and introspection agree");
        }
        active
    }

    /// The person signs out of the server in this browser.
    pub async fn sign_out(&mut self) {
        let page = self.browser.get(&self.app, "/logout").await;
        let answer = self.browser.submit(&self.app, &page, "/logout", &[]).await;
        assert!(answer.body.contains("You are signed out"), "{}", answer.body);
    }
}
