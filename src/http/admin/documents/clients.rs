//! Clients, with the names of RFC 7591 §2.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::AssertionIssuerDocument;
use super::schemas;
use crate::domain::{
    ApplicationType, ClientAuthMethod, ClientProfile, GrantType, RefreshTokenRotation, ResponseMode, Scope,
    SigningAlgorithm, SubjectType,
};

/// A client as it is sent. What is absent or null has its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientDocument {
    /// 1 to 128 printable ASCII characters, neither in the form of a UUID nor `.` or `..`. Made up when absent; cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The name that people see. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The application's home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// A logo for the sign-in page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The application's privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// The application's terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Where authorization responses may go: compared by exact text, except for the port of the loopback
    /// addresses `127.0.0.1` and `[::1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where a browser may go after signing out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// `web` unless the application is installed on a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::ApplicationTypeName>)]
    pub application_type: Option<ApplicationType>,
    /// How it authenticates; `client_secret_basic` when absent, `none` for public clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::TokenEndpointAuthMethod>)]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// Which grants it may use; `authorization_code` when absent. None at all is for a confidential client that only introspects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schemas::GrantTypeName>>)]
    pub grant_types: Option<Vec<GrantType>>,
    /// Follows from `grant_types`: `code` with `authorization_code`, nothing without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_types: Option<Vec<String>>,
    /// The widest scope it may ask for, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub scope: Option<Scope>,
    /// The algorithm of its ID tokens; `RS256` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// Whether every authorization request needs PKCE; true when absent. Only a confidential client may have false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pkce: Option<bool>,
    /// A first-party application: its users are not asked for consent. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_consent: Option<bool>,
    /// Seconds that its access tokens live.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 10, maximum = 86400)]
    pub access_token_lifetime: Option<i32>,
    /// Seconds from a sign-in until its refresh tokens end for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub refresh_token_absolute_lifetime: Option<i32>,
    /// Seconds within which a refresh token must be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub refresh_token_idle_lifetime: Option<i32>,
    /// Seconds in which the predecessor of the current refresh token gets the same successor; 0 is strict.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 300)]
    pub refresh_token_grace_period: Option<i32>,
    /// A set of switches for its kind: `fapi2` (FAPI 2.0 Security Profile), `native` (installed on a device), `mcp` (Model Context Protocol).
    /// It gives absent members other defaults, shown here as any others, and refuses what contradicts it. `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::ClientProfileName>)]
    pub profile: Option<ClientProfile>,
    /// Its public keys by value: a JWK set. Not beside `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// Where its public keys are published: an https URL. Not beside `jwks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The one algorithm of its client assertions; any that discovery names when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub token_endpoint_auth_signing_alg: Option<SigningAlgorithm>,
    /// The platform whose JWTs it authenticates with in place of its own (`iss`), such as a Kubernetes cluster's; `jwks` or `jwks_uri`
    /// are then the platform's. Only with `private_key_jwt` and `client_assertion_subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_assertion_issuer: Option<String>,
    /// What the platform calls it (`sub`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_assertion_subject: Option<String>,
    /// The subject of its certificates in the form of RFC 4514, such as `CN=shop,O=Example,C=DE`. With `tls_client_auth` exactly one of these five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// A host among the alternative names of its certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// A URI among them, such as a SPIFFE id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    /// An address among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    /// A mail address among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// Where this server tells it that a session is over: an https URL. The logout token names subject and session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Where the browser tells it that a session is over, in a hidden frame: with the origin of one of its redirect URIs. `iss` and `sid`
    /// are added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// `public` when absent. `pairwise`: people have another `sub` in each sector, the host that its redirect URIs share. A change ends its grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SubjectTypeName>)]
    pub subject_type: Option<SubjectType>,
    /// Where a JSON list of all redirect URIs of its sector is published: an https URL, whose host is then the sector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// The algorithm of its userinfo answers, which are then JWTs; plain JSON when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// Seconds that the sign-in of the person may be old when the client asks userinfo. Userinfo then answers an older one with
    /// `insufficient_user_authentication`, and the client repeats its authorization request with `max_age` (RFC 9470). Any age when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 10, maximum = 31_536_000)]
    pub userinfo_max_authentication_age: Option<i32>,
    /// The algorithm of introspection answers that it asks for as JWTs by `Accept`; `RS256` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub introspection_signed_response_alg: Option<SigningAlgorithm>,
    /// Whether its tokens are bound to the certificate of its connection. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// Whether every token request needs a DPoP proof, so that no access token is of use without its key. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens: Option<bool>,
    /// `rotate` when absent: a refresh gives a new refresh token. `static`, the same one stays, is only for confidential clients whose
    /// tokens are bound to a key or certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::RefreshTokenRotationName>)]
    pub refresh_token_rotation: Option<RefreshTokenRotation>,
    /// The resource servers, by their audience, for which it may exchange tokens (RFC 8693); at least one with that grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_exchange_audiences: Option<Vec<String>>,
    /// Whether it may get tokens in which it speaks as the subject of the token that it presents. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_exchange_impersonation: Option<bool>,
    /// Whether it may get tokens in which it acts for the subject, and is named as the actor. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_exchange_delegation: Option<bool>,
    /// Whose assertions it may present for people with the JWT bearer grant (RFC 7523): that issuer can let it act for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion_grant_issuer: Option<AssertionIssuerDocument>,
    /// Whether its authorization requests must be pushed first (RFC 9126). False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// Whether its authorization requests must be signed (RFC 9101); needs `jwks` or `jwks_uri`. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_signed_request_object: Option<bool>,
    /// The one algorithm of its request objects; any that discovery names when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub request_object_signing_alg: Option<SigningAlgorithm>,
    /// The algorithm of signed authorization responses (JARM); `RS256` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::SigningAlgorithmName>)]
    pub authorization_signed_response_alg: Option<SigningAlgorithm>,
    /// The response modes in which it may be answered; all when absent. A request that names none gets `query`, or the first of these where
    /// `query` is not among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schemas::ResponseModeName>>)]
    pub response_modes: Option<Vec<ResponseMode>>,
    /// It registered itself without an initial access token, so people are warned that nobody knows who made it. Set it to false when you
    /// know. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_openly: Option<bool>,
    /// It is described by the document at its `client_id`, an https URL, which is read again now and then and replaces what is changed here of
    /// what it says. Set it to false to keep the client as it is. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_document: Option<bool>,
    /// Switched off: it can do nothing, and its tokens are dead for good. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}
