//! Who may vouch for people to a client, as it is sent and shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::schemas;
use crate::domain::{AssertionIssuer, AssertionSubject};

/// An issuer whose assertions a client may present (RFC 7523 §2.1).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionIssuerDocument {
    /// What its JWTs say in `iss`.
    pub issuer: String,
    /// Its public keys by value: a JWK set. Either this or `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// Where its public keys are published: an https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Whom its JWTs mean. `user_id`: `sub` is the id of an account here; `email`: `email`, with `email_verified`, is an account's verified
    /// address.
    #[schema(value_type = schemas::AssertionSubjectName)]
    pub subject: AssertionSubject,
}

impl From<AssertionIssuer> for AssertionIssuerDocument {
    fn from(issuer: AssertionIssuer) -> Self {
        let AssertionIssuer { issuer, jwks, jwks_uri, subject } = issuer;
        Self { issuer, jwks, jwks_uri, subject }
    }
}

impl From<AssertionIssuerDocument> for AssertionIssuer {
    fn from(document: AssertionIssuerDocument) -> Self {
        let AssertionIssuerDocument { issuer, jwks, jwks_uri, subject } = document;
        Self { issuer, jwks, jwks_uri, subject }
    }
}
