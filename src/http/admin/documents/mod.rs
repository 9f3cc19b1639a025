//! The JSON documents of the admin API: what is sent and what is shown. `keystead ... --json` prints the same.
//!
//! Members that are sent are all optional, so that one form serves creation, where a default steps in, and merge patches.

mod activity;
mod assertion_issuer;
mod client_drafts;
mod client_views;
mod clients;
mod initial_access_tokens;
mod resource_servers;
mod schemas;
mod subjects;
mod users;

pub use activity::{AuditEventView, GrantView, KeyView, RotateRequest, SessionView};
pub use assertion_issuer::AssertionIssuerDocument;
pub use client_views::{ClientSecretView, ClientView, CreatedClientView, CreatedSecretView};
pub use clients::ClientDocument;
pub use initial_access_tokens::{CreatedInitialAccessTokenView, InitialAccessTokenDocument, InitialAccessTokenView};
pub use resource_servers::{ResourceServerDocument, ResourceServerView};
pub use schemas::{NewClient, NewResourceServer, NewUser, merge_flattened};
pub use subjects::SubjectView;
pub use users::{UserDocument, UserView};
