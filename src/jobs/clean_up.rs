//! Removes rows that nobody needs any more, in small steps, on one replica at a time.

use std::time::Duration;

use time::Duration as Span;

use crate::domain::Timestamp;
use crate::flows::{InternalError, SharedEngine};
use crate::store::housekeeping;
use crate::telemetry;

/// Grants and sessions are kept this long after they expired, so that their clients and people can be told why.
const KEEP_ENDED: Span = Span::days(1);
/// A count of failed sign-ins is forgotten this long after the last failure.
const KEEP_FAILURES: Span = Span::days(2);
/// Steps of one table in one round; more waits for the next round.
const MOST_STEPS: usize = 20;

pub(super) async fn run(engine: SharedEngine, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = round(&engine).await {
            tracing::warn!(%error, "clean-up failed; will try again");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Table {
    RevokedTokens,
    Grants,
    Sessions,
    SignInFailures,
}

impl Table {
    const ALL: [Self; 4] = [Self::RevokedTokens, Self::Grants, Self::Sessions, Self::SignInFailures];

    fn name(self) -> &'static str {
        match self {
            Self::RevokedTokens => "revoked_tokens",
            Self::Grants => "grants",
            Self::Sessions => "sessions",
            Self::SignInFailures => "sign_in_failures",
        }
    }
}

async fn round(engine: &SharedEngine) -> Result<(), InternalError> {
    for table in Table::ALL {
        for _ in 0..MOST_STEPS {
            match step(engine, table, engine.clock.now()).await? {
                None | Some(0) => break,
                Some(rows) => telemetry::cleaned(table.name(), rows),
            }
        }
    }
    Ok(())
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
    };
    tx.commit().await?;
    Ok(Some(rows))
}
