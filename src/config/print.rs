//! Writes effective settings as a TOML file that could be read again, but for the secrets, which are masked.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};
use url::Url;

use super::duration;
use super::settings::Settings;
use crate::domain::Secret;

const MASK: &str = "********";

/// A key and its value.
type Entry = (&'static str, Value);

/// Every effective setting as TOML; secrets appear as `********`.
#[must_use]
pub fn print(settings: &Settings) -> String {
    let mut text = String::new();
    for (section, entries) in sections(settings) {
        if !section.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n[{section}]");
        }
        for (key, value) in entries {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text
}

fn sections(settings: &Settings) -> Vec<(&'static str, Vec<Entry>)> {
    vec![
        (
            "",
            vec![("issuer", settings.issuer.clone().into()), ("trusted_proxies", networks(&settings.trusted_proxies))],
        ),
        ("public", public(settings)),
        ("admin", vec![("listen", settings.admin.listen.to_string().into())]),
        ("database", database(settings)),
        ("keys", keys(settings)),
        ("tokens", tokens(settings)),
        ("sessions", sessions(settings)),
        ("passwords", passwords(settings)),
        ("limits", limits(settings)),
        ("registration", registration(settings)),
        ("outbound", vec![("allow_loopback", settings.outbound.allow_loopback.into())]),
        ("audit", vec![("retention", span(settings.audit.retention))]),
        ("telemetry", telemetry(settings)),
        ("shutdown", vec![("grace_period", span(settings.shutdown.grace_period))]),
    ]
}

fn networks(networks: &[ipnet::IpNet]) -> Value {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().into()
}

fn public(settings: &Settings) -> Vec<Entry> {
    let public = &settings.public;
    let tls = public.tls.as_ref();
    vec![
        ("listen", public.listen.to_string().into()),
        ("tls_certificate", path(tls.map(|files| &files.certificate))),
        ("tls_key", path(tls.map(|files| &files.key))),
        ("client_certificates", public.client_certificates.as_str().into()),
        ("client_certificate_proxies", networks(&public.client_certificate_proxies)),
        ("client_certificate_header", public.client_certificate_header.clone().into()),
        ("client_ca", path(public.client_ca.as_ref())),
        ("mtls_listen", public.mtls_listen.map(|listen| listen.to_string()).unwrap_or_default().into()),
        ("mtls_url", public.mtls_url.clone().unwrap_or_default().into()),
    ]
}

fn database(settings: &Settings) -> Vec<Entry> {
    let database = &settings.database;
    vec![
        ("url", masked_url(&database.url).into()),
        ("max_connections", database.max_connections.into()),
        ("acquire_timeout", span(database.acquire_timeout)),
        ("statement_timeout", span(database.statement_timeout)),
    ]
}

fn keys(settings: &Settings) -> Vec<Entry> {
    let keys = &settings.keys;
    let previous: Vec<Value> = keys
        .previous_encryption_keys
        .iter()
        .map(|key| Table::from_iter([("id".to_owned(), key.id.clone().into()), ("key".to_owned(), MASK.into())]).into())
        .collect();
    vec![
        ("encryption_key_id", keys.encryption_key_id.clone().into()),
        ("encryption_key", MASK.into()),
        ("previous_encryption_keys", previous.into()),
        ("rotation_interval", span(keys.rotation_interval)),
        ("jwks_max_age", span(keys.jwks_max_age)),
    ]
}

fn tokens(settings: &Settings) -> Vec<Entry> {
    let tokens = &settings.tokens;
    vec![
        ("access_token_lifetime", span(tokens.access_token_lifetime)),
        ("id_token_lifetime", span(tokens.id_token_lifetime)),
        ("authorization_code_lifetime", span(tokens.authorization_code_lifetime)),
        ("device_code_lifetime", span(tokens.device_code_lifetime)),
        ("refresh_token_idle_lifetime", span(tokens.refresh_token_idle_lifetime)),
        ("refresh_token_absolute_lifetime", span(tokens.refresh_token_absolute_lifetime)),
        ("refresh_token_grace_period", span(tokens.refresh_token_grace_period)),
        ("dpop_nonce_required", tokens.dpop_nonce_required.into()),
    ]
}

fn sessions(settings: &Settings) -> Vec<Entry> {
    let sessions = &settings.sessions;
    vec![
        ("idle_lifetime", span(sessions.idle_lifetime)),
        ("absolute_lifetime", span(sessions.absolute_lifetime)),
        ("sign_in_page_lifetime", span(sessions.sign_in_page_lifetime)),
    ]
}

fn passwords(settings: &Settings) -> Vec<Entry> {
    let passwords = &settings.passwords;
    vec![
        ("argon2_memory_kib", passwords.argon2_memory_kib.into()),
        ("argon2_iterations", passwords.argon2_iterations.into()),
        ("argon2_parallelism", passwords.argon2_parallelism.into()),
        ("hash_threads", count(passwords.hash_threads)),
        ("queue_length", count(passwords.queue_length)),
        ("min_length", count(passwords.min_length)),
    ]
}

fn limits(settings: &Settings) -> Vec<Entry> {
    let limits = &settings.limits;
    vec![
        ("max_body_bytes", count(limits.max_body_bytes)),
        ("request_timeout", span(limits.request_timeout)),
        ("sign_in_attempts_per_source_per_minute", limits.sign_in_attempts_per_source_per_minute.into()),
        ("consecutive_failures_per_account", limits.consecutive_failures_per_account.into()),
    ]
}

fn registration(settings: &Settings) -> Vec<Entry> {
    let registration = &settings.registration;
    let grants: Vec<Value> = registration.allowed_grant_types.iter().map(|grant| grant.as_str().into()).collect();
    vec![
        ("mode", registration.mode.as_str().into()),
        ("allowed_scopes", registration.allowed_scopes.to_vec().into()),
        ("allowed_grant_types", grants.into()),
        ("per_source_per_hour", registration.per_source_per_hour.into()),
        ("max_clients", registration.max_clients.into()),
        ("unused_lifetime", span(registration.unused_lifetime)),
        ("never_used_lifetime", span(registration.never_used_lifetime)),
        ("metadata_documents", registration.documents.enabled.into()),
        ("metadata_document_hosts", registration.documents.allowed_hosts.clone().into()),
        ("metadata_document_denied_hosts", registration.documents.denied_hosts.clone().into()),
    ]
}

fn telemetry(settings: &Settings) -> Vec<Entry> {
    let telemetry = &settings.telemetry;
    vec![("log_format", telemetry.log_format.as_str().into()), ("log_filter", telemetry.log_filter.to_string().into())]
}

/// A path, or nothing.
fn path(path: Option<&PathBuf>) -> Value {
    path.map(|path| path.display().to_string()).unwrap_or_default().into()
}

fn span(duration: Duration) -> Value {
    duration::format(duration).into()
}

fn count(number: usize) -> Value {
    // Bounds keep every count far below this.
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// The URL with its password masked, wherever it stands; a URL that does not parse is masked as a whole.
fn masked_url(url: &Secret) -> String {
    let Ok(mut url) = Url::parse(url.expose()) else { return MASK.to_owned() };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(name, _)| name == "password") {
        let masked = pairs.iter().map(|(name, value)| (name, if name == "password" { MASK } else { value }));
        url.query_pairs_mut().clear().extend_pairs(masked);
    }
    url.into()
}
