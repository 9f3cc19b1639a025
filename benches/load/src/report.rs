//! What came of a run: the table for people, and the JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Args;
use crate::account::Used;
use crate::failure::Failure;
use crate::generator::Sample;
use crate::machine::{Description, Pinning};
use crate::speed::Speed;
use crate::storm::Storm;
use crate::workload::{Bar, P99_BAR_MS, P99_CONNECTIONS};

/// The share of the time from which on the load generator counts as the limit.
const BUSY: f64 = 0.95;

/// What one target made of a workload.
#[derive(Default)]
pub struct Outcome {
    /// What was counted.
    pub sample: Sample,
    used: Used,
    /// Resident memory afterwards, in bytes.
    pub memory: Option<u64>,
}

impl Outcome {
    /// Adds a round.
    pub fn add(&mut self, sample: Sample, used: Used) {
        self.sample.append(sample);
        self.used.add(&used);
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        Some(self.sample.latency.quantile(share)?.as_secs_f64() * 1e3)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn cpu_a_thousand(&self, used: Option<Duration>) -> Option<f64> {
        (self.sample.performed > 0).then(|| Some(used?.as_secs_f64() * 1e3 / self.sample.performed as f64))?
    }

    /// Processor seconds of a thousand requests, in the server and in PostgreSQL.
    fn cost(&self) -> Option<f64> {
        Some(self.cpu_a_thousand(self.used.server())? + self.cpu_a_thousand(self.used.database())?)
    }

    fn json(&self) -> Value {
        let errors: serde_json::Map<String, Value> =
            self.sample.errors.iter().map(|(failure, count)| (failure.0.clone(), json!(count))).collect();
        json!({
            "requests_per_second": self.sample.rate(),
            "requests": self.sample.latency.total(),
            "p50_ms": self.quantile(0.5),
            "p99_ms": self.quantile(0.99),
            "p99_9_ms": self.quantile(0.999),
            "errors": errors,
            "cpu_seconds_per_1000": self.cpu_a_thousand(self.used.server()),
            "postgresql_cpu_seconds_per_1000": self.cpu_a_thousand(self.used.database()),
            "resident_bytes": self.memory,
            "load_generator_busy": self.used.load_share(),
        })
    }
}

/// One line of the table.
pub struct Line {
    name: String,
    connections: usize,
    bar: Option<Bar>,
    /// Of the open loop: operations due in a second.
    arrival_rate: Option<u32>,
    /// The server.
    pub keystead: Outcome,
    /// What it is compared with.
    pub reference: Outcome,
}

impl Line {
    /// Still empty.
    pub fn new(name: &str, connections: usize, bar: Option<Bar>) -> Self {
        let (keystead, reference) = (Outcome::default(), Outcome::default());
        Self { name: name.to_owned(), connections, bar, arrival_rate: None, keystead, reference }
    }

    /// The same with operations due at this rate.
    pub fn due(self, per_second: u32) -> Self {
        Self { arrival_rate: Some(per_second), ..self }
    }

    /// One of the two outcomes.
    pub fn side(&mut self, is_server: bool) -> &mut Outcome {
        if is_server { &mut self.keystead } else { &mut self.reference }
    }

    /// Whether it is one kind of the mixed workload, whose sum is another line.
    fn is_part(&self) -> bool {
        self.name.starts_with(' ')
    }

    fn errors(&self) -> u64 {
        self.keystead.sample.error_count() + self.reference.sample.error_count()
    }

    fn share(&self) -> f64 {
        let reference = self.reference.sample.rate();
        if reference > 0.0 { self.keystead.sample.rate() / reference } else { 0.0 }
    }

    /// What the reference costs in relation to the server: the ratio that would be if nothing else used the processor.
    fn share_by_cpu(&self) -> Option<f64> {
        let (server, reference) = (self.keystead.cost()?, self.reference.cost()?);
        (server > 0.0).then(|| reference / server)
    }

    fn bar_met(&self) -> Option<bool> {
        self.bar.map(|bar| match bar {
            Bar::Share(share) => self.share() >= share,
            Bar::Rate(rate) => self.keystead.sample.rate() >= rate,
        })
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        let milliseconds = |value: Option<f64>| number(value, 2);
        let memory = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| (bytes >> 20).to_string());
        let bar = self.bar.map_or(String::new(), |bar| match bar {
            Bar::Share(share) => format!("{:.0} %", share * 100.0),
            Bar::Rate(rate) => format!("{rate:.0}/s"),
        });
        let met = self.bar_met().map_or("", |met| if met { " met" } else { " -" });
        let server = &self.keystead;
        vec![
            self.name.clone(),
            self.connections.to_string(),
            number(Some(server.sample.rate()), 0),
            number(Some(self.reference.sample.rate()), 0),
            format!("{:.0} %", self.share() * 100.0),
            self.share_by_cpu().map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
            format!("{bar}{met}"),
            milliseconds(server.quantile(0.5)),
            milliseconds(server.quantile(0.99)),
            milliseconds(server.quantile(0.999)),
            milliseconds(self.reference.quantile(0.99)),
            self.errors().to_string(),
            number(server.cpu_a_thousand(server.used.server()), 4),
            number(server.cpu_a_thousand(server.used.database()), 4),
            memory(server.memory),
        ]
    }

    /// Whatever makes the numbers of this line less than they seem.
    fn add_remarks(&self, text: &mut String, slowness: f64) {
        for (side, outcome) in [("Keystead", &self.keystead), ("reference", &self.reference)] {
            let place = format!("{} {} {side}", self.name, self.connections);
            for (failure, count) in &outcome.sample.errors {
                let _ = writeln!(text, "ERROR {place}, {count} times: {}", failure.0);
            }
            if self.bar.is_some()
                && self.connections == P99_CONNECTIONS
                && let Some(p99) = outcome.quantile(0.99).filter(|p99| *p99 > P99_BAR_MS)
            {
                let there = p99 / slowness;
                let _ = writeln!(
                    text,
                    "NOTE {place}: p99 is {p99:.1} ms (bar {P99_BAR_MS} ms; in proportion {there:.1} ms there)"
                );
            }
            let rate = outcome.sample.rate();
            if let Some(Bar::Rate(bar)) = self.bar
                && rate < bar
            {
                let there = rate * slowness;
                let _ = writeln!(text, "NOTE {place}: {rate:.0}/s (bar {bar:.0}/s; in proportion {there:.0}/s there)");
            }
            match self.arrival_rate {
                Some(due) if rate < 0.98 * f64::from(due) => {
                    let _ = writeln!(text, "NOTE {place}: fell behind, {rate:.0} instead of {due} a second");
                }
                None if outcome.used.load_share().is_some_and(|share| share > BUSY) => {
                    let _ =
                        writeln!(text, "NOTE {place}: the load generator was busy all the time and may be the limit");
                }
                _ => {}
            }
        }
    }

    fn json(&self) -> Value {
        json!({
            "workload": self.name.trim(),
            "connections": self.connections,
            "ratio": self.share(),
            "ratio_by_cpu": self.share_by_cpu(),
            "bar": self.bar,
            "bar_met": self.bar_met(),
            "keystead": self.keystead.json(),
            "reference": self.reference.json(),
        })
    }
}

/// Titles of the columns, each in two lines.
const TITLES: [(&str, &str); 15] = [
    ("workload", ""),
    ("conn.", ""),
    ("Keystead", "req/s"),
    ("reference", "req/s"),
    ("ratio", ""),
    ("ratio", "by CPU"),
    ("bar", ""),
    ("p50", "ms"),
    ("p99", "ms"),
    ("p99.9", "ms"),
    ("ref. p99", "ms"),
    ("errors", ""),
    ("CPU s/1000", "Keystead"),
    ("CPU s/1000", "PostgreSQL"),
    ("memory", "MiB"),
];

/// What the lines depend on.
pub struct Conditions {
    pub machine: Description,
    pub pinning: Pinning,
    /// The version of PostgreSQL.
    pub postgresql: String,
    /// From the start of the server's process to its first answer.
    pub start: Duration,
    /// How fast the machine is.
    pub speed: Speed,
}

/// All lines, and what they depend on.
pub struct Report {
    conditions: Conditions,
    settings: Value,
    lines: Vec<Line>,
    /// The server's resident memory a moment after all was over.
    pub memory_at_the_end: Option<u64>,
    /// What a storm of sign-ins did.
    pub storm: Option<Storm>,
}

impl Report {
    /// Without lines yet.
    pub fn new(conditions: Conditions, args: &Args) -> Self {
        let settings = json!({ "seconds": args.seconds, "rate": args.rate, "only": args.only });
        Self { conditions, settings, lines: Vec::new(), memory_at_the_end: None, storm: None }
    }

    /// Adds a line and shows that it goes on.
    pub fn add(&mut self, line: Line) {
        if !line.is_part() {
            crate::progress(&format!("{} {}: {:.0}/s", line.name, line.connections, line.keystead.sample.rate()));
        }
        self.lines.push(line);
    }

    /// Errors in the storm and in all lines but the parts of the mixed one, which are in its total.
    pub fn errors(&self) -> u64 {
        let lines: u64 = self.lines.iter().filter(|line| !line.is_part()).map(Line::errors).sum();
        lines + self.storm.as_ref().map_or(0, Storm::errors)
    }

    /// The table with what stands around it.
    pub fn text(&self) -> String {
        let mut rows: Vec<Vec<String>> = vec![
            TITLES.iter().map(|(title, _)| (*title).to_owned()).collect(),
            TITLES.iter().map(|(_, unit)| (*unit).to_owned()).collect(),
        ];
        rows.extend(self.lines.iter().map(Line::cells));
        let Conditions { machine, pinning, postgresql, start, speed } = &self.conditions;
        let mut text = format!("{}, PostgreSQL {postgresql}\n{}\n", machine.sentence(), pinning.sentence());
        let _ = writeln!(text, "{}\n\n{}", speed.sentence(), aligned(&rows));
        let (start, slowness) = (start.as_secs_f64() * 1e3, speed.slowness());
        let there = start / slowness;
        let _ = writeln!(
            text,
            "start to first 200 on a migrated database: {start:.0} ms (bar 100 ms; in proportion {there:.0} ms there)"
        );
        if let Some(bytes) = self.memory_at_the_end {
            let _ = writeln!(text, "resident memory three seconds after all: {} MiB (bar 48 MiB)", bytes >> 20);
        }
        for line in self.lines.iter().filter(|line| !line.is_part()) {
            line.add_remarks(&mut text, slowness);
        }
        if let Some(storm) = &self.storm {
            text.push_str(&storm.text());
        }
        text
    }

    /// Writes the JSON.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let document = json!({
            "commit": commit(),
            "machine": self.conditions.machine,
            "es256_signature_us": self.conditions.speed.micros(),
            "pinning": self.conditions.pinning,
            "postgresql": self.conditions.postgresql,
            "settings": self.settings,
            "start_ms": self.conditions.start.as_secs_f64() * 1e3,
            "resident_bytes_at_the_end": self.memory_at_the_end,
            "errors": self.errors(),
            "storm": self.storm.as_ref().map(Storm::json),
            "workloads": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, format!("{document:#}\n"))?)
    }
}

/// Which version was measured, if this is a checkout; with a plus behind it if files differ from that.
pub fn commit() -> Option<String> {
    let described = Command::new("git").args(["describe", "--always", "--dirty=+", "--abbrev=12"]).output().ok()?;
    described.status.success().then(|| String::from_utf8_lossy(&described.stdout).trim().to_owned())
}

/// Columns as wide as their widest cell; the first to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = if index == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") };
            text.push_str(&cell);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}
