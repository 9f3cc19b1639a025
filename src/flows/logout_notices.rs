//! Back-channel logout: clients are told on the server's own way that a session is over (OpenID Connect Back-Channel Logout 1.0).
//!
//! What has to be told lies in the database, in the transaction that ended the session; whatever replica comes to it tells it, at least
//! once, again and again for a day.

use std::time::Duration as Wait;

use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use super::issue::sign;
use super::{Engine, InternalError, subject};
use crate::domain::{Client, SessionId};
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
/// Told at once; the guarded client has a limit of its own.
const TOGETHER: i64 = 16;
/// Longer than the guarded client takes for all of them.
const LEASE: Duration = Duration::seconds(30);
/// After this a client is not told any more.
const LONGEST: Duration = Duration::days(1);
/// Without a sign that there is something to tell, it is looked for this often.
const USUAL_WAIT: Wait = Wait::from_secs(5);

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

    /// Tells what is due, and says how long to wait for more.
    ///
    /// # Errors
    /// The database.
    pub async fn tell_logouts(&self) -> Result<Wait, InternalError> {
        let pool = self.store.pool();
        let due = store::logout_notices::take(pool, TOGETHER, LEASE, self.clock.now()).await?;
        let outcomes = join_all(due.iter().map(|notice| self.tell(notice))).await;
        let all_taken = i64::try_from(due.len()).unwrap_or(i64::MAX) < TOGETHER;
        outcomes.into_iter().collect::<Result<(), InternalError>>()?;
        Ok(if all_taken { USUAL_WAIT } else { Wait::ZERO })
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
