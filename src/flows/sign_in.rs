//! Signing in with a password, and signing out of Keystead itself.

use crate::crypto::{self, Verdict};
use crate::domain::{Authentication, Origin, Secret, SessionId, User, UserId, UserState, normalize_identifier};
use crate::protocol::discovery::ACR_PASSWORD;
use crate::protocol::sign_in::next_try_at;
use crate::store::{self, sessions::NewSession};
use crate::telemetry;

use super::browser::Browser;
use super::{Engine, InternalError};

/// The longest password that is hashed; more is refused before any work.
const LONGEST_PASSWORD: usize = 4096;
/// The purpose of the key for names without an account.
const NOBODY: &str = "name without account";

/// What the sign-in form says.
pub struct Credentials {
    /// E-mail address or user name.
    pub identifier: String,
    /// The password, every byte of it.
    pub password: Secret,
}

/// What came of a try.
pub enum SignIn {
    /// Signed in; the browser gets new cookies.
    Done(NewCookies),
    /// Wrong name or password, or an account that may not sign in: the same answer for all, so that nobody learns which accounts exist.
    Wrong,
    /// Too many failures in a row.
    Wait {
        /// Seconds until the next try counts.
        seconds: i64,
    },
}

/// New cookie values. Every sign-in changes them all, so that nobody can plant one beforehand (session fixation).
pub struct NewCookies {
    /// The session.
    pub session: Secret,
    /// The value that forms are bound to.
    pub browser: Secret,
    /// Proof of an earlier sign-in.
    pub device: Secret,
}

impl Engine {
    /// Tries to sign a person in.
    ///
    /// # Errors
    /// The database, or a full hash queue; a try that could not be judged does not count.
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        browser: &Browser,
        origin: &Origin,
        user_agent: Option<&str>,
    ) -> Result<SignIn, InternalError> {
        let identifier = normalize_identifier(&credentials.identifier);
        let found = store::users::find_for_sign_in(self.store.pool(), &identifier).await?;
        let key = self.failure_key(browser, &identifier, found.as_ref().map(|(user, _)| user.id))?;
        if let Some(seconds) = self.count_try(&key).await? {
            telemetry::sign_in("throttled");
            return Ok(SignIn::Wait { seconds });
        }
        let matches = match self.password_matches(credentials.password, found.as_ref()).await {
            Ok(matches) => matches,
            Err(error) => {
                store::sign_in_failures::take_back(self.store.pool(), &key).await?;
                return Err(error);
            }
        };
        let user = found.map(|(user, _)| user).filter(|user| matches && user.state == UserState::Active);
        let Some(user) = user else {
            telemetry::sign_in("refused");
            tracing::warn!(event = "sign_in.refused", "security");
            return Ok(SignIn::Wrong);
        };
        let cookies = self.start_session(&user, &key, browser, origin, user_agent).await?;
        telemetry::sign_in("accepted");
        Ok(SignIn::Done(cookies))
    }

    /// Under which key failures are counted: the account and, in a browser that signed in there before, its device. So a stranger who
    /// guesses cannot lock the owner out of a known browser. Names without an account share about a million keys, so that nobody can
    /// make the table grow without limit.
    fn failure_key(&self, browser: &Browser, identifier: &str, user: Option<UserId>) -> Result<Vec<u8>, InternalError> {
        let Some(user) = user else {
            // Under a secret key: a stranger who could compute which names share a key would exhaust one of them, and see by the
            // answer for the other that it has no account either (SECURITY 53).
            let keyring = self.snapshots.keyring()?;
            let tag = crypto::mac_tag(&keyring, NOBODY, &[identifier.as_bytes()], self.clock.now());
            let [a, b, c, ..] = crypto::sha256(tag.ok_or(InternalError::NoKey("HMAC-SHA256"))?.as_bytes());
            return Ok(vec![a & 0x0F, b, c]);
        };
        let mut key = user.0.as_bytes().to_vec();
        if let Some(device) = self.known_device(browser, user)? {
            key.extend_from_slice(device.as_bytes());
        }
        Ok(key)
    }

    /// Counts this try as failed before the password is looked at: of guesses that arrive together, each is counted.
    async fn count_try(&self, key: &[u8]) -> Result<Option<i64>, InternalError> {
        loop {
            let now = self.clock.now();
            let seen = store::sign_in_failures::find(self.store.pool(), key).await?;
            let mut failures = seen.map_or(0, |seen| seen.failures);
            if let Some(seen) = seen {
                let next = next_try_at(seen.failures, seen.last_failed_at, self.policy.consecutive_failures);
                // A clock that jumped back must not make the wait longer than it can be.
                let wait = (next - now).whole_milliseconds().clamp(0, 86_400_000);
                if wait > 0 {
                    return Ok(Some(i64::try_from(wait / 1000).unwrap_or(86_400) + 1));
                }
                failures = seen.failures;
            }
            if store::sign_in_failures::count(self.store.pool(), key, failures, now).await? {
                return Ok(None);
            }
        }
    }

    async fn password_matches(
        &self,
        password: Secret,
        found: Option<&(User, Option<String>)>,
    ) -> Result<bool, InternalError> {
        if password.expose().len() > LONGEST_PASSWORD {
            return Ok(false);
        }
        let Some((user, Some(phc))) = found else {
            // The same work as for an account that exists (SECURITY 53).
            self.passwords.verify_nothing(password).await?;
            return Ok(false);
        };
        let again = Secret::new(password.expose().to_owned());
        let Verdict { matches, needs_rehash } = self.passwords.verify(password, phc.clone()).await?;
        if matches && needs_rehash {
            let stronger = self.passwords.hash(again).await?;
            store::users::replace_password_hash(self.store.pool(), &user.id, phc, &stronger).await?;
        }
        Ok(matches)
    }

    async fn start_session(
        &self,
        user: &User,
        failure_key: &[u8],
        browser: &Browser,
        origin: &Origin,
        user_agent: Option<&str>,
    ) -> Result<NewCookies, InternalError> {
        let now = self.clock.now();
        let token = self.random.token("");
        let authentication = Authentication { auth_time: now, acr: ACR_PASSWORD.into(), amr: vec!["pwd".into()] };
        let session = NewSession {
            id: SessionId(self.random.uuid_v7(now)),
            token_sha256: crypto::sha256(token.expose().as_bytes()),
            user_id: user.id,
            authentication: &authentication,
            expires_at: now + self.policy.session_absolute_lifetime,
            ip: origin.ip.map(|ip| ip.to_string()),
            user_agent,
        };
        let mut tx = self.store.begin("sign in").await?;
        let renewed = match browser.session_sha256() {
            Some(old) => store::sessions::renew(tx.conn(), old, &session, now).await?,
            None => None,
        };
        if renewed.is_none() {
            if let Some(old) = browser.session_sha256() {
                store::sessions::end_by_token(tx.conn(), old, now).await?;
            }
            store::sessions::insert(tx.conn(), &session, now).await?;
        }
        store::sign_in_failures::forget(tx.conn(), failure_key).await?;
        tx.commit().await?;
        Ok(NewCookies { session: token, browser: self.random.token(""), device: self.device_cookie(user.id)? })
    }
}
