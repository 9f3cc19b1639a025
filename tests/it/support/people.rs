//! Tries to sign in, and what the database holds about people.

use keystead::domain::UserId;
use keystead::flows::admin::{PageRequest, live_access};

use super::{Answer, Browser, TestApp};

/// The part of an answer that a stranger can compare with another's: without what differs in any two answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Visible {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Browser {
    /// One try to sign in to Keystead itself, with a fresh page.
    pub async fn try_password(&mut self, app: &TestApp, name: &str, password: &str) -> Answer {
        let page = self.get(app, "/login").await;
        self.submit(app, &page, "/login", &[("username", name), ("password", password)]).await
    }
}

impl Answer {
    /// What a stranger who typed `name` sees.
    pub fn visible(&self, name: &str) -> Visible {
        let own = ["x-correlation-id", "set-cookie", "content-length"];
        let headers = self.headers.iter().filter(|(header, _)| !own.contains(&header.as_str()));
        let mut body = self.body.replace(name, "NAME").replace(self.header("x-correlation-id"), "ID");
        for (field, value) in super::page::hidden_fields(&self.body) {
            if !value.is_empty() {
                body = body.replace(&value, &field);
            }
        }
        Visible {
            status: self.status.as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
            body,
        }
    }
}

impl TestApp {
    /// How many live grants a person gave.
    pub async fn grants(&self, user: UserId) -> usize {
        live_access::grants(&self.engine, user, PageRequest { after: None, limit: 100 }).await.unwrap().items.len()
    }

    /// How many live sessions a person has.
    pub async fn sessions(&self, user: UserId) -> usize {
        live_access::sessions(&self.engine, user, PageRequest { after: None, limit: 100 }).await.unwrap().items.len()
    }
}
