//! A browser's single sign-on session.

use super::{SessionId, Timestamp, UserId};

/// How and when a person proved who they are; copied into every grant so that tokens tell the truth later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// When the person last proved it (`auth_time`).
    pub auth_time: Timestamp,
    /// Authentication context class reference.
    pub acr: String,
    /// Authentication method references (RFC 8176).
    pub amr: Vec<String>,
}

/// A live session. One that has ended or expired is not loaded at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The `sid` of tokens.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// E-mail address of the user, for the pages.
    pub email: String,
    /// How and when.
    pub authentication: Authentication,
    /// When the session began.
    pub created_at: Timestamp,
    /// When the session was used last, to within a minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}
