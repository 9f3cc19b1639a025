//! Who is calling: client authentication (RFC 6749 §2.3, §3.2.1).

use std::sync::Arc;

use crate::domain::{CertificateChain, Client, ClientAuthMethod, ClientId, Secret};

use super::client_assertion::{self, ASSERTION_TYPE};
use super::client_certificate;
use super::error::{ErrorCode, OAuthError};
use super::params::{Params, is_plain};

/// What a request brings beside its parameters to prove who sends it.
#[derive(Default)]
pub struct Credentials {
    /// The one `Authorization` header.
    pub authorization: Option<String>,
    /// The one `DPoP` header (RFC 9449 §4.1): a proof that was not looked at yet.
    pub dpop: Option<String>,
    /// What the client showed on its connection (RFC 8705). It holds the key; nothing else was looked at yet.
    pub certificate: Option<CertificateChain>,
}

/// What a request says about its client, not yet believed.
pub struct PresentedClient {
    /// The id that it names.
    pub client_id: String,
    /// How it wants to prove it.
    pub method: ClientAuthMethod,
    /// The proof.
    pub proof: Proof,
}

/// What a client proves itself with.
pub enum Proof {
    /// Nothing in the request: it is public, or its certificate speaks for it.
    None,
    /// Its secret.
    Secret(Secret),
    /// A JWT, which has to be read before anything else can be said (RFC 7523 §2.2).
    Assertion(String),
}

/// A client that proved who it is, or that is public and named itself. Only [`judge`] makes one.
#[derive(Debug, Clone)]
pub struct AuthenticatedClient(Arc<Client>);

impl AuthenticatedClient {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.0.id
    }
}

fn invalid_client(description: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}

/// Reads the client from the `Authorization` header or from the form, never from both.
///
/// # Errors
/// `invalid_client` when nothing is there, it cannot be read, or two methods are used at once (§2.3).
pub fn presented(credentials: &Credentials, params: &Params) -> Result<PresentedClient, OAuthError> {
    let form_id = params.one("client_id")?;
    let form_secret = params.one("client_secret")?;
    if let Some(assertion) = assertion(params)? {
        if credentials.authorization.is_some() || form_secret.is_some() {
            return Err(two_ways());
        }
        let client_id = form_id.unwrap_or_default().to_owned();
        return Ok(PresentedClient {
            client_id,
            method: ClientAuthMethod::PrivateKeyJwt,
            proof: Proof::Assertion(assertion),
        });
    }
    let Some(header) = credentials.authorization.as_deref() else {
        let client_id = form_id.ok_or_else(|| {
            invalid_client(
                "No client authentication was sent: use HTTP Basic, or client_id and client_secret in the body.",
            )
        })?;
        let (method, proof) = match form_secret {
            Some(secret) => (ClientAuthMethod::ClientSecretPost, Proof::Secret(Secret::new(secret.to_owned()))),
            None => (ClientAuthMethod::None, Proof::None),
        };
        return Ok(PresentedClient { client_id: client_id.to_owned(), method, proof });
    };
    let (client_id, secret) = parse_basic(header)?;
    if form_secret.is_some() {
        return Err(two_ways());
    }
    if form_id.is_some_and(|id| id != client_id) {
        return Err(OAuthError::invalid_request(
            "client_id in the body differs from the one in the Authorization header.",
        ));
    }
    // §2.3.1: an empty secret and none are the same. Clients without one that always send the header only name themselves with it.
    if secret.expose().is_empty() {
        return Ok(PresentedClient { client_id, method: ClientAuthMethod::None, proof: Proof::None });
    }
    Ok(PresentedClient { client_id, method: ClientAuthMethod::ClientSecretBasic, proof: Proof::Secret(secret) })
}

fn two_ways() -> OAuthError {
    invalid_client("The client authenticated in two ways; use only one (RFC 6749 section 2.3).")
}

/// RFC 7521 §4.2.
fn assertion(params: &Params) -> Result<Option<String>, OAuthError> {
    match (params.one("client_assertion_type")?, params.one("client_assertion")?) {
        (None, None) => Ok(None),
        (Some(ASSERTION_TYPE), Some(assertion)) => Ok(Some(assertion.to_owned())),
        (Some(ASSERTION_TYPE), None) => Err(invalid_client("client_assertion is missing.")),
        _ => Err(invalid_client(&format!("client_assertion_type must be {ASSERTION_TYPE}."))),
    }
}

/// §2.3.1: id and secret are form-urlencoded each, joined by a colon, then base64.
fn parse_basic(header: &str) -> Result<(String, Secret), OAuthError> {
    use base64::Engine as _;
    let unreadable = || {
        invalid_client(
            "The Authorization header is not Basic with base64(urlencode(client_id):urlencode(client_secret)).",
        )
    };
    let (scheme, encoded) = header.split_once(' ').ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).map_err(|_| unreadable())?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (id, secret) = text.split_once(':').ok_or_else(unreadable)?;
    let id = form_decode(id).ok_or_else(unreadable)?;
    let secret = form_decode(secret).ok_or_else(unreadable)?;
    Ok((id, Secret::new(secret)))
}

fn form_decode(text: &str) -> Option<String> {
    // As a lone name without `=`, so `&` and `=` must not occur bare; both are encoded by a proper client.
    if is_plain(text) || text.contains(['&', '=']) {
        return Some(text.to_owned());
    }
    let decoded =
        form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned());
    (!decoded.contains(['\u{FFFD}', '\0'])).then_some(decoded)
}

/// Decides whether the presented client is who it says. `secret_sha256` is the SHA-256 of the presented secret.
///
/// An unknown client costs the same comparisons as a known one, and gets the same sentence.
///
/// # Errors
/// `invalid_client`: unknown, disabled, a method other than the registered one, or a wrong secret.
pub fn judge(
    client: Option<Arc<Client>>,
    presented: &PresentedClient,
    secret_sha256: Option<[u8; 32]>,
) -> Result<AuthenticatedClient, OAuthError> {
    const NOBODY: [u8; 32] = [0; 32];
    let hashes: Vec<[u8; 32]> =
        client.iter().flat_map(|c| c.secrets.iter().map(|s| s.sha256)).chain([NOBODY, NOBODY]).take(2).collect();
    let secret_fits =
        secret_sha256.is_some_and(|sent| hashes.iter().fold(false, |found, known| equal(known, &sent) | found));
    let client = client.ok_or_else(refused)?;
    let registered = client.metadata.token_endpoint_auth_method;
    let method_fits = presented.method == registered;
    let proven = match registered {
        ClientAuthMethod::None => matches!(presented.proof, Proof::None),
        ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost => secret_fits,
        // An assertion is judged by [`judge_assertion`].
        // So is a certificate by [`judge_certificate`].
        ClientAuthMethod::PrivateKeyJwt
        | ClientAuthMethod::TlsClientAuth
        | ClientAuthMethod::SelfSignedTlsClientAuth => false,
    };
    if method_fits && proven && client.disabled_at.is_none() { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

/// A client whose assertion was accepted and is its own; a disabled one is refused like an unknown one.
///
/// # Errors
/// `invalid_client`: disabled.
pub fn judge_assertion(
    client: Arc<Client>,
    _accepted: &client_assertion::Accepted,
) -> Result<AuthenticatedClient, OAuthError> {
    if client.disabled_at.is_none() { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

/// A client whose certificate was accepted and is its own; a disabled one is refused like an unknown one.
///
/// # Errors
/// `invalid_client`: disabled.
pub fn judge_certificate(
    client: Arc<Client>,
    _accepted: &client_certificate::Accepted,
) -> Result<AuthenticatedClient, OAuthError> {
    if client.disabled_at.is_none() { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

/// The one sentence for whoever is not believed.
#[must_use]
pub fn refused() -> OAuthError {
    invalid_client(
        "Client authentication failed: unknown client, wrong secret, or another method than the registered one.",
    )
}

/// Compares without leaving early, so that time does not tell how far two hashes agree.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::domain::{ClientMetadata, ClientSecret, Clock, SecretId};

    fn client(method: ClientAuthMethod, secrets: &[[u8; 32]]) -> Arc<Client> {
        let now = Clock::System.now();
        let secret =
            |sha256: &[u8; 32]| ClientSecret { id: SecretId(uuid::Uuid::nil()), sha256: *sha256, created_at: now };
        Arc::new(Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata { token_endpoint_auth_method: method, ..ClientMetadata::default() },
            secrets: secrets.iter().map(secret).collect(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        })
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }

    fn header(text: &str) -> Credentials {
        Credentials { authorization: Some(text.to_owned()), ..Credentials::default() }
    }

    #[test]
    fn protocol_27_basic_credentials_are_form_decoded_after_splitting() {
        let params = Params::default();
        let seen = presented(&header(&basic("a%3Ab:s%2Bc+d%25")), &params).unwrap();
        assert_eq!(seen.client_id, "a:b");
        let Proof::Secret(secret) = seen.proof else { panic!("no secret") };
        assert_eq!(secret.expose(), "s+c d%");
    }

    #[test]
    fn security_26_two_methods_at_once_are_refused() {
        let params = Params::parse(&["client_id=a&client_secret=x"]).unwrap();
        assert_eq!(presented(&header(&basic("a:x")), &params).err().unwrap().code, ErrorCode::InvalidClient);
        let params = Params::parse(&["client_id=b"]).unwrap();
        assert!(presented(&header(&basic("a:x")), &params).is_err());
    }

    #[test]
    fn section_2_3_1_an_empty_secret_in_the_header_is_none() {
        let enters = |registered| {
            let sent =
                presented(&header(&basic("c:")), &Params::parse(&["client_id=c&client_secret="]).unwrap()).unwrap();
            assert!(sent.method == ClientAuthMethod::None && matches!(sent.proof, Proof::None));
            judge(Some(client(registered, &[])), &sent, None).is_ok()
        };
        assert!(enters(ClientAuthMethod::None));
        assert!(!enters(ClientAuthMethod::ClientSecretBasic));
        assert!(!enters(ClientAuthMethod::ClientSecretPost));
        assert!(!enters(ClientAuthMethod::PrivateKeyJwt));
        assert!(presented(&header(&basic("c:")), &Params::parse(&["client_secret=x"]).unwrap()).is_err());
    }

    #[test]
    fn security_26_only_the_registered_method_counts() {
        let right = [7; 32];
        let with = |method, registered| {
            let sent = PresentedClient { client_id: "c".into(), method, proof: Proof::Secret(Secret::new("s".into())) };
            judge(Some(client(registered, &[right])), &sent, Some(right)).is_ok()
        };
        assert!(with(ClientAuthMethod::ClientSecretBasic, ClientAuthMethod::ClientSecretBasic));
        assert!(!with(ClientAuthMethod::ClientSecretPost, ClientAuthMethod::ClientSecretBasic));
        assert!(!with(ClientAuthMethod::ClientSecretBasic, ClientAuthMethod::ClientSecretPost));
        assert!(!with(ClientAuthMethod::ClientSecretPost, ClientAuthMethod::None));
    }

    #[test]
    fn either_of_two_live_secrets_is_accepted_and_no_other() {
        let known = client(ClientAuthMethod::ClientSecretPost, &[[1; 32], [2; 32]]);
        let sent = || PresentedClient {
            client_id: "c".into(),
            method: ClientAuthMethod::ClientSecretPost,
            proof: Proof::Secret(Secret::new("s".into())),
        };
        for (hash, expected) in [([1; 32], true), ([2; 32], true), ([3; 32], false)] {
            assert_eq!(judge(Some(Arc::clone(&known)), &sent(), Some(hash)).is_ok(), expected);
        }
        // A client whose secrets were all removed cannot be entered with the hash that fills the empty places.
        let without = client(ClientAuthMethod::ClientSecretPost, &[]);
        assert!(judge(Some(without), &sent(), Some([9; 32])).is_err());
        assert!(judge(None, &sent(), Some([0; 32])).is_err());
    }

    #[test]
    fn garbage_in_the_authorization_header_is_refused() {
        for header in ["", "Basic", "Basic !!!", "Bearer abc", &basic("nocolon"), &basic("a%ff:b")] {
            assert!(presented(&self::header(header), &Params::default()).is_err(), "{header}");
        }
    }
}
