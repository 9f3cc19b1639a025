//! Reads typed values out of the layers. It never stops at a problem: it notes it and goes on with the default, and it remembers
//! every key it was asked for, so what is left over at the end is what nobody knows.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::duration;
use super::layers::{Given, Layers, Origin};
use super::problems::{Problem, Wrong};
use super::secret_source;
use super::suggest;
use crate::domain::Secret;

/// A setting with a default and bounds.
pub(super) struct Bounded<T> {
    pub key: &'static str,
    pub default: T,
    pub least: T,
    pub most: T,
    /// Why the bounds are where they are, said to who exceeds them.
    pub why: &'static str,
}

pub(super) struct Reader {
    layers: Layers,
    /// Every key that exists, as far as it has been asked for.
    pub known: Vec<String>,
    problems: Vec<Problem>,
}

impl Reader {
    pub fn new(layers: Layers, problems: Vec<Problem>) -> Self {
        Self { layers, known: Vec::new(), problems }
    }

    /// A value that may be absent.
    pub fn optional<T>(&mut self, key: &str, parse: impl FnOnce(Given) -> Result<T, Wrong>) -> Option<T> {
        let given = self.take(key)?;
        let origin = given.origin.clone();
        self.keep(key, Some(&origin), parse(given))
    }

    /// A value that must be there; `None` always comes with a problem.
    pub fn required<T>(&mut self, key: &str, remedy: &str, parse: impl FnOnce(Given) -> Result<T, Wrong>) -> Option<T> {
        let Some(given) = self.take(key) else {
            self.report(key, None, Wrong::new("is missing", remedy));
            return None;
        };
        let origin = given.origin.clone();
        self.keep(key, Some(&origin), parse(given))
    }

    /// A secret that must be there, as `key` or as `key_file`; `None` always comes with a problem.
    pub fn required_secret<T>(
        &mut self,
        key: &str,
        remedy: &str,
        parse: impl FnOnce(Secret) -> Result<T, Wrong>,
    ) -> Option<T> {
        let file_key = format!("{key}_file");
        match (self.take(key), self.take(&file_key)) {
            (Some(given), None) => {
                let secret = given.text().map(|text| Secret::new(text.to_owned()));
                self.keep(key, Some(&given.origin), secret.and_then(parse))
            }
            (None, Some(given)) => {
                let secret = given.text().and_then(|path| secret_source::read_file(&given.origin.folder().join(path)));
                self.keep(&file_key, Some(&given.origin), secret.and_then(parse))
            }
            (Some(_), Some(given)) => {
                let what = format!("is set beside {file_key}");
                self.report(key, Some(&given.origin), Wrong::new(what, "keep one of the two"));
                None
            }
            (None, None) => {
                self.report(key, None, Wrong::new(format!("is missing, and so is {file_key}"), remedy));
                None
            }
        }
    }

    /// A secret inside a table of a list, as `name` or as `name_file`; takes what it reads out of the table.
    pub fn secret_of_table(table: &mut Table, name: &str, folder: &Path) -> Result<Secret, Wrong> {
        let file_name = format!("{name}_file");
        match (table.remove(name), table.remove(&file_name)) {
            (Some(Value::String(text)), None) => Ok(Secret::new(text)),
            (None, Some(Value::String(path))) => secret_source::read_file(&folder.join(path)),
            _ => Err(Wrong::new(
                format!("has not exactly one text of {name} and {file_name}"),
                format!("give either {name} or {file_name}, in quotes"),
            )),
        }
    }

    /// A duration with bounds.
    pub fn duration(&mut self, setting: &Bounded<Duration>) -> Duration {
        self.optional(setting.key, |given| {
            let value = duration::parse(given.text()?)?;
            within(setting, value, duration::format)
        })
        .unwrap_or(setting.default)
    }

    /// A whole number with bounds.
    pub fn number<T>(&mut self, setting: &Bounded<T>) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        self.optional(setting.key, |given| {
            let number = given.integer()?;
            let value = T::try_from(number).map_err(|_| out_of_bounds(setting, number, |bound| bound.to_string()))?;
            within(setting, value, |value| value.to_string())
        })
        .unwrap_or(setting.default)
    }

    /// Notes that two settings do not go together.
    pub fn require(&mut self, holds: bool, key: &str, what: impl Into<String>, remedy: &str) {
        if !holds {
            self.report(key, None, Wrong::new(what, remedy));
        }
    }

    /// Notes a problem.
    pub fn report(&mut self, key: &str, origin: Option<&Origin>, wrong: Wrong) {
        let origin = origin.map(ToString::to_string);
        self.problems.push(Problem { key: key.to_owned(), origin, what: wrong.what, remedy: wrong.remedy });
    }

    /// Ends the reading: what nobody asked for is unknown.
    pub fn finish(mut self) -> Vec<Problem> {
        for (key, given) in std::mem::take(&mut self.layers).into_rest() {
            let nearest = suggest::nearest(&key, self.known.iter().map(String::as_str));
            let remedy = match nearest {
                _ if self.known.iter().any(|known| known.starts_with(&format!("{key}."))) => {
                    format!("{key} is a section: write [{key}] and its keys below")
                }
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "remove it; config/default.toml shows every key".to_owned(),
            };
            self.report(&key, Some(&given.origin), Wrong::new("is not a setting", remedy));
        }
        self.problems
    }

    fn take(&mut self, key: &str) -> Option<Given> {
        self.known.push(key.to_owned());
        self.layers.take(key)
    }

    fn keep<T>(&mut self, key: &str, origin: Option<&Origin>, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.report(key, origin, wrong)).ok()
    }
}

fn within<T: PartialOrd + Copy>(setting: &Bounded<T>, value: T, format: impl Fn(T) -> String) -> Result<T, Wrong> {
    if value < setting.least || value > setting.most {
        return Err(out_of_bounds(setting, format(value), format));
    }
    Ok(value)
}

fn out_of_bounds<T: Copy>(setting: &Bounded<T>, value: impl Display, format: impl Fn(T) -> String) -> Wrong {
    let (least, most) = (format(setting.least), format(setting.most));
    Wrong::new(format!("is {value}, which is not within {least} to {most}"), setting.why)
}
