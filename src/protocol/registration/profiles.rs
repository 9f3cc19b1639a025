//! Profiles: what a client gets where it names nothing, and what it may not ask for.

use super::texts::Problems;
use crate::domain::{
    ApplicationType, ClientAuthMethod, ClientMetadata, ClientProfile, ClientProtocol, GrantType, RefreshTokenRotation,
    SigningAlgorithm,
};

/// What a client of this profile gets where it names nothing itself.
#[must_use]
pub fn defaults(profile: ClientProfile) -> ClientMetadata {
    let default = ClientMetadata::default();
    let with_refresh = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    match profile {
        ClientProfile::Default => default,
        ClientProfile::Fapi2 => ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt,
            id_token_signed_response_alg: SigningAlgorithm::Ps256,
            grant_types: with_refresh,
            protocol: ClientProtocol {
                profile,
                dpop_bound_access_tokens: true,
                refresh_token_rotation: RefreshTokenRotation::Static,
                require_pushed_authorization_requests: true,
                ..ClientProtocol::default()
            },
            ..default
        },
        ClientProfile::Native | ClientProfile::Mcp => ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::None,
            application_type: ApplicationType::Native,
            grant_types: with_refresh,
            protocol: ClientProtocol { profile, ..ClientProtocol::default() },
            ..default
        },
    }
}

/// Members that contradict the profile.
pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    match metadata.protocol.profile {
        ClientProfile::Default => {}
        ClientProfile::Fapi2 => judge_fapi2(metadata, problems),
        ClientProfile::Native => judge_installed(metadata, problems, "native"),
        ClientProfile::Mcp => {
            judge_installed(metadata, problems, "mcp");
            // MCP authorization: a token is made for the one server that the client names.
            problems.require(
                !metadata.grant_types.contains(&GrantType::ClientCredentials),
                "grant_types",
                "holds client_credentials, but a client of profile mcp acts for a person; remove it or choose another profile",
            );
        }
    }
}

/// FAPI 2.0 Security Profile §5.3.2, §5.4.
fn judge_fapi2(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    problems.require(
        !metadata.token_endpoint_auth_method.uses_secret()
            && metadata.token_endpoint_auth_method != ClientAuthMethod::None,
        "token_endpoint_auth_method",
        "must be private_key_jwt, tls_client_auth or self_signed_tls_client_auth for a client of profile fapi2; a secret can be sent on to \
         somebody else",
    );
    for (holds, field, sentence) in [
        (
            protocol.require_pushed_authorization_requests,
            "require_pushed_authorization_requests",
            "is false, but profile fapi2 wants requests that nobody can read or change in the browser; set it to true",
        ),
        (
            metadata.require_pkce,
            "require_pkce",
            "is false, but profile fapi2 wants PKCE for every client; set it to true",
        ),
        (
            protocol.dpop_bound_access_tokens || protocol.tls_client_certificate_bound_access_tokens,
            "dpop_bound_access_tokens",
            "is false, but profile fapi2 wants tokens that only their holder can use; set it to true",
        ),
        (
            protocol.refresh_token_rotation == RefreshTokenRotation::Static
                || !metadata.grant_types.contains(&GrantType::RefreshToken),
            "refresh_token_rotation",
            "is rotate, but profile fapi2 wants refresh tokens that stay, since they are bound to their holder; set it to static",
        ),
    ] {
        problems.require(holds, field, sentence);
    }
    for (field, algorithm) in [
        ("id_token_signed_response_alg", Some(metadata.id_token_signed_response_alg)),
        ("token_endpoint_auth_signing_alg", protocol.token_endpoint_auth_signing_alg),
        ("request_object_signing_alg", protocol.request_object_signing_alg),
        ("authorization_signed_response_alg", protocol.authorization_signed_response_alg),
        ("userinfo_signed_response_alg", protocol.userinfo_signed_response_alg),
        ("introspection_signed_response_alg", protocol.introspection_signed_response_alg),
    ] {
        problems.require(
            algorithm != Some(SigningAlgorithm::Rs256),
            field,
            "is RS256, which profile fapi2 does not allow; choose PS256, ES256 or EdDSA",
        );
    }
    for uri in &metadata.redirect_uris {
        problems.require(
            uri.as_str().starts_with("https://"),
            "redirect_uris",
            format!("holds {uri}, but profile fapi2 wants https only; choose an https URI"),
        );
    }
}

/// RFC 8252, RFC 9700 §2.1.1: an application on somebody's device cannot keep a secret.
fn judge_installed(metadata: &ClientMetadata, problems: &mut Problems, name: &str) {
    problems.require(
        !metadata.token_endpoint_auth_method.uses_secret(),
        "token_endpoint_auth_method",
        format!("is for a secret, which a client of profile {name} cannot keep; use none or private_key_jwt"),
    );
    problems.require(
        metadata.require_pkce,
        "require_pkce",
        format!("is false, but a client of profile {name} always uses PKCE; set it to true"),
    );
    problems.require(
        !metadata.skip_consent,
        "skip_consent",
        format!(
            "is true, but nobody can tell whether a client of profile {name} is the one that it says; set it to false"
        ),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::RedirectUri;

    fn complete(profile: ClientProfile, uri: &str) -> ClientMetadata {
        let mut metadata = defaults(profile);
        metadata.client_name = "App".into();
        metadata.redirect_uris = vec![RedirectUri::register(uri, metadata.application_type).unwrap()];
        if profile == ClientProfile::Fapi2 {
            metadata.protocol.jwks = Some(json!({ "keys": [] }));
        }
        metadata
    }

    fn fields(metadata: &ClientMetadata) -> Vec<String> {
        super::super::judge(metadata).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn the_defaults_of_a_profile_do_not_contradict_it() {
        for profile in [ClientProfile::Default, ClientProfile::Fapi2] {
            assert_eq!(fields(&complete(profile, "https://rp.example/cb")), [""; 0], "{profile:?}");
        }
        for profile in [ClientProfile::Native, ClientProfile::Mcp] {
            assert_eq!(fields(&complete(profile, "http://127.0.0.1/cb")), [""; 0], "{profile:?}");
        }
    }

    #[test]
    fn each_contradiction_names_its_member() {
        type Change = fn(&mut ClientMetadata);
        let fapi: [(&str, Change); 8] = [
            ("token_endpoint_auth_method", |m| m.token_endpoint_auth_method = ClientAuthMethod::ClientSecretBasic),
            ("require_pushed_authorization_requests", |m| m.protocol.require_pushed_authorization_requests = false),
            ("require_pkce", |m| m.require_pkce = false),
            ("refresh_token_rotation", |m| m.protocol.refresh_token_rotation = RefreshTokenRotation::Rotate),
            ("id_token_signed_response_alg", |m| m.id_token_signed_response_alg = SigningAlgorithm::Rs256),
            ("token_endpoint_auth_signing_alg", |m| {
                m.protocol.token_endpoint_auth_signing_alg = Some(SigningAlgorithm::Rs256);
            }),
            ("request_object_signing_alg", |m| m.protocol.request_object_signing_alg = Some(SigningAlgorithm::Rs256)),
            ("authorization_signed_response_alg", |m| {
                m.protocol.authorization_signed_response_alg = Some(SigningAlgorithm::Rs256);
            }),
        ];
        for (field, change) in fapi {
            let mut metadata = complete(ClientProfile::Fapi2, "https://rp.example/cb");
            change(&mut metadata);
            assert!(fields(&metadata).iter().any(|found| found == field), "{field}: {:?}", fields(&metadata));
        }
        let installed: [(&str, Change); 3] = [
            ("token_endpoint_auth_method", |m| m.token_endpoint_auth_method = ClientAuthMethod::ClientSecretPost),
            ("require_pkce", |m| m.require_pkce = false),
            ("skip_consent", |m| m.skip_consent = true),
        ];
        for (field, change) in installed {
            for profile in [ClientProfile::Native, ClientProfile::Mcp] {
                let mut metadata = complete(profile, "http://127.0.0.1/cb");
                change(&mut metadata);
                assert!(fields(&metadata).iter().any(|found| found == field), "{profile:?} {field}");
            }
        }
    }
}
