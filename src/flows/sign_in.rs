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

/// What the person's own list of sessions shows of the browser.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// From where.
    pub origin: &'a Origin,
    /// The browser's name for itself.
    pub user_agent: Option<&'a str>,
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
        device: &Device<'_>,
    ) -> Result<SignIn, InternalError> {
        // In a storm most are sent away; they shall not cost the others the database.
        self.passwords.has_room()?;
        let identifier = normalize_identifier(&credentials.identifier);
        let found = store::users::find_for_sign_in(self.store.pool(), &identifier).await?;
        let key = self.failure_key(browser, &identifier, found.as_ref().map(|(user, _)| user.id))?;
        if let Some(seconds) = self.count_try(&key).await? {
            telemetry::sign_in("throttled");
            return Ok(SignIn::Wait { seconds });
        }
        let verified = match self.verified_hash(credentials.password, found.as_ref()).await {
            Ok(verified) => verified,
            Err(error) => {
                store::sign_in_failures::take_back(self.store.pool(), &key).await?;
                return Err(error);
            }
        };
        let started = match (verified, found) {
            (Some(phc), Some((user, _))) => self.start_session(&user, &phc, &key, browser, device).await?,
            _ => None,
        };
        let Some(cookies) = started else {
            telemetry::sign_in("refused");
            tracing::warn!(event = "sign_in.refused", correlation_id = device.origin.correlation_id, "security");
            return Ok(SignIn::Wrong);
        };
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

    /// The stored hash that the password fits, if it fits; under newer parameters if those have changed.
    async fn verified_hash(
        &self,
        password: Secret,
        found: Option<&(User, Option<String>)>,
    ) -> Result<Option<String>, InternalError> {
        if password.expose().len() > LONGEST_PASSWORD {
            return Ok(None);
        }
        let Some((user, Some(phc))) = found else {
            // The same work as for an account that exists (SECURITY 53).
            self.passwords.verify_nothing(password).await?;
            return Ok(None);
        };
        let again = Secret::new(password.expose().to_owned());
        let Verdict { matches, needs_rehash } = self.passwords.verify(password, phc.clone()).await?;
        if !matches || user.state != UserState::Active {
            return Ok(None);
        }
        if needs_rehash {
            let stronger = self.passwords.hash(again).await?;
            if store::users::replace_password_hash(self.store.pool(), &user.id, phc, &stronger).await? {
                return Ok(Some(stronger));
            }
        }
        Ok(Some(phc.clone()))
    }

    /// Makes the session, unless the account was locked or its password changed since it was verified.
    async fn start_session(
        &self,
        user: &User,
        phc: &str,
        failure_key: &[u8],
        browser: &Browser,
        device: &Device<'_>,
    ) -> Result<Option<NewCookies>, InternalError> {
        let now = self.clock.now();
        let token = self.random.token("");
        let authentication = Authentication { auth_time: now, acr: ACR_PASSWORD.into(), amr: vec!["pwd".into()] };
        let session = NewSession {
            id: SessionId(self.random.uuid_v7(now)),
            token_sha256: crypto::sha256(token.expose().as_bytes()),
            user_id: user.id,
            authentication: &authentication,
            expires_at: now + self.policy.session_absolute_lifetime,
            ip: device.origin.ip.map(|ip| ip.to_string()),
            user_agent: device.user_agent,
        };
        let mut tx = self.store.begin("sign in").await?;
        if !store::users::hold_for_sign_in(tx.conn(), &user.id, phc).await? {
            return Ok(None);
        }
        let renewed = match browser.session_sha256() {
            Some(old) => store::sessions::renew(tx.conn(), old, &session, now).await?,
            None => None,
        };
        if renewed.is_none() {
            if let Some(old) = browser.session_sha256() {
                let ended = store::sessions::end_by_token(tx.conn(), old, now).await?;
                self.note_logout(&mut tx, ended.as_slice()).await?;
            }
            store::sessions::insert(tx.conn(), &session, now).await?;
        }
        store::sign_in_failures::forget(tx.conn(), failure_key).await?;
        tx.commit().await?;
        Ok(Some(NewCookies { session: token, browser: self.random.token(""), device: self.device_cookie(user.id)? }))
    }
}
