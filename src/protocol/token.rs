//! The token request and its answer (RFC 6749 §3.2, §5.1).

use crate::domain::{GrantType, Scope, Secret};

use super::authorize::resources;
use super::claims::TokenType;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::token_exchange::{self, PresentedTokens};

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
    /// RFC 8628 §3.4.
    DeviceCode {
        /// The code of the device.
        device_code: Secret,
    },
    /// RFC 8693 §2.1.
    TokenExchange(PresentedTokens),
    /// RFC 7523 §2.1.
    JwtBearer {
        /// The JWT.
        assertion: Secret,
    },
}

impl PresentedGrant {
    /// Its `grant_type`.
    #[must_use]
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::DeviceCode { .. } => GrantType::DeviceCode,
            Self::TokenExchange(_) => GrantType::TokenExchange,
            Self::JwtBearer { .. } => GrantType::JwtBearer,
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
        Some(GrantType::DeviceCode) => {
            PresentedGrant::DeviceCode { device_code: secret(params.required("device_code")?) }
        }
        Some(GrantType::TokenExchange) => PresentedGrant::TokenExchange(token_exchange::parse(params)?),
        Some(GrantType::JwtBearer) => PresentedGrant::JwtBearer { assertion: secret(params.required("assertion")?) },
        None => {
            let known: Vec<&str> = GrantType::ALL.iter().map(|grant| grant.as_str()).collect();
            let sentence = format!("grant_type must be one of: {}.", known.join(", "));
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, sentence));
        }
    };
    Ok(TokenRequest { grant, scope: params.one("scope")?.map(str::to_owned), resources: resources(params)? })
}

/// A successful answer (§5.1).
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// How it is presented.
    pub token_type: TokenType,
    /// Seconds that the access token lives.
    pub expires_in: i64,
    /// What the access token is good for.
    pub scope: Scope,
    /// The current refresh token of the family, and the seconds within which it must be used.
    pub refresh_token: Option<(String, i64)>,
    /// The ID token, where `openid` was granted.
    pub id_token: Option<String>,
    /// What kind of token was issued, where one was exchanged (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'static str>,
}

impl TokenResponse {
    /// As JSON. None of these texts has a character that JSON escapes: tokens are base64url and dots, and a scope allows neither quotation
    /// marks nor backslashes. To look for them in long tokens would take longer than to make the claims.
    #[must_use]
    pub fn to_json(&self) -> String {
        let id_token = self.id_token.as_deref().unwrap_or_default();
        let mut json =
            String::with_capacity(self.access_token.len() + id_token.len() + self.scope.as_str().len() + 256);
        let mut push = |parts: &[&str]| parts.iter().for_each(|part| json.push_str(part));
        push(&[r#"{"access_token":""#, &self.access_token, r#"","token_type":""#, self.token_type.as_str()]);
        push(&[r#"","expires_in":"#, &self.expires_in.to_string(), r#","scope":""#, self.scope.as_str(), "\""]);
        if let Some((token, expires_in)) = &self.refresh_token {
            push(&[r#","refresh_token":""#, token, r#"","refresh_token_expires_in":"#, &expires_in.to_string()]);
        }
        if self.id_token.is_some() {
            push(&[r#","id_token":""#, id_token, "\""]);
        }
        if let Some(issued) = self.issued_token_type {
            push(&[r#","issued_token_type":""#, issued, "\""]);
        }
        push(&["}"]);
        json
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_is_json_with_the_members_that_it_has() {
        let mut response = TokenResponse {
            access_token: "a.b-_.c".into(),
            token_type: TokenType::Bearer,
            expires_in: 600,
            scope: Scope::parse("read:'x' !#[]~").unwrap(),
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        };
        let read = |response: &TokenResponse| serde_json::from_str::<Value>(&response.to_json()).unwrap();
        let mut expected =
            json!({ "access_token": "a.b-_.c", "token_type": "Bearer", "expires_in": 600, "scope": "!#[]~ read:'x'" });
        assert_eq!(read(&response), expected);
        response.token_type = TokenType::Dpop;
        expected["token_type"] = json!("DPoP");
        response.refresh_token = Some(("ksr_x".into(), 7));
        response.id_token = Some("d.e.f".into());
        response.issued_token_type = Some("urn:x");
        expected["issued_token_type"] = json!("urn:x");
        expected["refresh_token"] = json!("ksr_x");
        expected["refresh_token_expires_in"] = json!(7);
        expected["id_token"] = json!("d.e.f");
        assert_eq!(read(&response), expected);
    }
}
