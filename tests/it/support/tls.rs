//! Certificates and TLS connections: real ones, and first messages written by hand, so that they can offer what no library does any more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead::domain::CertificateChain;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tcp::Reply;

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    der: CertificateDer<'static>,
}

/// A certificate with its key.
pub struct Identity {
    pub pem: String,
    pub key_pem: String,
    pub der: CertificateDer<'static>,
    pub key: KeyPair,
}

impl Identity {
    fn new(certificate: &rcgen::Certificate, key: KeyPair) -> Self {
        Self { pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().clone(), key }
    }

    /// As a handshake hands it over.
    pub fn chain(&self) -> CertificateChain {
        CertificateChain::new(vec![self.der.to_vec()]).unwrap()
    }

    /// Its public key as a JWK set.
    pub fn jwks(&self) -> Value {
        let (x, y) = self.key.public_key_raw()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) }] })
    }

    /// `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(keystead::crypto::sha256(&self.der))
    }

    /// A certificate that nobody but its owner vouches for.
    pub fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        change(&mut params);
        Self::new(&params.self_signed(&key).unwrap(), key)
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate of this authority.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        change(&mut params);
        Identity::new(&params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server's certificate for localhost.
    pub fn server(&self) -> Identity {
        self.issue(|params| *params = CertificateParams::new(vec!["localhost".into()]).unwrap())
    }

    /// A client that trusts this authority, speaks these versions and shows this certificate if it is asked for one.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion], shows: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        match shows {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![identity.der.clone()], key).unwrap()
            }
        }
    }
}

/// A connection to localhost whose handshake is done.
pub async fn connect(to: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(to).await?).await
}

/// Sends one request of HTTP/1.1 on a connection of its own and reads until the server closes it.
pub async fn exchange(to: SocketAddr, config: ClientConfig, request: &str) -> io::Result<Reply> {
    let mut stream = connect(to, config).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Reply::parse(&bytes)
}

pub async fn get(to: SocketAddr, config: ClientConfig, path: &str) -> io::Result<Reply> {
    exchange(to, config, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

/// Posts a form, with more header lines if there are some, each with its line end.
pub async fn post(to: SocketAddr, config: ClientConfig, path: &str, headers: &str, form: &str) -> io::Result<Reply> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    exchange(to, config, &request).await
}

/// The first byte that the server answers to a `ClientHello` of this version with these suites: 22 is a handshake that goes on, 21 an alert.
pub async fn first_answer(to: SocketAddr, version: [u8; 2], suites: &[u16]) -> io::Result<u8> {
    let extensions: [&[u8]; 3] = [
        // supported_groups: secp256r1, x25519.
        &[0, 10, 0, 6, 0, 4, 0, 23, 0, 29],
        // ec_point_formats: uncompressed.
        &[0, 11, 0, 2, 1, 0],
        // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256, rsa_pkcs1_sha256.
        &[0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1],
    ];
    let extensions = extensions.concat();
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let hello =
        [&version[..], &[7; 32], &[0], &length(&suites), &suites, &[1, 0], &length(&extensions), &extensions].concat();
    let message = [&[1, 0][..], &length(&hello), &hello].concat();
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&[&[22, 3, 1][..], &length(&message), &message].concat()).await?;
    stream.read_u8().await
}
