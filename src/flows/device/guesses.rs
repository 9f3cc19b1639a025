//! How many wrong user codes a source, and all of them together, may enter (RFC 8628 §5.1). In memory, per process; an account's count is in
//! the database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::Duration;

use crate::domain::Timestamp;

/// Wrong codes of one source or one account until it has to wait.
pub(super) const MOST: u32 = 20;
/// How long it has to wait, and how long a few wrong codes are remembered.
pub(super) const WHILE: Duration = Duration::minutes(10);
/// Wrong codes of all strangers together; then a code is looked at only after a sign-in. With ten thousand devices that wait, somebody
/// who has a thousand addresses hits one of them once in four hundred hours.
const MOST_IN_ALL: u32 = 1_000;

/// The counts.
#[derive(Default)]
pub struct Guesses(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_source: HashMap<IpAddr, Count>,
    strangers: Count,
}

#[derive(Clone, Copy)]
struct Count {
    wrong: u32,
    began: Timestamp,
    last: Timestamp,
}

impl Default for Count {
    fn default() -> Self {
        Self { wrong: 0, began: Timestamp::UNIX_EPOCH, last: Timestamp::UNIX_EPOCH }
    }
}

/// What a try is answered with before the code is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look at it; it counts as wrong until it is taken back.
    Look,
    /// This source guesses.
    Wait {
        /// Seconds until the next try counts.
        seconds: i64,
    },
    /// Strangers guess; somebody who has signed in is bounded by the account.
    SignInFirst,
}

impl Guesses {
    /// Counts a try as wrong before it is looked at: of guesses that arrive together, each is counted.
    pub(super) fn count(&self, source: Option<IpAddr>, signed_in: bool, now: Timestamp) -> Verdict {
        let mut counts = self.lock();
        if counts.by_source.len() > 10_000 {
            counts.by_source.retain(|_, count| count.end(MOST, now).is_some());
        }
        let seen = source.and_then(|source| counts.by_source.get(&source)).copied().unwrap_or_default();
        if let Some(until) = seen.end(MOST, now).filter(|_| seen.wrong >= MOST) {
            return Verdict::Wait { seconds: (until - now).whole_seconds() + 1 };
        }
        if !signed_in {
            let strangers = counts.strangers;
            if strangers.wrong >= MOST_IN_ALL && strangers.end(MOST_IN_ALL, now).is_some() {
                return Verdict::SignInFirst;
            }
            counts.strangers = strangers.and_one_more(MOST_IN_ALL, now);
        }
        if let Some(source) = source {
            counts.by_source.insert(source, seen.and_one_more(MOST, now));
        }
        Verdict::Look
    }

    /// The try was right.
    pub(super) fn take_back(&self, source: Option<IpAddr>, signed_in: bool) {
        let mut counts = self.lock();
        if !signed_in {
            counts.strangers.wrong = counts.strangers.wrong.saturating_sub(1);
        }
        if let Some(count) = source.and_then(|source| counts.by_source.get_mut(&source)) {
            count.wrong = count.wrong.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// Until when it is remembered, if it still is. A clock that jumped back must not make that longer.
    fn end(&self, most: u32, now: Timestamp) -> Option<Timestamp> {
        let end = if self.wrong >= most { self.last + WHILE } else { self.began + WHILE };
        (now < end && end <= now + WHILE).then_some(end)
    }

    fn and_one_more(self, most: u32, now: Timestamp) -> Self {
        match self.end(most, now) {
            Some(_) => Self { wrong: self.wrong + 1, last: now, ..self },
            None => Self { wrong: 1, began: now, last: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Clock;

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn security_44_after_20_wrong_codes_a_source_waits_and_others_do_not() {
        let (guesses, now) = (Guesses::default(), Clock::System.now());
        for _ in 0..20 {
            assert_eq!(guesses.count(Some(source(1)), true, now), Verdict::Look);
        }
        assert_eq!(guesses.count(Some(source(1)), true, now), Verdict::Wait { seconds: 601 });
        assert_eq!(guesses.count(Some(source(1)), false, now), Verdict::Wait { seconds: 601 });
        assert_eq!(guesses.count(Some(source(2)), false, now), Verdict::Look);
        assert_eq!(guesses.count(Some(source(1)), true, now + WHILE), Verdict::Look, "it is not for ever");
    }

    #[test]
    fn a_right_code_and_a_while_ago_do_not_count() {
        let (guesses, now) = (Guesses::default(), Clock::System.now());
        for _ in 0..100 {
            assert_eq!(guesses.count(Some(source(1)), false, now), Verdict::Look);
            guesses.take_back(Some(source(1)), false);
        }
        for minutes in 0..100 {
            assert_eq!(guesses.count(Some(source(1)), false, now + Duration::minutes(minutes)), Verdict::Look);
        }
    }

    #[test]
    fn security_44_when_strangers_from_everywhere_guess_only_people_who_sign_in_go_on() {
        let (guesses, now) = (Guesses::default(), Clock::System.now());
        let address = |n: u32| Some(IpAddr::from((0x0A00_0000 + n).to_be_bytes()));
        for n in 0..1_000 {
            assert_eq!(guesses.count(address(n), false, now), Verdict::Look);
        }
        assert_eq!(guesses.count(address(2_000), false, now), Verdict::SignInFirst);
        assert_eq!(guesses.count(address(2_000), true, now), Verdict::Look);
        assert_eq!(guesses.count(address(2_000), false, now + WHILE), Verdict::Look);
    }
}
