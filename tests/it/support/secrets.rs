//! Secrets that a test sent or received, and the search for them in every form in which a program could write them down.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::line::Passed;
use super::page::hidden_fields;
use super::param;

/// Parameters and members whose values are secrets.
const NAMES: [&str; 15] = [
    "subject_token",
    "actor_token",
    "device_code",
    "password",
    "client_secret",
    "code",
    "code_verifier",
    "access_token",
    "refresh_token",
    "id_token",
    "id_token_hint",
    "token",
    "csrf_token",
    "request",
    "authorization",
];
/// Part of a secret that is looked for. Any 24 characters in a row hold a whole one.
const PIECE: usize = 12;

/// Secrets with their kinds.
#[derive(Default)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Remembers a secret by the kind that it had at first. What is too short to be one is left out.
    pub fn add(&mut self, kind: &str, secret: &str) {
        if secret.len() >= PIECE {
            self.0.entry(secret.to_owned()).or_insert_with(|| kind.to_owned());
        }
    }

    /// How many different ones there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.0.values().filter(|known| *known == kind).count()
    }

    /// Remembers every secret of a request and its answer.
    pub fn add_all_of(&mut self, passed: &Passed) {
        let query = passed.target.split_once('?').map_or("", |(_, query)| query);
        for (name, value) in [query, &passed.body].iter().flat_map(|text| form_urlencoded::parse(text.as_bytes())) {
            self.add_named(&name, &value);
        }
        if let Some(value) = passed.headers.get("authorization") {
            let value = value.to_str().unwrap();
            self.add("authorization", value.split_once(' ').map_or(value, |(_, credentials)| credentials));
        }
        for cookie in passed.answer.headers.get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.add(name, rest.split(';').next().unwrap());
        }
        for name in NAMES {
            let own = format!("https://id.example{}", passed.answer.location());
            for value in [passed.answer.location(), &own].iter().filter_map(|location| param(location, name)) {
                self.add(name, &value);
            }
        }
        for (name, value) in hidden_fields(&passed.answer.body) {
            self.add_named(&name, &value);
        }
        if let Ok(Value::Object(members)) = serde_json::from_str(&passed.answer.body) {
            members.iter().for_each(|(name, value)| self.add_named(name, value.as_str().unwrap_or_default()));
        }
    }

    fn add_named(&mut self, name: &str, value: &str) {
        if NAMES.contains(&name) {
            self.add(name, value);
        }
    }

    /// Prepares to search for all of them but those of some kinds.
    pub fn search_for_all_but(&self, kinds: &[&str]) -> Search {
        let mut pieces = HashMap::new();
        for (secret, kind) in self.0.iter().filter(|(_, kind)| !kinds.contains(&kind.as_str())) {
            for form in forms(secret) {
                for piece in form.as_bytes().chunks_exact(PIECE) {
                    pieces.insert(piece.try_into().unwrap(), format!("{kind} {secret}"));
                }
            }
        }
        Search(pieces)
    }
}

/// Every piece of every form of every secret.
pub struct Search(HashMap<[u8; PIECE], String>);

impl Search {
    /// The first piece of a secret in a text: which secret it is of, and what stands around it.
    pub fn find(&self, text: &str) -> Option<(&str, String)> {
        text.as_bytes().windows(PIECE).enumerate().find_map(|(at, window)| {
            let secret = self.0.get(window)?;
            let around = &text.as_bytes()[at.saturating_sub(200)..(at + 100).min(text.len())];
            Some((secret.as_str(), String::from_utf8_lossy(around).into_owned()))
        })
    }
}

/// How a secret may be written: as it is, escaped, encoded, or as bytes; and the last bytes of what it stands for, where a MAC or a
/// signature is.
pub fn forms(secret: &str) -> Vec<String> {
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let html = secret.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;");
    let mut forms = vec![
        secret.to_owned(),
        encoded.replace('+', "%20"),
        encoded,
        html,
        secret.escape_debug().to_string(),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    forms.extend(of_bytes(secret.as_bytes()));
    let last = secret.rsplit('.').next().unwrap_or_default();
    let last = ["ksc_", "ksr_", "kss_"].iter().find_map(|prefix| last.strip_prefix(prefix)).unwrap_or(last);
    if let Ok(bytes) = URL_SAFE_NO_PAD.decode(last) {
        forms.extend(of_bytes(&bytes[bytes.len().saturating_sub(32)..]));
    }
    forms
}

/// Bytes in hexadecimal and as a list of numbers.
pub fn of_bytes(bytes: &[u8]) -> [String; 3] {
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    [hex(bytes), hex(bytes).to_uppercase(), list.join(", ")]
}

/// As PostgreSQL writes them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
