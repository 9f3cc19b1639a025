//! Certificates of clients (RFC 8705): what they say, and whether an authority vouches for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::digest::sha256;
use super::tls::{TlsRefused, provider};
use crate::domain::{Certificate, CertificateChain, DistinguishedName, KeyThumbprint, Timestamp};

const P256: &str = "1.2.840.10045.3.1.7";
const ED25519: &str = "1.3.101.112";
/// Certificates of issuers that a client may send; more cost time and mean nothing.
const MOST_ISSUERS: usize = 8;

/// Why a client's certificate is refused. Safe to show to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefused {
    /// Not X.509, or an extension occurs twice.
    #[error("it cannot be read")]
    Unreadable,
    /// Its own dates or those of an issuer.
    #[error("it has expired or is not valid yet")]
    Expired,
    /// No way leads to one of our authorities, or it is not for clients.
    #[error("no authority that this server trusts for clients vouches for it")]
    Untrusted,
}

/// The SHA-256 of the client's own certificate: what tokens are bound to (`x5t#S256`, RFC 8705 §3.1).
#[must_use]
pub fn certificate_thumbprint(chain: &CertificateChain) -> KeyThumbprint {
    KeyThumbprint(sha256(chain.leaf()))
}

/// Reads what a client's own certificate says.
///
/// # Errors
/// It is no certificate.
pub fn read_certificate(der: &[u8]) -> Result<Certificate, CertificateRefused> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateRefused::Unreadable)?;
    if !rest.is_empty() {
        return Err(CertificateRefused::Unreadable);
    }
    let time = |seconds| Timestamp::from_unix_timestamp(seconds).map_err(|_| CertificateRefused::Unreadable);
    let validity = certificate.validity();
    let mut read = Certificate {
        subject: subject(certificate.subject()),
        dns_names: Vec::new(),
        uris: Vec::new(),
        addresses: Vec::new(),
        emails: Vec::new(),
        not_before: time(validity.not_before.timestamp())?,
        not_after: time(validity.not_after.timestamp())?,
        key: thumbprint(certificate.public_key()),
    };
    let names = certificate.subject_alternative_name().map_err(|_| CertificateRefused::Unreadable)?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
            GeneralName::URI(uri) => read.uris.push((*uri).to_owned()),
            GeneralName::RFC822Name(email) => read.emails.push((*email).to_owned()),
            GeneralName::IPAddress(bytes) => read.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Ok(read)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)))).ok()
}

fn subject(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let names = name.iter_rdn().map(|rdn| {
        let pair = |one: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            Some((one.attr_type().to_id_string(), one.as_str().ok()?.to_owned()))
        };
        rdn.iter().map(pair).collect()
    });
    DistinguishedName::of_certificate(names.collect::<Option<Vec<_>>>()?)
}

/// RFC 7638, for the kinds of keys that clients can register here.
fn thumbprint(info: &SubjectPublicKeyInfo<'_>) -> Option<KeyThumbprint> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let canonical = match info.parsed().ok()? {
        PublicKey::RSA(key) => {
            // ASN.1 puts a zero before a number whose first bit is set; JWK does not (RFC 7518 §6.3.1).
            let bare = |number: &[u8]| text(number.iter().position(|b| *b != 0).map_or(&[][..], |at| &number[at..]));
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, bare(key.exponent), bare(key.modulus))
        }
        PublicKey::EC(point) => {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            let [4, coordinates @ ..] = point.data() else { return None };
            if curve != P256 || coordinates.len() != 64 {
                return None;
            }
            let (x, y) = coordinates.split_at(32);
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
        }
        _ if info.algorithm.algorithm.to_id_string() == ED25519 => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(&info.subject_public_key.data))
        }
        _ => return None,
    };
    Some(KeyThumbprint(sha256(canonical.as_bytes())))
}

/// The authorities whose certificates clients may authenticate with.
#[derive(Debug, Clone)]
pub struct ClientAuthorities(Arc<dyn ClientCertVerifier>);

impl ClientAuthorities {
    /// Reads their certificates from PEM.
    ///
    /// # Errors
    /// There are none, or one cannot be an authority's.
    pub fn new(pem: &[u8]) -> Result<Self, TlsRefused> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| TlsRefused::NoCertificate)?).map_err(TlsRefused::Setup)?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
        Ok(Self(builder.build().map_err(|_| TlsRefused::NoCertificate)?))
    }

    /// Whether a way leads from the client's certificate to one of them, all dates hold now, and it is for clients (RFC 5280 §6).
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, chain: &CertificateChain, now: Timestamp) -> Result<(), CertificateRefused> {
        let issuers: Vec<_> = chain.issuers().map(|der| CertificateDer::from(der.to_vec())).collect();
        if issuers.len() > MOST_ISSUERS {
            return Err(CertificateRefused::Untrusted);
        }
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let judged = self.0.verify_client_cert(&CertificateDer::from(chain.leaf()), &issuers, now);
        match judged {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => Err(CertificateRefused::Expired),
            Err(_) => Err(CertificateRefused::Untrusted),
        }
    }
}
