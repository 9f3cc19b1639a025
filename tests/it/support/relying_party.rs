//! A relying party: builds authorization requests with PKCE, redeems codes, refreshes.

use keystead::crypto::s256_challenge;
use serde_json::Value;
use url::Url;

use super::{Answer, Browser, ClientFixture, TestApp, basic, form, jwt_part};

/// A verifier for tests that need no other.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client application and the person in front of it.
#[derive(Clone)]
pub struct RelyingParty {
    pub client: ClientFixture,
    pub public: bool,
    pub redirect_uri: String,
    pub scope: String,
}

/// What the token endpoint gave.
#[derive(Debug, Clone)]
pub struct Tokens(pub Value);

impl Tokens {
    /// Of an answer that must be a success.
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        Self(answer.json())
    }

    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub fn access(&self) -> &str {
        self.text("access_token")
    }

    pub fn refresh(&self) -> &str {
        self.text("refresh_token")
    }

    /// The claims of a JWT member, unverified.
    pub fn claims(&self, name: &str) -> Value {
        jwt_part(self.text(name), 1)
    }

    /// The JOSE header of a JWT member.
    pub fn jose(&self, name: &str) -> Value {
        jwt_part(self.text(name), 0)
    }
}

impl RelyingParty {
    /// The confidential client of [`TestApp::web_client`].
    pub fn web(client: ClientFixture) -> Self {
        Self {
            client,
            public: false,
            redirect_uri: "https://rp.example/cb".into(),
            scope: "openid profile email offline_access".into(),
        }
    }

    /// The parameters of an authorization request; `more` adds or replaces some, an empty value removes one.
    pub fn request(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = s256_challenge(VERIFIER);
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", self.client.id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", self.scope.as_str()),
            ("state", "the-state"),
            ("nonce", "the-nonce"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        params.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        params.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        params.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A path for the authorization endpoint with the parameters of [`RelyingParty::request`].
    pub fn authorization_path(&self, more: &[(&str, &str)]) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(self.request(more)).finish();
        format!("/oauth2/authorize?{query}")
    }

    /// Pushes the parameters of [`RelyingParty::request`] (RFC 9126).
    pub async fn push(&self, app: &TestApp, more: &[(&str, &str)]) -> Answer {
        self.push_with(app, &[], more).await
    }

    /// The same with these DPoP proofs.
    pub async fn push_with(&self, app: &TestApp, proofs: &[&str], more: &[(&str, &str)]) -> Answer {
        let params = self.request(more);
        let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut request = form("/oauth2/par", &params);
        if !self.public {
            let (id, secret) = self.client.pair();
            request.headers_mut().insert("authorization", basic(id, secret).parse().unwrap());
        }
        for proof in proofs {
            request.headers_mut().append("dpop", proof.parse().unwrap());
        }
        app.send(request).await
    }

    /// A path for the authorization endpoint that names a request which is pushed for it.
    pub async fn pushed_path(&self, app: &TestApp, more: &[(&str, &str)]) -> String {
        let answer = self.push(app, more).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        self.path_of(answer.json()["request_uri"].as_str().unwrap())
    }

    /// The path for a request that was pushed.
    pub fn path_of(&self, request_uri: &str) -> String {
        let params = [("client_id", self.client.id.as_str()), ("request_uri", request_uri)];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        format!("/oauth2/authorize?{query}")
    }

    /// Signs the person in and gives the code.
    pub async fn code(&self, app: &TestApp, browser: &mut Browser, email: &str) -> String {
        let answer = browser.authorize(app, &self.authorization_path(&[]), email).await;
        param(answer.location(), "code")
            .unwrap_or_else(|| panic!("no code: {} {} {}", answer.status, answer.location(), answer.body))
    }

    /// Posts to the token endpoint as this client.
    pub async fn token(&self, app: &TestApp, params: &[(&str, &str)]) -> Answer {
        if self.public {
            let mut params = params.to_vec();
            params.push(("client_id", &self.client.id));
            return app.post("/oauth2/token", &params).await;
        }
        app.post_as("/oauth2/token", self.client.pair(), params).await
    }

    /// Redeems a code.
    pub async fn redeem(&self, app: &TestApp, code: &str) -> Answer {
        let params = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", VERIFIER),
        ];
        self.token(app, &params).await
    }

    /// Refreshes.
    pub async fn refresh(&self, app: &TestApp, refresh_token: &str) -> Answer {
        self.token(app, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// All of it: from the sign-in page to tokens.
    pub async fn tokens(&self, app: &TestApp, browser: &mut Browser, email: &str) -> Tokens {
        let code = self.code(app, browser, email).await;
        let answer = self.redeem(app, &code).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Tokens(answer.json())
    }

    /// Whether the client itself sees its token as active.
    pub async fn is_active(&self, app: &TestApp, token: &str) -> bool {
        let answer = app.post_as("/oauth2/introspect", self.client.pair(), &[("token", token)]).await;
        answer.json()["active"].as_bool().unwrap()
    }
}

/// A query parameter of an address.
pub fn param(location: &str, name: &str) -> Option<String> {
    let url = Url::parse(location).ok()?;
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}
