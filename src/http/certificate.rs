//! Certificates of clients that a proxy in front was shown: the header in which it hands them on.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::domain::CertificateChain;

/// The certificate in the one header of this name, from a trusted proxy only: who could write it from elsewhere could be any client
/// (SECURITY 65). A header that occurs twice counts for nothing, since one of the two may be the client's own.
pub(super) fn forwarded(
    name: &HeaderName,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    trusted: &[IpNet],
) -> Option<CertificateChain> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?;
    let peer = peer?.to_canonical();
    if !trusted.iter().any(|network| network.contains(&peer)) {
        return None;
    }
    if all.next().is_some() {
        tracing::warn!("a trusted proxy sent two client certificates; it must replace the header and not add to it");
        return None;
    }
    let value = value.to_str().ok().filter(|value| !value.is_empty())?;
    let read = read(value);
    if read.is_none() {
        tracing::warn!("the client certificate that a trusted proxy sent cannot be read");
    }
    CertificateChain::new(vec![read?])
}

/// DER of `:base64:` (RFC 9440 §2.2) or of PEM with percent-encoding, as nginx and others write it.
fn read(value: &str) -> Option<Vec<u8>> {
    if let Some(encoded) = value.strip_prefix(':') {
        return base64::engine::general_purpose::STANDARD.decode(encoded.strip_suffix(':')?).ok();
    }
    // A plus is a plus here, as it is in base64, and no space.
    let pem = percent_decoded(value)?;
    CertificateDer::from_pem_slice(&pem).ok().map(|der| der.to_vec())
}

fn percent_decoded(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // The number parser of the standard library would take a sign as well.
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NAME: HeaderName = HeaderName::from_static("x-ssl-client-cert");
    /// Three bytes stand for a certificate here.
    const PEM: &str = "-----BEGIN%20CERTIFICATE-----%0A+/+/%0A-----END%20CERTIFICATE-----%0A";

    fn seen(peer: &str, values: &[&str]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let chain = forwarded(&NAME, &headers, Some(peer.parse().unwrap()), &trusted)?;
        Some(chain.leaf().to_vec())
    }

    #[test]
    fn security_65_a_certificate_in_a_header_counts_only_from_trusted_proxies() {
        let der = Some(vec![0xFB, 0xFF, 0xBF]);
        assert_eq!(seen("10.0.0.1", &[PEM]), der);
        assert_eq!(seen("::ffff:10.0.0.1", &[":+/+/:"]), der);
        assert_eq!(seen("203.0.113.9", &[PEM]), None);
        assert_eq!(seen("10.0.0.1", &[PEM, PEM]), None, "one of them may be the client's");
        for wrong in ["", "x", ":", ":+/+/", ":!:", "%", "%2", "%zz", "%+2", "-----BEGIN CERTIFICATE-----"] {
            assert_eq!(seen("10.0.0.1", &[wrong]), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_certificate_arrives_as_the_proxy_encoded_it(der in vec(any::<u8>(), 1..300)) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&der);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
            let escaped = pem.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
            prop_assert_eq!(read(&escaped), Some(der.clone()));
            prop_assert_eq!(read(&format!(":{encoded}:")), Some(der));
        }

        #[test]
        fn any_text_is_a_certificate_or_refused(text in "(:|-----BEGIN CERTIFICATE-----%0a)?[%+/=A-Fa-f0-9 :-]{0,80}(:|%0a-----END CERTIFICATE-----)?") {
            let _ = read(&text);
        }
    }
}
