//! How often a password may be tried (NIST SP 800-63B §3.2.2; SECURITY 52).

use time::Duration;

use crate::domain::Timestamp;

/// Failures in a row that cost no waiting: a person who mistypes is not punished.
const FREE_FAILURES: i32 = 10;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::minutes(15);

/// From when the next try counts, after so many failures in a row. `limit` is the number at which the account refuses this kind of
/// browser for a day.
#[must_use]
pub fn next_try_at(failures: i32, last_failed_at: Timestamp, limit: i32) -> Timestamp {
    if failures < FREE_FAILURES {
        return last_failed_at;
    }
    if failures >= limit {
        return last_failed_at + Duration::days(1);
    }
    let doublings = u32::try_from(failures - FREE_FAILURES).unwrap_or(0).min(20);
    last_failed_at + Duration::seconds(1_i64 << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Clock;

    #[test]
    fn security_52_waiting_doubles_after_ten_failures_and_ends_in_a_day_at_the_limit() {
        let at = Clock::System.now();
        let wait = |failures| (next_try_at(failures, at, 100) - at).whole_seconds();
        assert_eq!([wait(0), wait(9), wait(10), wait(11), wait(14), wait(40), wait(99)], [0, 0, 1, 2, 16, 900, 900]);
        assert_eq!(wait(100), 86_400);
    }
}
