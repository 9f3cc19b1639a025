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
    /// How many clients of each [`RegistrationOrigin`] there may be at once.
    pub most_clients: u32,
    /// A client that nobody uses is removed after this.
    pub unused_lifetime: Duration,
    /// One that nobody has ever used, and for which no operator gave a token, is removed after this.
    pub never_used_lifetime: Duration,
    /// Clients that publish a document about themselves.
    pub documents: DocumentRules,
}

/// Which clients may describe themselves by a document (draft-ietf-oauth-client-id-metadata-document).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentRules {
    /// Whether any may.
    pub enabled: bool,
    /// The hosts whose clients may; all where there is none. `*.example.com` stands for all hosts below it.
    pub allowed_hosts: Vec<String>,
    /// The hosts whose clients may not, whatever else holds.
    pub denied_hosts: Vec<String>,
}

impl DocumentRules {
    /// Whether clients of this host may come.
    #[must_use]
    pub fn accepts(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let names = |pattern: &String| match pattern.strip_prefix('*') {
            Some(below) => host.len() > below.len() && host.ends_with(below),
            None => host == pattern,
        };
        self.enabled
            && !self.denied_hosts.iter().any(names)
            && (self.allowed_hosts.is_empty() || self.allowed_hosts.iter().any(names))
    }
}

/// How a client came without an operator who registered it. Each kind is counted by itself, so that strangers take no partner's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationOrigin {
    /// It registered itself, as everybody may.
    Open,
    /// It registered itself with an operator's token.
    Token,
    /// It published a document.
    Document,
}

text_form!(RegistrationOrigin { Open => "open", Token => "token", Document => "document" });

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_in_full_or_by_what_is_above_them() {
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let open = DocumentRules { enabled: true, ..DocumentRules::default() };
        assert!(open.accepts("a.example") && !DocumentRules::default().accepts("a.example"));
        let some = DocumentRules { allowed_hosts: hosts(&["a.example", "*.b.example"]), ..open.clone() };
        for (host, accepted) in [
            ("a.example", true),
            ("a.example.", true),
            ("x.a.example", false),
            ("x.b.example", true),
            ("y.x.b.example", true),
            ("b.example", false),
            ("evilb.example", false),
            ("a.example.evil", false),
        ] {
            assert_eq!(some.accepts(host), accepted, "{host}");
        }
        let but = DocumentRules { denied_hosts: hosts(&["x.b.example"]), ..some };
        assert!(!but.accepts("x.b.example") && but.accepts("z.b.example"));
    }
}
