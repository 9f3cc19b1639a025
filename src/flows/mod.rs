//! Use cases: load, judge by `protocol`, write. The only room that opens transactions.
//!
//! Owns: the order of steps, and what must be kept even when the answer is a refusal. Does not own: rules, SQL, HTTP.

pub mod admin;
mod assertion_grant;
mod authorization_request;
pub mod authorize;
pub mod browser;
pub mod client_auth;
mod client_certificate;
pub mod client_documents;
pub mod client_keys;
pub mod device;
pub mod documents;
pub mod dpop;
mod error;
pub mod introspect;
pub mod issue;
pub mod keys;
pub mod logout;
mod logout_notices;
pub mod pushed_request;
pub mod readiness;
pub mod registration;
pub mod respond;
pub mod revoke;
mod sector;
pub mod sign_in;
pub mod snapshot;
pub mod subject;
pub mod token;
mod token_exchange;
pub mod userinfo;
mod verified;

use std::sync::Arc;

use time::Duration;
use tokio::sync::Notify;

use crate::crypto::{KeyEncryptionKeys, PasswordPool, Random};
use crate::domain::{AuditEvent, Clock, Origin, RefreshPolicy, RegistrationRules};
use crate::outbound::Outbound;
use crate::store::{self, Store, StoreError, Tx};

pub use client_certificate::CertificatePolicy;
pub use client_documents::ClientDocuments;
pub use client_keys::FetchedKeys;
pub use device::Guesses;
pub use error::{FlowError, InternalError, in_time};
pub use snapshot::Snapshots;
pub use verified::{VerifiedToken, VerifiedTokens};

/// Everything that a use case needs; one for each process, shared by all requests.
pub struct Engine {
    /// The database.
    pub store: Store,
    /// Tells the time.
    pub clock: Clock,
    /// Gives randomness.
    pub random: Random,
    /// Hashes passwords, a bounded number at a time.
    pub passwords: PasswordPool,
    /// Decrypts private keys from the database.
    pub encryption_keys: KeyEncryptionKeys,
    /// Clients, resource servers and keys in memory.
    pub snapshots: Snapshots,
    /// Signatures that need not be verified again.
    pub verified_tokens: VerifiedTokens,
    /// Requests to others.
    pub outbound: Arc<Outbound>,
    /// Public keys that clients publish.
    pub fetched_keys: FetchedKeys,
    /// What clients publish about themselves.
    pub client_documents: ClientDocuments,
    /// Told when there is word of a logout to be delivered.
    pub logout_noted: Notify,
    /// Wrong user codes of devices.
    pub user_code_guesses: Guesses,
    /// What the operator decided.
    pub policy: Policy,
}

/// The settings that use cases depend on.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The issuer identifier, without a trailing slash.
    pub issuer: String,
    /// How long access tokens live where neither client nor resource server says otherwise.
    pub access_token_lifetime: Duration,
    /// How long ID tokens live.
    pub id_token_lifetime: Duration,
    /// How long an authorization code lives; at most 60 s.
    pub authorization_code_lifetime: Duration,
    /// How long a device code and its user code live.
    pub device_code_lifetime: Duration,
    /// Refresh policy of clients that name none.
    pub refresh: RefreshPolicy,
    /// Whether each DPoP proof must repeat a nonce of ours (RFC 9449 §8).
    pub dpop_nonce_required: bool,
    /// How certificates of clients come here; none: not at all (RFC 8705).
    pub certificates: Option<CertificatePolicy>,
    /// From sign-in until a session ends for good.
    pub session_absolute_lifetime: Duration,
    /// From one use of a session until the next must have happened.
    pub session_idle_lifetime: Duration,
    /// How long a sign-in or consent page can be answered.
    pub sign_in_page_lifetime: Duration,
    /// How long relying parties may keep the JWKS; a new key waits as long before it signs.
    pub jwks_max_age: Duration,
    /// From one automatic key rotation to the next.
    pub key_rotation_interval: Duration,
    /// Characters that a password must have.
    pub password_min_length: usize,
    /// Failed sign-ins in a row after which an account refuses unknown browsers.
    pub consecutive_failures: i32,
    /// What clients that register themselves are allowed.
    pub registration: RegistrationRules,
    /// How long an audit event is kept.
    pub audit_retention: Duration,
}

impl Engine {
    /// Keeps an audit event in the transaction of what it tells about.
    ///
    /// # Errors
    /// The database.
    pub async fn audit(&self, tx: &mut Tx, event: &AuditEvent, origin: &Origin) -> Result<(), StoreError> {
        let now = self.clock.now();
        store::audit::insert(tx.conn(), self.random.uuid_v7(now), now, event, origin).await?;
        tracing::info!(event = event.name, subject = event.subject, "audit");
        Ok(())
    }
}

/// The engine as handlers hold it.
pub type SharedEngine = Arc<Engine>;
