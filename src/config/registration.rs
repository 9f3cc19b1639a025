//! Section `[registration]`: clients that register themselves.

use url::Url;

use super::duration::days;
use super::problems::Wrong;
use super::reader::{Bounded, Reader};
use super::settings::RegistrationSettings;
use crate::domain::{DocumentRules, GrantType, RegistrationMode, Scope};

/// Grants that need a person. What acts for itself is registered by an operator (SECURITY 46).
const GRANTS_OF_PEOPLE: [&str; 3] =
    ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
const USUAL_SCOPE: &str = "openid profile email address phone offline_access";

pub(super) fn section(reader: &mut Reader) -> RegistrationSettings {
    let mode = reader.optional("registration.mode", |given| mode(given.text()?));
    let scope = reader.optional("registration.allowed_scopes", |given| scope(&given.texts()?));
    let grants = reader.optional("registration.allowed_grant_types", |given| {
        given.texts()?.into_iter().map(grant_type).collect::<Result<Vec<_>, _>>()
    });
    let settings = RegistrationSettings {
        mode: mode.unwrap_or(RegistrationMode::Off),
        allowed_scopes: scope.unwrap_or_else(|| Scope::parse(USUAL_SCOPE).unwrap_or_default()),
        allowed_grant_types: grants.unwrap_or_else(|| vec![GrantType::AuthorizationCode, GrantType::RefreshToken]),
        per_source_per_hour: reader.number(&Bounded {
            key: "registration.per_source_per_hour",
            default: 20,
            least: 1,
            most: 100_000,
            why: "a stranger must not fill the memory of every replica with clients",
        }),
        max_clients: reader.number(&Bounded {
            key: "registration.max_clients",
            default: 10_000,
            least: 1,
            most: 1_000_000,
            why: "every replica holds all clients in memory",
        }),
        unused_lifetime: reader.duration(&Bounded {
            key: "registration.unused_lifetime",
            default: days(90),
            least: days(1),
            most: days(730),
            why: "the clean-up looks once a day; clients that nobody uses must go at some time",
        }),
        never_used_lifetime: reader.duration(&Bounded {
            key: "registration.never_used_lifetime",
            default: days(1),
            least: days(1),
            most: days(730),
            why: "the clean-up looks once a day; strangers must not take up places for long",
        }),
        documents: documents(reader),
    };
    reader.require(
        !settings.allowed_grant_types.is_empty(),
        "registration.allowed_grant_types",
        "is empty, so no client could be registered",
        "name authorization_code, or set registration.mode to off",
    );
    settings
}

fn documents(reader: &mut Reader) -> DocumentRules {
    let mut hosts = |key| {
        let read = reader.optional(key, |given| given.texts()?.into_iter().map(host).collect::<Result<Vec<_>, _>>());
        read.unwrap_or_default()
    };
    DocumentRules {
        allowed_hosts: hosts("registration.metadata_document_hosts"),
        denied_hosts: hosts("registration.metadata_document_denied_hosts"),
        enabled: reader.optional("registration.metadata_documents", |given| given.boolean()).unwrap_or(false),
    }
}

/// As it stands in URLs, or `*.` and the end that all have.
fn host(text: &str) -> Result<String, Wrong> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let as_in_urls = Url::parse(&format!("https://{name}/")).ok();
    let is_host = as_in_urls.is_some_and(|url| url.as_str() == format!("https://{name}/"));
    let wrong = || {
        Wrong::new(
            format!("holds {text:?}, which is not a host as it stands in URLs"),
            "write it in small letters, without scheme, port and path: app.example.com, or *.example.com for all below",
        )
    };
    if is_host && !name.contains([':', '@', '?', '#', '/']) { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn mode(text: &str) -> Result<RegistrationMode, Wrong> {
    let names: Vec<&str> = RegistrationMode::ALL.iter().map(|mode| mode.as_str()).collect();
    RegistrationMode::parse(text).ok_or_else(|| {
        Wrong::new(format!("is {text:?}, which is not a mode"), format!("use one of {}", names.join(", ")))
    })
}

fn scope(tokens: &[&str]) -> Result<Scope, Wrong> {
    if let Some(token) = tokens.iter().find(|token| token.starts_with("keystead:")) {
        return Err(Wrong::new(
            format!("holds {token}, with which a stranger could administer this server"),
            "remove it; an operator registers clients for the admin API",
        ));
    }
    Scope::from_tokens(tokens)
        .map_err(|_| Wrong::new("holds something that is not a scope token", "write one token in each pair of quotes"))
}

fn grant_type(text: &str) -> Result<GrantType, Wrong> {
    let known = GRANTS_OF_PEOPLE.contains(&text).then(|| GrantType::parse(text)).flatten();
    known.ok_or_else(|| {
        Wrong::new(
            format!("holds {text:?}, which no client may have without an operator"),
            "use authorization_code and refresh_token; register other clients by the admin API",
        )
    })
}
