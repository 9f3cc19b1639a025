//! What is known about the browser behind a request: its cookies, its session, its forms.

use uuid::Uuid;

use crate::crypto;
use crate::domain::{ClientId, Consent, Secret, Session, UserId};
use crate::store;

use super::{Engine, InternalError};

/// The cookies of a browser.
pub struct Browser {
    /// A random value that every browser gets with its first page; forms are bound to it.
    pub id: Secret,
    /// Whether the value was made just now and must be sent along.
    pub is_new: bool,
    /// The session cookie.
    pub session: Option<Secret>,
    /// Proof that somebody signed in here before.
    pub device: Option<Secret>,
}

/// The forms that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The sign-in form.
    Login,
    /// The consent form.
    Consent,
    /// The logout form.
    Logout,
    /// The form for a device's code.
    UserCode,
    /// The form that decides about a device.
    Device,
}

impl Form {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Login => b"login",
            Self::Consent => b"consent",
            Self::Logout => b"logout",
            Self::UserCode => b"user code",
            Self::Device => b"device decision",
        }
    }
}

const CSRF: &str = "csrf";
const DEVICE: &str = "device";

impl Browser {
    /// Reads cookie values; a browser without the first one gets a new one.
    #[must_use]
    pub fn read(engine: &Engine, id: Option<&str>, session: Option<&str>, device: Option<&str>) -> Self {
        let secret = |value: &str| Secret::new(value.to_owned());
        let known = id.filter(|id| id.len() == 43);
        Self {
            id: known.map_or_else(|| engine.random.token(""), secret),
            is_new: known.is_none(),
            session: session.map(secret),
            device: device.map(secret),
        }
    }

    fn csrf_parts<'a>(&'a self, form: Form, request: &'a str) -> [&'a [u8]; 4] {
        let session = self.session.as_ref().map_or("", Secret::expose);
        [form.label(), self.id.expose().as_bytes(), session.as_bytes(), request.as_bytes()]
    }

    /// The SHA-256 under which the session is stored.
    #[must_use]
    pub fn session_sha256(&self) -> Option<[u8; 32]> {
        self.session.as_ref().map(|value| crypto::sha256(value.expose().as_bytes()))
    }
}

impl Engine {
    /// A token for one form, one request and one browser session. It dies when the session cookie changes.
    ///
    /// # Errors
    /// No key.
    pub fn csrf_token(&self, browser: &Browser, form: Form, request: &str) -> Result<String, InternalError> {
        let keyring = self.snapshots.keyring()?;
        let tag = crypto::mac_tag(&keyring, CSRF, &browser.csrf_parts(form, request), self.clock.now());
        tag.ok_or(InternalError::NoKey("HMAC-SHA256"))
    }

    /// Whether a form was made by us for this very browser session and request.
    ///
    /// # Errors
    /// Memory that is not confirmed.
    pub fn csrf_fits(&self, browser: &Browser, form: Form, request: &str, token: &str) -> Result<bool, InternalError> {
        let keyring = self.snapshots.keyring()?;
        Ok(crypto::check_tag(&keyring, CSRF, &browser.csrf_parts(form, request), token, self.clock.now()))
    }

    /// The browser's live session and what its person allowed the client before.
    ///
    /// # Errors
    /// The database.
    pub async fn session(
        &self,
        browser: &Browser,
        client: Option<&ClientId>,
    ) -> Result<Option<(Session, Consent)>, InternalError> {
        let Some(sha256) = browser.session_sha256() else { return Ok(None) };
        let idle = self.policy.session_idle_lifetime;
        Ok(store::sessions::find_live(self.store.pool(), sha256, client, idle, self.clock.now()).await?)
    }

    /// A cookie that shows later that this person signed in with this browser. It does not sign anybody in.
    ///
    /// # Errors
    /// No key.
    pub(super) fn device_cookie(&self, user: UserId) -> Result<Secret, InternalError> {
        let device = Uuid::from_bytes(self.random.bytes());
        let keyring = self.snapshots.keyring()?;
        let tag = crypto::mac_tag(&keyring, DEVICE, &[user.0.as_bytes(), device.as_bytes()], self.clock.now());
        let tag = tag.ok_or(InternalError::NoKey("HMAC-SHA256"))?;
        Ok(Secret::new(format!("{}.{tag}", device.simple())))
    }

    /// The device of this browser, if this person signed in with it before.
    ///
    /// # Errors
    /// Memory that is not confirmed.
    pub(super) fn known_device(&self, browser: &Browser, user: UserId) -> Result<Option<Uuid>, InternalError> {
        let Some((device, tag)) = browser.device.as_ref().and_then(|value| value.expose().split_once('.')) else {
            return Ok(None);
        };
        let Ok(device) = Uuid::try_parse(device) else { return Ok(None) };
        let keyring = self.snapshots.keyring()?;
        let fits = crypto::check_tag(&keyring, DEVICE, &[user.0.as_bytes(), device.as_bytes()], tag, self.clock.now());
        Ok(fits.then_some(device))
    }
}
