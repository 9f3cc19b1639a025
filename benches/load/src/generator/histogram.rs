//! Latencies, counted in buckets that are at most 1 % wide.

use std::time::Duration;

/// Buckets to each power of two.
const FINENESS: u32 = 7;
const BUCKETS: usize = ((64 - FINENESS) as usize) << FINENESS;

/// How often each duration occurred.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        self.counts[bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that this share of all did not exceed; `None` when nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are far below 2^52, and the share is between 0 and 1"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        Some(Duration::from_nanos(upper_end(index)))
    }
}

/// Small values have a bucket each; larger ones share it with those that agree in the first eight binary digits.
fn bucket(nanos: u64) -> usize {
    let magnitude = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINENESS + 1);
    let digits = nanos >> magnitude;
    usize::try_from((u64::from(magnitude) << FINENESS) + digits).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

fn upper_end(index: usize) -> u64 {
    let index = index as u64;
    let magnitude = (index >> FINENESS).saturating_sub(1);
    let digits = index - (magnitude << FINENESS);
    ((digits + 1) << magnitude) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_recorded_and_is_at_most_one_per_cent_wide() {
        for nanos in (0..2000).chain([12_345, 999_999, 1_000_000, 123_456_789, 60_000_000_000]) {
            let end = upper_end(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 100, "{nanos} is counted as {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = histogram.quantile(share).unwrap().as_secs_f64() * 1e6;
            assert!((found - expected).abs() <= expected / 100.0, "{share}: {found} instead of {expected}");
        }
    }
}
