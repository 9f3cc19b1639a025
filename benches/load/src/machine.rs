//! The machine: which core does what, and what a process has used so far. Reads /proc; where there is none (macOS), the columns stay empty.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

/// `USER_HZ`, which Linux shows to programs whatever its real clock.
const TICKS_A_SECOND: u32 = 100;

/// Who runs where.
#[derive(Debug, Clone, Serialize)]
pub struct Pinning {
    /// The core of the server under load and of PostgreSQL, as `taskset` names it.
    server: Option<String>,
    /// The core of the load generator.
    load: Option<String>,
}

impl Pinning {
    /// Takes the first two cores that this process may use, and puts this process on the second.
    pub fn arrange() -> Self {
        let none = Self { server: None, load: None };
        let Some([server, load]) = first_two_cores() else { return none };
        let moved = Command::new("taskset").args(["-pc", &load, &std::process::id().to_string()]).output();
        if moved.is_ok_and(|output| output.status.success()) {
            Self { server: Some(server), load: Some(load) }
        } else {
            none
        }
    }

    /// A command that runs on the server's core.
    pub fn command(&self, program: &std::path::Path) -> tokio::process::Command {
        match &self.server {
            None => tokio::process::Command::new(program),
            Some(core) => {
                let mut command = tokio::process::Command::new("taskset");
                command.args(["-c", core]).arg(program);
                command
            }
        }
    }

    /// One sentence for the person who reads the table.
    pub fn sentence(&self) -> String {
        match (&self.server, &self.load) {
            (Some(server), Some(load)) => {
                format!(
                    "server, reference and PostgreSQL are pinned to core {server}, the load generator to core {load}"
                )
            }
            _ => "NOTHING IS PINNED, since there are not two cores or no taskset: do not compare these numbers"
                .to_owned(),
        }
    }
}

fn first_two_cores() -> Option<[String; 2]> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        cores.extend(from.parse::<u32>().ok()?..=to.parse().ok()?);
    }
    let &[server, load, ..] = cores.as_slice() else { return None };
    Some([server.to_string(), load.to_string()])
}

/// What the numbers depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    cpu: String,
    cores: usize,
    kernel: String,
    /// Of the last minute, before the run: what else the machine was busy with.
    load_average: Option<f64>,
}

impl Description {
    /// Of this machine, now.
    pub fn read() -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu: cpu.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load_average: load.split(' ').next().and_then(|number| number.parse().ok()),
        }
    }

    /// One sentence, with a warning if the machine is busy with something else.
    pub fn sentence(&self) -> String {
        let busy = self.load_average.filter(|load| *load > 0.7);
        let warning = busy.map(|load| format!("; BUSY WITH SOMETHING ELSE: load average {load}")).unwrap_or_default();
        format!("{}, {} cores, Linux {}{warning}", self.cpu, self.cores, self.kernel)
    }
}

/// The processor time that a process has used in all its threads.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    Some(ticks(Stat::read(pid)?.own))
}

/// The processor time that everything has used that descends from a process, without the process itself.
pub fn cpu_time_of_descendants(pid: u32) -> Option<Duration> {
    let entries = fs::read_dir("/proc").ok()?;
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<(u32, Stat)> = numbers.filter_map(|number| Some((number, Stat::read(number)?))).collect();
    let mut family = vec![pid];
    let mut total = 0;
    while let Some(parent) = family.pop() {
        for (child, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            // What its ended children used is in its own account; who still runs is in the list.
            total += stat.own + stat.ended_children;
            family.push(*child);
        }
    }
    Some(ticks(total))
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / TICKS_A_SECOND
}

struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `proc_pid_stat(5)`. The name, in parentheses, may hold spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // The state, field 3 of the manual, is the first one here.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended_children: number(16)? + number(17)?,
        })
    }
}

/// The resident memory of a process in bytes.
pub fn resident_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_stat_is_read_whatever_the_process_is_called() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.own, stat.ended_children), (3, 33, 77));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_memory(std::process::id()).is_none_or(|bytes| bytes > 100_000));
    }
}
