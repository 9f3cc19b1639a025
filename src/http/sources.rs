//! How often a source may do something, counted in the memory of this process.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota};

use crate::domain::{ClientId, Origin};

/// Sources that are remembered before the quiet ones are forgotten.
const MOST_SOURCES: usize = 100_000;

/// How often one registration changes: each change is told to every replica, whoever makes it from however many addresses.
const CHANGES_PER_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// So many changes of each client's registration.
pub(super) struct ChangeLimit(DefaultKeyedRateLimiter<ClientId>);

impl ChangeLimit {
    pub(super) fn new() -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_hour(CHANGES_PER_HOUR)))
    }

    /// Whether this client may once more.
    pub(super) fn allows(&self, id: &ClientId) -> bool {
        if self.0.len() > MOST_SOURCES {
            self.0.retain_recent();
        }
        self.0.check_key(id).is_ok()
    }
}

/// So many of something in a minute or an hour for each source.
pub(super) struct SourceLimit(DefaultKeyedRateLimiter<IpAddr>);

impl SourceLimit {
    /// So many in a minute.
    pub(super) fn per_minute(most: u32) -> Self {
        let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_minute(most)))
    }

    /// So many in an hour.
    pub(super) fn per_hour(most: u32) -> Self {
        let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_hour(most)))
    }

    /// Whether this source may once more.
    pub(super) fn allows(&self, origin: &Origin) -> bool {
        let Some(source) = origin.source() else { return true };
        // Sources that have been quiet for so long are as good as unknown ones.
        if self.0.len() > MOST_SOURCES {
            self.0.retain_recent();
        }
        self.0.check_key(&source).is_ok()
    }
}
