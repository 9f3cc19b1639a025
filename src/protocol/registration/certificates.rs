//! What a client may register about its certificates (RFC 8705 §2.1.2).

use std::net::IpAddr;

use super::texts::Problems;
use crate::domain::{ClientAuthMethod, ClientMetadata, DistinguishedName};

/// The longest name in bytes.
const LONGEST: usize = 500;

/// Adds what is missing, contradicts or cannot be compared.
pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    let names = [
        ("tls_client_auth_subject_dn", &protocol.tls_client_auth_subject_dn),
        ("tls_client_auth_san_dns", &protocol.tls_client_auth_san_dns),
        ("tls_client_auth_san_uri", &protocol.tls_client_auth_san_uri),
        ("tls_client_auth_san_ip", &protocol.tls_client_auth_san_ip),
        ("tls_client_auth_san_email", &protocol.tls_client_auth_san_email),
    ];
    let given: Vec<_> = names.iter().filter_map(|(field, text)| Some((*field, text.as_deref()?))).collect();
    if metadata.token_endpoint_auth_method == ClientAuthMethod::TlsClientAuth {
        // Of two names, one could belong to somebody else.
        problems.require(
            given.len() == 1,
            given.last().map_or("tls_client_auth_subject_dn", |(field, _)| field),
            "must be the only one of the members tls_client_auth_..., of which tls_client_auth needs exactly one",
        );
    } else if let Some((field, _)) = given.first() {
        problems.require(
            false,
            field,
            "is only for token_endpoint_auth_method tls_client_auth; set that or leave it out",
        );
    }
    for (field, text) in given {
        let is_short = (1..=LONGEST).contains(&text.len());
        problems.require(is_short, field, format!("must have 1 to {LONGEST} bytes"));
        if is_short && field == "tls_client_auth_subject_dn" {
            let sentence =
                "cannot be compared; write it as RFC 4514 does, without quotes, such as CN=shop,O=Example,C=DE";
            problems.require(DistinguishedName::parse(text).is_some(), field, sentence);
        }
        if is_short && field == "tls_client_auth_san_ip" {
            problems.require(
                text.parse::<IpAddr>().is_ok(),
                field,
                "must be an address such as 192.0.2.1 or 2001:db8::1",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::clients::judge;
    use super::*;
    use crate::domain::GrantType;

    fn fields(method: ClientAuthMethod, change: impl FnOnce(&mut ClientMetadata)) -> Vec<String> {
        let mut metadata = ClientMetadata {
            client_name: "Job".into(),
            grant_types: vec![GrantType::ClientCredentials],
            token_endpoint_auth_method: method,
            ..ClientMetadata::default()
        };
        change(&mut metadata);
        judge(&metadata).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn rfc_8705_section_2_1_2_exactly_one_name_that_can_be_compared() {
        let with = |change: fn(&mut ClientMetadata)| fields(ClientAuthMethod::TlsClientAuth, change);
        assert_eq!(with(|m| m.protocol.tls_client_auth_subject_dn = Some("CN=a".into())), [""; 0]);
        assert_eq!(with(|m| m.protocol.tls_client_auth_san_ip = Some("::1".into())), [""; 0]);
        assert_eq!(with(|_| {}), ["tls_client_auth_subject_dn"]);
        assert_eq!(with(|m| m.protocol.tls_client_auth_subject_dn = Some("a".into())), ["tls_client_auth_subject_dn"]);
        assert_eq!(with(|m| m.protocol.tls_client_auth_san_ip = Some("a".into())), ["tls_client_auth_san_ip"]);
        assert_eq!(with(|m| m.protocol.tls_client_auth_san_dns = Some(String::new())), ["tls_client_auth_san_dns"]);
        let two = with(|m| {
            m.protocol.tls_client_auth_san_dns = Some("a".into());
            m.protocol.tls_client_auth_san_uri = Some("b:c".into());
        });
        assert_eq!(two, ["tls_client_auth_san_uri"]);
    }

    #[test]
    fn names_are_for_that_method_only_and_keys_for_the_other() {
        let name = |m: &mut ClientMetadata| m.protocol.tls_client_auth_san_dns = Some("a".into());
        assert_eq!(fields(ClientAuthMethod::ClientSecretBasic, name), ["tls_client_auth_san_dns"]);
        let own = ClientAuthMethod::SelfSignedTlsClientAuth;
        assert_eq!(fields(own, |_| {}), ["jwks_uri"]);
        assert_eq!(fields(own, |m| m.protocol.jwks = Some(json!({ "keys": [] }))), [""; 0]);
    }
}
