//! The error family that clients and people may see: fixed codes, fixed sentences.

/// Error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 8628 §3.5, RFC 8707 §2, RFC 9101 §7, OpenID Connect Core §3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated, malformed or contradicts another.
    InvalidRequest,
    /// The client did not prove who it is.
    InvalidClient,
    /// The code or refresh token does not hold.
    InvalidGrant,
    /// This client may not do this.
    UnauthorizedClient,
    /// The server does not speak this grant.
    UnsupportedGrantType,
    /// The server does not speak this response type.
    UnsupportedResponseType,
    /// The scope is malformed, unknown or too wide.
    InvalidScope,
    /// The resource is unknown or not for this client.
    InvalidTarget,
    /// The person said no.
    AccessDenied,
    /// Nobody has decided about the device yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// As before, and the device asks too often.
    SlowDown,
    /// The device code has expired.
    ExpiredToken,
    /// `prompt=none`, but somebody must sign in.
    LoginRequired,
    /// `prompt=none`, but somebody must consent.
    ConsentRequired,
    /// The person cannot be signed in as the client wants it (RFC 9470 §5).
    UnmetAuthenticationRequirements,
    /// The request object does not hold (RFC 9101 §7).
    InvalidRequestObject,
    /// The `request_uri` is unknown, expired, used, or another client's (RFC 9101 §7).
    InvalidRequestUri,
    /// A `request_uri` by reference is not supported.
    RequestUriNotSupported,
    /// `registration` is not supported.
    RegistrationNotSupported,
    /// The access token does not hold (RFC 6750).
    InvalidToken,
    /// The access token is too narrow (RFC 6750).
    InsufficientScope,
    /// The sign-in behind the access token is older than this many seconds (RFC 9470 §3).
    InsufficientUserAuthentication {
        /// How old it may be.
        max_age: i32,
    },
    /// A DPoP proof is missing or does not hold (RFC 9449 §5).
    InvalidDpopProof,
    /// The DPoP proof needs a nonce of ours (RFC 9449 §8).
    UseDpopNonce,
    /// The token type hint or type is not supported (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// A redirect URI cannot be registered (RFC 7591 §3.2.2).
    InvalidRedirectUri,
    /// Other client metadata cannot be registered.
    InvalidClientMetadata,
    /// The software statement is none.
    InvalidSoftwareStatement,
    /// The software statement is not accepted here.
    UnapprovedSoftwareStatement,
    /// A defect.
    ServerError,
    /// Too much to do, or the database is away.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The registered text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication { .. } => "insufficient_user_authentication",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// A refusal that is safe to show. The description holds printable ASCII without `"` and `\` (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The registered code.
    pub code: ErrorCode,
    /// What is wrong and what to do next, for the developer of the client.
    pub description: String,
    /// Why a grant does not hold, for programs; only ever told to the client that owns the grant.
    pub reason: Option<&'static str>,
}

impl OAuthError {
    /// A refusal with a fixed sentence.
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        let mut description: String = description.into();
        description.retain(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
        Self { code, description, reason: None }
    }

    /// `invalid_request` with a sentence.
    #[must_use]
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_grant` with a machine-readable reason.
    #[must_use]
    pub fn invalid_grant(reason: &'static str, description: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(ErrorCode::InvalidGrant, description) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_28_descriptions_hold_only_allowed_characters() {
        let error = OAuthError::invalid_request("a \"quoted\" \\ täxt\r\n");
        assert_eq!(error.description, "a quoted  txt");
    }
}
