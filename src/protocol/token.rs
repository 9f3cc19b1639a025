//! The token request and its answer (RFC 6749 §3.2, §5.1).

use serde::Serialize;

use crate::domain::{GrantType, Secret};

use super::authorize::resources;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;

/// A token request, read once.
pub struct TokenRequest {
    /// What is presented.
    pub grant: PresentedGrant,
    /// The scope asked for, as written.
    pub scope: Option<String>,
    /// Resource indicators (RFC 8707).
    pub resources: Vec<String>,
}

/// What a client presents for tokens.
pub enum PresentedGrant {
    /// §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// The redirect URI of the authorization request.
        redirect_uri: Option<String>,
        /// PKCE.
        code_verifier: Option<Secret>,
    },
    /// §6.
    RefreshToken {
        /// The token.
        refresh_token: Secret,
    },
    /// §4.4.
    ClientCredentials,
}

impl PresentedGrant {
    /// Its `grant_type`.
    #[must_use]
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials => GrantType::ClientCredentials,
        }
    }
}

/// Reads a token request.
///
/// # Errors
/// `invalid_request`, `unsupported_grant_type`, `invalid_target`.
pub fn parse(params: &Params) -> Result<TokenRequest, OAuthError> {
    params.refuse_repetition()?;
    let secret = |text: &str| Secret::new(text.to_owned());
    let grant = match GrantType::parse(params.required("grant_type")?) {
        Some(GrantType::AuthorizationCode) => PresentedGrant::AuthorizationCode {
            code: secret(params.required("code")?),
            redirect_uri: params.one("redirect_uri")?.map(str::to_owned),
            code_verifier: params.one("code_verifier")?.map(secret),
        },
        Some(GrantType::RefreshToken) => {
            PresentedGrant::RefreshToken { refresh_token: secret(params.required("refresh_token")?) }
        }
        Some(GrantType::ClientCredentials) => PresentedGrant::ClientCredentials,
        None => {
            let sentence = "grant_type must be authorization_code, refresh_token or client_credentials.";
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, sentence));
        }
    };
    Ok(TokenRequest { grant, scope: params.one("scope")?.map(str::to_owned), resources: resources(params)? })
}

/// A successful answer (§5.1).
#[derive(Serialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token lives.
    pub expires_in: i64,
    /// What the access token is good for.
    pub scope: String,
    /// The current refresh token of the family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Seconds within which the refresh token must be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_in: Option<i64>,
    /// The ID token, where `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}
