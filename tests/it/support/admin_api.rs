//! The admin API as a program of the operators calls it.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::Value;

use super::{Answer, ClientFixture, TestApp};

/// A confidential client with an access token for the admin API.
pub struct AdminApi<'a> {
    pub app: &'a TestApp,
    pub client: ClientFixture,
    pub token: String,
}

impl<'a> AdminApi<'a> {
    /// With a token that allows everything.
    pub async fn open(app: &'a TestApp) -> Self {
        Self::with_scope(app, "keystead:admin").await
    }

    /// With a token of this scope, for a client of its own.
    pub async fn with_scope(app: &'a TestApp, scope: &str) -> Self {
        let client = app.machine(&format!("operator-{}", scope.replace(' ', "+")), scope).await;
        let token = app.machine_token(&client, scope).await;
        Self { app, client, token }
    }

    /// Sends a request with the token. A path that does not begin with `/admin` is one below `/admin/v1`.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let path = if path.starts_with("/admin") { path.to_owned() } else { format!("/admin/v1{path}") };
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// Sends any request with the token.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.app.send_admin(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// POSTs without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }

    /// GETs what must be there.
    pub async fn show(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Creates what must be accepted.
    pub async fn create(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.body);
        answer.json()
    }

    /// Changes what must be accepted.
    pub async fn change(&self, path: &str, wanted: Value) -> Value {
        let answer = self.patch(path, wanted).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Deletes what must be there.
    pub async fn remove(&self, path: &str) {
        let answer = self.delete(path).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""), "{path}");
    }

    /// The first 200 items of a list.
    pub async fn items(&self, path: &str) -> Vec<Value> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let list = self.show(&format!("{path}{mark}limit=200")).await;
        list["items"].as_array().unwrap().clone()
    }

    /// What the audit trail says was done to something.
    pub async fn events(&self, subject: &str) -> Vec<Value> {
        self.items(&format!("/audit-events?subject={}", encode(subject))).await
    }

    /// The only event of this name about something.
    pub async fn event(&self, subject: &str, name: &str) -> Value {
        let mut found = self.events(subject).await;
        found.retain(|event| event["name"] == name);
        assert_eq!(found.len(), 1, "{name} of {subject}: {found:?}");
        found.remove(0)
    }
}

impl TestApp {
    /// A token by client credentials.
    pub async fn machine_token(&self, client: &ClientFixture, scope: &str) -> String {
        let params = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = self.post_as("/oauth2/token", client.pair(), &params).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    /// Asserts that this is a problem document (RFC 9457) of this status and kind, and gives it.
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:keystead:problem:{kind}"), "{problem}");
        assert_eq!(problem["status"], status);
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        assert!(
            problem.get("instance").is_none_or(|path| path.as_str().unwrap().starts_with("/admin/v1")),
            "{problem}"
        );
        problem
    }

    /// Asserts a refusal that names members or parameters, and gives their names; each has a sentence of its own.
    pub fn refused_members(&self) -> Vec<String> {
        let problem = self.problem(400, "invalid-request");
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no member is named: {problem}"));
        let name = |error: &Value| {
            assert!(error["detail"].as_str().is_some_and(|text| text.len() > 10), "{problem}");
            error["field"].as_str().unwrap().to_owned()
        };
        errors.iter().map(name).collect()
    }
}

/// A value for a query or a path segment.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
