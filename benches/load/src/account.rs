//! What the processes of a run have used: processor time before and after a load.

use std::time::{Duration, Instant};

use crate::{generator, machine};

/// Processor time up to an instant.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    server: Option<Duration>,
    database: Option<Duration>,
    idle: Duration,
    at: Instant,
}

impl Account {
    /// Up to now: of a server and of what descends from `database`; and how idle this process was.
    pub fn draw(server: u32, database: u32) -> Self {
        Self {
            server: machine::cpu_time(server),
            database: machine::cpu_time_of_descendants(database),
            idle: generator::idle(),
            at: Instant::now(),
        }
    }

    /// What was used since an earlier account.
    pub fn since(&self, before: &Self) -> Used {
        let difference = |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?));
        Used {
            server: difference(self.server, before.server),
            database: difference(self.database, before.database),
            idle: self.idle.saturating_sub(before.idle),
            wall: self.at - before.at,
        }
    }
}

/// Processor time of some rounds, and how long they lasted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    server: Option<Duration>,
    database: Option<Duration>,
    idle: Duration,
    wall: Duration,
}

impl Used {
    /// Of the server under load.
    pub fn server(&self) -> Option<Duration> {
        self.server
    }

    /// Of all processes of PostgreSQL.
    pub fn database(&self) -> Option<Duration> {
        self.database
    }

    /// The share of the time in which the load generator was busy itself.
    pub fn load_share(&self) -> Option<f64> {
        (!self.wall.is_zero()).then(|| 1.0 - self.idle.as_secs_f64() / self.wall.as_secs_f64())
    }

    /// Adds another round.
    pub fn add(&mut self, more: &Self) {
        let sum = |mine: Option<Duration>, theirs: Option<Duration>| Some(mine.unwrap_or_default() + theirs?);
        *self = Self {
            server: sum(self.server, more.server),
            database: sum(self.database, more.database),
            idle: self.idle + more.idle,
            wall: self.wall + more.wall,
        };
    }
}
