//! Resource servers: the APIs for which access tokens are made.

use super::{ClientId, ResourceServerId, Scope, SigningAlgorithm, Timestamp};

/// The audience of tokens for this server's own admin API.
pub const ADMIN_AUDIENCE: &str = "urn:keystead:admin";
/// Scope that allows everything in the admin API.
pub const SCOPE_ADMIN: &str = "keystead:admin";
/// Scope that allows reading in the admin API.
pub const SCOPE_ADMIN_READ: &str = "keystead:admin.read";

/// An API that accepts our access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServer {
    /// Its name in the admin API.
    pub id: ResourceServerId,
    /// The `aud` of its tokens, an absolute URI (RFC 8707 §2).
    pub audience: String,
    /// What people and operators call it.
    pub name: String,
    /// The scope tokens that belong to it; a token belongs to one resource server only.
    pub scope: Scope,
    /// How its access tokens are signed.
    pub signing_algorithm: SigningAlgorithm,
    /// Seconds that its access tokens live, where other than the settings'.
    pub access_token_lifetime: Option<i32>,
    /// The clients that may introspect its tokens.
    pub introspection_clients: Vec<ClientId>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}
