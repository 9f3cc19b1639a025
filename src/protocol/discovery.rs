//! Discovery documents (OpenID Connect Discovery §3, RFC 8414 §2): exactly what works.

use serde_json::{Value, json};

use crate::domain::{ClientAuthMethod, GrantType, ResponseMode, Scope, SigningAlgorithm, SubjectType};

use super::audience::STANDARD_SCOPES;
use super::authentication::ACR_VALUES;
use super::claims::CLAIMS;
use super::dpop;

/// The class of a sign-in with a password.
pub const ACR_PASSWORD: &str = "urn:keystead:acr:password";

/// Endpoints to which clients come by themselves, and so can show a certificate.
const ENDPOINTS_FOR_PROGRAMS: [&str; 6] = [
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "userinfo_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
];

/// What depends on the settings and on what is registered.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The issuer identifier.
    pub issuer: &'a str,
    /// The scope tokens of registered resource servers.
    pub api_scopes: &'a Scope,
    /// How clients can authenticate.
    pub methods: &'a [ClientAuthMethod],
    /// Whether certificates of clients come here at all.
    pub certificates: bool,
    /// The origin at which clients are asked for certificates, if it is one of its own.
    pub aliases: Option<&'a str>,
    /// Whether clients may register themselves.
    pub can_register: bool,
    /// Whether clients may describe themselves by a document.
    pub documents: bool,
}

/// The one document that both well-known addresses serve.
#[must_use]
pub fn document(offer: Offer<'_>) -> Value {
    let mut document = usual(offer);
    let Value::Object(members) = &mut document else { return document };
    if offer.certificates {
        members.insert("tls_client_certificate_bound_access_tokens".to_owned(), true.into());
    }
    if offer.documents {
        members.insert("client_id_metadata_document_supported".to_owned(), true.into());
    }
    if let Some(origin) = offer.aliases {
        // RFC 8705 §5: only there is a certificate asked for, so that browsers never show their users a choice of certificates.
        let alias = |name: &str| {
            let path = members.get(name)?.as_str()?.strip_prefix(offer.issuer)?;
            Some((name.to_owned(), Value::from(format!("{origin}{path}"))))
        };
        let aliases = ENDPOINTS_FOR_PROGRAMS.into_iter().filter_map(alias).collect();
        members.insert("mtls_endpoint_aliases".to_owned(), Value::Object(aliases));
    }
    document
}

fn usual(Offer { issuer, api_scopes, methods, can_register, .. }: Offer<'_>) -> Value {
    let endpoint = |path: &str| format!("{issuer}{path}");
    let confidential: Vec<&str> =
        methods.iter().filter(|m| **m != ClientAuthMethod::None).map(|m| m.as_str()).collect();
    let all_methods: Vec<&str> = methods.iter().map(|m| m.as_str()).collect();
    let algorithms: Vec<&str> =
        [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::Ps256, SigningAlgorithm::EdDsa]
            .map(SigningAlgorithm::as_str)
            .to_vec();
    // RFC 9864: what others signed is read under the newer name of EdDSA too. What is signed here says EdDSA.
    let accepted: Vec<&str> = algorithms.iter().copied().chain(["Ed25519"]).collect();
    let scopes: Vec<&str> =
        STANDARD_SCOPES.into_iter().chain(api_scopes.tokens().filter(|t| !t.starts_with("keystead:"))).collect();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": endpoint("/oauth2/authorize"),
        "token_endpoint": endpoint("/oauth2/token"),
        "userinfo_endpoint": endpoint("/oauth2/userinfo"),
        "jwks_uri": endpoint("/oauth2/jwks"),
        "introspection_endpoint": endpoint("/oauth2/introspect"),
        "revocation_endpoint": endpoint("/oauth2/revoke"),
        "device_authorization_endpoint": endpoint("/oauth2/device_authorization"),
        "end_session_endpoint": endpoint("/oauth2/end_session"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "grant_types_supported": GrantType::ALL.iter().map(|g| g.as_str()).collect::<Vec<_>>(),
        "subject_types_supported": SubjectType::ALL.iter().map(|t| t.as_str()).collect::<Vec<_>>(),
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": all_methods,
        "token_endpoint_auth_signing_alg_values_supported": accepted,
        "userinfo_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": accepted,
        "revocation_endpoint_auth_methods_supported": all_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": accepted,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": dpop::algorithm_names().collect::<Vec<_>>(),
        "claim_types_supported": ["normal"],
        "claims_supported": CLAIMS,
        "claims_parameter_supported": true,
        "acr_values_supported": ACR_VALUES,
        "ui_locales_supported": ["en"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    });
    if let (Some(document), Value::Object(more)) =
        (document.as_object_mut(), front_channel(issuer, &algorithms, &accepted))
    {
        document.extend(more);
    }
    if can_register {
        document["registration_endpoint"] = endpoint("/oauth2/register").into();
    }
    document
}

/// What is said about authorization requests and their answers (RFC 9101 §10.5, RFC 9126 §5, RFC 9207 §3, JARM §4).
fn front_channel(issuer: &str, algorithms: &[&str], accepted: &[&str]) -> Value {
    let response_modes: Vec<&str> =
        ResponseMode::ALL.iter().map(|mode| mode.as_str()).chain([ResponseMode::JWT]).collect();
    json!({
        "pushed_authorization_request_endpoint": format!("{issuer}/oauth2/par"),
        "response_modes_supported": response_modes,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "request_object_signing_alg_values_supported": accepted,
        "require_signed_request_object": false,
        "require_pushed_authorization_requests": false,
        "authorization_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
    })
}
