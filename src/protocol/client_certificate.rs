//! Client authentication by certificate (RFC 8705 §2): whether a certificate is the client's.

use std::net::IpAddr;

use crate::domain::{Certificate, Client, DistinguishedName, Timestamp};

use super::error::{ErrorCode, OAuthError};

/// A certificate that is the client's. Only this file makes one.
#[derive(Debug)]
pub struct Accepted(());

/// The refusal, with what is wrong, without a full stop.
#[must_use]
pub fn refused(why: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, format!("The client certificate is refused: {why}."))
}

/// The refusal of a client that came without one.
#[must_use]
pub fn missing() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "This client authenticates with a certificate, but the connection showed none; use the mtls_endpoint_aliases of discovery.",
    )
}

/// §2.1: a certificate for which an authority vouches is the client's if the one name that is registered stands in it. Whoever the authority
/// gave another certificate is somebody else.
///
/// # Errors
/// `invalid_client`.
pub fn judge_subject(client: &Client, certificate: &Certificate) -> Result<Accepted, OAuthError> {
    let protocol = &client.metadata.protocol;
    let subject = protocol.tls_client_auth_subject_dn.as_deref().map(|expected| {
        let expected = DistinguishedName::parse(expected);
        expected.is_some() && expected == certificate.subject
    });
    let dns = protocol.tls_client_auth_san_dns.as_deref();
    // Names of hosts compare without case (RFC 4343); a wildcard stands for itself only.
    let dns = dns.map(|expected| certificate.dns_names.iter().any(|name| name.eq_ignore_ascii_case(expected)));
    let uri = protocol.tls_client_auth_san_uri.as_ref().map(|expected| certificate.uris.contains(expected));
    let ip = protocol.tls_client_auth_san_ip.as_deref().map(|expected| {
        let expected = expected.parse::<IpAddr>();
        expected.is_ok_and(|expected| certificate.addresses.contains(&expected))
    });
    let email = protocol.tls_client_auth_san_email.as_ref().map(|expected| certificate.emails.contains(expected));
    // Exactly one is registered, and nothing is allowed where none is.
    let found: Vec<bool> = [subject, dns, uri, ip, email].into_iter().flatten().collect();
    if found == [true] { Ok(Accepted(())) } else { Err(refused("it names another subject than the registered one")) }
}

/// §2.2: a certificate that nobody vouches for is the client's if its key is one of the client's own. Its dates are the client's word, and hold.
///
/// # Errors
/// `invalid_client`.
pub fn judge_key(certificate: &Certificate, is_registered: bool, now: Timestamp) -> Result<Accepted, OAuthError> {
    if !is_registered {
        return Err(refused("its key is none of those in the client's jwks or jwks_uri"));
    }
    if now < certificate.not_before || now > certificate.not_after {
        return Err(refused("it has expired or is not valid yet"));
    }
    Ok(Accepted(()))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::domain::{ClientId, ClientMetadata, ClientProtocol, Clock};

    fn certificate() -> Certificate {
        let now = Clock::System.now();
        Certificate {
            subject: DistinguishedName::parse("CN=shop,C=DE"),
            dns_names: vec!["shop.example".into(), "*.example".into()],
            uris: vec!["spiffe://example/shop".into()],
            addresses: vec!["2001:db8::1".parse().unwrap()],
            emails: vec!["shop@example.com".into()],
            not_before: now - Duration::hours(1),
            not_after: now + Duration::hours(1),
            key: None,
        }
    }

    fn is_accepted(protocol: ClientProtocol, certificate: &Certificate) -> bool {
        let now = Clock::System.now();
        let metadata = ClientMetadata { protocol, ..ClientMetadata::default() };
        let id = ClientId::parse("c").unwrap();
        let client = Client { id, metadata, secrets: Vec::new(), disabled_at: None, created_at: now, updated_at: now };
        judge_subject(&client, certificate).is_ok()
    }

    #[test]
    fn rfc_8705_section_2_1_2_only_the_registered_name_counts() {
        type Change = fn(&mut ClientProtocol, String);
        let with = |change: Change, value: &str| {
            let mut protocol = ClientProtocol::default();
            change(&mut protocol, value.to_owned());
            is_accepted(protocol, &certificate())
        };
        let table: [(Change, &[&str], &[&str]); 5] = [
            (
                |p, v| p.tls_client_auth_subject_dn = Some(v),
                &["CN=shop,C=DE", "cn=shop, c=DE"],
                &["CN=shop", "CN=Shop,C=DE", "x"],
            ),
            (
                |p, v| p.tls_client_auth_san_dns = Some(v),
                &["shop.example", "SHOP.example"],
                &["a.example", "shop@example.com"],
            ),
            (
                |p, v| p.tls_client_auth_san_uri = Some(v),
                &["spiffe://example/shop"],
                &["spiffe://example/Shop", "shop.example"],
            ),
            (|p, v| p.tls_client_auth_san_ip = Some(v), &["2001:db8:0::1"], &["2001:db8::2", "x"]),
            (
                |p, v| p.tls_client_auth_san_email = Some(v),
                &["shop@example.com"],
                &["Shop@example.com", "shop.example"],
            ),
        ];
        for (change, right, wrong) in table {
            for value in right {
                assert!(with(change, value), "{value}");
            }
            for value in wrong {
                assert!(!with(change, value), "{value}");
            }
        }
    }

    #[test]
    fn nothing_registered_accepts_nobody_and_no_subject_is_no_name() {
        assert!(!is_accepted(ClientProtocol::default(), &certificate()));
        let protocol = ClientProtocol { tls_client_auth_subject_dn: Some("none".into()), ..ClientProtocol::default() };
        assert!(!is_accepted(protocol, &Certificate { subject: None, ..certificate() }));
    }

    #[test]
    fn rfc_8705_section_2_2_a_registered_key_within_the_certificates_dates() {
        let (certificate, now) = (certificate(), Clock::System.now());
        assert!(judge_key(&certificate, true, now).is_ok());
        assert!(judge_key(&certificate, false, now).is_err());
        for other in [now - Duration::hours(2), now + Duration::hours(2)] {
            assert!(judge_key(&certificate, true, other).is_err());
        }
    }
}
