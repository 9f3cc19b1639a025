//! Whose assertions a client may present (RFC 7523 §2.1): nobody's, unless an operator names the issuer.

use super::texts::Problems;
use crate::domain::{AssertionSubject, ClientAuthMethod, ClientMetadata, GrantType, SubjectType};

const FIELD: &str = "assertion_grant_issuer";
const LONGEST_ADDRESS: usize = 2_000;

pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let may = metadata.grant_types.contains(&GrantType::JwtBearer);
    let Some(issuer) = &metadata.protocol.assertion_grant_issuer else {
        problems.require(
            !may,
            FIELD,
            "is missing, but the JWT bearer grant takes the assertions of one issuer only; name it and its keys, or remove the grant",
        );
        return;
    };
    problems.require(
        may,
        FIELD,
        "means nothing without the grant urn:ietf:params:oauth:grant-type:jwt-bearer; add that to grant_types or remove this",
    );
    // Whoever found an assertion could present it in the name of a public client.
    problems.require(
        metadata.token_endpoint_auth_method != ClientAuthMethod::None,
        "token_endpoint_auth_method",
        "is none, but assertions are taken from confidential clients only; choose another method or remove the grant",
    );
    problems.require((1..=500).contains(&issuer.issuer.len()), FIELD, "has an issuer that has not 1 to 500 bytes");
    problems.require(
        issuer.jwks.is_some() != issuer.jwks_uri.is_some(),
        FIELD,
        "must have either jwks or jwks_uri: the keys of the issuer, in one place",
    );
    problems.require(
        issuer.jwks_uri.as_ref().is_none_or(|address| address.len() <= LONGEST_ADDRESS),
        FIELD,
        format!("has a jwks_uri that is longer than {LONGEST_ADDRESS} bytes; choose a shorter one"),
    );
    problems.require(
        metadata.protocol.subject_type == SubjectType::Public || issuer.subject != AssertionSubject::UserId,
        FIELD,
        "finds people by user_id, which a client with subject_type pairwise must not know; use email, or public subjects",
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{AssertionIssuer, RedirectUri, Scope};

    #[test]
    fn security_45_no_assertion_is_taken_unless_the_registration_says_whose() {
        type Change = fn(&mut ClientMetadata);
        fn issuer(metadata: &mut ClientMetadata) -> &mut AssertionIssuer {
            metadata.protocol.assertion_grant_issuer.as_mut().unwrap()
        }
        let cases: [(&str, Change); 10] = [
            (FIELD, |m| m.protocol.assertion_grant_issuer = None),
            (FIELD, |m| m.grant_types = vec![GrantType::ClientCredentials]),
            ("token_endpoint_auth_method", |m| m.token_endpoint_auth_method = ClientAuthMethod::None),
            (FIELD, |m| issuer(m).issuer = String::new()),
            (FIELD, |m| issuer(m).jwks_uri = None),
            (FIELD, |m| issuer(m).jwks = Some(json!({ "keys": [] }))),
            (FIELD, |m| issuer(m).jwks_uri = Some("https://a.example/".repeat(200))),
            (FIELD, |m| {
                m.redirect_uris = vec![RedirectUri::from_registered("https://a.example/".into())];
                m.protocol.subject_type = SubjectType::Pairwise;
            }),
            ("grant_types", |m| m.scope = Scope::parse("keystead:admin").unwrap()),
            ("", |_| {}),
        ];
        for (field, change) in cases {
            let mut metadata = ClientMetadata {
                client_name: "Robot".into(),
                grant_types: vec![GrantType::JwtBearer],
                ..ClientMetadata::default()
            };
            metadata.protocol.assertion_grant_issuer = Some(AssertionIssuer {
                issuer: "https://hr.example".into(),
                jwks: None,
                jwks_uri: Some("https://hr.example/jwks".into()),
                subject: AssertionSubject::UserId,
            });
            change(&mut metadata);
            let found: Vec<_> = super::super::clients::judge(&metadata).into_iter().map(|p| p.field).collect();
            assert_eq!(found, if field.is_empty() { vec![] } else { vec![field.to_owned()] });
        }
    }
}
