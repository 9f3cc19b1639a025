//! Resource servers.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas;
use crate::domain::{ClientId, MetadataProblem, ResourceServer, Scope, SigningAlgorithm};
use crate::flows::admin::resource_servers::ResourceServerDraft;

/// A resource server as it is sent. What is absent or null has its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceServerDocument {
    /// The `aud` of its access tokens, an absolute URI. Required.
    pub audience: Option<String>,
    /// What people and operators call it. Required.
    pub name: Option<String>,
    /// The scope tokens that belong to it. A token belongs to one resource server only.
    pub scopes: Option<Vec<String>>,
    /// How its access tokens are signed; `ES256` when absent.
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub signing_algorithm: Option<SigningAlgorithm>,
    /// Seconds that its access tokens live.
    #[schema(minimum = 10, maximum = 86400)]
    pub access_token_lifetime: Option<i32>,
    /// The ids of confidential clients that may introspect its access tokens.
    pub introspection_clients: Option<Vec<String>>,
}

/// A resource server as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResourceServerView {
    /// Its name in this API.
    pub id: Uuid,
    /// The `aud` of its access tokens.
    pub audience: String,
    /// What people and operators call it.
    pub name: String,
    /// The scope tokens that belong to it.
    pub scopes: Vec<String>,
    /// How its access tokens are signed.
    #[schema(value_type = schemas::SigningAlgorithmName)]
    pub signing_algorithm: SigningAlgorithm,
    /// Seconds, where it wants other than the settings'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<i32>,
    /// The clients that may introspect its access tokens.
    pub introspection_clients: Vec<String>,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl ResourceServerDocument {
    /// What is registered, as it would have been sent.
    #[must_use]
    pub fn of(draft: ResourceServerDraft) -> Self {
        Self {
            audience: Some(draft.audience),
            name: Some(draft.name),
            scopes: Some(draft.scope.to_vec()),
            signing_algorithm: Some(draft.signing_algorithm),
            access_token_lifetime: draft.access_token_lifetime,
            introspection_clients: Some(draft.introspection_clients.iter().map(ToString::to_string).collect()),
        }
    }

    /// What shall be registered; judged further by the flow.
    ///
    /// # Errors
    /// Members that cannot be read, all of them.
    pub fn into_draft(self) -> Result<ResourceServerDraft, Vec<MetadataProblem>> {
        let mut problems = Vec::new();
        let scope = Scope::from_tokens(self.scopes.unwrap_or_default()).unwrap_or_else(|error| {
            problems.push(MetadataProblem {
                field: "scopes".to_owned(),
                sentence: format!("cannot be registered: {error}"),
            });
            Scope::default()
        });
        let mut introspection_clients = Vec::new();
        for (index, text) in self.introspection_clients.unwrap_or_default().iter().enumerate() {
            match ClientId::parse(text) {
                Some(id) => introspection_clients.push(id),
                None => problems.push(MetadataProblem {
                    field: format!("introspection_clients[{index}]"),
                    sentence: "has not the form of a client id; register the client first, or remove it".to_owned(),
                }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(ResourceServerDraft {
            audience: self.audience.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            scope,
            signing_algorithm: self.signing_algorithm.unwrap_or(SigningAlgorithm::Es256),
            access_token_lifetime: self.access_token_lifetime,
            introspection_clients,
        })
    }
}

impl From<ResourceServer> for ResourceServerView {
    fn from(server: ResourceServer) -> Self {
        Self {
            id: server.id.0,
            scopes: server.scope.to_vec(),
            audience: server.audience,
            name: server.name,
            signing_algorithm: server.signing_algorithm,
            access_token_lifetime: server.access_token_lifetime,
            introspection_clients: server.introspection_clients.iter().map(ToString::to_string).collect(),
            created_at: server.created_at,
            updated_at: server.updated_at,
        }
    }
}
