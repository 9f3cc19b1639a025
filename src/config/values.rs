//! The forms that single values must have, and what is unsafe about the others.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::{Host, Url};

use super::problems::Wrong;
use super::settings::LogFormat;
use super::suggest;
use crate::domain::{Secret, SecretBytes};

/// How to make an encryption key.
pub(super) const MAKE_ENCRYPTION_KEY: &str = "make a key with: openssl rand -base64 32";

const ENCRYPTION_KEY_BYTES: usize = 32;
/// 32 random bytes have fewer different values than this once in 10^15 keys; a typed or repeated text nearly always has.
const LEAST_DIFFERENT_BYTES: usize = 16;

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// What sqlx reads from a URL's query. It ignores all else, and a misspelt `sslmode` must not mean "no TLS".
const DATABASE_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// An issuer as RFC 8414 §2 wants it, in the one spelling that clients will compare byte by byte.
pub(super) fn issuer(text: &str) -> Result<String, Wrong> {
    if text.contains('@') {
        // The only message that does not show the value: what stands before the @ may be a password.
        return Err(Wrong::new("carries a user name or password", "remove the part before the @"));
    }
    let wrong = |what: &str, remedy: String| Err(Wrong::new(format!("is {text:?}, which {what}"), remedy));
    let example = || "write an origin such as \"https://id.example.com\"".to_owned();
    let Ok(url) = Url::parse(text) else { return wrong("is not an absolute URL", example()) };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return wrong("names no host", example()),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return wrong("sends tokens and passwords in the clear", "use https; http is for loopback only".to_owned());
        }
        _ => return wrong("is not an https URL", example()),
    }
    // RFC 8414 §2, OpenID Connect Discovery §3: clients append a path to the issuer.
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("has a query or a fragment", "remove everything from the ? or # on".to_owned());
    }
    if url.path() != "/" {
        return wrong(
            "has a path",
            "serve Keystead at the root of a host of its own: its cookies are bound to the host".to_owned(),
        );
    }
    let canonical = url.as_str().trim_end_matches('/');
    if canonical != text {
        return wrong("is not the form that clients compare", format!("write {canonical:?}"));
    }
    Ok(canonical.to_owned())
}

/// An address and a port.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            format!("is {text:?}, which is not an IP address and a port"),
            "write an address such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all interfaces",
        )
    })
}

/// A network or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = parsed else {
        return Err(Wrong::new(
            format!("holds {text:?}, which is not a network"),
            "write networks such as \"10.0.0.0/8\" or single addresses",
        ));
    };
    if network.prefix_len() == 0 {
        return Err(Wrong::new(
            format!("holds {text:?}, which believes everybody"),
            "name the addresses of your proxies only: who is believed can pretend to be any client",
        ));
    }
    if network != network.trunc() {
        let remedy = format!("write \"{}\", or the single address \"{}\"", network.trunc(), network.addr());
        return Err(Wrong::new(format!("holds {text:?}, which has bits beyond its prefix"), remedy));
    }
    Ok(network)
}

/// The URL of a PostgreSQL database. Messages show no part of it: any part may be a password that was not percent-encoded.
pub(super) fn database_url(secret: Secret) -> Result<Secret, Wrong> {
    let example = "write postgres://user:password@host/database?sslmode=verify-full";
    let Ok(url) = Url::parse(secret.expose()) else {
        return Err(Wrong::new(
            "is not a URL",
            format!("{example}; percent-encode special characters of the password"),
        ));
    };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(Wrong::new("is not a postgres:// URL", example));
    }
    let named = url.path().len() > 1 || url.query_pairs().any(|(name, _)| name == "dbname");
    if !named {
        return Err(Wrong::new("names no database", example));
    }
    for (name, value) in url.query_pairs() {
        if name == "sslmode" && !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) {
            let remedy = format!("use one of {}; across a network verify-full", SSL_MODES.join(", "));
            return Err(Wrong::new("has an unknown sslmode", remedy));
        }
        if !DATABASE_PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            let remedy = suggest::nearest(&name, DATABASE_PARAMETERS)
                .map_or("remove all parameters that PostgreSQL clients do not need".to_owned(), |nearest| {
                    format!("did you mean {nearest}?")
                });
            return Err(Wrong::new("has an unknown parameter", remedy));
        }
    }
    Ok(secret)
}

/// 32 random bytes in base64, of either alphabet, padded or not.
pub(super) fn encryption_key(text: &Secret) -> Result<SecretBytes, Wrong> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let url_safe = text.expose().contains(['-', '_']);
    let alphabet = if url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let Ok(bytes) = GeneralPurpose::new(alphabet, lenient).decode(text.expose()) else {
        return Err(Wrong::new("is not base64", MAKE_ENCRYPTION_KEY));
    };
    let key = SecretBytes::new(bytes);
    if key.expose().len() != ENCRYPTION_KEY_BYTES {
        let what = format!("is {} bytes long, not {ENCRYPTION_KEY_BYTES}", key.expose().len());
        return Err(Wrong::new(what, MAKE_ENCRYPTION_KEY));
    }
    if key.expose().iter().collect::<BTreeSet<_>>().len() < LEAST_DIFFERENT_BYTES {
        return Err(Wrong::new("is not random", MAKE_ENCRYPTION_KEY));
    }
    Ok(key)
}

/// The name of an encryption key.
pub(super) fn key_id(text: &str) -> Result<String, Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    // Not shown: key and id are easily exchanged.
    Err(Wrong::new(
        "is not a key's name",
        "write 1 to 64 letters, digits, dots, hyphens or underscores, such as \"2026-11\"",
    ))
}

/// `json` or `text`.
pub(super) fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    [LogFormat::Json, LogFormat::Text]
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or_else(|| Wrong::new(format!("is {text:?}, which is not a log format"), "write \"json\" or \"text\""))
}

/// A filter that is at least not empty; its grammar belongs to `tracing`.
/// Levels, and targets with their levels. What is no level would be read as a target, and silence everything else.
pub(super) fn log_filter(text: &str) -> Result<Targets, Wrong> {
    let remedy = "write a level or a filter, such as \"info\" or \"info,sqlx=warn\"; levels are off, error, warn, info, debug, trace";
    let mut levels = text.split(',').map(|part| part.rsplit('=').next().unwrap_or_default().trim());
    match levels.find(|level| level.is_empty() || level.parse::<LevelFilter>().is_err()) {
        Some(wrong) => Err(Wrong::new(format!("has {wrong:?} where a level must be"), remedy)),
        None => text.parse().map_err(|error| Wrong::new(format!("cannot be read: {error}"), remedy)),
    }
}
