//! Which resource servers may be registered.

use std::collections::HashSet;

use url::Url;

use super::texts::Problems;
use crate::domain::{ClientId, MetadataProblem, Scope, SigningAlgorithm};
use crate::protocol::audience::STANDARD_SCOPES;

/// What an operator says about a resource server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServerDraft {
    /// The `aud` of its tokens.
    pub audience: String,
    /// What people and operators call it.
    pub name: String,
    /// The scope tokens that belong to it.
    pub scope: Scope,
    /// How its access tokens are signed.
    pub signing_algorithm: SigningAlgorithm,
    /// Seconds that its access tokens live, where other than the settings'.
    pub access_token_lifetime: Option<i32>,
    /// The clients that may introspect its tokens.
    pub introspection_clients: Vec<ClientId>,
}

/// Everything that is wrong with a resource server as far as it can be told from itself and the issuer.
#[must_use]
pub fn judge_resource_server(draft: &ResourceServerDraft, issuer: &str) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    if let Err(sentence) = judge_audience(&draft.audience, issuer) {
        problems.require(false, "audience", sentence);
    }
    problems.require_text("name", &draft.name, 200);
    for token in draft.scope.tokens() {
        problems.require(
            !STANDARD_SCOPES.contains(&token) && !token.starts_with("keystead:"),
            "scopes",
            format!("holds {token}, which this server itself gives a meaning; choose another, such as api:{token}"),
        );
    }
    problems.require_seconds("access_token_lifetime", draft.access_token_lifetime, 10, 86_400);
    let distinct: HashSet<&ClientId> = draft.introspection_clients.iter().collect();
    let sentence = "names the same client twice; remove the second";
    problems.require(distinct.len() == draft.introspection_clients.len(), "introspection_clients", sentence);
    problems.into_vec()
}

/// RFC 8707 §2: an absolute URI without fragment. It is compared by its exact text, so the scheme has only one spelling.
fn judge_audience(audience: &str, issuer: &str) -> Result<(), &'static str> {
    let scheme_in_lower_case = audience.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'.' | b'-')) && !rest.is_empty()
    });
    if !scheme_in_lower_case || Url::parse(audience).is_err() {
        return Err(
            "is not an absolute URI with its scheme in lower case; write it in full, for example https://api.example.com",
        );
    }
    if audience.len() > 500 {
        return Err("is longer than 500 characters; shorten it");
    }
    if audience.contains('#') {
        return Err("has a fragment (#...); remove it");
    }
    if !audience.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("holds a character that is not allowed in a URI; percent-encode it");
    }
    if audience.trim_end_matches('/') == issuer.trim_end_matches('/') {
        return Err("is the issuer, which is the audience of tokens for this server itself; choose another");
    }
    if audience.starts_with("urn:keystead:") {
        return Err("starts with urn:keystead:, which is reserved for this server; choose another");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example.com";

    fn draft() -> ResourceServerDraft {
        ResourceServerDraft {
            audience: "https://api.example.com".into(),
            name: "API".into(),
            scope: Scope::parse("api:read").unwrap(),
            signing_algorithm: SigningAlgorithm::Es256,
            access_token_lifetime: None,
            introspection_clients: Vec::new(),
        }
    }

    #[test]
    fn an_audience_is_an_absolute_uri_of_its_own() {
        for audience in ["https://api.example.com", "https://api.example.com/v1?x=y", "urn:example:api", "api://orders"]
        {
            assert_eq!(judge_audience(audience, ISSUER), Ok(()), "{audience}");
        }
        let refused = [
            "",
            "api",
            "api:",
            "HTTPS://api.example.com",
            "https://a#b",
            "https://a b",
            "https://ä",
            ISSUER,
            "https://id.example.com/",
            "urn:keystead:admin",
        ];
        for audience in refused {
            assert!(judge_audience(audience, ISSUER).is_err(), "{audience}");
        }
    }

    #[test]
    fn each_problem_names_its_member() {
        let client = ClientId::parse("api").unwrap();
        let cases = [
            ("audience", ResourceServerDraft { audience: "api".into(), ..draft() }),
            ("name", ResourceServerDraft { name: String::new(), ..draft() }),
            ("scopes", ResourceServerDraft { scope: Scope::parse("openid api:read").unwrap(), ..draft() }),
            ("scopes", ResourceServerDraft { scope: Scope::parse("keystead:admin").unwrap(), ..draft() }),
            ("access_token_lifetime", ResourceServerDraft { access_token_lifetime: Some(1), ..draft() }),
            (
                "introspection_clients",
                ResourceServerDraft { introspection_clients: vec![client.clone(), client], ..draft() },
            ),
        ];
        assert_eq!(judge_resource_server(&draft(), ISSUER), []);
        for (field, draft) in cases {
            let problems = judge_resource_server(&draft, ISSUER);
            assert!(problems.len() == 1 && problems[0].field == field, "{problems:?}");
        }
    }
}
