//! Back-channel logout: clients are told on the server's own way that a session is over (OpenID Connect Back-Channel Logout 1.0).
//!
//! What has to be told lies in the database, in the transaction that ended the session; whatever replica comes to it tells it, at least
//! once, again and again for a day.

use std::collections::HashMap;
use std::time::Duration as Wait;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use time::Duration;

use super::issue::sign;
use super::{Engine, InternalError, in_time, subject};
use crate::domain::{Client, ClientId, SessionId};
use crate::protocol::claims::numeric_date;
use crate::store::logout_notices::LogoutNotice;
use crate::store::{self, Tx};
use crate::telemetry;

/// JOSE `typ` of logout tokens (§2.4).
const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";
/// The one event (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token is good; it is made anew for each try.
const LIFETIME: Duration = Duration::minutes(2);
/// Told at once by a replica.
const TOGETHER: usize = 64;
/// Told at once to one client, so that one that is slow or away leaves room for the others.
const TOGETHER_TO_ONE: usize = 8;
/// Longer than the guarded client takes for one.
const LEASE: Duration = Duration::seconds(30);
/// A transaction is usually committed by then; otherwise the next turn finds what it noted.
const COMMITTING: Wait = Wait::from_millis(20);
/// After this a client is not told any more.
const LONGEST: Duration = Duration::days(1);

impl Engine {
    /// Notes in the transaction that ends these sessions who has to be told.
    ///
    /// # Errors
    /// The database.
    pub async fn note_logout(&self, tx: &mut Tx, ended: &[SessionId]) -> Result<(), InternalError> {
        if store::logout_notices::insert(tx.conn(), ended, self.clock.now()).await? > 0 {
            // The transaction may not be visible yet when the job looks; it then finds the notice on its next turn.
            self.logout_noted.notify_one();
        }
        Ok(())
    }

    /// Tells what is due until all of it was tried, also what becomes due meanwhile.
    ///
    /// # Errors
    /// The database. What was taken and not told is told after its lease, by whatever replica.
    pub async fn tell_logouts(&self) -> Result<(), InternalError> {
        let mut under_way = UnderWay::default();
        let mut telling = FuturesUnordered::new();
        loop {
            let free = TOGETHER_TO_ONE.min(TOGETHER - telling.len());
            let due = self.due_notices(free, &under_way.busy()).await?;
            let all_taken = due.len() < free;
            for notice in due {
                under_way.begin(&notice.client_id);
                // After the lease the notice is another's anyway.
                telling
                    .push(async move { (in_time(LEASE.unsigned_abs(), self.tell(&notice)).await, notice.client_id) });
            }
            if !all_taken && telling.len() < TOGETHER {
                continue;
            }
            let told = tokio::select! {
                told = telling.next() => told,
                // New ones are not kept waiting for one that is slow.
                () = self.hear_of_logout(), if !telling.is_empty() => continue,
            };
            match told {
                Some((outcome, client)) => {
                    under_way.end(&client);
                    if let Err(error) = outcome {
                        // One that cannot be told must not keep the others from it; it is taken again after its lease.
                        tracing::warn!(client_id = client.as_str(), %error, "word of a logout could not be sent; will try again");
                    }
                }
                None => return Ok(()),
            }
        }
    }

    async fn due_notices(&self, most: usize, busy: &[String]) -> Result<Vec<LogoutNotice>, InternalError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let taken = store::logout_notices::take(self.store.pool(), most, busy, LEASE, self.clock.now());
        in_time(LEASE.unsigned_abs(), async { Ok(taken.await?) }).await
    }

    /// Ends when this replica noted something to tell, a little later than the sign, so that the transaction that gave it is committed.
    pub async fn hear_of_logout(&self) {
        self.logout_noted.notified().await;
        tokio::time::sleep(COMMITTING).await;
    }

    async fn tell(&self, notice: &LogoutNotice) -> Result<(), InternalError> {
        let pool = self.store.pool();
        let client = self.snapshots.client(&notice.client_id)?.filter(|client| client.disabled_at.is_none());
        let address = client.as_ref().and_then(|client| client.metadata.protocol.backchannel_logout_uri.as_deref());
        let (Some(client), Some(address)) = (&client, address) else {
            // It does not want to be told any more.
            return Ok(store::logout_notices::remove(pool, notice).await?);
        };
        let token = self.logout_token(client, notice)?;
        let reason = match self.outbound.post_form(address, "logout_token", &token).await {
            // §2.8: 200; some frameworks answer 204.
            Ok(200 | 204) => {
                telemetry::logout_notice("delivered");
                return Ok(store::logout_notices::remove(pool, notice).await?);
            }
            Ok(status) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        let now = self.clock.now();
        let (client_id, attempts) = (notice.client_id.as_str(), notice.attempts);
        if now - notice.created_at >= LONGEST {
            telemetry::logout_notice("given_up");
            tracing::warn!(client_id, attempts, reason, "a client could not be told of a logout; given up");
            return Ok(store::logout_notices::remove(pool, notice).await?);
        }
        telemetry::logout_notice("failed");
        tracing::warn!(client_id, attempts, reason, "a client could not be told of a logout; will try again");
        Ok(store::logout_notices::put_off(pool, notice, now + pause(attempts)).await?)
    }

    /// §2.4.
    fn logout_token(&self, client: &Client, notice: &LogoutNotice) -> Result<String, InternalError> {
        let now = self.clock.now();
        let algorithm = client.metadata.id_token_signed_response_alg;
        let keyring = self.snapshots.keyring()?;
        let claims = json!({
            "iss": self.policy.issuer,
            "aud": client.id,
            "sub": subject::person_in(&keyring, client, notice.user_id)?,
            "sid": subject::session_in(&keyring, client, notice.session_id)?,
            "iat": numeric_date(now),
            "exp": numeric_date(now + LIFETIME),
            "jti": self.random.token("").expose(),
            "events": { EVENT: {} },
        });
        sign(self, algorithm, LOGOUT_TOKEN_TYPE, &claims)
    }
}

/// How many notices are on their way to each client.
#[derive(Default)]
struct UnderWay(HashMap<ClientId, usize>);

impl UnderWay {
    fn begin(&mut self, client: &ClientId) {
        *self.0.entry(client.clone()).or_default() += 1;
    }

    fn end(&mut self, client: &ClientId) {
        if let Some(count) = self.0.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(client);
            }
        }
    }

    /// Those that have to answer first.
    fn busy(&self) -> Vec<String> {
        let busy = self.0.iter().filter(|(_, count)| **count >= TOGETHER_TO_ONE);
        busy.map(|(client, _)| client.as_str().to_owned()).collect()
    }
}

/// How long to wait after the n-th try: 5 seconds, then four times as long each time, at most an hour.
fn pause(attempts: i32) -> Duration {
    let doubled = 4_i64.checked_pow(u32::try_from(attempts - 1).unwrap_or(0)).unwrap_or(i64::MAX);
    Duration::seconds(doubled.saturating_mul(5)).min(Duration::hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rarer_and_never_rarer_than_hourly() {
        let pauses: Vec<i64> = (1..9).map(|attempts| pause(attempts).whole_seconds()).collect();
        assert_eq!(pauses, [5, 20, 80, 320, 1280, 3600, 3600, 3600]);
        assert_eq!(pause(i32::MAX), Duration::hours(1));
    }
}
