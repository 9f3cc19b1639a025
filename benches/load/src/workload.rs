//! The workloads, and the bar of each.

use serde::Serialize;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tokens for a service, signed by one algorithm.
    ClientCredentials(Algorithm),
    /// One access token of a person again and again.
    IntrospectOne,
    /// Thousands of access tokens again and again.
    IntrospectMany,
    /// Access tokens that nobody has shown before.
    IntrospectNew,
    /// Refresh, with an ID token signed by this algorithm or without.
    Refresh(Option<Algorithm>),
    /// Authorization codes for access token, refresh token and ES256 ID token.
    Code,
    /// What is known about a person.
    UserInfo,
    /// The discovery document.
    Discovery,
    /// The public keys.
    Jwks,
    /// Page and form of the sign-in.
    SignIn,
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    EdDsa,
    Rs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// As in JOSE headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// As in scopes and addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::EdDsa => "eddsa",
            Self::Rs256 => "rs256",
        }
    }
}

/// How good is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// This share of the reference's rate.
    Share(f64),
    /// This many a second.
    Rate(f64),
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What is asked for.
    pub kind: Kind,
    /// What PERFORMANCE.md asks for.
    pub bar: Option<Bar>,
}

/// All that run as fast as they can.
pub const WORKLOADS: [Workload; 14] = [
    line("client-credentials-es256", Kind::ClientCredentials(Algorithm::Es256), Some(Bar::Share(0.75))),
    line("client-credentials-eddsa", Kind::ClientCredentials(Algorithm::EdDsa), None),
    line("client-credentials-rs256", Kind::ClientCredentials(Algorithm::Rs256), None),
    line("introspection-one", Kind::IntrospectOne, Some(Bar::Share(0.60))),
    line("introspection-many", Kind::IntrospectMany, Some(Bar::Share(0.60))),
    line("introspection-new", Kind::IntrospectNew, Some(Bar::Share(0.60))),
    line("refresh", Kind::Refresh(None), Some(Bar::Share(0.60))),
    line("refresh-id-es256", Kind::Refresh(Some(Algorithm::Es256)), Some(Bar::Share(0.60))),
    line("refresh-id-rs256", Kind::Refresh(Some(Algorithm::Rs256)), None),
    line("code", Kind::Code, None),
    line("userinfo", Kind::UserInfo, Some(Bar::Rate(20_000.0))),
    line("discovery", Kind::Discovery, Some(Bar::Share(0.75))),
    line("jwks", Kind::Jwks, Some(Bar::Share(0.75))),
    line("sign-in", Kind::SignIn, Some(Bar::Share(0.90))),
];

const fn line(name: &'static str, kind: Kind, bar: Option<Bar>) -> Workload {
    Workload { name, kind, bar }
}

/// What 99 of 100 requests must not exceed at [`P99_CONNECTIONS`], in each workload that has a bar.
pub const P99_BAR_MS: f64 = 10.0;
/// See [`P99_BAR_MS`].
pub const P99_CONNECTIONS: usize = 64;

/// What the mixed workload is called.
pub const MIXED: &str = "mixed";

/// What it is made of, and how many of a hundred.
pub const MIX: [(&str, u64); 5] =
    [("introspection", 70), ("refresh", 15), ("client-credentials", 10), ("userinfo", 4), ("sign-in", 1)];

/// The same, as kinds.
pub const MIX_KINDS: [Kind; 5] = [
    Kind::IntrospectMany,
    Kind::Refresh(None),
    Kind::ClientCredentials(Algorithm::Es256),
    Kind::UserInfo,
    Kind::SignIn,
];

/// What the storm of sign-ins is called.
pub const STORM: &str = "storm";

/// What goes on during a storm, and how many of a hundred: as many of each, so that there are enough of each for a p99.
pub const STORM_MIX: [(&str, u64); 5] =
    [("introspection", 20), ("refresh", 20), ("client-credentials", 20), ("userinfo", 20), ("discovery", 20)];

/// The same, as kinds.
pub const STORM_KINDS: [Kind; 5] = [
    Kind::IntrospectMany,
    Kind::Refresh(None),
    Kind::ClientCredentials(Algorithm::Es256),
    Kind::UserInfo,
    Kind::Discovery,
];

/// Connections that try to sign in: more than the server's threads and its queue hold, so that it has to send some away.
pub const STORM_CONNECTIONS: usize = 100;

/// How many times longer 99 of 100 requests may take during a storm.
pub const STORM_BAR: f64 = 2.0;
