//! Clients as they are shown.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::client_drafts::response_types;
use super::clients::ClientDocument;
use crate::domain::{Client, ClientSecret, Secret};
use crate::flows::admin::clients::{ClientDraft, CreatedClient};

/// A client as it is shown. Its secrets are not: only when they were made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientView {
    /// What is registered; what is absent has its default.
    #[serde(flatten)]
    pub registered: ClientDocument,
    /// When it was registered, in seconds since the epoch (RFC 7591 §3.2.1).
    pub client_id_issued_at: i64,
    /// Since when it is switched off.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<OffsetDateTime>,
    /// When it was changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Its live secrets, oldest first.
    pub client_secrets: Vec<ClientSecretView>,
}

/// One live secret of a client, without the secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientSecretView {
    /// Names it for removal.
    pub id: Uuid,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A client that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedClientView {
    /// The client.
    #[serde(flatten)]
    pub client: ClientView,
    /// Its secret, shown this once. Public clients have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: it does not expire (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
}

/// A secret that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedSecretView {
    /// Names it for removal.
    pub id: Uuid,
    /// The secret, shown this once.
    pub client_secret: String,
    /// 0: it does not expire.
    pub client_secret_expires_at: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        let response_types = response_types(&client.metadata.grant_types);
        let draft = ClientDraft { metadata: client.metadata, disabled: client.disabled_at.is_some() };
        let document = ClientDocument::of(&client.id, draft);
        Self {
            registered: ClientDocument { response_types: Some(response_types), ..document },
            client_id_issued_at: client.created_at.unix_timestamp(),
            disabled_at: client.disabled_at,
            updated_at: client.updated_at,
            client_secrets: client.secrets.iter().map(ClientSecretView::from).collect(),
        }
    }
}

impl From<&ClientSecret> for ClientSecretView {
    fn from(secret: &ClientSecret) -> Self {
        Self { id: secret.id.0, created_at: secret.created_at }
    }
}

impl From<CreatedClient> for CreatedClientView {
    fn from(created: CreatedClient) -> Self {
        let client_secret = created.secret.map(|secret| secret.expose().to_owned());
        let client_secret_expires_at = client_secret.as_ref().map(|_| 0);
        Self { client: created.client.into(), client_secret, client_secret_expires_at }
    }
}

impl CreatedSecretView {
    /// Shows a secret this once.
    #[must_use]
    pub fn new(stored: &ClientSecret, secret: &Secret) -> Self {
        let client_secret = secret.expose().to_owned();
        Self { id: stored.id.0, client_secret, client_secret_expires_at: 0, created_at: stored.created_at }
    }
}
