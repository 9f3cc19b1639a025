//! Removes rows that nobody needs any more, in small steps, on one replica at a time.

use std::time::{Duration, Instant};

use time::Duration as Span;

use crate::domain::Timestamp;
use crate::flows::{InternalError, SharedEngine, in_time, registration};
use crate::store::housekeeping;
use crate::telemetry;

/// Grants and sessions are kept this long after they expired, so that their clients and people can be told why.
const KEEP_ENDED: Span = Span::days(1);
/// A count of failed sign-ins is forgotten this long after the last failure.
const KEEP_FAILURES: Span = Span::days(2);
/// A device that asks late is told for this long that its code has expired. Short, since strangers can make such rows.
const KEEP_DEVICES: Span = Span::minutes(15);
/// Clocks that are kept by the network differ by less.
const MOST_AHEAD: Span = Span::minutes(5);
/// Steps of one table in one round; more waits for the next round.
const MOST_STEPS: usize = 100;
/// After each step nobody cleans for this many times as long as it took, so that those who wait for an answer hardly meet one.
const REST: u32 = 4;
/// The next round comes this soon when the last one left something.
const BREATH: Duration = Duration::from_secs(1);

pub(super) async fn run(engine: SharedEngine, interval: Duration) {
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        pause = match in_time(super::LONGEST_WORK, clean_up(&engine)).await {
            Ok(true) => BREATH,
            Ok(false) => interval,
            Err(error) => {
                tracing::warn!(%error, "clean-up failed; will try again");
                interval
            }
        };
    }
}

#[derive(Debug, Clone, Copy)]
enum Table {
    RevokedTokens,
    Grants,
    Sessions,
    SignInFailures,
    UsedProofs,
    DeviceAuthorizations,
    PushedRequests,
    InitialAccessTokens,
    AuditEvents,
}

impl Table {
    const ALL: [Self; 9] = [
        Self::RevokedTokens,
        Self::Grants,
        Self::Sessions,
        Self::SignInFailures,
        Self::UsedProofs,
        Self::DeviceAuthorizations,
        Self::PushedRequests,
        Self::InitialAccessTokens,
        Self::AuditEvents,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::RevokedTokens => "revoked_tokens",
            Self::Grants => "grants",
            Self::Sessions => "sessions",
            Self::SignInFailures => "sign_in_failures",
            Self::UsedProofs => "used_proofs",
            Self::DeviceAuthorizations => "device_authorizations",
            Self::PushedRequests => "pushed_requests",
            Self::InitialAccessTokens => "initial_access_tokens",
            Self::AuditEvents => "audit_events",
        }
    }
}

/// One round, unless this machine's clock is ahead of the database's: then what lives would seem to have expired, and there is no way
/// back from a deletion. True: there is more to do.
///
/// # Errors
/// The database.
pub async fn clean_up(engine: &SharedEngine) -> Result<bool, InternalError> {
    let ahead = engine.store.clock_lead(engine.clock.now()).await?;
    if ahead > MOST_AHEAD {
        let seconds = ahead.whole_seconds();
        tracing::warn!(
            seconds,
            "this machine's clock is ahead of the database's; nothing is cleaned up until both are right"
        );
        return Ok(false);
    }
    remove_expired(engine).await
}

/// One round over all tables, by the engine's clock. True: there is more to do.
///
/// # Errors
/// The database.
pub async fn remove_expired(engine: &SharedEngine) -> Result<bool, InternalError> {
    // Before the grants, which tell that a client is in use.
    let mut more = remove_unused_clients(engine).await?;
    for table in Table::ALL {
        let mut steps = 0;
        while steps < MOST_STEPS {
            let began = Instant::now();
            let Some(rows @ 1..) = step(engine, table, engine.clock.now()).await? else { break };
            telemetry::cleaned(table.name(), rows);
            steps += 1;
            tokio::time::sleep(began.elapsed() * REST).await;
        }
        more |= steps == MOST_STEPS;
    }
    Ok(more)
}

/// Removes clients that registered themselves and that nobody uses. True: there is more to do.
async fn remove_unused_clients(engine: &SharedEngine) -> Result<bool, InternalError> {
    for _ in 0..MOST_STEPS {
        let began = Instant::now();
        let mut tx = engine.store.begin("remove unused clients").await?;
        if !housekeeping::try_lock(tx.conn()).await? {
            return Ok(false);
        }
        let rows = registration::remove_unused(engine, &mut tx).await?;
        // Also when there was nothing to do: the next step wants the lock.
        tx.commit().await?;
        let Some(rows) = rows else { return Ok(false) };
        telemetry::cleaned("clients", rows);
        tokio::time::sleep(began.elapsed() * REST).await;
    }
    Ok(true)
}

/// One step in a transaction of its own; nothing when another replica cleans.
async fn step(engine: &SharedEngine, table: Table, now: Timestamp) -> Result<Option<u64>, InternalError> {
    let mut tx = engine.store.begin("clean up").await?;
    if !housekeeping::try_lock(tx.conn()).await? {
        return Ok(None);
    }
    let rows = match table {
        Table::RevokedTokens => housekeeping::revoked_tokens(tx.conn(), now).await?,
        Table::Grants => housekeeping::grants(tx.conn(), now - KEEP_ENDED).await?,
        Table::Sessions => housekeeping::sessions(tx.conn(), now - KEEP_ENDED).await?,
        Table::SignInFailures => housekeeping::sign_in_failures(tx.conn(), now - KEEP_FAILURES).await?,
        Table::AuditEvents => housekeeping::audit_events(tx.conn(), now - engine.policy.audit_retention).await?,
        Table::InitialAccessTokens => housekeeping::initial_access_tokens(tx.conn(), now - KEEP_ENDED).await?,
        // Replicas whose clocks differ must agree that a proof is too old before it is forgotten.
        Table::UsedProofs => housekeeping::used_proofs(tx.conn(), now - MOST_AHEAD).await?,
        Table::DeviceAuthorizations => housekeeping::device_authorizations(tx.conn(), now - KEEP_DEVICES).await?,
        Table::PushedRequests => housekeeping::pushed_requests(tx.conn(), now - MOST_AHEAD).await?,
    };
    tx.commit().await?;
    Ok(Some(rows))
}
