//! Clients that register themselves: what the operator allows, and the tokens that let them.

use time::Duration;

use super::client::text_form;
use super::{GrantType, InitialAccessTokenId, Scope, Timestamp};

/// Who may register a client without an operator (RFC 7591 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody; there is no endpoint.
    Off,
    /// Whoever holds an initial access token.
    InitialAccessToken,
    /// Everybody.
    Open,
}

text_form!(RegistrationMode { Off => "off", InitialAccessToken => "initial_access_token", Open => "open" });

/// What the operator allows clients that register themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRules {
    /// Who may register.
    pub mode: RegistrationMode,
    /// The widest scope; also that of a client that names none.
    pub scope: Scope,
    /// The grants.
    pub grant_types: Vec<GrantType>,
    /// How many such clients there may be at once.
    pub most_clients: u32,
    /// A client that nobody uses is removed after this.
    pub unused_lifetime: Duration,
}

/// A token with which a client may be registered (RFC 7591 §3), as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialAccessToken {
    /// Names it for removal.
    pub id: InitialAccessTokenId,
    /// What it is for, in the operator's words.
    pub description: String,
    /// How many clients it was made for.
    pub uses: i32,
    /// How many it still registers.
    pub uses_left: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops to work.
    pub expires_at: Timestamp,
}
