//! Where values come from: a TOML file, over it the environment, over that what the program itself sets. The result is one flat
//! map from dotted keys to untyped values, each of which remembers its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::environment::Environment;
use super::problems::{Problem, Wrong};

const PREFIX: &str = "KEYSTEAD__";
/// What hosting platforms and PostgreSQL's own tools call the database.
const DATABASE_URL: &str = "DATABASE_URL";

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A command-line flag.
    Flag(&'static str),
    /// A default of `keystead dev`.
    Dev,
}

impl Origin {
    /// A path written here counts from this folder: that of the file, or the working directory.
    pub fn folder(&self) -> &Path {
        match self {
            Self::File(file) => file.parent().unwrap_or(Path::new("")),
            Self::Variable(_) | Self::Flag(_) | Self::Dev => Path::new(""),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "in {}", file.display()),
            Self::Variable(name) => write!(f, "in the environment variable {name}"),
            Self::Flag(flag) => write!(f, "given with {flag}"),
            Self::Dev => f.write_str("set by keystead dev"),
        }
    }
}

/// An untyped value and its origin. It may be a secret, so it has no `Debug`.
pub(super) struct Given {
    pub value: Value,
    pub origin: Origin,
}

impl Given {
    pub fn text(&self) -> Result<&str, Wrong> {
        self.value.as_str().ok_or_else(|| self.wrong_type("text", "write it in quotes"))
    }

    /// A whole number; the environment can only write it as text.
    pub fn integer(&self) -> Result<i64, Wrong> {
        match (&self.value, &self.origin) {
            (Value::Integer(number), _) => Ok(*number),
            (Value::String(text), Origin::Variable(_)) => text.trim().parse().map_err(|_| {
                Wrong::new(format!("is {text:?}, which is not a whole number"), "write digits only, without a unit")
            }),
            _ => Err(self.wrong_type("a whole number", "write digits only, without quotes or a unit")),
        }
    }

    /// True or false; the environment can only write it as text.
    pub fn boolean(&self) -> Result<bool, Wrong> {
        match (&self.value, &self.origin) {
            (Value::Boolean(value), _) => Ok(*value),
            (Value::String(text), Origin::Variable(_)) => text
                .trim()
                .parse()
                .map_err(|_| Wrong::new(format!("is {text:?}, which is not a truth value"), "write true or false")),
            _ => Err(self.wrong_type("a truth value", "write true or false without quotes")),
        }
    }

    /// A list of texts; the environment separates them with commas.
    pub fn texts(&self) -> Result<Vec<&str>, Wrong> {
        let remedy = "write a list such as [\"10.0.0.0/8\"]; in a variable separate the values with commas";
        match (&self.value, &self.origin) {
            (Value::String(text), Origin::Variable(_)) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            (Value::Array(items), _) => items
                .iter()
                .map(|item| item.as_str().ok_or_else(|| self.wrong_type("a list of texts", remedy)))
                .collect(),
            _ => Err(self.wrong_type("a list of texts", remedy)),
        }
    }

    /// A list of tables; the environment writes it as a TOML list.
    pub fn tables(self) -> Result<Vec<Table>, Wrong> {
        let remedy = "write a list of tables, such as [{ id = \"1\", key_file = \"/run/secrets/key-1\" }]";
        let wrong = self.wrong_type("a list of tables", remedy);
        let list = match (self.value, &self.origin) {
            (Value::String(text), Origin::Variable(_)) => {
                // The parser's own message would quote the text, which may hold a key.
                let parsed: Result<Table, _> = format!("list = {text}").parse();
                parsed
                    .ok()
                    .and_then(|mut table| table.remove("list"))
                    .ok_or_else(|| Wrong::new("is not TOML", remedy))?
            }
            (value, _) => value,
        };
        let Value::Array(items) = list else { return Err(wrong) };
        let tables: Option<Vec<Table>> = items
            .into_iter()
            .map(|item| match item {
                Value::Table(table) => Some(table),
                _ => None,
            })
            .collect();
        tables.ok_or(wrong)
    }

    fn wrong_type(&self, expected: &str, remedy: &str) -> Wrong {
        Wrong::new(format!("is of type {}, not {expected}", self.value.type_str()), remedy)
    }
}

/// All values by dotted key.
#[derive(Default)]
pub(super) struct Layers(BTreeMap<String, Given>);

impl Layers {
    /// Takes a value out.
    pub fn take(&mut self, key: &str) -> Option<Given> {
        self.0.remove(key)
    }

    /// What nobody has taken.
    pub fn into_rest(self) -> impl Iterator<Item = (String, Given)> {
        self.0.into_iter()
    }

    /// Sets a value over all that is there.
    pub fn set(&mut self, key: &str, value: impl Into<Value>, origin: Origin) {
        self.lay_over(BTreeMap::from([(key.to_owned(), Given { value: value.into(), origin })]));
    }

    /// Reads the TOML file.
    pub fn read_file(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        let file_problem = |what: String, remedy: &str| Problem {
            key: path.display().to_string(),
            origin: None,
            what,
            remedy: remedy.to_owned(),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(file_problem(
                    format!("cannot be read: {error}"),
                    "correct the path, or let Keystead read it",
                ));
                return;
            }
        };
        match text.parse::<Table>() {
            Ok(table) => {
                let mut values = BTreeMap::new();
                flatten("", table, &Origin::File(path.to_owned()), &mut values);
                self.lay_over(values);
            }
            Err(error) => {
                // Only the message: the parser's own rendering quotes the line, which may hold a secret.
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                problems.push(file_problem(
                    format!("is not TOML: line {line}: {}", error.message()),
                    "correct that line; config/default.toml shows every key",
                ));
            }
        }
    }

    /// Lays `KEYSTEAD__SECTION__KEY` and `DATABASE_URL` over what is there.
    pub fn read_environment(&mut self, environment: &Environment, problems: &mut Vec<Problem>) {
        let mut values = BTreeMap::new();
        for (name, value) in environment.iter() {
            let Some(name) = name.to_str() else { continue };
            let key = match name.strip_prefix(PREFIX) {
                Some(key) => key.replace("__", ".").to_ascii_lowercase(),
                None if name == DATABASE_URL && !value.is_empty() && !names_database(environment) => {
                    "database.url".to_owned()
                }
                None => continue,
            };
            let origin = Origin::Variable(name.to_owned());
            match value.to_str() {
                Some(text) => {
                    values.insert(key, Given { value: text.into(), origin });
                }
                None => problems.push(Problem {
                    key,
                    origin: Some(origin.to_string()),
                    what: "is not valid UTF-8".to_owned(),
                    remedy: "write the value in UTF-8".to_owned(),
                }),
            }
        }
        self.lay_over(values);
    }

    /// A secret may come as `key` or as `key_file`: whichever an upper layer has replaces both of the lower ones.
    fn lay_over(&mut self, upper: BTreeMap<String, Given>) {
        for key in upper.keys() {
            self.0.remove(&format!("{key}_file"));
            if let Some(by_value) = key.strip_suffix("_file") {
                self.0.remove(by_value);
            }
        }
        self.0.extend(upper);
    }
}

/// Whether the database is named by Keystead's own variables, which say more than `DATABASE_URL`.
fn names_database(environment: &Environment) -> bool {
    ["KEYSTEAD__DATABASE__URL", "KEYSTEAD__DATABASE__URL_FILE"].iter().any(|name| environment.variable(name).is_some())
}

fn flatten(prefix: &str, table: Table, origin: &Origin, values: &mut BTreeMap<String, Given>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, origin, values),
            value => {
                values.insert(key, Given { value, origin: origin.clone() });
            }
        }
    }
}
