//! Rotations by the million, without the server and by a shorter form of its statement: what they leave behind in the table.
#![expect(clippy::disallowed_methods, reason = "the server's statement, cut down to what a rotation needs")]

use std::time::{Duration, Instant};

use sqlx::types::Uuid;

use super::database::{Counts, Database};
use crate::failure::Failure;

/// As many as the server puts into one statement.
const BATCH: u64 = 128;
/// A prime larger than any table: its multiples visit every grant once, in no order.
const STRIDE: u128 = 2_654_435_761;
/// One of so many grants is hot.
const HOT: usize = 100;

const ROTATE: &str = "UPDATE grants g
    SET generation = g.generation + 1, mac_kid = g.mac_kid, rotated_at = now(), idle_expires_at = LEAST(now() + interval '30 days', g.expires_at)
    FROM unnest($1::uuid[]) AS q (grant_id), users u, clients c
    WHERE g.id = q.grant_id AND g.ended_at IS NULL AND g.expires_at > now() AND g.idle_expires_at > now()
      AND u.id = g.user_id AND u.locked_at IS NULL AND c.id = g.client_id AND g.created_at >= c.tokens_not_before";

/// Which grants are rotated, in which order.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// For the report.
    pub name: &'static str,
    /// How many rotations.
    pub count: u64,
    /// Only every so many grants.
    every: usize,
    /// Whether neighbours in the table are rotated together, as those who signed in together are when their tokens expire together.
    in_order: bool,
}

/// All of them.
pub fn patterns(count: u64) -> [Pattern; 3] {
    [
        Pattern { name: "rotations: spread", count, every: 1, in_order: false },
        Pattern { name: "rotations: hot", count, every: HOT, in_order: false },
        Pattern { name: "rotations: neighbours", count: count / 10, every: 1, in_order: true },
    ]
}

/// What came of one.
pub struct Rotated {
    /// Which.
    pub pattern: Pattern,
    /// Grants among which the rotations were spread.
    pub grants: usize,
    /// In all.
    pub took: Duration,
    /// Counted before.
    pub before: Counts,
    /// And afterwards.
    pub after: Counts,
}

/// Rotates.
pub async fn rotate(database: &mut Database, live: &[Uuid], pattern: Pattern) -> Result<Rotated, Failure> {
    let grants = live.len() / pattern.every;
    let before = database.counts().await?;
    database.run("SET plan_cache_mode = force_generic_plan").await?;
    let (begin, mut done) = (Instant::now(), 0);
    while done < pattern.count {
        let count = BATCH.min(pattern.count - done).min(grants as u64);
        let ids: Vec<Uuid> = (done..done + count).map(|number| live[place(number, grants, pattern)]).collect();
        let rotated = sqlx::query(ROTATE).bind(ids).execute(&mut database.connection).await?.rows_affected();
        if rotated != count {
            return Err(Failure::new(format!("{rotated} of {count} grants were rotated")));
        }
        done += count;
        if done % (BATCH * 8192) == 0 {
            crate::progress(&format!("{}: {done} after {:.0?}", pattern.name, begin.elapsed()));
        }
    }
    let took = begin.elapsed();
    database.run("RESET plan_cache_mode").await?;
    let after = database.counts().await?;
    Ok(Rotated { pattern, grants, took, before, after })
}

fn place(number: u64, grants: usize, pattern: Pattern) -> usize {
    let step = if pattern.in_order { 1 } else { STRIDE };
    usize::try_from(u128::from(number) * step % grants as u128).unwrap_or(0) * pattern.every
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_visits_every_grant_once() {
        let [spread, ..] = patterns(1000);
        let places: std::collections::HashSet<usize> = (0..1000).map(|number| place(number, 1000, spread)).collect();
        assert_eq!(places.len(), 1000);
    }
}
