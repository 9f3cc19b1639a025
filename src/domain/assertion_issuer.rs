//! Who may vouch for people to a client (RFC 7523 §2.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An issuer whose JWTs a client may present in the name of people. An operator trusts it with every account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionIssuer {
    /// What its JWTs say in `iss`.
    pub issuer: String,
    /// Its public keys by value: a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are published. Exactly one of the two is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Whom its JWTs mean.
    pub subject: AssertionSubject,
}

/// How an assertion says which person it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionSubject {
    /// By `sub`, which is the id of an account here.
    UserId,
    /// By `email`, which it calls verified and which is the verified address of an account here.
    Email,
}

super::client::text_form!(AssertionSubject { UserId => "user_id", Email => "email" });
