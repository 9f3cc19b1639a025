//! Between the document of a client and what is stored.

use super::clients::ClientDocument;
use crate::domain::{
    ClientId, ClientMetadata, ClientProtocol, GrantType, MetadataProblem, RedirectUri, RefreshTokenRotation,
};
use crate::flows::admin::clients::ClientDraft;
use crate::protocol::registration;

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
            metadata_document: m.protocol.metadata_document.then_some(true),
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
            metadata_document: self.metadata_document.unwrap_or(false),
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
