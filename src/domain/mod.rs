//! The nouns of an authorization server: typed identifiers, secrets, scopes, redirect URIs, clients, users, sessions, grants.
//!
//! Owns: values that cannot be constructed wrong. Does not own: rules that judge a request (`protocol`), storage, I/O; nothing here is async.

mod assertion_issuer;
mod audit;
mod certificate;
mod claims;
mod client;
mod client_protocol;
mod clock;
mod device;
mod exchange;
mod grant;
mod ids;
mod key;
mod media_type;
mod redirect_uri;
mod registration;
mod resource_server;
mod response_mode;
mod scope;
mod secret;
mod session;
mod user;

pub use assertion_issuer::{AssertionIssuer, AssertionSubject};
pub use audit::{Actor, AuditEvent, Origin};
pub use certificate::{Certificate, CertificateChain, DistinguishedName};
pub use claims::{ClaimNames, Consent, RequestedClaims, scope_of_claim};
pub use client::{
    ApplicationType, Client, ClientAuthMethod, ClientMetadata, ClientSecret, GrantType, MetadataProblem, RefreshPolicy,
};
pub use client_protocol::{ClientProfile, ClientProtocol, RefreshTokenRotation, SubjectType};
pub use clock::{Clock, Timestamp};
pub use device::{DeviceDecision, DevicePoll, DeviceRequest};
pub use exchange::Ancestor;
pub use grant::{Grant, GrantDetails, GrantEnd, Position};
pub use ids::{
    ClientId, GrantId, InitialAccessTokenId, KeyThumbprint, Kid, RequestId, ResourceServerId, SecretId, SessionId,
    UserId,
};
pub use key::{KeyAlgorithm, KeyRecord, KeyState, SigningAlgorithm};
pub use media_type::is_same_media_type;
pub use redirect_uri::{RedirectUri, RedirectUriProblem};
pub use registration::{InitialAccessToken, RegistrationMode, RegistrationRules};
pub use resource_server::{ADMIN_AUDIENCE, ResourceServer, SCOPE_ADMIN, SCOPE_ADMIN_READ};
pub use response_mode::ResponseMode;
pub use scope::{InvalidScope, Scope};
pub use secret::{Secret, SecretBytes};
pub use session::{Authentication, Session};
pub use user::{Address, Profile, User, UserState, normalize_identifier};
