//! What came of it: a text for people, and JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Args;
use super::clean_up::CleanUp;
use super::database::Size;
use super::probe::Measured;
use super::rotations::Rotated;
use crate::failure::Failure;
use crate::generator::Sample;
use crate::machine::{Description, Pinning};
use crate::report::{aligned, commit};

/// How much slower 99 of 100 requests may be in the big database.
const BAR: f64 = 1.5;

/// All results.
pub struct Report {
    settings: Value,
    machine: Description,
    pinning: Pinning,
    /// The version of PostgreSQL and its settings.
    pub postgresql: String,
    /// Before the fill.
    pub small: Vec<Measured>,
    /// After it.
    pub big: Vec<Measured>,
    /// After the rotations.
    pub rotated: Vec<Measured>,
    /// After the fill.
    pub sizes: Vec<Size>,
    /// After the rotations.
    pub sizes_after: Vec<Size>,
    /// The clean-up.
    pub clean_up: Option<CleanUp>,
    /// Each pattern of rotations.
    pub rotations: Vec<Rotated>,
    phases: Vec<(String, Duration)>,
    since: Instant,
}

impl Report {
    /// Still empty; the first phase begins now.
    pub fn new(args: &Args, machine: Description, pinning: Pinning) -> Self {
        let Args { users, grants, expired, rotations, seconds, fillfactor, .. } = args;
        Self {
            settings: json!({ "users": users, "grants": grants, "expired": expired, "rotations": rotations, "seconds": seconds,
                "fillfactor": fillfactor }),
            machine,
            pinning,
            postgresql: String::new(),
            small: Vec::new(),
            big: Vec::new(),
            rotated: Vec::new(),
            sizes: Vec::new(),
            sizes_after: Vec::new(),
            clean_up: None,
            rotations: Vec::new(),
            phases: Vec::new(),
            since: Instant::now(),
        }
    }

    /// A phase is over, and the next one begins.
    pub fn took(&mut self, phase: &str) {
        let took = self.since.elapsed();
        crate::progress(&format!("-- {phase}: {took:.1?}"));
        self.phases.push((phase.to_owned(), took));
        self.since = Instant::now();
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}, PostgreSQL {}\n{}\n{}\n\n",
            self.machine.sentence(),
            self.postgresql,
            self.pinning.sentence(),
            self.settings
        );
        text.push_str(&aligned(&self.latencies()));
        text.push('\n');
        text.push_str(&aligned(&self.table_of_sizes()));
        if let Some(clean_up) = &self.clean_up {
            let _ = write!(text, "\n{}", clean_up.sentences());
        }
        text.push('\n');
        text.push_str(&aligned(&self.table_of_rotations()));
        let _ = writeln!(text, "\nphases:");
        for (phase, took) in &self.phases {
            let _ = writeln!(text, "  {phase}: {:.1} s", took.as_secs_f64());
        }
        text
    }

    fn latencies(&self) -> Vec<Vec<String>> {
        let titles = [
            "workload",
            "conn.",
            "req/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "p99 to small",
            "bar",
            "CPU ms",
            "CPU to small",
        ];
        let mut rows = vec![row(&titles)];
        for (state, lines) in [("small", &self.small), ("big", &self.big), ("rotated", &self.rotated)] {
            for (line, small) in lines.iter().zip(&self.small) {
                let sample = &line.sample;
                let ratio = milliseconds(sample, 0.99) / milliseconds(&small.sample, 0.99);
                let met = if ratio <= BAR { "met" } else { "-" };
                rows.push(vec![
                    format!("{} {state}", line.workload),
                    line.connections.to_string(),
                    format!("{:.0}", sample.rate()),
                    format!("{:.2}", milliseconds(sample, 0.5)),
                    format!("{:.2}", milliseconds(sample, 0.99)),
                    format!("{:.2}", milliseconds(sample, 0.999)),
                    if state == "small" { String::new() } else { format!("{ratio:.2}") },
                    if state == "small" { String::new() } else { format!("{BAR} {met}") },
                    line.cost().map_or(String::new(), |cost| format!("{cost:.3}")),
                    line.cost().zip(small.cost()).map_or(String::new(), |(cost, small)| format!("{:.2}", cost / small)),
                ]);
            }
        }
        rows
    }

    fn table_of_sizes(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(&["size", "MiB", "bytes a row", "MiB after rotations"])];
        for size in &self.sizes {
            let after = self.sizes_after.iter().find(|after| after.name == size.name).map(|after| after.bytes);
            rows.push(vec![
                size.name.clone(),
                mebibytes(size.bytes),
                if size.rows > 0 { (size.bytes / size.rows).to_string() } else { String::new() },
                after.map_or(String::new(), mebibytes),
            ]);
        }
        rows
    }

    fn table_of_rotations(&self) -> Vec<Vec<String>> {
        let titles = [
            "pattern",
            "grants",
            "updates",
            "s",
            "a second",
            "HOT",
            "dead",
            "autovacuums",
            "heap MiB",
            "indexes MiB",
            "WAL a row",
        ];
        let mut rows = vec![row(&titles)];
        for Rotated { pattern, grants, took, before, after } in &self.rotations {
            let updates = after.updated - before.updated;
            rows.push(vec![
                pattern.name.to_owned(),
                grants.to_string(),
                updates.to_string(),
                format!("{:.1}", took.as_secs_f64()),
                format!("{:.0}", share(updates, 1) / took.as_secs_f64()),
                format!("{:.2} %", 100.0 * share(after.hot - before.hot, updates)),
                after.dead.to_string(),
                (after.autovacuums - before.autovacuums).to_string(),
                format!("{} -> {}", mebibytes(before.heap_bytes), mebibytes(after.heap_bytes)),
                format!("{} -> {}", mebibytes(before.index_bytes), mebibytes(after.index_bytes)),
                format!("{:.0} B", share(after.wal_bytes - before.wal_bytes, updates)),
            ]);
        }
        rows
    }

    /// Writes the JSON.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let lines = |lines: &[Measured]| lines.iter().map(Measured::json).collect::<Vec<_>>();
        let document = json!({
            "commit": commit(),
            "machine": self.machine,
            "pinning": self.pinning,
            "postgresql": self.postgresql,
            "settings": self.settings,
            "small": lines(&self.small),
            "big": lines(&self.big),
            "rotated": lines(&self.rotated),
            "sizes": self.sizes,
            "sizes_after": self.sizes_after,
            "clean_up": self.clean_up.as_ref().map(CleanUp::json),
            "rotations": self.rotations.iter().map(Rotated::json).collect::<Vec<_>>(),
            "phases": self.phases.iter().map(|(name, took)| json!([name, took.as_secs_f64()])).collect::<Vec<_>>(),
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, format!("{document:#}\n"))?)
    }
}

impl CleanUp {
    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let removed = self.removed as f64;
        if self.took.is_zero() { 0.0 } else { removed / self.took.as_secs_f64() }
    }

    fn sentences(&self) -> String {
        let line = |name, sample: &Sample| {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| milliseconds(sample, share));
            format!("  refresh {name}: {:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms\n", sample.rate())
        };
        format!(
            "clean-up: {} grants in {:.1} s, {:.0} a second, at {} connections\n{}{}",
            self.removed,
            self.took.as_secs_f64(),
            self.rate(),
            self.connections,
            line("before", &self.without),
            line("meanwhile", &self.with)
        )
    }

    fn json(&self) -> Value {
        json!({ "connections": self.connections, "removed": self.removed, "seconds": self.took.as_secs_f64(), "a_second": self.rate(),
            "refresh_before": sample(&self.without), "refresh_meanwhile": sample(&self.with) })
    }
}

impl Measured {
    fn json(&self) -> Value {
        json!({ "workload": self.workload, "connections": self.connections, "result": sample(&self.sample), "cpu_ms": self.cost() })
    }
}

impl Rotated {
    fn json(&self) -> Value {
        json!({ "pattern": self.pattern.name, "count": self.pattern.count, "grants": self.grants, "seconds": self.took.as_secs_f64(),
            "before": self.before, "after": self.after })
    }
}

fn sample(sample: &Sample) -> Value {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| milliseconds(sample, share));
    json!({ "requests": sample.latency.total(), "requests_per_second": sample.rate(), "p50_ms": p50, "p99_ms": p99, "p99_9_ms": p999 })
}

fn milliseconds(sample: &Sample, share: f64) -> f64 {
    sample.latency.quantile(share).unwrap_or_default().as_secs_f64() * 1e3
}

fn mebibytes(bytes: i64) -> String {
    (bytes >> 20).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}
