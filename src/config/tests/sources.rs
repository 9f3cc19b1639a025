//! Defaults, files, variables, flags: what the settings are made of, and how they are printed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::layers::Layers;
use crate::config::load::Sections;
use crate::config::reader::Reader;
use crate::domain::{RegistrationMode, Secret, SecretBytes};

fn repository_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_default_file_says_what_is_built_in() {
    let from_file = load(Some(&repository_file("config/default.toml")), &environment(&[]));
    let from_file = from_file.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(print(&from_file), print(&settings(&[])));
}

#[test]
fn the_default_file_and_the_printed_settings_show_every_key() {
    let mut reader = Reader::new(Layers::default(), Vec::new());
    Sections::read_from(&mut reader);
    let known: BTreeSet<String> = reader.known.into_iter().filter(|key| !key.ends_with("_file")).collect();
    assert_eq!(keys_of(&fs::read_to_string(repository_file("config/default.toml")).unwrap()), known);
    assert_eq!(keys_of(&print(&settings(&[]))), known);
}

/// The keys of a TOML text, with those whose line is commented out.
fn keys_of(text: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        }
        if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        {
            keys.insert(format!("{section}{name}"));
        }
    }
    keys
}

#[test]
fn the_production_example_needs_only_its_secret_files() {
    let environment = environment(&[("KEYSTEAD__DATABASE__URL", DATABASE)]);
    let settings = load(Some(&repository_file("config/production.example.toml")), &environment);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.database.max_connections, 20);
    assert_eq!(settings.keys.encryption_key_id, "2026-11");

    let missing = problems(load(Some(&repository_file("config/production.example.toml")), &Environment::default()));
    let keys: Vec<&str> = missing.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["database.url_file", "keys.encryption_key_file"]);
}

#[test]
fn the_environment_wins_over_the_file() {
    let folder = Folder::new("precedence");
    let file = folder.write(
        "keystead.toml",
        "[database]\nmax_connections = 7\nurl_file = \"nowhere\"\n[limits]\nmax_body_bytes = 8192\n",
    );
    let settings = load(Some(&file), &environment(&[("KEYSTEAD__DATABASE__MAX_CONNECTIONS", "8")])).ok().unwrap();
    assert_eq!(settings.database.max_connections, 8);
    assert_eq!(settings.limits.max_body_bytes, 8192);
    assert_eq!(settings.database.url.expose(), DATABASE);
}

#[test]
fn keysteads_own_variable_says_more_than_database_url() {
    let own = "postgres://localhost/own";
    assert_eq!(settings(&[("KEYSTEAD__DATABASE__URL", own)]).database.url.expose(), own);
    assert_eq!(settings(&[]).database.url.expose(), DATABASE);
}

#[test]
fn what_is_printed_masks_secrets_and_can_be_read_again() {
    let settings = settings(&[("KEYSTEAD__TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.7")]);
    let text = print(&settings);
    assert!(text.contains("url = \"postgres://keystead:********@localhost/keystead\"\n"), "{text}");
    assert!(text.contains("encryption_key = \"********\"\n"));
    assert!(text.contains("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7/32\"]\n"));
    let folder = Folder::new("print");
    let again = load(Some(&folder.write("printed.toml", &text)), &environment(&[])).ok().unwrap();
    assert_eq!(print(&again), text);
}

#[test]
fn commands_that_need_only_the_database_ask_for_nothing_else() {
    let environment = Environment::from_iter([("DATABASE_URL", DATABASE), ("KEYSTEAD__ISSUER", "nonsense")]);
    assert_eq!(load_database(None, &environment).ok().unwrap().url.expose(), DATABASE);

    let nothing = load_database(None, &Environment::default()).err().unwrap();
    assert_eq!(nothing.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["database.url"]);
    let no_file = load_database(Some(Path::new("/nowhere.toml")), &environment).err().unwrap();
    assert!(no_file.to_string().contains("/nowhere.toml cannot be read"));
}

fn dev(listen: &str) -> DevSettings {
    DevSettings {
        issuer: "http://127.0.0.1:8080".to_owned(),
        public_listen: listen.parse().unwrap(),
        admin_listen: "127.0.0.1:0".parse().unwrap(),
        database_url: Secret::new("postgres://keystead@localhost/keystead?host=/tmp/pg".to_owned()),
        encryption_key: SecretBytes::new(key_bytes()),
    }
}

#[test]
fn dev_decides_its_own_and_leaves_the_rest_to_the_environment() {
    let environment = environment(&[("KEYSTEAD__TOKENS__ACCESS_TOKEN_LIFETIME", "20s")]);
    let settings = for_dev(dev("127.0.0.1:8080"), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.issuer, "http://127.0.0.1:8080");
    assert_eq!(settings.database.url.expose(), "postgres://keystead@localhost/keystead?host=/tmp/pg");
    assert_eq!(settings.keys.jwks_max_age, Duration::from_secs(5));
    assert_eq!(settings.telemetry.log_format, LogFormat::Text);
    assert_eq!(settings.registration.mode, RegistrationMode::Open);
    assert!(settings.registration.documents.enabled && !settings.outbound.allow_loopback);
    assert_eq!(settings.tokens.access_token_lifetime, Duration::from_secs(20));
}

#[test]
fn a_truth_value_is_true_or_false() {
    let with =
        |value| for_dev(dev("127.0.0.1:8080"), &environment(&[("KEYSTEAD__TOKENS__DPOP_NONCE_REQUIRED", value)]));
    for (text, value) in [("true", true), ("false", false)] {
        assert_eq!(with(text).ok().unwrap().tokens.dpop_nonce_required, value);
    }
    let refused = problems(with("yes"));
    assert!(refused[0].to_string().contains("is \"yes\", which is neither true nor false"), "{}", refused[0]);
}

#[test]
fn dev_stays_on_loopback() {
    let refused = problems(for_dev(dev("0.0.0.0:8080"), &Environment::default()));
    assert_eq!(refused[0].key, "public.listen");
    assert!(refused[0].to_string().contains("(given with --listen) is 0.0.0.0:8080, which other machines can reach"));
}
