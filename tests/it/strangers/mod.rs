//! What strangers may send: every parser that they reach is given many texts, arbitrary ones and slightly damaged good ones. None makes it panic or
//! take long, and what it accepts is what was written. `PROPTEST_CASES` says how many (256 where it says nothing); parsers that are quick
//! get four times as many. Parsers that only the crate can see are tried the same way beside themselves.

mod endpoints;
mod jwts;
mod texts;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

/// For what takes microseconds.
fn quick() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.saturating_mul(4), ..usual }
}

/// Any text at all, control characters and all planes of Unicode included.
fn any_text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..120).prop_map(String::from_iter)
}

/// Letters that separate, end, escape or confuse somewhere.
const ODD: [char; 44] = [
    '\0', '\t', '\n', '\r', ' ', '!', '"', '#', '$', '%', '&', '\'', '(', '*', '+', ',', '-', '.', '/', '0', ':', ';',
    '<', '=', '>', '?', '@', 'A', '[', '\\', ']', '^', '_', '`', 'e', '{', '|', '}', '~', 'ä', 'ſ', '\u{FFFD}',
    '\u{202E}', '😀',
];

/// A good text with a few letters exchanged, added, or taken away; sometimes none, sometimes a part twice.
fn damaged(good: Vec<String>) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..5_u8, select(&ODD[..]), 1..12_usize);
    (select(good), vec(change, 0..4)).prop_map(|(good, changes)| {
        let mut letters: Vec<char> = good.chars().collect();
        for (at, kind, letter, length) in changes {
            let at = at.index(letters.len() + 1);
            let end = (at + length).min(letters.len());
            match kind {
                0 => letters.insert(at, letter),
                1 if at < letters.len() => letters[at] = letter,
                2 => drop(letters.drain(at..end)),
                3 => {
                    let part = letters[at..end].to_vec();
                    letters.splice(at..at, part);
                }
                _ => letters.truncate(at.max(letters.len() / 2)),
            }
        }
        letters.into_iter().collect()
    })
}

/// Any of the two.
fn hostile(good: &[&str]) -> impl Strategy<Value = String> + use<> {
    let good = good.iter().map(|text| (*text).to_owned()).collect();
    prop_oneof![3 => damaged(good), 1 => any_text()]
}

/// Any JSON, with members of these names at its top.
fn any_json(names: &'static [&'static str], texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::num::f64::POSITIVE.prop_map(Value::from),
        hostile(texts).prop_map(Value::from),
        select(texts).prop_map(Value::from),
    ];
    let inner = leaf.clone().prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), vec((select(names), inner), 0..4).prop_map(object),]
    });
    let value = prop_oneof![3 => leaf, 1 => inner];
    vec((select(names), value), 0..names.len() + 2).prop_map(object)
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
