//! The walls of the house. One crate has none of its own, so this test reads the sources: who imports whom, which crate lives in
//! which room, how long a file is, and whether every test that docs/spec-coverage.md names exists.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import (docs/architecture.md). Every arrow points down.
const ROOMS: [(&str, &[&str]); 13] = [
    ("main", &["cli"]),
    (
        "cli",
        &["app", "http", "jobs", "flows", "protocol", "crypto", "outbound", "store", "telemetry", "config", "domain"],
    ),
    ("app", &["http", "jobs", "flows", "protocol", "crypto", "outbound", "store", "telemetry", "config", "domain"]),
    ("http", &["flows", "protocol", "domain", "telemetry"]),
    ("jobs", &["flows", "store", "crypto", "domain", "telemetry"]),
    ("flows", &["protocol", "crypto", "outbound", "store", "domain", "telemetry"]),
    ("protocol", &["domain"]),
    ("crypto", &["domain"]),
    ("outbound", &["domain"]),
    ("store", &["domain", "telemetry"]),
    ("config", &["domain"]),
    ("telemetry", &[]),
    ("domain", &[]),
];

/// Crates that live in certain rooms only.
const CRATES: [(&str, &[&str]); 7] = [
    ("axum", &["http", "app"]),
    ("axum_extra", &["http", "app"]),
    ("tower_http", &["http", "app"]),
    ("sqlx", &["store", "app"]),
    ("clap", &["cli", "app"]),
    // SECURITY 69: one client for everything that leaves the house.
    ("reqwest", &["outbound"]),
    // Rules and nouns wait for nothing.
    ("tokio", &["main", "cli", "app", "http", "jobs", "flows", "crypto", "outbound", "store", "telemetry"]),
];

const LONGEST_FILE: usize = 400;

#[test]
fn every_import_points_down() {
    let found: Vec<String> = files("src", "rs").iter().flat_map(|(path, text)| wrong_imports(path, text)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let sources = ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs"));
    let lengths = sources.map(|(path, text)| (text.lines().count(), path));
    let found: Vec<_> = lengths.filter(|(lines, _)| *lines > LONGEST_FILE).collect();
    assert!(found.is_empty(), "split these files: {found:?}");
}

#[test]
fn every_test_that_the_coverage_table_names_exists() {
    let table = fs::read_to_string(root().join("docs/spec-coverage.md")).expect("docs/spec-coverage.md should exist");
    let rust: Vec<String> = files("src", "rs").into_iter().chain(files("tests", "rs")).map(|(_, text)| text).collect();
    let interop: Vec<String> = files("tests/interop", "mjs").into_iter().map(|(_, text)| text).collect();
    let found = wrong_rows(&table, &rust, &interop);
    assert!(found.is_empty(), "docs/spec-coverage.md:\n{}\n", found.join("\n"));
}

/// What a file imports against the tables above, one sentence each.
fn wrong_imports(path: &str, text: &str) -> BTreeSet<String> {
    let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let depth = path.split('/').filter(|part| *part != "mod.rs").count();
    let tokens = tokens(text);
    let mut found = BTreeSet::new();
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        // The root module only names the rooms.
        return if room == "lib" { found } else { BTreeSet::from([format!("src/{path}: {room} is not a room")]) };
    };
    for (i, token) in tokens.iter().enumerate() {
        let starts_path = i == 0 || tokens[i - 1] != "::";
        let names_crate = tokens.get(i + 1).is_some_and(|next| next == "::") || (i > 0 && tokens[i - 1] == "use");
        if let Some((_, rooms)) = CRATES.iter().find(|(name, _)| name == token)
            && starts_path
            && names_crate
            && !rooms.contains(&room)
        {
            found.insert(format!("src/{path}: {room} may not use the crate {token}"));
        }
        for import in imports_at(&tokens, i, depth) {
            let known = ROOMS.iter().any(|(name, _)| *name == import);
            if import != room && !known {
                found.insert(format!("src/{path}: crate::{import} is not in a room"));
            } else if import != room && !allowed.contains(&import.as_str()) {
                found.insert(format!("src/{path}: {room} may not import {import}"));
            }
        }
    }
    found
}

/// The rooms that a path starting at token `i` reaches, from the crate's root or by `super` up to it.
fn imports_at(tokens: &[String], i: usize, depth: usize) -> Vec<String> {
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    if i > 0 && at(i - 1) == "::" || at(i + 1) != "::" {
        return Vec::new();
    }
    let ups = tokens[i..].chunks(2).take_while(|step| *step == ["super", "::"]).count();
    // An inline module is one deeper than its file, so only a room's own name tells whether the root is reached.
    let (start, from_root) = match at(i) {
        "crate" | "keystead" => (i + 2, true),
        "super" if ups >= depth => (i + 2 * ups, false),
        _ => return Vec::new(),
    };
    let reached = if at(start) == "{" { first_words(&tokens[start..]) } else { vec![at(start).to_owned()] };
    let is_room = |word: &String| ROOMS.iter().any(|(name, _)| name == word);
    reached.into_iter().filter(|word| word != "self" && (from_root || is_room(word))).collect()
}

/// The first word of each branch of `{a, b::c, d::{e, f}}`.
fn first_words(group: &[String]) -> Vec<String> {
    let mut depth = 0;
    let mut words = Vec::new();
    for (i, token) in group.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            word if depth == 1 && word != "," && matches!(group[i - 1].as_str(), "{" | ",") => {
                words.push(word.to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    words
}

/// Words and signs of Rust source without comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (length, kept) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |end| end + 2), false),
            'r' | 'b' if raw_string(rest).is_some() => (raw_string(rest).unwrap_or(1), false),
            '"' => (string(rest), false),
            '\'' => (character(rest), false),
            _ if word > 0 => (word, true),
            ':' if rest.starts_with("::") => (2, true),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        if kept {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The length of `r"..."`, `r#"..."#`, `br"..."`, if one starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = prefix.len() - prefix.trim_start_matches('#').len();
    let body = prefix[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| opening + at + end.len()))
}

/// The length of the string that starts here.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the character that starts here, or 1 for the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(1, |end| end + 4),
        Some(_) => characters.next().filter(|(_, c)| *c == '\'').map_or(1, |(end, _)| end + 1),
        None => 1,
    }
}

/// Rows of `| § | requirement | test |` whose last cell names no test in backticks, or one that nobody wrote. A name is that of a Rust
/// function, with or without a path; anything with a space is the title of a test in tests/interop.
fn wrong_rows(table: &str, rust: &[String], interop: &[String]) -> Vec<String> {
    let all: Vec<Vec<String>> = rust.iter().map(|text| tokens(text)).collect();
    let functions: BTreeSet<&str> = all
        .iter()
        .flat_map(|tokens| tokens.windows(2))
        .filter(|pair| pair[0] == "fn")
        .map(|pair| pair[1].as_str())
        .collect();
    let exists = |name: &str| {
        let titled =
            |text: &String| ['\'', '"', '`'].iter().any(|quote| text.contains(&format!("{quote}{name}{quote}")));
        if name.contains(' ') {
            interop.iter().any(titled)
        } else {
            functions.contains(name.rsplit("::").next().unwrap_or(name))
        }
    };
    let mut found = Vec::new();
    let ruler = |line: &str| line.chars().all(|c| "|-: ".contains(c));
    for row in table.lines().filter(|line| line.starts_with('|') && !line.starts_with("| § |") && !ruler(line)) {
        let cell = row.trim_end().rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            found.push(format!("no test is named: {row}"));
        }
        found.extend(names.into_iter().filter(|name| !exists(name)).map(|name| format!("no such test: {name}")));
    }
    found
}

/// Every file with this extension below a folder of the repository: its path from there, and its text.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let folder = root().join(folder);
    let mut found = Vec::new();
    let mut open = vec![folder.clone()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let is_of_others = path.ends_with("node_modules") || path.ends_with(".peers");
            if path.is_dir() && !is_of_others {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    for (path, text, expected) in [
        ("http/token.rs", "use crate::store::Clients;", "http may not import store"),
        ("http/token.rs", "use crate::{domain::Clock, flows::{self, token}, crypto};", "http may not import crypto"),
        ("http/token.rs", "fn f() { let _ = crate::store::find(); }", "http may not import store"),
        ("http/mod.rs", "use super::store;", "http may not import store"),
        ("http/token.rs", "use super::super::{domain, store::Clients};", "http may not import store"),
        ("protocol/pkce.rs", "const A: &str = \"//\"; use crate::store;", "protocol may not import store"),
        (
            "protocol/pkce.rs",
            "fn f<'a>(c: char) { if c == '\"' { crate::crypto::f() } }",
            "protocol may not import crypto",
        ),
        ("flows/token.rs", "use crate::http;", "flows may not import http"),
        ("store/clients.rs", "use crate::protocol;", "store may not import protocol"),
        ("http/mod.rs", "use crate::config::Settings;", "http may not import config"),
        ("main.rs", "use keystead::app;", "main may not import app"),
        ("domain/mod.rs", "use crate::VERSION;", "crate::VERSION is not in a room"),
        ("flows/mod.rs", "async fn f(pool: &sqlx::PgPool) {}", "flows may not use the crate sqlx"),
        ("flows/mod.rs", "use axum::{Json, extract::State};", "flows may not use the crate axum"),
        ("protocol/mod.rs", "#[tokio::test] async fn f() {}", "protocol may not use the crate tokio"),
        ("app.rs", "use crate::cli;", "app may not import cli"),
        ("common/mod.rs", "", "common is not a room"),
    ] {
        assert_eq!(wrong_imports(path, text), BTreeSet::from([format!("src/{path}: {expected}")]), "{text}");
    }
}

#[test]
fn an_allowed_import_is_not_found() {
    for (path, text) in [
        ("http/token.rs", "use crate::{domain::Clock, flows::{self, store}, http::errors, protocol};"),
        (
            "http/token.rs",
            "// use crate::store;\n/* crate::store::x */ const A: &str = \"crate::store\"; const B: &str = r#\"crate::store\"#;",
        ),
        ("http/token.rs", "mod tests { use super::*; use super::super::errors; }"),
        ("cli/keys.rs", "use super::store::x; pub(in crate::cli) struct A; pub(crate) struct B;"),
        (
            "store/clients.rs",
            "fn f(sqlx: u8) { let axum = sqlx; } use sqlx::query; use self::tokio::x; use crate::store::axum::x;",
        ),
        ("lib.rs", "pub mod store;"),
    ] {
        assert_eq!(wrong_imports(path, text), BTreeSet::new(), "{text}");
    }
}

#[test]
fn a_row_of_the_coverage_table_needs_a_test_that_exists() {
    let rust = ["#[test]\nfn code_is_single_use() {}\n// fn only_in_a_comment()".to_owned()];
    let interop = ["test('signs in by keyboard', async () => {});".to_owned()];
    let head = "# Coverage\n\n| § | requirement | test |\n|---|---|---|\n";
    let rows = |row: &str| wrong_rows(&format!("{head}{row}\n"), &rust, &interop);
    assert!(rows("| 4.1.2 | once \\| only | `spec::rfc6749::code_is_single_use`, `signs in by keyboard` |").is_empty());
    assert_eq!(rows("| §4.1.2 | `code_is_single_use` --- twice ||").len(), 1);
    assert_eq!(rows("| 4.1.2 | once | `only_in_a_comment` |"), ["no such test: only_in_a_comment"]);
    assert_eq!(rows("| 4.1.2 | once | `code_is_single_use` `signs out` |"), ["no such test: signs out"]);
}
