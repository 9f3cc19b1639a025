//! For whom an access token is made (RFC 8707, RFC 9068 §3).

use std::sync::Arc;

use time::Duration;

use crate::domain::{ResourceServer, Scope, SigningAlgorithm};

use super::error::{ErrorCode, OAuthError};

/// The scope tokens that this server itself gives a meaning (OpenID Connect Core §5.4, §11).
pub const STANDARD_SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// What follows from scope and resource for the access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The `aud` claim.
    pub values: Vec<String>,
    /// How it is signed.
    pub algorithm: SigningAlgorithm,
    /// The shortest lifetime that a resource server asks for.
    pub lifetime: Option<Duration>,
}

/// Finds the audience of a scope. `by_scope` holds the resource servers to which any token of the scope belongs, `resources` the
/// indicators of the request, `by_resource` the resource servers of those indicators (`None` where unknown).
///
/// Without an indicator the audience follows from the scope; with one the token is for that resource only, so that a resource server
/// cannot use it elsewhere (RFC 8707 §2, RFC 9700 §2.3).
///
/// # Errors
/// `invalid_target`: an unknown resource, one of which the scope holds nothing, or resource servers that want different signatures.
/// `invalid_scope`: a scope token of a resource server that was not asked for.
pub fn judge(
    issuer: &str,
    scope: &Scope,
    by_scope: &[Arc<ResourceServer>],
    resources: &[String],
    by_resource: &[Option<Arc<ResourceServer>>],
) -> Result<Audience, OAuthError> {
    let invalid_target = |sentence: String| OAuthError::new(ErrorCode::InvalidTarget, sentence);
    if resources.is_empty() {
        let for_user_info = scope.tokens().any(|token| STANDARD_SCOPES.contains(&token));
        let mut values: Vec<String> = by_scope.iter().map(|server| server.audience.clone()).collect();
        if for_user_info || values.is_empty() {
            values.insert(0, issuer.to_owned());
        }
        return combine(values, by_scope);
    }
    let mut servers = Vec::new();
    for (resource, server) in resources.iter().zip(by_resource) {
        let server = server
            .as_ref()
            .ok_or_else(|| invalid_target(format!("No resource server with audience {resource} is registered.")))?;
        servers.push(Arc::clone(server));
    }
    if let Some(foreign) = by_scope.iter().find(|server| !resources.contains(&server.audience)) {
        let sentence =
            format!("The scope holds tokens of {}, which is not among the resources of the request.", foreign.audience);
        return Err(OAuthError::new(ErrorCode::InvalidScope, sentence));
    }
    // Without this, a client could get a token for an API of which it may use nothing, and trick one that looks at `aud` only.
    if let Some(closed) = servers.iter().find(|server| !opens(scope, server)) {
        let (audience, scope) = (&closed.audience, &closed.scope);
        let sentence = format!("The scope holds nothing of {audience}; ask for at least one of its scopes: {scope}.");
        return Err(invalid_target(sentence));
    }
    let mut values = resources.to_vec();
    values.sort_unstable();
    values.dedup();
    combine(values, &servers)
}

/// Whether a scope holds anything of a resource server. One without scopes leaves it to itself what its callers may do.
fn opens(scope: &Scope, server: &ResourceServer) -> bool {
    server.scope.is_empty() || !server.scope.intersection(scope).is_empty()
}

/// Of the resources of a grant those that a narrower scope is still about; all of them where there is none, so that it is refused.
#[must_use]
pub fn still_meant(scope: &Scope, resources: Vec<String>, by_resource: &[Option<Arc<ResourceServer>>]) -> Vec<String> {
    let is_meant = |server: &Option<Arc<ResourceServer>>| server.as_ref().is_some_and(|server| opens(scope, server));
    let pairs = resources.iter().zip(by_resource);
    let meant: Vec<String> =
        pairs.filter(|(_, server)| is_meant(server)).map(|(resource, _)| resource.clone()).collect();
    if meant.is_empty() { resources } else { meant }
}

/// What of a granted scope a token for these resources carries: scope tokens of other resource servers mean nothing there
/// (RFC 8707 §2.2). Without an indicator it is all of it.
#[must_use]
pub fn narrow(scope: &Scope, by_scope: &[Arc<ResourceServer>], resources: &[String]) -> Scope {
    let elsewhere = by_scope.iter().filter(|server| !resources.is_empty() && !resources.contains(&server.audience));
    elsewhere.fold(scope.clone(), |left, server| left.without(&server.scope))
}

fn combine(values: Vec<String>, servers: &[Arc<ResourceServer>]) -> Result<Audience, OAuthError> {
    let algorithm = servers.first().map_or(SigningAlgorithm::Es256, |server| server.signing_algorithm);
    if servers.iter().any(|server| server.signing_algorithm != algorithm) {
        let sentence =
            "These resource servers want different signature algorithms; ask for one token for each resource.";
        return Err(OAuthError::new(ErrorCode::InvalidTarget, sentence));
    }
    let lifetime = servers.iter().filter_map(|server| server.access_token_lifetime).min();
    Ok(Audience { values, algorithm, lifetime: lifetime.map(|s| Duration::seconds(s.into())) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, ResourceServerId};

    fn server(audience: &str, scope: &str, algorithm: SigningAlgorithm) -> Arc<ResourceServer> {
        let now = Clock::System.now();
        Arc::new(ResourceServer {
            id: ResourceServerId(uuid::Uuid::nil()),
            audience: audience.into(),
            name: audience.into(),
            scope: Scope::parse(scope).unwrap(),
            signing_algorithm: algorithm,
            access_token_lifetime: Some(60),
            introspection_clients: Vec::new(),
            created_at: now,
            updated_at: now,
        })
    }

    const ISSUER: &str = "https://id.example";

    #[test]
    fn the_audience_follows_from_the_scope() {
        let api = server("https://api.example", "a:read", SigningAlgorithm::EdDsa);
        let alone = judge(ISSUER, &Scope::parse("a:read").unwrap(), &[Arc::clone(&api)], &[], &[]).unwrap();
        assert_eq!((alone.values, alone.algorithm), (vec!["https://api.example".to_owned()], SigningAlgorithm::EdDsa));
        let both = judge(ISSUER, &Scope::parse("openid a:read").unwrap(), &[api], &[], &[]).unwrap();
        assert_eq!(both.values, [ISSUER, "https://api.example"]);
        let none = judge(ISSUER, &Scope::parse("openid").unwrap(), &[], &[], &[]).unwrap();
        assert_eq!(none.values, [ISSUER]);
    }

    #[test]
    fn security_31_a_named_resource_is_the_only_audience_and_must_be_known() {
        let api = server("https://api.example", "a:read", SigningAlgorithm::Es256);
        let scope = Scope::parse("openid a:read").unwrap();
        let resources = ["https://api.example".to_owned()];
        let one = judge(ISSUER, &scope, &[Arc::clone(&api)], &resources, &[Some(Arc::clone(&api))]).unwrap();
        assert_eq!(one.values, resources);
        let unknown =
            judge(ISSUER, &scope, &[Arc::clone(&api)], &["https://x.example".to_owned()], &[None]).unwrap_err();
        assert_eq!(unknown.code, ErrorCode::InvalidTarget);
        let other = server("https://other.example", "o", SigningAlgorithm::Es256);
        let foreign = judge(ISSUER, &scope, &[Arc::clone(&api)], &["https://other.example".to_owned()], &[Some(other)])
            .unwrap_err();
        assert_eq!(foreign.code, ErrorCode::InvalidScope);
        let nothing =
            judge(ISSUER, &Scope::parse("openid").unwrap(), &[], &resources, &[Some(Arc::clone(&api))]).unwrap_err();
        assert_eq!(nothing.code, ErrorCode::InvalidTarget);
    }

    #[test]
    fn security_31_a_resource_of_which_nothing_was_granted_is_refused() {
        let api = server("https://api.example", "a:read", SigningAlgorithm::Es256);
        let other = server("https://other.example", "o", SigningAlgorithm::Es256);
        let both = ["https://api.example".to_owned(), "https://other.example".to_owned()];
        for (scope, by_scope) in [("openid a:read", vec![Arc::clone(&api)]), ("openid", Vec::new())] {
            let known = [Some(Arc::clone(&api)), Some(Arc::clone(&other))];
            let refusal = judge(ISSUER, &Scope::parse(scope).unwrap(), &by_scope, &both, &known).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidTarget, "{scope}");
        }
    }

    #[test]
    fn a_scope_is_cut_down_to_what_means_something_to_the_resource() {
        let a = server("https://a.example", "a", SigningAlgorithm::Es256);
        let b = server("https://b.example", "b", SigningAlgorithm::Es256);
        let scope = Scope::parse("openid a b").unwrap();
        let left = |resources: &[&str]| {
            let resources: Vec<String> = resources.iter().map(|&resource| resource.to_owned()).collect();
            narrow(&scope, &[Arc::clone(&a), Arc::clone(&b)], &resources).to_string()
        };
        assert_eq!(left(&["https://a.example"]), "a openid");
        assert_eq!(left(&["https://a.example", "https://b.example"]), "a b openid");
        assert_eq!(left(&[]), "a b openid");
    }

    #[test]
    fn of_the_granted_resources_a_narrower_scope_means_those_that_it_opens() {
        let a = server("https://a.example", "a", SigningAlgorithm::Es256);
        let open = server("https://open.example", "", SigningAlgorithm::Es256);
        let resources = ["https://a.example", "https://open.example", "https://gone.example"].map(str::to_owned);
        let meant = |scope: &str, known: [Option<&Arc<ResourceServer>>; 3]| {
            still_meant(&Scope::parse(scope).unwrap(), resources.to_vec(), &known.map(Option::<&Arc<_>>::cloned))
        };
        assert_eq!(meant("a", [Some(&a), Some(&open), None]), resources[..2]);
        assert_eq!(meant("openid", [Some(&a), Some(&open), None]), resources[1..2]);
        assert_eq!(meant("openid", [Some(&a), Some(&a), None]), resources, "nothing is left, which judge refuses");
    }

    #[test]
    fn one_token_cannot_carry_two_signatures() {
        let a = server("https://a.example", "a", SigningAlgorithm::Es256);
        let b = server("https://b.example", "b", SigningAlgorithm::Rs256);
        assert_eq!(
            judge(ISSUER, &Scope::parse("a b").unwrap(), &[a, b], &[], &[]).unwrap_err().code,
            ErrorCode::InvalidTarget
        );
    }
}
