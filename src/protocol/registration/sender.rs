//! What a client may register about the key or certificate that its tokens are bound to (RFC 9449 §5.2, RFC 8705 §3.4).

use super::texts::Problems;
use crate::domain::{ClientAuthMethod, ClientMetadata, GrantType, RefreshTokenRotation, SCOPE_ADMIN, SCOPE_ADMIN_READ};

/// Adds what contradicts.
pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let by_key = metadata.protocol.dpop_bound_access_tokens;
    let by_certificate = metadata.protocol.tls_client_certificate_bound_access_tokens;
    problems.require(
        !by_key || !(metadata.scope.contains(SCOPE_ADMIN) || metadata.scope.contains(SCOPE_ADMIN_READ)),
        "dpop_bound_access_tokens",
        "is true, but the admin API takes bearer tokens only; set it to false, or remove the scope of the admin API",
    );
    problems.require(
        !by_certificate || !(metadata.scope.contains(SCOPE_ADMIN) || metadata.scope.contains(SCOPE_ADMIN_READ)),
        "tls_client_certificate_bound_access_tokens",
        "is true, but the admin API takes bearer tokens only; set it to false, or remove the scope of the admin API",
    );
    // Whoever checks a token that is bound to two things may check one of them only.
    problems.require(
        !by_certificate || !by_key,
        "tls_client_certificate_bound_access_tokens",
        "is true, as is dpop_bound_access_tokens, but a token is bound to one thing only; keep one of the two",
    );
    if metadata.protocol.refresh_token_rotation == RefreshTokenRotation::Rotate {
        return;
    }
    problems.require(
        metadata.grant_types.contains(&GrantType::RefreshToken),
        "refresh_token_rotation",
        "says static, but the client gets no refresh tokens; add refresh_token to grant_types or leave it out",
    );
    // RFC 9700 §2.2.2: a refresh token that stays must be of no use to a thief, for nothing would tell that it was stolen.
    problems.require(
        (by_key || by_certificate) && metadata.token_endpoint_auth_method != ClientAuthMethod::None,
        "refresh_token_rotation",
        "says static, but a stolen refresh token would work unnoticed: that is only for confidential clients with \
         dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens; set one to true, or leave refresh_token_rotation out",
    );
}

#[cfg(test)]
mod tests {
    use super::super::clients::judge;
    use super::*;
    use crate::domain::{ApplicationType, ClientProtocol, RedirectUri, Scope};

    fn fields(change: impl FnOnce(&mut ClientMetadata)) -> Vec<String> {
        let mut metadata = ClientMetadata {
            client_name: "Web".into(),
            redirect_uris: vec![RedirectUri::register("https://app.example/cb", ApplicationType::Web).unwrap()],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            protocol: ClientProtocol {
                dpop_bound_access_tokens: true,
                refresh_token_rotation: RefreshTokenRotation::Static,
                ..ClientProtocol::default()
            },
            ..ClientMetadata::default()
        };
        change(&mut metadata);
        judge(&metadata).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_refresh_token_stays_only_where_a_thief_cannot_use_it() {
        assert!(fields(|_| {}).is_empty());
        assert_eq!(fields(|m| m.protocol.dpop_bound_access_tokens = false), ["refresh_token_rotation"]);
        assert_eq!(fields(|m| m.token_endpoint_auth_method = ClientAuthMethod::None), ["refresh_token_rotation"]);
        assert_eq!(fields(|m| m.grant_types.truncate(1)), ["refresh_token_rotation"]);
        assert!(fields(|m| m.protocol = ClientProtocol::default()).is_empty());
    }

    #[test]
    fn a_token_is_bound_to_a_key_or_to_a_certificate() {
        let by_certificate = |m: &mut ClientMetadata| m.protocol.tls_client_certificate_bound_access_tokens = true;
        assert_eq!(fields(by_certificate), ["tls_client_certificate_bound_access_tokens"]);
        let only = |m: &mut ClientMetadata| {
            by_certificate(m);
            m.protocol.dpop_bound_access_tokens = false;
        };
        assert!(fields(only).is_empty(), "its refresh tokens may stay too");
    }

    #[test]
    fn a_client_of_the_admin_api_has_bearer_tokens() {
        let fields = fields(|m| {
            m.scope = Scope::parse(SCOPE_ADMIN).unwrap();
            m.grant_types = vec![GrantType::ClientCredentials];
            m.protocol.refresh_token_rotation = RefreshTokenRotation::Rotate;
        });
        assert_eq!(fields, ["dpop_bound_access_tokens"]);
    }
}
