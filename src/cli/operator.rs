//! What the commands that look at or change an installation share: settings, engine, who acts, how answers are shown.

use std::path::PathBuf;

use serde::Serialize;

use super::Failure;
use crate::app;
use crate::config::{self, Environment};
use crate::crypto::Random;
use crate::domain::{Actor, Clock, Origin};
use crate::flows::SharedEngine;
use crate::flows::admin::{AdminError, Caller, Page, PageRequest};

/// Which installation, and how to show the answer.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Settings file; environment variables `KEYSTEAD__SECTION__KEY` come after it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the JSON documents of the admin API instead of text.
    #[arg(long)]
    json: bool,
}

/// The command line at work on a database.
pub struct Operator {
    /// Its use cases.
    pub engine: SharedEngine,
    /// Whom the audit trail names.
    pub caller: Caller,
    json: bool,
}

impl Target {
    /// Reads the settings and makes sure that the database is there and migrated.
    ///
    /// # Errors
    /// The settings, the database, or a schema of another version.
    pub async fn connect(&self) -> Result<Operator, Failure> {
        let settings = config::load(self.config.as_deref(), &Environment::of_this_process())?;
        let engine = app::engine(settings, Clock::System, Random::system())?;
        let pending = engine.store.pending_migrations().await?;
        if !pending.is_empty() {
            return Err(Failure::new("the database is not migrated; run `keystead migrate` first"));
        }
        let caller = Caller { actor: Actor::Cli, origin: Origin::default() };
        Ok(Operator { engine, caller, json: self.json })
    }
}

impl Operator {
    /// Prints the answer in the form that was asked for.
    pub fn show(&self, document: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            super::say(&serde_json::to_string_pretty(document).unwrap_or_default());
        } else {
            super::say(text().trim_end());
        }
    }

    /// Prints one sentence about what was done; for programs the exit code says it.
    pub fn tell(&self, sentence: &str) {
        if !self.json {
            super::say(sentence);
        }
    }
}

/// Reads a list to its end.
pub async fn all<T, K>(
    mut read: impl AsyncFnMut(PageRequest<K>) -> Result<Page<T>, AdminError>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, AdminError> {
    let mut items = Vec::new();
    loop {
        let page = read(PageRequest { after: items.last().map(&key), limit: 200 }).await?;
        items.extend(page.items);
        if !page.more {
            return Ok(items);
        }
    }
}

/// Lays rows out in columns, the first row as their titles.
pub fn table<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![titles.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] =
        std::array::from_fn(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0));
    let padded = lines.iter().map(|line| {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    padded.collect::<Vec<_>>().join("\n")
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound => Self::new("there is nothing of this name; the command `list` shows what is there"),
            AdminError::Invalid(problems) => {
                let lines: Vec<String> = problems.iter().map(|p| format!("{} {}", p.field, p.sentence)).collect();
                Self::new(lines.join("\n       "))
            }
            AdminError::Conflict(sentence) => Self::new(sentence),
            AdminError::Internal(error) => Self::from(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["länger".to_owned(), String::new()]];
        assert_eq!(table(["ID", "COUNT"], rows), "ID      COUNT\na       1\nlänger");
    }
}
