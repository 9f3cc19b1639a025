//! What is refused, and in which words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::*;

#[test]
fn all_problems_come_in_one_report_with_key_place_and_remedy() {
    let folder = Folder::new("report");
    let file = folder.write(
        "keystead.toml",
        "issuer = \"http://id.example.com\"\n[token]\nid_token_lifetime = \"1h\"\n[tokens]\nauthorization_code_lifetime = \"5m\"\n",
    );
    let environment =
        Environment::from_iter([("KEYSTEAD__PASSWORDS__MIN_LENGTH", "six"), ("KEYSTEAD__PUBLIC__LISTN", "x")]);
    let report = load(Some(&file), &environment).err().unwrap().to_string();
    let report = report.replace(&folder.0.display().to_string(), "FOLDER");
    assert_eq!(
        report,
        "the configuration has 7 problems:

  database.url is missing, and so is database.url_file
    remedy: set it, or the variable DATABASE_URL, to postgres://user:password@host/database?sslmode=verify-full

  issuer (in FOLDER/keystead.toml) is \"http://id.example.com\", which sends tokens and passwords in the clear
    remedy: use https; http is for loopback only

  keys.encryption_key is missing, and so is keys.encryption_key_file
    remedy: make a key with: openssl rand -base64 32

  passwords.min_length (in the environment variable KEYSTEAD__PASSWORDS__MIN_LENGTH) is \"six\", which is not a whole number
    remedy: write digits only, without a unit

  public.listn (in the environment variable KEYSTEAD__PUBLIC__LISTN) is not a setting
    remedy: did you mean public.listen?

  token.id_token_lifetime (in FOLDER/keystead.toml) is not a setting
    remedy: did you mean tokens.id_token_lifetime?

  tokens.authorization_code_lifetime (in FOLDER/keystead.toml) is 5m, which is not within 1s to 1m
    remedy: a code passes through the browser and its history; 60 seconds is the most that FAPI 2.0 allows"
    );
}

#[test]
fn an_unusable_issuer_is_refused() {
    for (issuer, what) in [
        ("id.example.com", "is not an absolute URL"),
        ("ftp://id.example.com", "is not an https URL"),
        ("http://id.example.com", "in the clear"),
        ("http://localhost.example.com", "in the clear"),
        ("https://id.example.com/", "is not the form that clients compare"),
        ("https://ID.example.com", "is not the form that clients compare"),
        ("https://id.example.com:443", "is not the form that clients compare"),
        (" https://id.example.com", "is not the form that clients compare"),
        ("https://id.example.com/auth", "has a path"),
        ("https://id.example.com?x=1", "has a query or a fragment"),
        ("https://id.example.com#x", "has a query or a fragment"),
        ("https://me:hunter2@id.example.com", "carries a user name"),
    ] {
        let problem = problem(&[("KEYSTEAD__ISSUER", issuer)]);
        assert!(problem.what.contains(what), "{problem}");
    }
    for issuer in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "https://id.example.com:8443"]
    {
        assert_eq!(settings(&[("KEYSTEAD__ISSUER", issuer)]).issuer, issuer);
    }
}

#[test]
fn unsafe_or_meaningless_values_are_refused() {
    let zeros = STANDARD.encode([0; 32]);
    let short = STANDARD.encode([7; 16]);
    for (variable, value, what) in [
        ("TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0", "believes everybody"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "bits beyond its prefix"),
        ("TRUSTED_PROXIES", "proxy", "is not a network"),
        ("PUBLIC__LISTEN", "localhost:8080", "is not an IP address and a port"),
        ("PUBLIC__TLS_CERTIFICATE", "/nowhere.pem", "which cannot be read"),
        ("PUBLIC__TLS_CERTIFICATE", "Cargo.toml", "holds no certificate in PEM form"),
        ("PUBLIC__CLIENT_CERTIFICATES", "yes", "is no way to ask for certificates"),
        ("PUBLIC__CLIENT_CERTIFICATES", "proxy", "is needed with client_certificates"),
        ("PUBLIC__CLIENT_CERTIFICATE_PROXIES", "10.0.0.7", "and only with that"),
        ("PUBLIC__CLIENT_CERTIFICATE_PROXIES", "0.0.0.0/0", "believes everybody"),
        ("PUBLIC__CLIENT_CERTIFICATE_HEADER", "a b", "is no name of a header"),
        ("PUBLIC__MTLS_LISTEN", "127.0.0.1:8443", "and only with that"),
        ("PUBLIC__MTLS_URL", "https://id.example.com:8443", "but client_ca or mtls_url is set"),
        ("ADMIN__LISTEN", "0.0.0.0:8080", "which public.listen (127.0.0.1:8080) uses already"),
        ("DATABASE__URL", "mysql://localhost/keystead", "is not a postgres:// URL"),
        ("DATABASE__URL", "postgres://localhost", "names no database"),
        ("DATABASE__URL", "postgres://localhost/k?sslmode=verify", "has an unknown sslmode"),
        ("DATABASE__URL", "postgres://localhost/k?sslmod=verify-full", "has an unknown parameter"),
        ("DATABASE__MAX_CONNECTIONS", "1", "is 1, which is not within 2 to 1000"),
        ("DATABASE__MAX_CONNECTIONS", "-1", "is -1, which is not within 2 to 1000"),
        ("DATABASE__ACQUIRE_TIMEOUT", "10s", "is not shorter than limits.request_timeout"),
        ("KEYS__ENCRYPTION_KEY", &zeros, "is not random"),
        ("KEYS__ENCRYPTION_KEY", &short, "is 16 bytes long, not 32"),
        ("KEYS__ENCRYPTION_KEY", "not base64!", "is not base64"),
        ("KEYS__ENCRYPTION_KEY_ID", "a b", "is not a key's name"),
        ("KEYS__JWKS_MAX_AGE", "0s", "is 0s, which is not within 1s to 1d"),
        ("KEYS__ROTATION_INTERVAL", "30m", "is 30m, which is not within 1h to 730d"),
        ("TOKENS__AUTHORIZATION_CODE_LIFETIME", "61s", "is 61s, which is not within 1s to 1m"),
        ("TOKENS__REFRESH_TOKEN_IDLE_LIFETIME", "366d", "is longer than tokens.refresh_token_absolute_lifetime"),
        ("SESSIONS__ABSOLUTE_LIFETIME", "1h", "is longer than sessions.absolute_lifetime"),
        ("PASSWORDS__MIN_LENGTH", "7", "is 7, which is not within 8 to 64"),
        ("PASSWORDS__ARGON2_ITERATIONS", "1", "is too small for passwords.argon2_memory_kib"),
        ("LIMITS__CONSECUTIVE_FAILURES_PER_ACCOUNT", "101", "is 101, which is not within 3 to 100"),
        ("TELEMETRY__LOG_FORMAT", "xml", "is not a log format"),
        ("TELEMETRY__LOG_FILTER", " ", "has \"\" where a level must be"),
        ("TELEMETRY__LOG_FILTER", "inof", "has \"inof\" where a level must be"),
        ("TELEMETRY__LOG_FILTER", "info,sqlx=loud", "has \"loud\" where a level must be"),
        ("SHUTDOWN__GRACE_PERIOD", "5s", "is shorter than limits.request_timeout"),
    ] {
        let problem = problem(&[(&format!("KEYSTEAD__{variable}"), value)]);
        assert!(problem.what.contains(what), "{variable}={value}: {problem}");
        assert!(!problem.remedy.is_empty());
    }
}

#[test]
fn a_file_must_use_the_right_types() {
    let folder = Folder::new("types");
    for (line, what) in [
        ("limits.max_body_bytes = \"8192\"", "is of type string, not a whole number"),
        ("limits.request_timeout = 10", "is of type integer, not text"),
        ("trusted_proxies = \"10.0.0.0/8\"", "is of type string, not a list of texts"),
        ("keys.previous_encryption_keys = [\"x\"]", "is of type array, not a list of tables"),
    ] {
        let file = folder.write("keystead.toml", line);
        let found = problems(load(Some(&file), &environment(&[])));
        assert_eq!(found.iter().map(|problem| problem.what.as_str()).collect::<Vec<_>>(), [what], "{line}");
    }
    let file = folder.write("keystead.toml", "limits = 3");
    assert!(problems(load(Some(&file), &environment(&[])))[0].remedy.contains("write [limits]"));
}

#[test]
fn an_unusable_file_or_variable_is_a_problem() {
    let folder = Folder::new("unusable");
    let missing = problems(load(Some(&folder.0.join("missing.toml")), &environment(&[])));
    assert!(missing[0].key.ends_with("missing.toml") && missing[0].what.starts_with("cannot be read"));

    let file = folder.write("keystead.toml", "issuer = \"x\"\n[database]\nurl = \"postgres://u:hunter2@h/d\n");
    let broken = problems(load(Some(&file), &environment(&[])));
    assert!(broken[0].what.starts_with("is not TOML: line 3"), "{}", broken[0]);

    let bytes = OsStr::from_bytes(&[0xff]).to_owned();
    let environment = Environment::from_iter([("KEYSTEAD__TELEMETRY__LOG_FILTER", bytes)]);
    let found = problems(load(None, &environment));
    assert!(found.iter().any(|problem| problem.what == "is not valid UTF-8"));
}
