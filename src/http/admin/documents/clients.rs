//! Clients, with the names of RFC 7591 §2.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::AssertionIssuerDocument;
use super::schemas;
use crate::domain::{
    ApplicationType, ClientAuthMethod, ClientId, ClientMetadata, ClientProfile, ClientProtocol, GrantType,
    MetadataProblem, RedirectUri, RefreshTokenRotation, ResponseMode, Scope, SigningAlgorithm, SubjectType,
};
use crate::flows::admin::clients::ClientDraft;
use crate::protocol::registration;

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
    /// Switched off: it can do nothing, and its tokens are dead for good. False when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl ClientDocument {
    /// What is registered about a client, as it would have been sent.
    #[must_use]
    pub fn of(id: &ClientId, draft: ClientDraft) -> Self {
        let m = draft.metadata;
        Self {
            client_id: Some(id.to_string()),
            client_name: Some(m.client_name),
            client_uri: m.client_uri,
            logo_uri: m.logo_uri,
            policy_uri: m.policy_uri,
            tos_uri: m.tos_uri,
            redirect_uris: Some(texts(&m.redirect_uris)),
            post_logout_redirect_uris: Some(texts(&m.post_logout_redirect_uris)),
            application_type: Some(m.application_type),
            token_endpoint_auth_method: Some(m.token_endpoint_auth_method),
            grant_types: Some(m.grant_types),
            response_types: None,
            scope: Some(m.scope),
            id_token_signed_response_alg: Some(m.id_token_signed_response_alg),
            require_pkce: Some(m.require_pkce),
            skip_consent: Some(m.skip_consent),
            access_token_lifetime: m.access_token_lifetime,
            refresh_token_absolute_lifetime: m.refresh_token_absolute_lifetime,
            refresh_token_idle_lifetime: m.refresh_token_idle_lifetime,
            refresh_token_grace_period: m.refresh_token_grace_period,
            jwks: m.protocol.jwks,
            jwks_uri: m.protocol.jwks_uri,
            token_endpoint_auth_signing_alg: m.protocol.token_endpoint_auth_signing_alg,
            client_assertion_issuer: m.protocol.client_assertion_issuer,
            client_assertion_subject: m.protocol.client_assertion_subject,
            tls_client_auth_subject_dn: m.protocol.tls_client_auth_subject_dn,
            tls_client_auth_san_dns: m.protocol.tls_client_auth_san_dns,
            tls_client_auth_san_uri: m.protocol.tls_client_auth_san_uri,
            tls_client_auth_san_ip: m.protocol.tls_client_auth_san_ip,
            tls_client_auth_san_email: m.protocol.tls_client_auth_san_email,
            backchannel_logout_uri: m.protocol.backchannel_logout_uri,
            frontchannel_logout_uri: m.protocol.frontchannel_logout_uri,
            subject_type: Some(m.protocol.subject_type),
            sector_identifier_uri: m.protocol.sector_identifier_uri,
            userinfo_signed_response_alg: m.protocol.userinfo_signed_response_alg,
            userinfo_max_authentication_age: m.protocol.userinfo_max_authentication_age,
            introspection_signed_response_alg: m.protocol.introspection_signed_response_alg,
            profile: Some(m.protocol.profile),
            tls_client_certificate_bound_access_tokens: Some(m.protocol.tls_client_certificate_bound_access_tokens),
            dpop_bound_access_tokens: Some(m.protocol.dpop_bound_access_tokens),
            refresh_token_rotation: Some(m.protocol.refresh_token_rotation),
            token_exchange_audiences: Some(m.protocol.token_exchange_audiences).filter(|named| !named.is_empty()),
            token_exchange_impersonation: m.protocol.token_exchange_impersonation.then_some(true),
            token_exchange_delegation: m.protocol.token_exchange_delegation.then_some(true),
            assertion_grant_issuer: m.protocol.assertion_grant_issuer.map(Into::into),
            require_pushed_authorization_requests: Some(m.protocol.require_pushed_authorization_requests),
            require_signed_request_object: Some(m.protocol.require_signed_request_object),
            request_object_signing_alg: m.protocol.request_object_signing_alg,
            authorization_signed_response_alg: m.protocol.authorization_signed_response_alg,
            response_modes: m.protocol.response_modes,
            registered_openly: m.protocol.registered_openly.then_some(true),
            disabled: Some(draft.disabled),
        }
    }

    /// The id that was asked for.
    ///
    /// # Errors
    /// It has not the form of a client id.
    pub fn id(&self) -> Result<Option<ClientId>, Vec<MetadataProblem>> {
        let Some(text) = &self.client_id else { return Ok(None) };
        let sentence = "must be 1 to 128 printable ASCII characters and not a UUID; choose another or leave it out";
        ClientId::parse(text).map(Some).ok_or_else(|| vec![problem("client_id", sentence)])
    }

    /// What shall be registered; judged further by the flow.
    ///
    /// # Errors
    /// Members that cannot be read, all of them.
    pub fn into_draft(self) -> Result<ClientDraft, Vec<MetadataProblem>> {
        let default = registration::defaults(self.profile.unwrap_or_default());
        let protocol = self.protocol(&default.protocol);
        let mut problems = Vec::new();
        let application_type = self.application_type.unwrap_or(default.application_type);
        let grant_types = self.grant_types.unwrap_or(default.grant_types);
        judge_response_types(self.response_types.as_deref(), &grant_types, &mut problems);
        let mut uris = |field, texts: Option<Vec<String>>| {
            let read = registration::redirect_uris(field, &texts.unwrap_or_default(), application_type);
            read.unwrap_or_else(|found| {
                problems.extend(found);
                Vec::new()
            })
        };
        let redirect_uris = uris("redirect_uris", self.redirect_uris);
        let post_logout_redirect_uris = uris("post_logout_redirect_uris", self.post_logout_redirect_uris);
        if !problems.is_empty() {
            return Err(problems);
        }
        let metadata = ClientMetadata {
            client_name: self.client_name.unwrap_or_default(),
            client_uri: self.client_uri,
            logo_uri: self.logo_uri,
            policy_uri: self.policy_uri,
            tos_uri: self.tos_uri,
            redirect_uris,
            post_logout_redirect_uris,
            application_type,
            token_endpoint_auth_method: self.token_endpoint_auth_method.unwrap_or(default.token_endpoint_auth_method),
            grant_types,
            scope: self.scope.unwrap_or_default(),
            id_token_signed_response_alg: self
                .id_token_signed_response_alg
                .unwrap_or(default.id_token_signed_response_alg),
            require_pkce: self.require_pkce.unwrap_or(default.require_pkce),
            skip_consent: self.skip_consent.unwrap_or(default.skip_consent),
            access_token_lifetime: self.access_token_lifetime,
            refresh_token_absolute_lifetime: self.refresh_token_absolute_lifetime,
            refresh_token_idle_lifetime: self.refresh_token_idle_lifetime,
            refresh_token_grace_period: self.refresh_token_grace_period,
            protocol,
        };
        Ok(ClientDraft { metadata, disabled: self.disabled.unwrap_or(false) })
    }

    /// The newer members.
    fn protocol(&self, default: &ClientProtocol) -> ClientProtocol {
        let refreshes = self.grant_types.as_ref().is_none_or(|grants| grants.contains(&GrantType::RefreshToken));
        let bound_to_certificate = self.tls_client_certificate_bound_access_tokens.unwrap_or_default();
        ClientProtocol {
            profile: default.profile,
            jwks: self.jwks.clone(),
            jwks_uri: self.jwks_uri.clone(),
            token_endpoint_auth_signing_alg: self.token_endpoint_auth_signing_alg,
            client_assertion_issuer: self.client_assertion_issuer.clone(),
            client_assertion_subject: self.client_assertion_subject.clone(),
            tls_client_auth_subject_dn: self.tls_client_auth_subject_dn.clone(),
            tls_client_auth_san_dns: self.tls_client_auth_san_dns.clone(),
            tls_client_auth_san_uri: self.tls_client_auth_san_uri.clone(),
            tls_client_auth_san_ip: self.tls_client_auth_san_ip.clone(),
            tls_client_auth_san_email: self.tls_client_auth_san_email.clone(),
            backchannel_logout_uri: self.backchannel_logout_uri.clone(),
            frontchannel_logout_uri: self.frontchannel_logout_uri.clone(),
            subject_type: self.subject_type.unwrap_or_default(),
            sector_identifier_uri: self.sector_identifier_uri.clone(),
            userinfo_signed_response_alg: self.userinfo_signed_response_alg,
            userinfo_max_authentication_age: self.userinfo_max_authentication_age,
            introspection_signed_response_alg: self.introspection_signed_response_alg,
            tls_client_certificate_bound_access_tokens: bound_to_certificate,
            // Of the two ways to bind a token the profile's gives way to the one that is asked for.
            dpop_bound_access_tokens: self
                .dpop_bound_access_tokens
                .unwrap_or(default.dpop_bound_access_tokens && !bound_to_certificate),
            // Where there are no refresh tokens there is nothing to stay.
            refresh_token_rotation: self.refresh_token_rotation.unwrap_or(if refreshes {
                default.refresh_token_rotation
            } else {
                RefreshTokenRotation::Rotate
            }),
            token_exchange_audiences: self.token_exchange_audiences.clone().unwrap_or_default(),
            token_exchange_impersonation: self.token_exchange_impersonation.unwrap_or_default(),
            token_exchange_delegation: self.token_exchange_delegation.unwrap_or_default(),
            assertion_grant_issuer: self.assertion_grant_issuer.clone().map(Into::into),
            require_pushed_authorization_requests: self
                .require_pushed_authorization_requests
                .unwrap_or(default.require_pushed_authorization_requests),
            require_signed_request_object: self.require_signed_request_object.unwrap_or_default(),
            request_object_signing_alg: self.request_object_signing_alg,
            authorization_signed_response_alg: self.authorization_signed_response_alg,
            response_modes: self.response_modes.clone(),
            registered_openly: self.registered_openly.unwrap_or(false),
        }
    }
}

/// RFC 7591 §2.1: the two lists must agree, and only `code` exists here.
fn judge_response_types(sent: Option<&[String]>, grant_types: &[GrantType], problems: &mut Vec<MetadataProblem>) {
    let Some(sent) = sent else { return };
    let implied = response_types(grant_types);
    if sent != implied {
        let remedy = if implied.is_empty() { "an empty list" } else { r#"["code"]"# };
        problems.push(problem(
            "response_types",
            &format!("does not go with grant_types, which imply {remedy}; send that or leave it out"),
        ));
    }
}

pub(super) fn response_types(grant_types: &[GrantType]) -> Vec<String> {
    if grant_types.contains(&GrantType::AuthorizationCode) { vec!["code".to_owned()] } else { Vec::new() }
}

fn problem(field: &str, sentence: &str) -> MetadataProblem {
    MetadataProblem { field: field.to_owned(), sentence: sentence.to_owned() }
}

fn texts(uris: &[RedirectUri]) -> Vec<String> {
    uris.iter().map(ToString::to_string).collect()
}
