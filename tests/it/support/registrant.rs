//! A client that registers itself (RFC 7591) and looks after its registration (RFC 7592).

use axum::body::Body;
use axum::http::{Method, Request, header};
use keystead::domain::RegistrationMode;
use serde_json::{Value, json};

use super::{Answer, ClientFixture, ISSUER, RelyingParty, TestApp};

/// What a client got when it registered itself.
pub struct Registrant {
    pub id: String,
    pub document: Value,
    pub token: String,
}

/// The metadata of a usual web application.
pub fn own_metadata() -> Value {
    json!({
        "client_name": "Own App",
        "redirect_uris": ["https://rp.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile offline_access",
    })
}

impl Registrant {
    /// Of an answer that must be a success.
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.body);
        let document = answer.json();
        let text = |name: &str| document[name].as_str().unwrap().to_owned();
        Self { id: text("client_id"), token: text("registration_access_token"), document }
    }

    /// In front of the authorization endpoint.
    pub fn relying_party(&self) -> RelyingParty {
        let secret = self.document["client_secret"].as_str().unwrap_or_default().to_owned();
        let client = ClientFixture { id: self.id.clone(), secret };
        let scope = self.document["scope"].as_str().unwrap().to_owned();
        RelyingParty { scope, public: self.document.get("client_secret").is_none(), ..RelyingParty::web(client) }
    }

    /// Sends a request to its own registration with its token.
    pub async fn call(&self, app: &TestApp, method: Method, body: Option<&Value>) -> Answer {
        let uri = self.document["registration_client_uri"].as_str().unwrap();
        app.registration(method, uri.strip_prefix(ISSUER).unwrap(), Some(&self.token), body).await
    }
}

impl TestApp {
    /// A server at which this mode holds.
    pub async fn with_registration(mode: RegistrationMode) -> Self {
        Self::start_with(|policy| policy.registration.mode = mode).await
    }

    /// Registers a client; `token` is its initial access token.
    pub async fn register(&self, token: Option<&str>, metadata: &Value) -> Answer {
        self.registration(Method::POST, "/oauth2/register", token, Some(metadata)).await
    }

    /// Any request to the registration endpoint.
    pub async fn registration(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }
}
