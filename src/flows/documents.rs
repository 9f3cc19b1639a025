//! What the server publishes about itself.

use crate::crypto::Keyring;
use crate::domain::{ClientAuthMethod, RegistrationMode, Scope, Timestamp};
use crate::protocol::discovery::{self, Offer};

use super::Engine;
use super::snapshot::ResourceServers;

impl Engine {
    /// The discovery document as JSON.
    #[must_use]
    pub fn discovery_document(&self, servers: &ResourceServers) -> String {
        let scopes = servers.all().iter().fold(Scope::default(), |all, server| all.union(&server.scope));
        let methods: Vec<_> = ClientAuthMethod::ALL.iter().copied().filter(|method| self.offers(*method)).collect();
        let offer = Offer {
            issuer: &self.policy.issuer,
            api_scopes: &scopes,
            methods: &methods,
            certificates: self.policy.certificates.is_some(),
            aliases: self.policy.certificates.as_ref().and_then(|policy| policy.url.as_deref()),
            documents: self.policy.registration.documents.enabled,
            can_register: self.policy.registration.mode != RegistrationMode::Off,
        };
        discovery::document(offer).to_string()
    }

    /// The JWKS as JSON.
    #[must_use]
    pub fn jwks_document(&self, keyring: &Keyring) -> String {
        keyring.jwks(self.clock.now())
    }

    /// When the JWKS changes next without anybody's doing.
    #[must_use]
    pub fn next_key_change(&self, keyring: &Keyring) -> Option<Timestamp> {
        keyring.next_change(self.clock.now())
    }
}
