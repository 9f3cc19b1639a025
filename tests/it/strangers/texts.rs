//! Parameters, headers and identifiers.

use std::collections::BTreeSet;

use keystead::domain::{
    ApplicationType, ClientId, DistinguishedName, KeyThumbprint, Kid, RedirectUri, RequestId, Scope, Timestamp,
};
use keystead::protocol::client_auth::{Credentials, Proof, presented};
use keystead::protocol::error::OAuthError;
use keystead::protocol::logout::LogoutRequest;
use keystead::protocol::params::Params;
use keystead::protocol::redirect::append_params;
use keystead::protocol::{authorize, device, pkce, sender, token, token_exchange};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use super::{any_text, hostile, quick};
use crate::support::{basic, web_metadata};

const FORMS: [&str; 5] = [
    "grant_type=authorization_code&code=ksc_abc&redirect_uri=https%3A%2F%2Frp.example%2Fcb&code_verifier=x",
    "grant_type=refresh_token&refresh_token=ksr_abc&scope=openid+email&resource=https%3A%2F%2Fa.example",
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x&audience=a&actor_token=y",
    "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=ksd_abc&client_id=web&client_secret=x",
    "token=abc&token_type_hint=refresh_token&client_assertion=a.b.c&client_assertion_type=x",
];
const NAMES: [&str; 22] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "resource",
    "prompt",
    "max_age",
    "login_hint",
    "dpop_jkt",
    "request",
    "request_uri",
    "id_token_hint",
    "post_logout_redirect_uri",
    "claims",
    "registration",
    "grant_type",
    "subject_token",
];
const VALUES: [&str; 14] = [
    "code",
    "web",
    "https://rp.example/cb",
    "openid email",
    "S256",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "query.jwt",
    "https://a.example",
    "none",
    "login consent",
    "0",
    "4294967296",
    "form_post",
    "urn:ietf:params:oauth:token-type:access_token",
];

/// Everything that is written into answers must be safe to show (RFC 6749 §5.2).
fn is_safe(error: &OAuthError) -> bool {
    let safe = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    !error.description.is_empty() && error.description.chars().all(safe)
}

fn params() -> impl Strategy<Value = Params> {
    let pair =
        (select(&NAMES[..]), prop_oneof![3 => hostile(&VALUES), 2 => select(&VALUES[..]).prop_map(str::to_owned)]);
    vec(pair, 0..16).prop_filter_map("no parameters at all", |pairs| {
        Params::of_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))).ok()
    })
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_form_is_read_as_it_was_written_or_refused(text in hostile(&FORMS)) {
        match Params::parse(&[&text]) {
            Err(error) => prop_assert!(is_safe(&error)),
            Ok(read) => {
                let pairs = read.pairs();
                let odd = ['\0', '\u{FFFD}'];
                prop_assert!(!pairs.iter().any(|(name, value)| name.contains(odd) || value.contains(odd)));
                let again = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
                let again = Params::parse(&[&again]).unwrap();
                prop_assert_eq!(again.pairs(), pairs);
                let _ = read.refuse_repetition();
            }
        }
    }

    #[test]
    fn any_form_is_a_token_request_or_refused(text in hostile(&FORMS)) {
        let Ok(params) = Params::parse(&[&text]) else { return Ok(()) };
        let refused = [
            token::parse(&params).err(), token_exchange::parse(&params).err(),
            presented(&Credentials::default(), &params).err(), LogoutRequest::parse(&params).err(),
        ];
        prop_assert!(refused.iter().flatten().all(is_safe), "{:?}", refused);
    }

    #[test]
    fn id_and_secret_survive_the_basic_header(id in "[^\u{0}\u{FFFD}]{0,40}", secret in "[^\u{0}\u{FFFD}]{1,40}") {
        let authorization = Some(basic(&id, &secret));
        let read = presented(&Credentials { authorization, ..Credentials::default() }, &Params::parse(&[]).unwrap()).unwrap();
        let Proof::Secret(read_secret) = read.proof else { panic!("no secret") };
        prop_assert_eq!((read.client_id, read_secret.expose()), (id, secret.as_str()));
    }

    #[test]
    fn any_authorization_header_is_read_or_refused(header in hostile(&["Basic d2ViOnNlY3JldA==", "basic ===", "DPoP a.b.c"])) {
        let credentials = Credentials { authorization: Some(header), ..Credentials::default() };
        match presented(&credentials, &Params::parse(&["client_id=web"]).unwrap()) {
            Ok(read) => prop_assert_eq!(read.client_id, "web", "both ids are one"),
            Err(error) => prop_assert!(is_safe(&error)),
        }
    }

    #[test]
    fn a_redirect_uri_that_can_be_registered_is_kept_to_the_letter_and_can_be_added_to(
        text in hostile(&["https://rp.example/cb?a=b", "http://127.0.0.1:8080/cb", "com.example.app:/cb", "http://[::1]/"]),
        native: bool, state in "[^\u{0}]{0,20}",
    ) {
        let kind = if native { ApplicationType::Native } else { ApplicationType::Web };
        let Ok(uri) = RedirectUri::register(&text, kind) else { return Ok(()) };
        prop_assert_eq!(uri.as_str(), &text);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['#', '*', '\\']));
        let (url, added) = (Url::parse(&text).unwrap(), append_params(&text, &[("state", &state)]));
        let added = Url::parse(&added).unwrap();
        prop_assert_eq!((url.scheme(), url.host(), url.port(), url.path()), (added.scheme(), added.host(), added.port(), added.path()));
        let pairs: Vec<_> = added.query_pairs().collect();
        prop_assert_eq!(pairs.last().map(|(name, value)| (&**name, &**value)), Some(("state", state.as_str())));
        prop_assert!(url.username().is_empty() && url.password().is_none());
        prop_assert!(matches!(url.scheme(), "https" | "http") || native);
    }

    #[test]
    fn a_scope_is_a_set(one in hostile(&["openid email profile email", "a:read b"]), two in "[a-d ]{0,12}") {
        let (Ok(one), Ok(two)) = (Scope::parse(&one), Scope::parse(&two)) else { return Ok(()) };
        let tokens: Vec<&str> = one.tokens().collect();
        prop_assert!(tokens.is_sorted_by(|a, b| a < b), "in order, none twice: {:?}", tokens);
        prop_assert_eq!(Scope::parse(one.as_str()).unwrap(), one.clone());
        prop_assert_eq!(Scope::from_tokens(one.to_vec()).unwrap(), one.clone());
        let (both, either, rest) = (one.intersection(&two), one.union(&two), one.without(&two));
        prop_assert!(both.is_within(&one) && both.is_within(&two) && one.is_within(&either) && two.is_within(&either));
        prop_assert_eq!(rest.intersection(&two), Scope::default());
        prop_assert_eq!(rest.union(&both), one);
    }

    #[test]
    fn what_a_person_types_is_one_code_or_none(typed in hostile(&["WDJB-MJHT", "wdjb mjht"])) {
        let Some(code) = device::read_user_code(&typed) else { return Ok(()) };
        prop_assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
        prop_assert_eq!(device::read_user_code(&device::shown(&code)), Some(code));
    }

    #[test]
    fn an_id_has_one_spelling(text in hostile(&["web", "AAAAAAAAAAA", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"])) {
        for written in [
            ClientId::parse(&text).map(|id| id.to_string()), Kid::parse(&text).map(|kid| kid.to_string()),
            KeyThumbprint::parse(&text).map(|key| key.to_string()),
        ] {
            prop_assert!(written.is_none_or(|written| written == text));
        }
    }

    #[test]
    fn a_distinguished_name_is_read_as_it_was_written(values in vec("[^\u{0}]{1,12}", 1..4)) {
        let mut names: Vec<String> = Vec::new();
        for value in &values {
            let escaped: String = value.bytes().map(|byte| format!("\\{byte:02X}")).collect();
            names.push(format!("CN={escaped}"));
        }
        let pair = |value: &String| BTreeSet::from([("2.5.4.3".to_owned(), value.clone())]);
        let expected = DistinguishedName::of_certificate(values.iter().rev().map(pair).collect());
        prop_assert_eq!(DistinguishedName::parse(&names.join(",")), expected);
    }

    #[test]
    fn any_distinguished_name_is_read_or_refused(text in hostile(&["CN=Shop\\, Ltd,OU=a+L=b,C=DE", "2.5.4.3=x"]), other in any_text()) {
        let _ = (DistinguishedName::parse(&text), DistinguishedName::parse(&format!("CN={other}")));
    }
}

proptest! {
    #[test]
    fn an_authorization_request_that_is_accepted_says_what_was_sent(params in params()) {
        let web = client();
        let addressee = match authorize::addressee(&web, &params) {
            Ok(addressee) => addressee,
            Err(error) => { prop_assert!(is_safe(&error)); return Ok(()) }
        };
        match authorize::judge(&web, &addressee, &params, RequestId(uuid::Uuid::nil()), Timestamp::UNIX_EPOCH) {
            Err(error) => prop_assert!(is_safe(&error)),
            Ok(request) => {
                prop_assert!(request.scope.is_within(&web.metadata.scope) && !request.scope.is_empty());
                prop_assert_eq!(request.state.as_deref(), params.one("state").unwrap());
                prop_assert_eq!(request.nonce.as_deref(), params.one("nonce").unwrap());
                prop_assert_eq!(Some(request.redirect_uri.as_str()), params.one("redirect_uri").unwrap());
                prop_assert!(request.resources.iter().all(|uri| !uri.contains('#') && Url::parse(uri).is_ok()));
            }
        }
    }

    #[test]
    fn small_values_are_read_or_refused(params in params(), text in hostile(&VALUES)) {
        let refused = [
            sender::parse_jkt(&params).err(), authorize::resources(&params).err(),
            pkce::parse_challenge(Some(&text), Some("S256")).err(), authorize::requested_scope(&client(), Some(&text)).err(),
        ];
        prop_assert!(refused.iter().flatten().all(is_safe), "{:?}", refused);
    }
}

fn client() -> keystead::domain::Client {
    let now = Timestamp::UNIX_EPOCH;
    keystead::domain::Client {
        id: ClientId::parse("web").unwrap(),
        metadata: web_metadata(),
        secrets: Vec::new(),
        disabled_at: None,
        created_at: now,
        updated_at: now,
    }
}
