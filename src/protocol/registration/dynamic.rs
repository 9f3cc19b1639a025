//! What a client may register about itself without an operator (RFC 7591 §5, SECURITY 46): less than an operator may.

use url::Url;

use super::subjects;
use super::texts::Problems;
use crate::domain::{
    ClientAuthMethod, ClientId, ClientMetadata, ClientProtocol, GrantType, MetadataProblem, RefreshTokenRotation,
    RegistrationRules, ResponseMode, Scope, SubjectType,
};
use crate::protocol::error::{ErrorCode, OAuthError};

/// The most bytes that a client may register about itself: room for fifty addresses of usual length, or for a set of sixteen keys.
const LARGEST: usize = 16 * 1024;

/// The metadata that a registration leads to. What is the operator's business is as the operator set it, or has its default; a client
/// without a name is called by its id; one that names no scope gets `usual_scope`.
#[must_use]
pub fn complete(
    wanted: ClientMetadata,
    id: &ClientId,
    held: Option<&ClientMetadata>,
    usual_scope: &Scope,
) -> ClientMetadata {
    let default = ClientMetadata::default();
    let own = held.unwrap_or(&default);
    let method = wanted.token_endpoint_auth_method;
    let by_jwt = wanted.grant_types.contains(&GrantType::JwtBearer);
    let by_assertion = method == ClientAuthMethod::PrivateKeyJwt;
    let by_key = wanted.protocol.dpop_bound_access_tokens || own.protocol.dpop_bound_access_tokens;
    let bound = (by_key || own.protocol.tls_client_certificate_bound_access_tokens) && method != ClientAuthMethod::None;
    let named = |name: String| if name.trim().is_empty() { id.to_string() } else { name };
    let has_own_site = !own_hosts(&wanted).is_empty();
    ClientMetadata {
        client_name: named(wanted.client_name),
        scope: if wanted.scope.is_empty() { usual_scope.clone() } else { wanted.scope },
        // Nobody can tell whose picture it is, and whoever sees the page would ask a stranger's server for it.
        logo_uri: wanted.logo_uri.filter(|_| has_own_site),
        require_pkce: own.require_pkce || method == ClientAuthMethod::None,
        skip_consent: own.skip_consent,
        access_token_lifetime: own.access_token_lifetime,
        refresh_token_absolute_lifetime: own.refresh_token_absolute_lifetime,
        refresh_token_idle_lifetime: own.refresh_token_idle_lifetime,
        refresh_token_grace_period: own.refresh_token_grace_period,
        protocol: ClientProtocol {
            client_assertion_issuer: own.protocol.client_assertion_issuer.clone().filter(|_| by_assertion),
            client_assertion_subject: own.protocol.client_assertion_subject.clone().filter(|_| by_assertion),
            refresh_token_rotation: if bound {
                own.protocol.refresh_token_rotation
            } else {
                RefreshTokenRotation::default()
            },
            token_exchange_audiences: own.protocol.token_exchange_audiences.clone(),
            token_exchange_impersonation: own.protocol.token_exchange_impersonation,
            token_exchange_delegation: own.protocol.token_exchange_delegation,
            assertion_grant_issuer: own.protocol.assertion_grant_issuer.clone().filter(|_| by_jwt),
            profile: own.protocol.profile,
            // What an operator demanded of it, a client does not take back.
            dpop_bound_access_tokens: by_key && !own.protocol.tls_client_certificate_bound_access_tokens,
            subject_type: if own.protocol.subject_type == SubjectType::Pairwise {
                SubjectType::Pairwise
            } else {
                wanted.protocol.subject_type
            },
            require_pushed_authorization_requests: own.protocol.require_pushed_authorization_requests
                || wanted.protocol.require_pushed_authorization_requests,
            require_signed_request_object: own.protocol.require_signed_request_object
                || wanted.protocol.require_signed_request_object,
            // Whoever may name a subject claims to be it, so an operator does.
            tls_client_auth_subject_dn: own.protocol.tls_client_auth_subject_dn.clone(),
            tls_client_auth_san_dns: own.protocol.tls_client_auth_san_dns.clone(),
            tls_client_auth_san_uri: own.protocol.tls_client_auth_san_uri.clone(),
            tls_client_auth_san_ip: own.protocol.tls_client_auth_san_ip.clone(),
            tls_client_auth_san_email: own.protocol.tls_client_auth_san_email.clone(),
            tls_client_certificate_bound_access_tokens: own.protocol.tls_client_certificate_bound_access_tokens,
            userinfo_max_authentication_age: own.protocol.userinfo_max_authentication_age,
            response_modes: narrowed(own.protocol.response_modes.as_deref(), wanted.protocol.response_modes),
            registered_openly: own.protocol.registered_openly,
            metadata_document: own.protocol.metadata_document,
            ..wanted.protocol
        },
        ..wanted
    }
}

/// Who is answered in some modes only may leave out more of them and win none back: an operator may have demanded it.
fn narrowed(held: Option<&[ResponseMode]>, wanted: Option<Vec<ResponseMode>>) -> Option<Vec<ResponseMode>> {
    let Some(held) = held else { return wanted };
    let mut modes = wanted.unwrap_or_default();
    modes.retain(|mode| held.contains(mode));
    Some(if modes.is_empty() { held.to_vec() } else { modes })
}

/// What of the metadata an operator has to allow: beyond the rules, a client keeps only what it holds already.
#[must_use]
pub fn judge_dynamic(
    metadata: &ClientMetadata,
    rules: &RegistrationRules,
    held: Option<&ClientMetadata>,
) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    for grant in &metadata.grant_types {
        let holds = rules.grant_types.contains(grant) || held.is_some_and(|held| held.grant_types.contains(grant));
        let allowed: Vec<&str> = rules.grant_types.iter().map(|grant| grant.as_str()).collect();
        let sentence = format!("holds {}; without an operator only {} are given", grant.as_str(), allowed.join(", "));
        problems.require(holds, "grant_types", sentence);
    }
    problems.require(!metadata.grant_types.is_empty(), "grant_types", "is empty; name authorization_code");
    let allowed = held.map_or_else(|| rules.scope.clone(), |held| held.scope.union(&rules.scope));
    let excess = metadata.scope.without(&allowed);
    let sentence = format!("holds {excess}; without an operator only {} is given", rules.scope);
    problems.require(excess.is_empty(), "scope", sentence);
    let methods = [
        ClientAuthMethod::None,
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
        ClientAuthMethod::PrivateKeyJwt,
    ];
    let method = metadata.token_endpoint_auth_method;
    problems.require(
        methods.contains(&method) || held.is_some_and(|held| held.token_endpoint_auth_method == method),
        "token_endpoint_auth_method",
        "needs an operator; use none, client_secret_basic, client_secret_post or private_key_jwt",
    );
    judge_hosts(metadata, &mut problems);
    subjects::judge_dynamic(metadata, held, &mut problems);
    let (size, most) = (size(metadata), held.map_or(LARGEST, |held| size(held).max(LARGEST)));
    let sentence = format!("has {size} bytes in all, which every replica would hold; shorten it to {LARGEST}");
    problems.require(size <= most, "The metadata", sentence);
    problems.into_vec()
}

/// The bytes of all texts.
fn size(metadata: &ClientMetadata) -> usize {
    let links = [&metadata.client_uri, &metadata.logo_uri, &metadata.policy_uri, &metadata.tos_uri];
    let uris = metadata.redirect_uris.iter().chain(&metadata.post_logout_redirect_uris);
    let protocol = serde_json::to_string(&metadata.protocol).map_or(usize::MAX, |text| text.len());
    metadata.client_name.len()
        + links.into_iter().flatten().map(String::len).sum::<usize>()
        + uris.map(|uri| uri.as_str().len()).sum::<usize>()
        + metadata.scope.tokens().map(str::len).sum::<usize>()
        + protocol
}

/// RFC 7591 §5: a page of this server must not lend its credit to links to places that are not the client's.
fn judge_hosts(metadata: &ClientMetadata, problems: &mut Problems) {
    let own = own_hosts(metadata);
    for (field, link) in [
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ] {
        let host = link.as_deref().and_then(|link| Url::parse(link).ok()?.host_str().map(str::to_owned));
        problems.require(
            host.is_none_or(|host| !own.is_empty() && own.iter().all(|own| *own == host)),
            field,
            "must have the host that all https redirect_uris have; use that, or leave it out",
        );
    }
}

/// The hosts to which the client proves a relation: those of its https redirect URIs.
fn own_hosts(metadata: &ClientMetadata) -> Vec<String> {
    let urls = metadata.redirect_uris.iter().filter_map(|uri| Url::parse(uri.as_str()).ok());
    urls.filter(|url| url.scheme() == "https").filter_map(|url| url.host_str().map(str::to_owned)).collect()
}

/// The refusal of these problems (RFC 7591 §3.2.2).
#[must_use]
pub fn refusal(problems: &[MetadataProblem]) -> OAuthError {
    let about_redirects = problems.first().is_some_and(|problem| problem.field.starts_with("redirect_uris"));
    let code = if about_redirects { ErrorCode::InvalidRedirectUri } else { ErrorCode::InvalidClientMetadata };
    let sentences: Vec<String> =
        problems.iter().map(|problem| format!("{} {}.", problem.field, problem.sentence)).collect();
    OAuthError::new(code, sentences.join(" "))
}

/// OpenID Connect Registration §2: a member of which nothing is kept here, since no sign-in begins at this server, but which must be https.
///
/// # Errors
/// It is not.
pub fn judge_initiate_login_uri(address: Option<&str>) -> Result<(), OAuthError> {
    let is_https = address.and_then(|address| Url::parse(address).ok()).is_some_and(|url| url.scheme() == "https");
    let sentence = "The initiate_login_uri is not an https URL; use https or leave it out.";
    if is_https { Ok(()) } else { Err(OAuthError::new(ErrorCode::InvalidClientMetadata, sentence)) }
}

/// RFC 7591 §2.3: whoever sends a statement wants it to count, so it is not ignored.
#[must_use]
pub fn refuse_software_statement(statement: Option<&str>) -> OAuthError {
    let is_jwt = statement.is_some_and(|text| text.split('.').count() == 3);
    if is_jwt {
        let sentence = "This server accepts no software statements; register without software_statement.";
        OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, sentence)
    } else {
        let sentence = "The software_statement is not a JWT, and this server accepts none; leave it out.";
        OAuthError::new(ErrorCode::InvalidSoftwareStatement, sentence)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::domain::{ApplicationType, DocumentRules, GrantType, RedirectUri, RegistrationMode};

    fn rules() -> RegistrationRules {
        RegistrationRules {
            mode: RegistrationMode::Open,
            scope: Scope::parse("openid profile").unwrap(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            most_clients: 10,
            unused_lifetime: Duration::days(90),
            never_used_lifetime: Duration::days(1),
            documents: DocumentRules::default(),
        }
    }

    fn web() -> ClientMetadata {
        let uri = RedirectUri::register("https://app.example/cb", ApplicationType::Web).unwrap();
        ClientMetadata { redirect_uris: vec![uri], ..ClientMetadata::default() }
    }

    fn completed(wanted: ClientMetadata, held: Option<&ClientMetadata>) -> ClientMetadata {
        complete(wanted, &ClientId::parse("kc_1").unwrap(), held, &rules().scope)
    }

    #[test]
    fn security_46_what_is_the_operators_business_stays_so() {
        let greedy = ClientMetadata {
            skip_consent: true,
            require_pkce: false,
            access_token_lifetime: Some(86_400),
            refresh_token_absolute_lifetime: Some(i32::MAX),
            protocol: ClientProtocol { client_assertion_issuer: Some("x".into()), ..ClientProtocol::default() },
            ..web()
        };
        let made = completed(greedy.clone(), None);
        assert_eq!(made, ClientMetadata { client_name: "kc_1".into(), scope: rules().scope, ..web() });
        let held = ClientMetadata { skip_consent: true, access_token_lifetime: Some(20), ..web() };
        let changed = completed(greedy, Some(&held));
        assert_eq!((changed.skip_consent, changed.access_token_lifetime), (true, Some(20)), "as the operator set it");
    }

    #[test]
    fn security_46_a_registrant_gives_itself_no_more_than_the_rules_or_than_it_holds() {
        type Change = fn(&mut ClientMetadata);
        let cases: [(&str, Change); 6] = [
            ("grant_types", |m| m.grant_types.push(GrantType::ClientCredentials)),
            ("grant_types", |m| m.grant_types.clear()),
            ("scope", |m| m.scope = Scope::parse("openid api:read").unwrap()),
            ("scope", |m| m.scope = Scope::parse("keystead:admin").unwrap()),
            ("client_uri", |m| m.client_uri = Some("https://bank.example/".into())),
            ("logo_uri", |m| m.logo_uri = Some("https://app.example.evil.example/x.png".into())),
        ];
        for (field, change) in cases {
            let mut metadata = completed(web(), None);
            assert_eq!(judge_dynamic(&metadata, &rules(), None), []);
            change(&mut metadata);
            let problems = judge_dynamic(&metadata, &rules(), None);
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), [field]);
            let kept = judge_dynamic(&metadata, &rules(), Some(&metadata));
            assert_eq!(kept.is_empty(), field == "scope" || metadata.grant_types.len() == 2, "{field}: {kept:?}");
        }
    }

    #[test]
    fn security_46_what_an_operator_demanded_a_client_does_not_take_back() {
        let mut held = web();
        held.token_endpoint_auth_method = ClientAuthMethod::PrivateKeyJwt;
        held.protocol.require_pushed_authorization_requests = true;
        held.protocol.require_signed_request_object = true;
        held.protocol.dpop_bound_access_tokens = true;
        held.protocol.userinfo_max_authentication_age = Some(60);
        held.protocol.refresh_token_rotation = RefreshTokenRotation::Static;
        let wanted = ClientMetadata { token_endpoint_auth_method: ClientAuthMethod::PrivateKeyJwt, ..web() };
        let kept = completed(wanted.clone(), Some(&held)).protocol;
        assert!(kept.require_pushed_authorization_requests && kept.require_signed_request_object);
        assert!(kept.dpop_bound_access_tokens && kept.refresh_token_rotation == RefreshTokenRotation::Static);
        assert_eq!(kept.userinfo_max_authentication_age, Some(60));
        held.protocol.subject_type = SubjectType::Pairwise;
        assert_eq!(completed(wanted.clone(), Some(&held)).protocol.subject_type, SubjectType::Pairwise);
        held.protocol.response_modes = Some(vec![ResponseMode::QueryJwt, ResponseMode::FormPost]);
        let modes = |modes: Option<Vec<ResponseMode>>| {
            let mut wanted = wanted.clone();
            wanted.protocol.response_modes = modes;
            completed(wanted, Some(&held)).protocol.response_modes.unwrap()
        };
        assert_eq!(modes(None), [ResponseMode::QueryJwt, ResponseMode::FormPost]);
        assert_eq!(modes(Some(vec![ResponseMode::Query])), [ResponseMode::QueryJwt, ResponseMode::FormPost]);
        assert_eq!(modes(Some(vec![ResponseMode::FormPost, ResponseMode::Query])), [ResponseMode::FormPost]);
        held.protocol.dpop_bound_access_tokens = false;
        held.protocol.tls_client_certificate_bound_access_tokens = true;
        let kept = completed(wanted, Some(&held)).protocol;
        assert!(kept.tls_client_certificate_bound_access_tokens && !kept.dpop_bound_access_tokens);
        assert_eq!(kept.refresh_token_rotation, RefreshTokenRotation::Static);
    }

    #[test]
    fn security_46_what_a_registrant_says_is_bounded_in_all() {
        let mut metadata = completed(web(), None);
        let long = |letter| format!("https://app.example/{}", std::iter::repeat_n(letter, 1_900).collect::<String>());
        let uris = ('a'..='i').map(|letter| RedirectUri::register(&long(letter), ApplicationType::Web).unwrap());
        metadata.redirect_uris = uris.collect();
        let problems = judge_dynamic(&metadata, &rules(), None);
        assert_eq!(problems.len(), 1);
        assert!(refusal(&problems).description.starts_with("The metadata has 17"), "{problems:?}");
        assert_eq!(judge_dynamic(&metadata, &rules(), Some(&metadata)), [], "an operator gave it more");
        metadata.redirect_uris.pop();
        assert_eq!(judge_dynamic(&metadata, &rules(), None), []);
    }

    #[test]
    fn security_46_a_link_must_have_the_host_of_every_https_redirect_uri() {
        let mut metadata = completed(web(), None);
        metadata.client_uri = Some("https://app.example/".into());
        assert_eq!(judge_dynamic(&metadata, &rules(), None), []);
        let other = RedirectUri::register("https://evil.example/cb", ApplicationType::Web).unwrap();
        metadata.redirect_uris.push(other);
        assert_eq!(judge_dynamic(&metadata, &rules(), None)[0].field, "client_uri");
        let uri = RedirectUri::register("http://127.0.0.1/cb", ApplicationType::Native).unwrap();
        metadata.redirect_uris = vec![uri];
        assert_eq!(judge_dynamic(&metadata, &rules(), None)[0].field, "client_uri", "nothing proves a relation");
    }

    #[test]
    fn a_logo_that_nobody_can_place_is_not_kept() {
        let uri = RedirectUri::register("http://127.0.0.1/cb", ApplicationType::Native).unwrap();
        let logo_uri = Some("https://app.example/logo.png".to_owned());
        let native =
            ClientMetadata { redirect_uris: vec![uri], logo_uri: logo_uri.clone(), ..ClientMetadata::default() };
        assert_eq!(completed(native, None).logo_uri, None);
        let site = ClientMetadata { logo_uri: logo_uri.clone(), ..web() };
        assert_eq!(completed(site, None).logo_uri, logo_uri);
    }

    #[test]
    fn protocol_19_errors_have_the_codes_of_rfc_7591() {
        let problem = |field: &str| vec![MetadataProblem { field: field.into(), sentence: "is wrong".into() }];
        assert_eq!(refusal(&problem("redirect_uris[0]")).code, ErrorCode::InvalidRedirectUri);
        assert_eq!(refusal(&problem("scope")).description, "scope is wrong.");
        assert_eq!(refusal(&problem("scope")).code, ErrorCode::InvalidClientMetadata);
        assert_eq!(refuse_software_statement(Some("a.b.c")).code, ErrorCode::UnapprovedSoftwareStatement);
        assert_eq!(refuse_software_statement(None).code, ErrorCode::InvalidSoftwareStatement);
    }
}
