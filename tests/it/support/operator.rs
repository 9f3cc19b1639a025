//! What an operator does while people sign in.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::{Actor, ClientId, ClientMetadata, GrantType, Origin, Scope, UserId};
use keystead::flows::admin::clients::{self, ClientDraft};
use keystead::flows::admin::{Caller, PageRequest, live_access, users};
use serde_json::Value;

use super::{Answer, TestApp};

/// Somebody at the command line.
pub fn operator() -> Caller {
    Caller { actor: Actor::Cli, origin: Origin::default() }
}

impl TestApp {
    /// Changes a client.
    pub async fn change_client(&self, id: &str, change: impl FnOnce(&mut ClientDraft)) {
        let change = |mut draft: ClientDraft| {
            change(&mut draft);
            Ok(draft)
        };
        clients::update(&self.engine, &ClientId::parse(id).unwrap(), change, &operator()).await.unwrap();
    }

    /// Locks an account.
    pub async fn lock(&self, user: UserId) {
        users::lock(&self.engine, user, &operator()).await.unwrap();
    }

    /// How many live grants a person gave.
    pub async fn grants(&self, user: UserId) -> usize {
        live_access::grants(&self.engine, user, PageRequest { after: None, limit: 100 }).await.unwrap().items.len()
    }

    /// How many live sessions a person has.
    pub async fn sessions(&self, user: UserId) -> usize {
        live_access::sessions(&self.engine, user, PageRequest { after: None, limit: 100 }).await.unwrap().items.len()
    }

    /// Makes a client that may administer, and gives the `Authorization` header of its token.
    pub async fn administrator(&self) -> String {
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::ClientCredentials],
            scope: Scope::parse("keystead:admin").unwrap(),
            ..ClientMetadata::default()
        };
        let client = self.client("administrator", metadata).await;
        let answer = self.post_as(
            "/oauth2/token",
            client.pair(),
            &[("grant_type", "client_credentials"), ("scope", "keystead:admin")],
        );
        format!("Bearer {}", answer.await.json()["access_token"].as_str().unwrap())
    }

    /// Posts JSON to the admin API.
    pub async fn post_admin(&self, path: &str, authorization: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send_admin(request).await
    }
}
