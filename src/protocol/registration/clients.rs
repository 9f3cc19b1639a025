//! Which client metadata is safe to hold (RFC 7591 §2, RFC 9700 §2).

use std::collections::HashSet;

use super::front_channel;
use super::texts::Problems;
use super::token_exchange;
use super::{assertion_grant, certificates, sender, subjects};
use crate::domain::{
    ApplicationType, ClientAuthMethod, ClientMetadata, GrantType, MetadataProblem, RedirectUri, SCOPE_ADMIN,
    SCOPE_ADMIN_READ, Scope,
};
use crate::protocol::audience::STANDARD_SCOPES;

/// The longest address that this server or a browser shall call.
const LONGEST_ADDRESS: usize = 2_000;

/// The most redirect URIs that a client may have; each one is a place to which codes can leak.
const MOST_REDIRECT_URIS: usize = 50;

/// Everything that is wrong with a client's metadata as far as it can be told from itself.
#[must_use]
pub fn judge(metadata: &ClientMetadata) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    judge_display(metadata, &mut problems);
    judge_uris(metadata, &mut problems);
    judge_grants(metadata, &mut problems);
    judge_authentication(metadata, &mut problems);
    judge_keys(metadata, &mut problems);
    super::profiles::judge(metadata, &mut problems);
    judge_logout(metadata, &mut problems);
    front_channel::judge(metadata, &mut problems);
    judge_admin_scope(metadata, &mut problems);
    token_exchange::judge(metadata, &mut problems);
    assertion_grant::judge(metadata, &mut problems);
    judge_lifetimes(metadata, &mut problems);
    certificates::judge(metadata, &mut problems);
    sender::judge(metadata, &mut problems);
    subjects::judge(metadata, &mut problems);
    problems.into_vec()
}

/// Scope tokens that nobody has given a meaning: neither this server nor a resource server, whose tokens are `known`.
#[must_use]
pub fn judge_scope(scope: &Scope, known: &Scope) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    for token in scope.tokens() {
        problems.require(
            STANDARD_SCOPES.contains(&token) || known.contains(token),
            "scope",
            format!("holds {token}, which belongs to no resource server; register it with one first, or remove it"),
        );
    }
    problems.into_vec()
}

/// Reads the URIs of `field`, each judged by [`RedirectUri::register`].
///
/// # Errors
/// A problem for each URI that is refused, with its index.
pub fn redirect_uris(
    field: &str,
    texts: &[String],
    application_type: ApplicationType,
) -> Result<Vec<RedirectUri>, Vec<MetadataProblem>> {
    let mut problems = Vec::new();
    let mut uris = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match RedirectUri::register(text, application_type) {
            Ok(uri) => uris.push(uri),
            Err(problem) => {
                problems.push(MetadataProblem {
                    field: format!("{field}[{index}]"),
                    sentence: format!("cannot be registered: {problem}"),
                });
            }
        }
    }
    if problems.is_empty() { Ok(uris) } else { Err(problems) }
}

fn judge_display(metadata: &ClientMetadata, problems: &mut Problems) {
    problems.require_text("client_name", &metadata.client_name, 200);
    for (field, link) in [
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ] {
        if let Some(link) = link {
            problems.require_link(field, link);
        }
    }
}

fn judge_uris(metadata: &ClientMetadata, problems: &mut Problems) {
    for (field, uris) in
        [("redirect_uris", &metadata.redirect_uris), ("post_logout_redirect_uris", &metadata.post_logout_redirect_uris)]
    {
        let sentence = format!("has {} entries; register at most {MOST_REDIRECT_URIS}", uris.len());
        problems.require(uris.len() <= MOST_REDIRECT_URIS, field, sentence);
        let distinct: HashSet<&RedirectUri> = uris.iter().collect();
        problems.require(distinct.len() == uris.len(), field, "names the same URI twice; remove the second");
    }
    // RFC 6749 §3.1.2.2: without a registered URI anybody could have the codes sent to a place of their own.
    problems.require(
        !metadata.grant_types.contains(&GrantType::AuthorizationCode) || !metadata.redirect_uris.is_empty(),
        "redirect_uris",
        "is empty, but authorization_code needs a place to send codes to; register at least one URI, \
         or set grant_types without authorization_code",
    );
}

fn judge_grants(metadata: &ClientMetadata, problems: &mut Problems) {
    let grants = &metadata.grant_types;
    let distinct: HashSet<&GrantType> = grants.iter().collect();
    problems.require(distinct.len() == grants.len(), "grant_types", "names the same grant twice; remove the second");
    // RFC 6749 §4.4.3: client credentials yield no refresh token, so it only ever comes from what a person allowed.
    let has_people = [GrantType::AuthorizationCode, GrantType::DeviceCode].iter().any(|grant| grants.contains(grant));
    problems.require(
        !grants.contains(&GrantType::RefreshToken) || has_people,
        "grant_types",
        "holds refresh_token without authorization_code or the device code grant, which is where refresh tokens come from; \
         add one of them or remove refresh_token",
    );
}

fn judge_authentication(metadata: &ClientMetadata, problems: &mut Problems) {
    if metadata.token_endpoint_auth_method != ClientAuthMethod::None {
        return;
    }
    problems.require(
        !metadata.grant_types.is_empty(),
        "grant_types",
        "is empty, so a client with token_endpoint_auth_method none could do nothing; add authorization_code",
    );
    // RFC 9700 §2.1.1: nothing but PKCE ties the code of a public client to the one that asked for it.
    problems.require(
        metadata.require_pkce,
        "require_pkce",
        "is false, but nothing else protects the codes of a client with token_endpoint_auth_method none; set it to true",
    );
    // RFC 6749 §4.4: without a secret anybody could be this client.
    problems.require(
        !metadata.grant_types.contains(&GrantType::ClientCredentials),
        "grant_types",
        "holds client_credentials, but a client with token_endpoint_auth_method none has no credentials; \
         use client_secret_basic or client_secret_post, or remove the grant",
    );
}

fn judge_keys(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    for (field, address) in [
        ("jwks_uri", &protocol.jwks_uri),
        ("backchannel_logout_uri", &protocol.backchannel_logout_uri),
        ("frontchannel_logout_uri", &protocol.frontchannel_logout_uri),
    ] {
        let is_short = address.as_ref().is_none_or(|address| address.len() <= LONGEST_ADDRESS);
        problems.require(is_short, field, format!("is longer than {LONGEST_ADDRESS} bytes; choose a shorter one"));
    }
    let method = metadata.token_endpoint_auth_method;
    let by_assertion = method == ClientAuthMethod::PrivateKeyJwt;
    let by_key = by_assertion || method == ClientAuthMethod::SelfSignedTlsClientAuth;
    // RFC 7591 §2: of two places the one that is forgotten keeps an old key alive.
    problems.require(
        protocol.jwks.is_none() || protocol.jwks_uri.is_none(),
        "jwks",
        "stands beside jwks_uri; keep one of them",
    );
    problems.require(
        !by_key || protocol.jwks.is_some() || protocol.jwks_uri.is_some(),
        "jwks_uri",
        format!(
            "is missing, as is jwks, but {} needs the public keys of the client; register one of them",
            method.as_str()
        ),
    );
    problems.require(
        by_assertion || protocol.token_endpoint_auth_signing_alg.is_none(),
        "token_endpoint_auth_signing_alg",
        "is only for token_endpoint_auth_method private_key_jwt; set that or leave it out",
    );
    let (issuer, subject) = (&protocol.client_assertion_issuer, &protocol.client_assertion_subject);
    problems.require(
        issuer.is_some() == subject.is_some(),
        "client_assertion_subject",
        "and client_assertion_issuer only mean something together; register both or neither",
    );
    problems.require(
        by_assertion || issuer.is_none(),
        "client_assertion_issuer",
        "is only for token_endpoint_auth_method private_key_jwt; set that or leave it out",
    );
    for (field, text) in [("client_assertion_issuer", issuer), ("client_assertion_subject", subject)] {
        let is_short = text.as_ref().is_none_or(|text| (1..=500).contains(&text.len()));
        problems.require(is_short, field, "must have 1 to 500 bytes");
    }
}

/// Front-Channel Logout §2: every signed-out browser loads this address, so it must be one that the client answers for anyway.
fn judge_logout(metadata: &ClientMetadata, problems: &mut Problems) {
    let Some(address) = &metadata.protocol.frontchannel_logout_uri else { return };
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    let own = origin(address);
    let is_known = own.is_some() && metadata.redirect_uris.iter().any(|uri| origin(uri.as_str()) == own);
    problems.require(
        is_known && !address.contains('#'),
        "frontchannel_logout_uri",
        "must have scheme, host and port of one of the redirect_uris, and no fragment",
    );
}

/// Whoever can use the admin API owns the server, so only a program with a secret may, never whoever happens to sign in to it.
fn judge_admin_scope(metadata: &ClientMetadata, problems: &mut Problems) {
    if !metadata.scope.contains(SCOPE_ADMIN) && !metadata.scope.contains(SCOPE_ADMIN_READ) {
        return;
    }
    problems.require(
        metadata.token_endpoint_auth_method != ClientAuthMethod::None,
        "token_endpoint_auth_method",
        "is none, but the admin API is only for confidential clients; use client_secret_basic or client_secret_post",
    );
    problems.require(
        metadata.grant_types == [GrantType::ClientCredentials],
        "grant_types",
        "must be exactly client_credentials for a client with a scope of the admin API, otherwise everybody who signs in to it \
         could administer this server; register a separate client for people",
    );
}

fn judge_lifetimes(metadata: &ClientMetadata, problems: &mut Problems) {
    let (absolute, idle) = (metadata.refresh_token_absolute_lifetime, metadata.refresh_token_idle_lifetime);
    problems.require_seconds("access_token_lifetime", metadata.access_token_lifetime, 10, 86_400);
    let authentication_age = metadata.protocol.userinfo_max_authentication_age;
    problems.require_seconds("userinfo_max_authentication_age", authentication_age, 10, 31_536_000);
    problems.require_seconds("refresh_token_absolute_lifetime", absolute, 1, i32::MAX);
    problems.require_seconds("refresh_token_idle_lifetime", idle, 1, i32::MAX);
    problems.require_seconds("refresh_token_grace_period", metadata.refresh_token_grace_period, 0, 300);
    if let (Some(absolute), Some(idle)) = (absolute, idle) {
        problems.require(
            idle <= absolute,
            "refresh_token_idle_lifetime",
            "is longer than refresh_token_absolute_lifetime, so it would never count; shorten it or lengthen the other",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ClientMetadata {
        ClientMetadata {
            client_name: "Service".into(),
            grant_types: vec![GrantType::ClientCredentials],
            ..ClientMetadata::default()
        }
    }

    fn web() -> ClientMetadata {
        let redirect_uris = vec![RedirectUri::register("https://app.example/cb", ApplicationType::Web).unwrap()];
        ClientMetadata {
            client_name: "Web".into(),
            redirect_uris,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            ..ClientMetadata::default()
        }
    }

    fn fields(metadata: &ClientMetadata) -> Vec<String> {
        judge(metadata).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn usual_clients_have_no_problems() {
        let spa = ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..web() };
        let grant_types = vec![GrantType::DeviceCode, GrantType::RefreshToken];
        let television = ClientMetadata { grant_types, redirect_uris: Vec::new(), ..spa.clone() };
        let lenient = ClientMetadata { require_pkce: false, ..web() };
        let admin = ClientMetadata { scope: Scope::parse("keystead:admin demo:read").unwrap(), ..service() };
        for metadata in [service(), web(), spa, television, lenient, admin] {
            assert_eq!(judge(&metadata), []);
        }
    }

    #[test]
    fn each_problem_names_its_member() {
        type Change = fn(&mut ClientMetadata);
        let twice = |m: &mut ClientMetadata| m.redirect_uris.push(m.redirect_uris[0].clone());
        let cases: [(&str, Change); 16] = [
            ("client_name", |m| m.client_name = "  ".into()),
            ("client_name", |m| m.client_name = "x".repeat(201)),
            ("client_name", |m| m.client_name = "a\nb".into()),
            ("client_uri", |m| m.client_uri = Some("http://app.example".into())),
            ("logo_uri", |m| m.logo_uri = Some("javascript:alert(1)".into())),
            ("policy_uri", |m| m.policy_uri = Some("policy.html".into())),
            ("tos_uri", |m| m.tos_uri = Some("https://u:p@app.example".into())),
            ("redirect_uris", |m| m.redirect_uris.clear()),
            ("redirect_uris", twice),
            ("grant_types", |m| m.grant_types.push(GrantType::RefreshToken)),
            ("grant_types", |m| m.grant_types = vec![GrantType::RefreshToken]),
            ("access_token_lifetime", |m| m.access_token_lifetime = Some(9)),
            ("access_token_lifetime", |m| m.access_token_lifetime = Some(86_401)),
            ("refresh_token_absolute_lifetime", |m| m.refresh_token_absolute_lifetime = Some(0)),
            ("refresh_token_idle_lifetime", |m| m.refresh_token_idle_lifetime = Some(-1)),
            ("refresh_token_grace_period", |m| m.refresh_token_grace_period = Some(301)),
        ];
        for (field, change) in cases {
            let mut metadata = web();
            change(&mut metadata);
            assert_eq!(fields(&metadata), [field]);
        }
    }

    #[test]
    fn idle_lifetime_is_within_the_absolute_one() {
        let metadata = ClientMetadata {
            refresh_token_absolute_lifetime: Some(60),
            refresh_token_idle_lifetime: Some(61),
            ..web()
        };
        assert_eq!(fields(&metadata), ["refresh_token_idle_lifetime"]);
    }

    #[test]
    fn a_client_that_only_introspects_needs_no_grant_but_a_secret() {
        let api = ClientMetadata { grant_types: Vec::new(), ..service() };
        assert_eq!(judge(&api), []);
        assert_eq!(
            fields(&ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, ..api }),
            ["grant_types"]
        );
    }

    #[test]
    fn security_17_a_public_client_uses_pkce_and_has_no_credentials() {
        let metadata = ClientMetadata {
            token_endpoint_auth_method: ClientAuthMethod::None,
            require_pkce: false,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::ClientCredentials],
            ..web()
        };
        assert_eq!(fields(&metadata), ["require_pkce", "grant_types"]);
    }

    #[test]
    fn only_programs_with_a_secret_administer() {
        for scope in ["keystead:admin", "keystead:admin.read"] {
            let scope = Scope::parse(scope).unwrap();
            assert_eq!(fields(&ClientMetadata { scope: scope.clone(), ..web() }), ["grant_types"]);
            let public =
                ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::None, scope: scope.clone(), ..web() };
            assert_eq!(fields(&public), ["token_endpoint_auth_method", "grant_types"]);
            let both = vec![GrantType::ClientCredentials, GrantType::AuthorizationCode];
            assert_eq!(fields(&ClientMetadata { scope, grant_types: both, ..web() }), ["grant_types"]);
        }
    }

    #[test]
    fn a_scope_token_means_something_or_is_refused() {
        let known = Scope::parse("demo:read").unwrap();
        assert_eq!(judge_scope(&Scope::parse("openid offline_access demo:read").unwrap(), &known), []);
        let problems = judge_scope(&Scope::parse("openid demo:write").unwrap(), &known);
        assert!(problems.len() == 1 && problems[0].sentence.contains("demo:write"), "{problems:?}");
    }

    #[test]
    fn security_03_each_refused_redirect_uri_is_named_by_its_index() {
        let texts = ["https://app.example/cb", "http://app.example/cb", "javascript:x"].map(str::to_owned);
        let problems = redirect_uris("redirect_uris", &texts, ApplicationType::Web).unwrap_err();
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["redirect_uris[1]", "redirect_uris[2]"]);
    }
}
