//! What a client registers about the newer parts of the protocol.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AssertionIssuer, ResponseMode, SigningAlgorithm};

/// Members of a client's metadata that the database keeps as one JSON value; each is named as its specification names it. What is absent
/// has its default, and what an earlier version wrote and this one does not know is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of several specifications")]
pub struct ClientProtocol {
    /// Which set of switches it follows.
    #[serde(skip_serializing_if = "ClientProfile::is_default")]
    pub profile: ClientProfile,
    /// Its public keys by value (RFC 7591 §2): a JWK set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are published. Never beside `jwks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The one algorithm of its client assertions (OpenID Connect Registration §2); any of ours where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<SigningAlgorithm>,
    /// The platform that signs its assertions in its place, such as the issuer of a Kubernetes cluster or a SPIFFE trust domain. The
    /// client's keys are then that platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_assertion_issuer: Option<String>,
    /// What that platform calls it, such as `system:serviceaccount:shop:checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_assertion_subject: Option<String>,
    /// The subject of its certificates (RFC 8705 §2.1.2), in the form of RFC 4514. Exactly one of these five is there with `tls_client_auth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// A host among their alternative names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// A URI among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    /// An address among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    /// A mail address among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// Where it is told by this server that a session is over (OpenID Connect Back-Channel Logout §2.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Where it is told by the browser that a session is over (OpenID Connect Front-Channel Logout §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// What it calls people (OpenID Connect Core §8).
    #[serde(skip_serializing_if = "SubjectType::is_default")]
    pub subject_type: SubjectType,
    /// Where all redirect URIs of its sector are listed (OpenID Connect Registration §5); its host is then the sector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// The algorithm of its userinfo answers (OpenID Connect Registration §2); plain JSON where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// Not of a specification: seconds that the sign-in behind its access tokens may be old at userinfo (RFC 9470 §3); any age where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_max_authentication_age: Option<i32>,
    /// The algorithm of the introspection answers that it asks for as JWT (RFC 9701 §6); RS256 where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<SigningAlgorithm>,
    /// Whether its tokens are bound to the certificate of its connection (RFC 8705 §3.4).
    #[serde(skip_serializing_if = "is_false")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// Whether every token request needs a DPoP proof (RFC 9449 §5.2).
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Whether a refresh gives a new refresh token.
    #[serde(skip_serializing_if = "RefreshTokenRotation::is_default")]
    pub refresh_token_rotation: RefreshTokenRotation,
    /// The resource servers, by their audience, for which it may exchange tokens (RFC 8693).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_exchange_audiences: Vec<String>,
    /// Whether it may get tokens in which it speaks as the subject.
    #[serde(skip_serializing_if = "is_false")]
    pub token_exchange_impersonation: bool,
    /// Whether it may get tokens in which it acts for the subject.
    #[serde(skip_serializing_if = "is_false")]
    pub token_exchange_delegation: bool,
    /// Whose assertions it may present for people (RFC 7523 §2.1); nobody's where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion_grant_issuer: Option<AssertionIssuer>,
    /// Whether its requests must be pushed first (RFC 9126 §6).
    #[serde(skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether its requests must be signed (RFC 9101 §10.5).
    #[serde(skip_serializing_if = "is_false")]
    pub require_signed_request_object: bool,
    /// The one algorithm of its request objects (OpenID Connect Registration §2); any of ours where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<SigningAlgorithm>,
    /// The algorithm of signed answers to it (JARM §3); RS256 where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<SigningAlgorithm>,
    /// How it may be answered; in every way where there is none. A request that names no mode gets `query`, or the first
    /// of these where that is not among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_modes: Option<Vec<ResponseMode>>,
    /// Not of a specification: it registered itself without a token of an operator, so nobody answers for it and people are warned.
    #[serde(skip_serializing_if = "is_false")]
    pub registered_openly: bool,
}

impl ClientProtocol {
    /// The algorithms with which the client may sign where it has registered this one or none (FAPI 2.0 §5.4: not RS256).
    #[must_use]
    pub fn algorithms<'a>(&self, registered: Option<&'a SigningAlgorithm>) -> &'a [SigningAlgorithm] {
        const FAPI: &[SigningAlgorithm] = &[SigningAlgorithm::Ps256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
        match registered {
            Some(one) => std::slice::from_ref(one),
            None if self.profile == ClientProfile::Fapi2 => FAPI,
            None => SigningAlgorithm::ALL,
        }
    }

    /// Whether the client may be answered in this mode.
    #[must_use]
    pub fn allows(&self, mode: ResponseMode) -> bool {
        self.response_modes.as_ref().is_none_or(|modes| modes.contains(&mode))
    }

    /// The mode of answers to a request that names none.
    #[must_use]
    pub fn usual_response_mode(&self) -> ResponseMode {
        let first = self.response_modes.as_ref().and_then(|modes| modes.first());
        first.copied().filter(|_| !self.allows(ResponseMode::Query)).unwrap_or_default()
    }
}

/// A set of switches for a kind of client. It gives the other members their defaults and refuses what contradicts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientProfile {
    /// None in particular.
    #[default]
    Default,
    /// FAPI 2.0 Security Profile: pushed requests, tokens bound to their holder, no secrets.
    Fapi2,
    /// An application on somebody's device (RFC 8252).
    Native,
    /// A client of the Model Context Protocol: as an installed application, and each token is for one resource that it names.
    Mcp,
}

super::client::text_form!(ClientProfile { Default => "default", Fapi2 => "fapi2", Native => "native", Mcp => "mcp" });

impl ClientProfile {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a client calls people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// By the same id as every other such client.
    #[default]
    Public,
    /// By a name that only clients of its sector know, so that two sectors cannot find out whom they have in common.
    Pairwise,
}

super::client::text_form!(SubjectType { Public => "public", Pairwise => "pairwise" });

impl SubjectType {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a refresh does to the refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshTokenRotation {
    /// A new one comes, and the old one dies (RFC 9700 §4.14.2).
    #[default]
    Rotate,
    /// The same one stays; only for confidential clients whose tokens are sender-constrained (FAPI 2.0 asks for it).
    Static,
}

super::client::text_form!(RefreshTokenRotation { Rotate => "rotate", Static => "static" });

impl RefreshTokenRotation {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
