//! Audit events: who did what to what, when, from where.

use std::net::IpAddr;

use serde_json::Value;

use super::{ClientId, UserId};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A client, with its own token or at a protocol endpoint.
    Client(ClientId),
    /// A person in a browser.
    User(UserId),
    /// The command line on a machine that holds the configuration.
    Cli,
    /// The server itself, on a schedule or in defence.
    System,
}

impl Actor {
    /// Which kind of actor: `client`, `user`, `cli` or `system`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::User(_) => "user",
            Self::Cli => "cli",
            Self::System => "system",
        }
    }

    /// Which client or person.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Client(id) => Some(id.to_string()),
            Self::User(id) => Some(id.to_string()),
            Self::Cli | Self::System => None,
        }
    }
}

/// From where: the source address as the trusted proxies report it, and the request's correlation id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Source address.
    pub ip: Option<IpAddr>,
    /// The correlation id of the request's log event.
    pub correlation_id: String,
}

impl Origin {
    /// Whom limits count: the address, of IPv6 the /64, since one household or attacker has all of it.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self.ip? {
            ip @ IpAddr::V4(_) => Some(ip),
            IpAddr::V6(v6) => Some(IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into())),
        }
    }
}

/// One thing that happened; its time and id are given when it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// A dotted name in the past tense, such as `client.created`.
    pub name: &'static str,
    /// Who.
    pub actor: Actor,
    /// What it was done to: a client id, a user id, a kid.
    pub subject: String,
    /// Facts worth keeping; never a secret or a token.
    pub details: Value,
}
