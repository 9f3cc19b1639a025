//! The reference: the same requests as for Keystead, at its own addresses.

use std::net::SocketAddr;

use super::{ACTIVE, CODE_VERIFIER, Need, REDIRECT_URI, TOKEN, basic, many, once, same};
use crate::failure::Failure;
use crate::http::{self, Connection};
use crate::operation::{Chain, Operation, SignIn, Stock};
use crate::workload::{Algorithm, Kind};

/// More than it can use up in a second, since each costs a signature or two.
const ONCE_A_SECOND: f64 = 20_000.0;
/// As many as Keystead has for `introspection-many`.
const MANY: usize = 4096;

/// The reference, ready for all workloads.
pub struct Reference {
    /// Where it is.
    pub address: SocketAddr,
    authorization: String,
    /// Bytes of a discovery document.
    document: usize,
    /// Access tokens that it has seen.
    seen: Vec<String>,
}

impl Reference {
    /// At this address; its discovery document has as many bytes as Keystead's.
    pub fn new(address: SocketAddr, document: usize) -> Self {
        // It is not looked at, but it is sent.
        let authorization = basic("bench-web-plain", "kss_0123456789012345678901234567890123456789012");
        Self { address, authorization, document, seen: Vec::new() }
    }

    /// One operation for each connection.
    pub async fn operations(&mut self, kind: Kind, need: Need) -> Result<Vec<Operation>, Failure> {
        let count = need.connections;
        Ok(match kind {
            Kind::ClientCredentials(algorithm) => {
                let form = format!("grant_type=client_credentials&scope=bench%3A{}", algorithm.word());
                same(&self.post(&format!("/token/{}", algorithm.word()), &form), TOKEN, count)
            }
            Kind::IntrospectOne => {
                self.show_tokens().await?;
                same(&self.introspection("/introspect", &self.seen[0]), ACTIVE, count)
            }
            Kind::IntrospectMany => {
                self.show_tokens().await?;
                let requests = self.seen.iter().map(|token| self.introspection("/introspect", token)).collect();
                many(requests, ACTIVE, count)
            }
            Kind::IntrospectNew => {
                let stock = Stock::default();
                for token in self.prepare("new-tokens", once_for(need)).await? {
                    stock.put(self.introspection("/introspect/new", &token));
                }
                once(&stock, ACTIVE, count)
            }
            Kind::Refresh(id_token) => {
                let path = format!("/refresh/{}", id_token.map_or("plain", Algorithm::word));
                let tokens = self.prepare("refresh-tokens", count).await?;
                let chain = |token: &String| Chain::new(&path, &self.authorization, token, id_token.is_some());
                tokens.iter().map(|token| Operation::Refresh(chain(token))).collect()
            }
            Kind::Code => {
                let stock = Stock::default();
                for code in self.prepare("codes", once_for(need)).await? {
                    let form = http::form(&[
                        ("grant_type", "authorization_code"),
                        ("code", &code),
                        ("redirect_uri", REDIRECT_URI),
                        ("code_verifier", CODE_VERIFIER),
                    ]);
                    stock.put(self.post("/code", &form));
                }
                once(&stock, TOKEN, count)
            }
            Kind::UserInfo => {
                self.show_tokens().await?;
                let bearer = format!("Bearer {}", self.seen[0]);
                same(&http::get("/userinfo", &[("Authorization", &bearer)]), "demo@example.com", count)
            }
            Kind::Discovery => {
                self.ask_for("document", self.document).await?;
                same(&http::get("/document", &[]), "{", count)
            }
            Kind::Jwks => same(&http::get("/static", &[]), "{", count),
            Kind::SignIn => {
                let person = SignIn { username: "demo@example.com".to_owned(), password: "a demo password".to_owned() };
                (0..count).map(|_| Operation::SignIn(person.clone())).collect()
            }
        })
    }

    fn post(&self, path: &str, form: &str) -> Vec<u8> {
        http::post(path, &[("Authorization", &self.authorization)], form)
    }

    fn introspection(&self, path: &str, token: &str) -> Vec<u8> {
        self.post(path, &format!("token={token}"))
    }

    /// Once is enough.
    async fn show_tokens(&mut self) -> Result<(), Failure> {
        if self.seen.is_empty() {
            self.seen = self.prepare("seen-tokens", MANY).await?;
        }
        Ok(())
    }

    /// The version of PostgreSQL.
    pub async fn postgresql(&self) -> Result<String, Failure> {
        let mut connection = Connection::open(self.address).await?;
        Ok(connection.exchange(&http::get("/about", &[])).await?.with_status(200)?.body.to_owned())
    }

    async fn prepare(&self, what: &str, count: usize) -> Result<Vec<String>, Failure> {
        let lines: Vec<String> = self.ask_for(what, count).await?.lines().map(str::to_owned).collect();
        if lines.len() == count { Ok(lines) } else { Err(Failure::new(format!("the reference made too few {what}"))) }
    }

    async fn ask_for(&self, what: &str, count: usize) -> Result<String, Failure> {
        let mut connection = Connection::open(self.address).await?;
        let request = http::post(&format!("/prepare/{what}/{count}"), &[], "");
        Ok(connection.exchange(&request).await?.with_status(200)?.body.to_owned())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds times a rate")]
fn once_for(need: Need) -> usize {
    (need.load.as_secs_f64() * ONCE_A_SECOND) as usize
}
