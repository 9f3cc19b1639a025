//! Client authentication by certificate (RFC 8705 §2), and the certificates that tokens are bound to.

use std::sync::Arc;

use crate::crypto::{self, ClientAuthorities};
use crate::domain::{CertificateChain, Client, ClientAuthMethod, ClientMetadata, KeyThumbprint, MetadataProblem};
use crate::protocol::client_auth::{self, AuthenticatedClient};
use crate::protocol::client_certificate::{self, missing, refused};

use super::{Engine, FlowError, client_keys};

/// How certificates of clients come to this server.
#[derive(Debug, Clone)]
pub struct CertificatePolicy {
    /// Who vouches for clients with `tls_client_auth`; without it there is no such method.
    pub authorities: Option<ClientAuthorities>,
    /// Where clients with certificates find the endpoints: an origin (RFC 8705 §5). None: at the usual place.
    pub url: Option<String>,
}

impl Engine {
    /// Whether clients can authenticate so here.
    #[must_use]
    pub fn offers(&self, method: ClientAuthMethod) -> bool {
        match (method, &self.policy.certificates) {
            (ClientAuthMethod::TlsClientAuth, Some(policy)) => policy.authorities.is_some(),
            (ClientAuthMethod::SelfSignedTlsClientAuth, policy) => policy.is_some(),
            (ClientAuthMethod::TlsClientAuth, None) => false,
            _ => true,
        }
    }
}

/// The client, once the certificate of its connection was found to be its own.
pub(super) async fn authenticate(
    engine: &Engine,
    client: Arc<Client>,
    shown: Option<&CertificateChain>,
) -> Result<AuthenticatedClient, FlowError> {
    let chain = shown.ok_or_else(missing)?;
    let now = engine.clock.now();
    let certificate = crypto::read_certificate(chain.leaf()).map_err(refused)?;
    let accepted = if client.metadata.token_endpoint_auth_method == ClientAuthMethod::TlsClientAuth {
        let policy = engine.policy.certificates.as_ref();
        let authorities = policy.and_then(|policy| policy.authorities.as_ref());
        let authorities = authorities.ok_or_else(|| refused("this server trusts no authority of clients"))?;
        authorities.judge(chain, now).map_err(refused)?;
        client_certificate::judge_subject(&client, &certificate)?
    } else {
        let is_registered = match certificate.key {
            Some(key) => is_registered(engine, &client, key).await?,
            None => false,
        };
        client_certificate::judge_key(&certificate, is_registered, now)?
    };
    Ok(client_auth::judge_certificate(client, &accepted)?)
}

async fn is_registered(engine: &Engine, client: &Client, key: KeyThumbprint) -> Result<bool, FlowError> {
    let keys = client_keys::of(engine, client, None).await.map_err(refused)?;
    if keys.holds(key) {
        return Ok(true);
    }
    // A client that published a new key: a name that the set does not know makes us read it again, though not too often.
    let keys = client_keys::of(engine, client, Some(&key.to_string())).await.map_err(refused)?;
    Ok(keys.holds(key))
}

/// What of a registration needs certificates that never come here.
#[must_use]
pub(super) fn judge(engine: &Engine, metadata: &ClientMetadata) -> Vec<MetadataProblem> {
    let problem =
        |field: &str, sentence: &str| MetadataProblem { field: field.to_owned(), sentence: sentence.to_owned() };
    let mut problems = Vec::new();
    if !engine.offers(metadata.token_endpoint_auth_method) {
        let sentence = "needs client certificates, which this server does not take; set public.client_certificates, for \
                        tls_client_auth public.client_ca too, or choose another method";
        problems.push(problem("token_endpoint_auth_method", sentence));
    }
    if metadata.protocol.tls_client_certificate_bound_access_tokens && engine.policy.certificates.is_none() {
        let sentence =
            "is true, but this server takes no client certificates; set public.client_certificates or leave it out";
        problems.push(problem("tls_client_certificate_bound_access_tokens", sentence));
    }
    problems
}
