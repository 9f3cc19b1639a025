//! Every setting with its key, default and bounds, section by section, then the rules that join two settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use toml::Table;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::duration::{days, hours, minutes, seconds};
use super::problems::Wrong;
use super::reader::{Bounded, Reader};
use super::settings::{
    AuditSettings, DatabaseSettings, KeySettings, LimitSettings, ListenerSettings, LogFormat, OutboundSettings,
    PasswordSettings, PreviousEncryptionKey, SessionSettings, ShutdownSettings, TelemetrySettings, TokenSettings,
};
use super::values;

/// Argon2id parameters of equal strength (OWASP Password Storage): at least this memory in KiB needs at least these passes.
const ARGON2_FLOOR: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// A listener, on loopback unless told otherwise.
pub(super) fn listener(reader: &mut Reader, key: &str, default_port: u16) -> ListenerSettings {
    let listen = reader.optional(key, |given| values::listen(given.text()?));
    ListenerSettings { listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, default_port))) }
}

pub(super) fn trusted_proxies(reader: &mut Reader) -> Vec<ipnet::IpNet> {
    let read = reader.optional("trusted_proxies", |given| given.texts()?.into_iter().map(values::network).collect());
    read.unwrap_or_default()
}

pub(super) fn database(reader: &mut Reader) -> Option<DatabaseSettings> {
    let remedy = "set it, or the variable DATABASE_URL, to postgres://user:password@host/database?sslmode=verify-full";
    let url = reader.required_secret("database.url", remedy, values::database_url);
    let max_connections = reader.number(&Bounded {
        key: "database.max_connections",
        default: 10,
        least: 2,
        most: 1_000,
        why: "few connections serve many requests; all replicas together must stay below PostgreSQL's max_connections",
    });
    let acquire_timeout = reader.duration(&Bounded {
        key: "database.acquire_timeout",
        default: seconds(5),
        least: Duration::from_millis(100),
        most: seconds(60),
        why: "a request should learn soon that the database is not there",
    });
    let statement_timeout = reader.duration(&Bounded {
        key: "database.statement_timeout",
        default: seconds(5),
        least: Duration::from_millis(100),
        most: seconds(60),
        why: "statements here take milliseconds; one that takes long holds locks that others wait for",
    });
    Some(DatabaseSettings { url: url?, max_connections, acquire_timeout, statement_timeout })
}

pub(super) fn keys(reader: &mut Reader) -> Option<KeySettings> {
    let encryption_key_id = reader
        .optional("keys.encryption_key_id", |given| values::key_id(given.text()?))
        .unwrap_or_else(|| "1".to_owned());
    let encryption_key = reader
        .required_secret("keys.encryption_key", values::MAKE_ENCRYPTION_KEY, |text| values::encryption_key(&text));
    let previous = reader.optional("keys.previous_encryption_keys", |given| {
        let folder = given.origin.folder().to_owned();
        given.tables()?.into_iter().map(|table| previous_key(table, &folder)).collect::<Result<Vec<_>, _>>()
    });
    let rotation_interval = reader.duration(&Bounded {
        key: "keys.rotation_interval",
        default: days(90),
        least: hours(1),
        most: days(730),
        why: "a key that is never replaced makes its theft last; one replaced too often outruns the caches of clients",
    });
    let jwks_max_age = reader.duration(&Bounded {
        key: "keys.jwks_max_age",
        default: minutes(5),
        least: seconds(1),
        most: hours(24),
        why: "so long may clients go on trusting a key after it was revoked",
    });
    let settings = KeySettings {
        encryption_key_id,
        encryption_key: encryption_key?,
        previous_encryption_keys: previous.unwrap_or_default(),
        rotation_interval,
        jwks_max_age,
    };
    judge_keys(reader, &settings);
    Some(settings)
}

/// One entry of `previous_encryption_keys`. Every message names the entry by its id, never by its key.
fn previous_key(mut table: Table, folder: &Path) -> Result<PreviousEncryptionKey, Wrong> {
    let id = table.remove("id");
    let Some(id) = id.as_ref().and_then(toml::Value::as_str) else {
        return Err(Wrong::new("has an entry without an id", "give each entry the encryption_key_id it had"));
    };
    let id = values::key_id(id).map_err(|wrong| Wrong::new(format!("has an id which {}", wrong.what), wrong.remedy))?;
    let of_entry = |wrong: Wrong| Wrong::new(format!("has the entry {id:?}, which {}", wrong.what), wrong.remedy);
    let secret = Reader::secret_of_table(&mut table, "key", folder).map_err(of_entry)?;
    if let Some(unknown) = table.keys().next() {
        return Err(of_entry(Wrong::new(
            format!("has the unknown field {unknown}"),
            "write id and key or key_file only",
        )));
    }
    Ok(PreviousEncryptionKey { key: values::encryption_key(&secret).map_err(of_entry)?, id })
}

fn judge_keys(reader: &mut Reader, keys: &KeySettings) {
    let mut ids = vec![keys.encryption_key_id.as_str()];
    for previous in &keys.previous_encryption_keys {
        reader.require(
            !ids.contains(&previous.id.as_str()),
            "keys.previous_encryption_keys",
            format!("uses the id {:?} twice", previous.id),
            "every key, the present one too, needs an id of its own: it says which key decrypts a row",
        );
        reader.require(
            previous.key.expose() != keys.encryption_key.expose(),
            "keys.previous_encryption_keys",
            format!("has the entry {:?}, which is the present key again", previous.id),
            "put the key that was used before there, or remove the entry",
        );
        ids.push(&previous.id);
    }
    reader.require(
        keys.rotation_interval >= 2 * keys.jwks_max_age,
        "keys.rotation_interval",
        "is shorter than two times keys.jwks_max_age",
        "rotate less often: a new key is published for that long before it signs",
    );
}

pub(super) fn tokens(reader: &mut Reader) -> TokenSettings {
    let settings = TokenSettings {
        access_token_lifetime: reader.duration(&Bounded {
            key: "tokens.access_token_lifetime",
            default: minutes(10),
            least: seconds(10),
            most: hours(24),
            why: "resource servers that verify tokens on their own accept a revoked one until it expires",
        }),
        id_token_lifetime: reader.duration(&Bounded {
            key: "tokens.id_token_lifetime",
            default: hours(1),
            least: seconds(10),
            most: hours(24),
            why: "an ID token says who has just signed in",
        }),
        authorization_code_lifetime: reader.duration(&Bounded {
            key: "tokens.authorization_code_lifetime",
            default: seconds(60),
            least: seconds(1),
            most: seconds(60),
            why: "a code passes through the browser and its history; 60 seconds is the most that FAPI 2.0 allows",
        }),
        device_code_lifetime: reader.duration(&Bounded {
            key: "tokens.device_code_lifetime",
            default: minutes(10),
            least: minutes(1),
            most: minutes(30),
            why: "people need time to find another screen; every code that waits is one that a guess can hit",
        }),
        refresh_token_idle_lifetime: reader.duration(&Bounded {
            key: "tokens.refresh_token_idle_lifetime",
            default: days(30),
            least: minutes(1),
            most: days(730),
            why: "RFC 9700 §4.14.2: a refresh token that nobody uses must expire",
        }),
        refresh_token_absolute_lifetime: reader.duration(&Bounded {
            key: "tokens.refresh_token_absolute_lifetime",
            default: days(365),
            least: minutes(1),
            most: days(730),
            why: "RFC 9700 §4.14.2: an authorization that never ends outlives the reason for it",
        }),
        refresh_token_grace_period: reader.duration(&Bounded {
            key: "tokens.refresh_token_grace_period",
            default: seconds(30),
            least: seconds(0),
            most: minutes(5),
            why: "it covers a lost answer and a second tab; longer only helps a thief. 0s is strict single use",
        }),
        dpop_nonce_required: reader.optional("tokens.dpop_nonce_required", |given| given.boolean()).unwrap_or(false),
    };
    reader.require(
        settings.refresh_token_idle_lifetime <= settings.refresh_token_absolute_lifetime,
        "tokens.refresh_token_idle_lifetime",
        "is longer than tokens.refresh_token_absolute_lifetime",
        "shorten it or lengthen the other",
    );
    settings
}

pub(super) fn sessions(reader: &mut Reader) -> SessionSettings {
    // NIST SP 800-63B-4 §2.1.3 (AAL1): an overall limit, which should not exceed 30 days; an inactivity limit may be set as well.
    let settings = SessionSettings {
        idle_lifetime: reader.duration(&Bounded {
            key: "sessions.idle_lifetime",
            default: hours(24),
            least: minutes(1),
            most: days(30),
            why: "a session that nobody uses is one that somebody else may find",
        }),
        absolute_lifetime: reader.duration(&Bounded {
            key: "sessions.absolute_lifetime",
            default: days(30),
            least: minutes(1),
            most: days(90),
            why: "NIST SP 800-63B-4 asks for a new sign-in at least every 30 days, at AAL2 every 24 hours",
        }),
        sign_in_page_lifetime: reader.duration(&Bounded {
            key: "sessions.sign_in_page_lifetime",
            default: minutes(30),
            least: minutes(1),
            most: hours(24),
            why: "people need time to find a password; a page left open for days should not sign anybody in",
        }),
    };
    reader.require(
        settings.idle_lifetime <= settings.absolute_lifetime,
        "sessions.idle_lifetime",
        "is longer than sessions.absolute_lifetime",
        "shorten it or lengthen the other",
    );
    settings
}

pub(super) fn passwords(reader: &mut Reader) -> PasswordSettings {
    let hash_threads = reader.number(&Bounded {
        key: "passwords.hash_threads",
        default: 0_usize,
        least: 0,
        most: 256,
        why: "0 means one thread a core; more threads than cores make every hash slower",
    });
    let settings = PasswordSettings {
        argon2_memory_kib: reader.number(&Bounded {
            key: "passwords.argon2_memory_kib",
            default: 19_456,
            least: 7_168,
            most: 1_048_576,
            why: "less is cheap to guess; each hashing thread needs this much memory at once",
        }),
        argon2_iterations: reader.number(&Bounded {
            key: "passwords.argon2_iterations",
            default: 2,
            least: 1,
            most: 20,
            why: "each pass adds its time to every sign-in",
        }),
        argon2_parallelism: reader.number(&Bounded {
            key: "passwords.argon2_parallelism",
            default: 1,
            least: 1,
            most: 16,
            why: "lanes are computed one after the other here",
        }),
        hash_threads: if hash_threads == 0 { available_parallelism().map_or(1, usize::from) } else { hash_threads },
        queue_length: reader.number(&Bounded {
            key: "passwords.queue_length",
            default: 64,
            least: 1,
            most: 10_000,
            why: "who waits behind thousands of hashes has gone before the answer comes",
        }),
        min_length: reader.number(&Bounded {
            key: "passwords.min_length",
            default: 15,
            least: 8,
            most: 64,
            why: "NIST SP 800-63B-4: at least 15 where the password is the only factor, never below 8; 64 must be allowed",
        }),
    };
    let strong =
        |(memory, passes): &(u32, u32)| settings.argon2_memory_kib >= *memory && settings.argon2_iterations >= *passes;
    reader.require(
        ARGON2_FLOOR.iter().any(strong),
        "passwords.argon2_iterations",
        "is too small for passwords.argon2_memory_kib",
        "use 2 passes with 19456 KiB, or 3 with 12288, 4 with 9216, 5 with 7168",
    );
    settings
}

pub(super) fn limits(reader: &mut Reader) -> LimitSettings {
    LimitSettings {
        max_body_bytes: reader.number(&Bounded {
            key: "limits.max_body_bytes",
            default: 65_536,
            least: 4_096,
            most: 1_048_576,
            why: "forms and client metadata are small; a large body costs memory before anybody is authenticated",
        }),
        request_timeout: reader.duration(&Bounded {
            key: "limits.request_timeout",
            default: seconds(10),
            least: seconds(1),
            most: seconds(60),
            why: "clients give up after about that long, and a slow request keeps its place",
        }),
        sign_in_attempts_per_source_per_minute: reader.number(&Bounded {
            key: "limits.sign_in_attempts_per_source_per_minute",
            default: 300,
            least: 1,
            most: 100_000,
            why: "many people may share one address; one guesser must not be many people",
        }),
        consecutive_failures_per_account: reader.number(&Bounded {
            key: "limits.consecutive_failures_per_account",
            default: 100,
            least: 3,
            most: 100,
            why: "NIST SP 800-63B-4 §3.2.2 allows no more than 100; a small number lets strangers lock people out",
        }),
    }
}

pub(super) fn outbound(reader: &mut Reader) -> OutboundSettings {
    let allow_loopback = reader.optional("outbound.allow_loopback", |given| given.boolean());
    OutboundSettings { allow_loopback: allow_loopback.unwrap_or(false) }
}

pub(super) fn audit(reader: &mut Reader) -> AuditSettings {
    AuditSettings {
        retention: reader.duration(&Bounded {
            key: "audit.retention",
            default: days(400),
            least: days(30),
            most: days(36_500),
            why: "an attack is often found months later; addresses of people must not be kept without need",
        }),
    }
}

pub(super) fn telemetry(reader: &mut Reader) -> TelemetrySettings {
    let log_format = reader.optional("telemetry.log_format", |given| values::log_format(given.text()?));
    let log_filter = reader.optional("telemetry.log_filter", |given| values::log_filter(given.text()?));
    TelemetrySettings {
        log_format: log_format.unwrap_or(LogFormat::Json),
        log_filter: log_filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)),
    }
}

pub(super) fn shutdown(reader: &mut Reader) -> ShutdownSettings {
    ShutdownSettings {
        grace_period: reader.duration(&Bounded {
            key: "shutdown.grace_period",
            default: seconds(20),
            least: seconds(1),
            most: minutes(5),
            why: "orchestrators kill a process that takes longer than they wait, often 30 seconds",
        }),
    }
}
