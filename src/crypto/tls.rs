//! TLS of our own listeners: versions, cipher suites, the server's certificate and its replacement while connections go on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, version};

/// The suites of TLS 1.2 (SECURITY 72, FAPI 2.0 §5.2.1): forward secrecy and authenticated encryption. Those of TLS 1.3 all have both.
const TLS12_SUITES: [CipherSuite; 4] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// Why a certificate and its key cannot be used. The texts hold nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsRefused {
    /// Not PEM, or empty.
    #[error("the certificate file holds no certificate in PEM form")]
    NoCertificate,
    /// Not PEM, or with a passphrase.
    #[error("the key file holds no private key in PEM form")]
    NoKey,
    /// The key is of a kind that TLS does not know, or belongs to another certificate.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(#[source] rustls::Error),
    /// A defect of the library.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// The server's certificate chain and key, which can be replaced at any time.
#[derive(Debug)]
pub struct TlsIdentity(ArcSwap<CertifiedKey>);

impl TlsIdentity {
    /// Reads both from their PEM forms.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, TlsRefused> {
        Ok(Self(ArcSwap::new(Arc::new(pair(certificates, key)?))))
    }

    /// Takes others for handshakes from now on.
    ///
    /// # Errors
    /// As [`TlsIdentity::new`]; what was there stays.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<(), TlsRefused> {
        self.0.store(Arc::new(pair(certificates, key)?));
        Ok(())
    }
}

impl ResolvesServerCert for TlsIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Takes every certificate whose key the client holds.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Hints would keep clients with certificates of their own from showing them.
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn pair(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsRefused> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsRefused::NoCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsRefused::NoKey)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsRefused::Pair)
}

pub(super) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || TLS12_SUITES.contains(&suite.suite()));
    provider
}

/// What a listener needs for handshakes: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1. One that asks for certificates takes any, or none: whether a
/// certificate is of use depends on the client that a request names (RFC 8705 §2).
///
/// # Errors
/// A defect of the library.
pub fn tls_server(identity: Arc<TlsIdentity>, asks_for_certificates: bool) -> Result<Arc<ServerConfig>, TlsRefused> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(TlsRefused::Setup)?;
    let mut server = if asks_for_certificates {
        let verifier = AnyCertificate(provider().signature_verification_algorithms);
        let mut server = builder.with_client_cert_verifier(Arc::new(verifier)).with_cert_resolver(identity);
        // Each connection proves its key anew; a resumed one would only repeat what another one had shown.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server
    } else {
        builder.with_no_client_auth().with_cert_resolver(identity)
    };
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
