//! Clients: what an operator registers (RFC 7591 §2 names) and what the server keeps beside it.

use serde::{Deserialize, Serialize};
use time::Duration;
use url::Url;

use super::{ClientId, ClientProtocol, RedirectUri, Scope, SecretId, SubjectType, Timestamp};

/// How a client proves who it is (RFC 7591 `token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// HTTP Basic with the secret (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the form body.
    ClientSecretPost,
    /// A JWT that it signs with its private key (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// A certificate for which an authority vouches (RFC 8705 §2.1).
    TlsClientAuth,
    /// A certificate with one of its own keys (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
    /// A public client: it cannot keep a secret.
    None,
}

impl ClientAuthMethod {
    /// Whether this server makes a secret for it.
    #[must_use]
    pub fn uses_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }

    /// Whether the certificate of its connection says who it is.
    #[must_use]
    pub fn uses_certificate(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }
}

/// Grants that a client may use (RFC 7591 `grant_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// RFC 7523 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

/// OpenID Connect Registration `application_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// Runs on a web server or in a browser.
    Web,
    /// Installed on a device.
    Native,
}

macro_rules! text_form {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every value, in the order in which discovery lists them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The registered text form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the registered text form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use text_form;

text_form!(ClientAuthMethod {
    ClientSecretBasic => "client_secret_basic",
    ClientSecretPost => "client_secret_post",
    PrivateKeyJwt => "private_key_jwt",
    TlsClientAuth => "tls_client_auth",
    SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
    None => "none",
});
text_form!(GrantType {
    AuthorizationCode => "authorization_code",
    RefreshToken => "refresh_token",
    ClientCredentials => "client_credentials",
    DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
    TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
    JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
});
text_form!(ApplicationType { Web => "web", Native => "native" });

/// How a client's refresh tokens live. Lifetimes are those of the settings where the client names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// From the sign-in until the family ends for good.
    pub absolute_lifetime: Duration,
    /// From one use until the next must have happened.
    pub idle_lifetime: Duration,
    /// How long the predecessor of the current token still gets the same successor; zero is strict.
    pub grace_period: Duration,
}

/// What is registered about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMetadata {
    /// The name that people see.
    pub client_name: String,
    /// The application's home page.
    pub client_uri: Option<String>,
    /// A logo for the sign-in page.
    pub logo_uri: Option<String>,
    /// The application's privacy policy.
    pub policy_uri: Option<String>,
    /// The application's terms of service.
    pub tos_uri: Option<String>,
    /// Where authorization responses may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may go after signing out.
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Web or native.
    pub application_type: ApplicationType,
    /// How it authenticates.
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// Which grants it may use.
    pub grant_types: Vec<GrantType>,
    /// The widest scope it may ask for.
    pub scope: Scope,
    /// The algorithm of its ID tokens.
    pub id_token_signed_response_alg: super::SigningAlgorithm,
    /// Whether every authorization request needs PKCE. May be false only for confidential clients.
    pub require_pkce: bool,
    /// A first-party application: its users are not asked for consent where its identity is assured.
    pub skip_consent: bool,
    /// Seconds that its access tokens live, where it wants other than the resource server's or the settings'.
    pub access_token_lifetime: Option<i32>,
    /// Seconds that a token family lives at most.
    pub refresh_token_absolute_lifetime: Option<i32>,
    /// Seconds within which a refresh token must be used.
    pub refresh_token_idle_lifetime: Option<i32>,
    /// Seconds in which the predecessor of the current refresh token gets the same successor; 0 is strict.
    pub refresh_token_grace_period: Option<i32>,
    /// The newer members.
    pub protocol: ClientProtocol,
}

impl Default for ClientMetadata {
    /// The defaults of RFC 7591 §2 and OpenID Connect Registration §2, and PKCE required.
    fn default() -> Self {
        Self {
            client_name: String::new(),
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            application_type: ApplicationType::Web,
            token_endpoint_auth_method: ClientAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::AuthorizationCode],
            scope: Scope::default(),
            id_token_signed_response_alg: super::SigningAlgorithm::Rs256,
            require_pkce: true,
            skip_consent: false,
            access_token_lifetime: None,
            refresh_token_absolute_lifetime: None,
            refresh_token_idle_lifetime: None,
            refresh_token_grace_period: None,
            protocol: ClientProtocol::default(),
        }
    }
}

impl ClientMetadata {
    /// The host that stands for all clients which call people by the same names (OpenID Connect Core §8.1); `None`: it calls them by their
    /// public ids.
    ///
    /// Registration accepts no pairwise client whose sector is not known. Should one be there, it has a sector of nobody: never public ids.
    #[must_use]
    pub fn sector(&self) -> Option<String> {
        if self.protocol.subject_type == SubjectType::Public {
            return None;
        }
        let listed = self.protocol.sector_identifier_uri.as_deref();
        let place = listed.or_else(|| self.redirect_uris.first().map(RedirectUri::as_str));
        let host = place.and_then(|place| Url::parse(place).ok()?.host_str().map(str::to_owned));
        Some(host.unwrap_or_default())
    }
}

/// One member of a client's metadata that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataProblem {
    /// The member's name, with its index where it is a list: `redirect_uris[1]`.
    pub field: String,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// One live secret: only its SHA-256 is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Names the secret for removal.
    pub id: SecretId,
    /// SHA-256 of the secret.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

/// A registered client as the server holds it in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its public name.
    pub id: ClientId,
    /// What is registered.
    pub metadata: ClientMetadata,
    /// At most two live secrets, so that one can replace the other without an outage.
    pub secrets: Vec<ClientSecret>,
    /// Set when an operator switched it off: it can do nothing, and its tokens are inactive.
    pub disabled_at: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Client {
    /// Whether it cannot keep a secret (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.metadata.token_endpoint_auth_method == ClientAuthMethod::None
    }

    /// Whether it may use this grant.
    #[must_use]
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant)
    }

    /// Its refresh policy, with the settings' where it names none.
    #[must_use]
    pub fn refresh_policy(&self, default: RefreshPolicy) -> RefreshPolicy {
        let seconds = |own: Option<i32>, default| own.map_or(default, |s| Duration::seconds(s.into()));
        let m = &self.metadata;
        let absolute_lifetime = seconds(m.refresh_token_absolute_lifetime, default.absolute_lifetime);
        RefreshPolicy {
            absolute_lifetime,
            idle_lifetime: seconds(m.refresh_token_idle_lifetime, default.idle_lifetime).min(absolute_lifetime),
            grace_period: seconds(m.refresh_token_grace_period, default.grace_period),
        }
    }
}
