//! What a client may exchange (RFC 8693): nothing, unless its registration says for which APIs and how.

use std::collections::HashSet;

use super::texts::Problems;
use crate::domain::{ADMIN_AUDIENCE, ClientAuthMethod, ClientMetadata, GrantType};

/// The most APIs for which one client may exchange tokens.
const MOST_AUDIENCES: usize = 50;

pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    let audiences = &protocol.token_exchange_audiences;
    let ways = [
        ("token_exchange_impersonation", protocol.token_exchange_impersonation),
        ("token_exchange_delegation", protocol.token_exchange_delegation),
    ];
    let may = metadata.grant_types.contains(&GrantType::TokenExchange);
    for (field, set) in ways.into_iter().chain([("token_exchange_audiences", !audiences.is_empty())]) {
        let sentence = "means nothing without the grant urn:ietf:params:oauth:grant-type:token-exchange; \
                        add that to grant_types or remove this";
        problems.require(may || !set, field, sentence);
    }
    if !may {
        return;
    }
    // A public client proves nothing, so whoever found a token could exchange it in its name.
    problems.require(
        metadata.token_endpoint_auth_method != ClientAuthMethod::None,
        "token_endpoint_auth_method",
        "is none, but token exchange is only for confidential clients; choose another method or remove the grant",
    );
    problems.require(
        !audiences.is_empty() && audiences.len() <= MOST_AUDIENCES,
        "token_exchange_audiences",
        format!("has {} entries; name 1 to {MOST_AUDIENCES} audiences of resource servers", audiences.len()),
    );
    let distinct: HashSet<&String> = audiences.iter().collect();
    problems.require(
        distinct.len() == audiences.len(),
        "token_exchange_audiences",
        "names the same audience twice; remove the second",
    );
    problems.require(
        audiences.iter().all(|audience| audience.len() <= 500 && url::Url::parse(audience).is_ok()),
        "token_exchange_audiences",
        "holds what is no absolute URI; each entry is the audience of a resource server",
    );
    // Whoever can use the admin API owns the server, so its tokens come from client credentials only.
    problems.require(
        !audiences.iter().any(|audience| audience == ADMIN_AUDIENCE),
        "token_exchange_audiences",
        "holds the admin API of this server, for which nothing can be exchanged; remove it",
    );
    problems.require(
        ways.iter().any(|(_, set)| *set),
        "token_exchange_delegation",
        "is false, as is token_exchange_impersonation; set the one that the client needs, or remove the grant",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientProtocol, Scope};

    fn gateway() -> ClientMetadata {
        ClientMetadata {
            client_name: "Gateway".into(),
            grant_types: vec![GrantType::TokenExchange],
            scope: Scope::parse("a").unwrap(),
            protocol: ClientProtocol {
                token_exchange_audiences: vec!["https://a.example".into()],
                token_exchange_delegation: true,
                ..ClientProtocol::default()
            },
            ..ClientMetadata::default()
        }
    }

    fn fields(metadata: &ClientMetadata) -> Vec<String> {
        super::super::clients::judge(metadata).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn security_45_nothing_is_exchanged_unless_the_registration_says_what_and_how() {
        type Change = fn(&mut ClientMetadata);
        let cases: [(&str, Change); 9] = [
            ("token_exchange_audiences", |m| m.protocol.token_exchange_audiences.clear()),
            ("token_exchange_audiences", |m| m.protocol.token_exchange_audiences.push("https://a.example".into())),
            ("token_exchange_audiences", |m| m.protocol.token_exchange_audiences.push("a".into())),
            ("token_exchange_audiences", |m| m.protocol.token_exchange_audiences.push(ADMIN_AUDIENCE.into())),
            ("token_exchange_delegation", |m| m.protocol.token_exchange_delegation = false),
            ("token_endpoint_auth_method", |m| m.token_endpoint_auth_method = ClientAuthMethod::None),
            ("grant_types", |m| m.scope = Scope::parse("keystead:admin").unwrap()),
            ("", |m| m.protocol.token_exchange_impersonation = true),
            ("", |_| {}),
        ];
        for (field, change) in cases {
            let mut metadata = gateway();
            change(&mut metadata);
            let expected: &[&str] = if field.is_empty() { &[] } else { &[field] };
            assert_eq!(fields(&metadata), expected);
        }
        let without = ClientMetadata { grant_types: vec![GrantType::ClientCredentials], ..gateway() };
        assert_eq!(fields(&without), ["token_exchange_delegation", "token_exchange_audiences"]);
    }
}
