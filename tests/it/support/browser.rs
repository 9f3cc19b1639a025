//! A browser: cookies, redirects, forms.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use super::page::hidden_fields;
use super::{Answer, ISSUER, PASSWORD, TestApp, form};

/// A person's browser.
#[derive(Default, Clone)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    fn with_cookies(&self, mut request: Request<Body>) -> Request<Body> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        request
    }

    /// Sends a request with the cookies and keeps the new ones.
    pub async fn send(&mut self, app: &TestApp, request: Request<Body>) -> Answer {
        let request = self.with_cookies(request);
        let answer = app.send(request).await;
        self.keep_cookies(&answer);
        answer
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// GETs one address.
    pub async fn get(&mut self, app: &TestApp, path: &str) -> Answer {
        let path = path.strip_prefix(ISSUER).unwrap_or(path);
        let request = Request::get(path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
        self.send(app, request).await
    }

    /// Follows redirects as long as they stay here; the last answer is a page or a redirect to an application.
    pub async fn open(&mut self, app: &TestApp, path: &str) -> Answer {
        let answer = self.get(app, path).await;
        self.follow(app, answer).await
    }

    /// Follows redirects from an answer on.
    pub async fn follow(&mut self, app: &TestApp, mut answer: Answer) -> Answer {
        while answer.status == StatusCode::SEE_OTHER && answer.location().starts_with('/') {
            let next = answer.location().to_owned();
            answer = self.get(app, &next).await;
        }
        answer
    }

    /// The form of a page with further or other values, ready to be sent.
    pub fn filled_in(&self, page: &Answer, path: &str, values: &[(&str, &str)]) -> Request<Body> {
        let hidden = hidden_fields(&page.body);
        let mut fields: Vec<(&str, &str)> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.retain(|(name, _)| !values.iter().any(|(other, _)| other == name));
        fields.extend_from_slice(values);
        self.with_cookies(form(path, &fields))
    }

    /// Posts the form of a page with further or other values.
    pub async fn submit(&mut self, app: &TestApp, page: &Answer, path: &str, values: &[(&str, &str)]) -> Answer {
        let answer = self.send(app, self.filled_in(page, path, values)).await;
        self.follow(app, answer).await
    }

    /// Posts a form as it is; redirects are not followed.
    pub async fn post(&mut self, app: &TestApp, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send(app, form(path, params)).await
    }

    /// A form that another site makes this browser post: `SameSite=Lax` keeps the cookies back, and cookies of the answer are kept.
    pub async fn post_from_elsewhere(&mut self, app: &TestApp, path: &str, params: &[(&str, &str)]) -> Answer {
        let own = std::mem::take(&mut self.cookies);
        let mut request = form(path, params);
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://elsewhere.example")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = self.send(app, request).await;
        self.cookies = own;
        self.keep_cookies(&answer);
        answer
    }

    /// Fills in the sign-in page.
    pub async fn sign_in(&mut self, app: &TestApp, page: &Answer, email: &str) -> Answer {
        self.submit(app, page, "/login", &[("username", email), ("password", PASSWORD)]).await
    }

    /// Goes from an authorization request to the redirect to the application: signs in and allows where asked.
    pub async fn authorize(&mut self, app: &TestApp, url: &str, email: &str) -> Answer {
        let mut answer = self.open(app, url).await;
        if answer.body.contains("id=\"login-submit\"") {
            answer = self.sign_in(app, &answer, email).await;
        }
        if answer.body.contains("id=\"consent-allow\"") {
            answer = self.submit(app, &answer, "/consent", &[("decision", "allow")]).await;
        }
        answer
    }
}
