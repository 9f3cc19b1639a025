//! What a person does about a device in a browser (RFC 8628 §3.3): enters the code, signs in, decides.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guesses::{MOST, Verdict, WHILE};
use super::{Engine, InternalError, USER_CODE};
use crate::crypto;
use crate::domain::{
    Actor, AuditEvent, Client, DeviceRequest, GrantDetails, GrantId, GrantType, Origin, RedirectUri, RequestedClaims,
    Secret, Session,
};
use crate::flows::browser::Browser;
use crate::flows::sign_in::NewCookies;
use crate::protocol::device::{read_user_code, shown};
use crate::store;
use crate::telemetry;

const SEAL: &str = "device user code";

/// Where the person is led.
pub enum Next {
    /// The field for the code.
    Enter {
        /// What stands in it.
        user_code: String,
        /// Why the last code led nowhere.
        problem: Option<Problem>,
    },
    /// The sign-in page; afterwards the person comes back with the same code.
    SignIn {
        /// The code as it travels through the pages.
        sealed: String,
    },
    /// The page that says who asks for what.
    Confirm(Box<Confirmation>),
    /// It is decided.
    Decided {
        /// How.
        allowed: bool,
        /// Whose device it is.
        client: Arc<Client>,
    },
}

/// Why a code led nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Unknown, expired or decided: all the same to whoever guesses.
    Wrong,
    /// Too many wrong codes.
    Wait {
        /// Seconds until the next try counts.
        seconds: i64,
    },
}

/// A device that waits for the person's decision.
pub struct Confirmation {
    /// The code as it travels through the form.
    pub sealed: String,
    /// The code as the device shows it.
    pub user_code: String,
    /// What the device asks for.
    pub request: DeviceRequest,
    /// Whose device it is.
    pub client: Arc<Client>,
    /// Who is signed in.
    pub session: Session,
}

/// A code that somebody entered in a certain browser. In another browser it is only filled in: nobody can send a link that takes a step.
#[derive(Serialize, Deserialize)]
struct Entered {
    user_code: String,
    browser: [u8; 32],
}

enum Lookup {
    Found(DeviceRequest, Arc<Client>),
    SignInFirst,
    Problem(Problem),
}

/// The person entered a code.
///
/// # Errors
/// The database, memory that is not confirmed.
pub async fn enter(engine: &Engine, typed: &str, browser: &Browser, origin: &Origin) -> Result<Next, InternalError> {
    let session = engine.session(browser, None).await?.map(|(session, _)| session);
    go_on(engine, typed, session, browser, origin).await
}

/// The person comes back from the sign-in page, or reloads.
///
/// # Errors
/// As [`enter`].
pub async fn resume(engine: &Engine, sealed: &str, browser: &Browser, origin: &Origin) -> Result<Next, InternalError> {
    let user_code = match open(engine, sealed, browser)? {
        Ok(user_code) => user_code,
        Err(next) => return Ok(next),
    };
    let session = engine.session(browser, None).await?.map(|(session, _)| session);
    go_on(engine, &user_code, session, browser, origin).await
}

/// The person decided.
///
/// # Errors
/// As [`enter`].
pub async fn decide(
    engine: &Engine,
    sealed: &str,
    allowed: bool,
    browser: &Browser,
    origin: &Origin,
) -> Result<Next, InternalError> {
    let Confirmation { sealed, request, client, session, .. } = match resume(engine, sealed, browser, origin).await? {
        Next::Confirm(confirmation) => *confirmation,
        next => return Ok(next),
    };
    let now = engine.clock.now();
    let grant = allowed.then(|| GrantId(engine.random.uuid_v7(now)));
    let mut tx = engine.store.begin("device decision").await?;
    if !store::device_authorizations::decide(tx.conn(), request.id, grant, now).await? {
        return Ok(wrong(String::new()));
    }
    if let Some(id) = grant {
        let mac_kid = engine.snapshots.keyring()?.mac_kid(now).ok_or(InternalError::NoKey("HMAC-SHA256"))?;
        if !store::grants::insert(tx.conn(), id, &details(&request, &session), mac_kid, now).await? {
            // The person signed out meanwhile; nothing is decided.
            return Ok(Next::SignIn { sealed });
        }
        let event = AuditEvent {
            name: "device.allowed",
            actor: Actor::User(session.user_id),
            subject: id.to_string(),
            details: serde_json::json!({ "client_id": request.client_id, "user_id": session.user_id }),
        };
        engine.audit(&mut tx, &event, origin).await?;
    }
    tx.commit().await?;
    telemetry::device_authorization(if allowed { "allowed" } else { "denied" });
    Ok(Next::Decided { allowed, client })
}

/// The code for the browser as it is after a sign-in, which changes what the browser is known by. `None`: it was entered elsewhere.
///
/// # Errors
/// No key.
pub fn after_sign_in(
    engine: &Engine,
    sealed: &str,
    browser: &Browser,
    cookies: &NewCookies,
) -> Result<Option<String>, InternalError> {
    let Ok(user_code) = open(engine, sealed, browser)? else { return Ok(None) };
    seal(engine, &user_code, &cookies.browser).map(Some)
}

async fn go_on(
    engine: &Engine,
    typed: &str,
    session: Option<Session>,
    browser: &Browser,
    origin: &Origin,
) -> Result<Next, InternalError> {
    let read = read_user_code(typed);
    let user_code = read.as_deref().map_or_else(|| typed.chars().take(20).collect(), shown);
    let found = match look_up(engine, read.as_deref(), session.as_ref(), origin).await? {
        Lookup::Problem(problem) => {
            telemetry::user_code(if problem == Problem::Wrong { "wrong" } else { "throttled" });
            tracing::warn!(event = "device.user_code_refused", correlation_id = origin.correlation_id, "security");
            return Ok(Next::Enter { user_code, problem: Some(problem) });
        }
        Lookup::SignInFirst => None,
        Lookup::Found(request, client) => Some((request, client)),
    };
    let sealed = seal(engine, &user_code, &browser.id)?;
    Ok(match (found, session) {
        (Some((request, client)), Some(session)) => {
            Next::Confirm(Box::new(Confirmation { sealed, user_code, request, client, session }))
        }
        _ => Next::SignIn { sealed },
    })
}

/// Finds the device of a code, unless source or account have entered too many wrong ones.
async fn look_up(
    engine: &Engine,
    user_code: Option<&str>,
    session: Option<&Session>,
    origin: &Origin,
) -> Result<Lookup, InternalError> {
    let (now, source) = (engine.clock.now(), origin.source());
    match engine.user_code_guesses.count(source, session.is_some(), now) {
        Verdict::Look => {}
        Verdict::Wait { seconds } => return Ok(Lookup::Problem(Problem::Wait { seconds })),
        Verdict::SignInFirst => return Ok(Lookup::SignInFirst),
    }
    let account = session.map(|session| [b"d", session.user_id.0.as_bytes().as_slice()].concat());
    if let Some(account) = &account
        && let Some(seconds) = count_for_account(engine, account).await?
    {
        return Ok(Lookup::Problem(Problem::Wait { seconds }));
    }
    let keyring = engine.snapshots.keyring()?;
    let tags = user_code.map(|code| crypto::mac_tags(&keyring, USER_CODE, &[code.as_bytes()], now));
    let found = match tags {
        Some(tags) => store::device_authorizations::find_open(engine.store.pool(), &tags, now).await?,
        None => None,
    };
    let Some(request) = found else { return Ok(Lookup::Problem(Problem::Wrong)) };
    engine.user_code_guesses.take_back(source, session.is_some());
    if let Some(account) = &account {
        store::sign_in_failures::take_back(engine.store.pool(), account).await?;
    }
    let client = engine.snapshots.client(&request.client_id)?;
    let client = client.filter(|client| client.disabled_at.is_none() && client.may_use(GrantType::DeviceCode));
    Ok(client.map_or(Lookup::Problem(Problem::Wrong), |client| Lookup::Found(request, client)))
}

/// Counts a try of an account as wrong; the seconds that it has to wait, if it must. On whatever replica: the count is in the database.
async fn count_for_account(engine: &Engine, key: &[u8]) -> Result<Option<i64>, InternalError> {
    let pool = engine.store.pool();
    loop {
        let now = engine.clock.now();
        let seen = store::sign_in_failures::find(pool, key).await?;
        let recent = seen.filter(|seen| now < seen.last_failed_at + WHILE);
        let wrong = recent.map_or(0, |seen| seen.failures);
        if let Some(seen) = recent.filter(|seen| seen.failures >= MOST.cast_signed()) {
            return Ok(Some((seen.last_failed_at + WHILE - now).whole_seconds() + 1));
        }
        if seen.is_some() && recent.is_none() {
            store::sign_in_failures::forget(pool, key).await?;
        }
        if store::sign_in_failures::count(pool, key, wrong, now).await? {
            return Ok(None);
        }
    }
}

/// The code that was entered in this browser; otherwise the field for it, filled in where that can be.
fn open(engine: &Engine, sealed: &str, browser: &Browser) -> Result<Result<String, Next>, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let plain = crypto::unseal(&keyring, SEAL, sealed, engine.clock.now());
    let entered = plain.and_then(|plain| serde_json::from_slice::<Entered>(&plain).ok());
    Ok(match entered {
        Some(entered) if crypto::equal(&entered.browser, &name_of(&browser.id)) => Ok(entered.user_code),
        entered => {
            let user_code = entered.map(|entered| entered.user_code).unwrap_or_default();
            Err(Next::Enter { user_code, problem: None })
        }
    })
}

fn seal(engine: &Engine, user_code: &str, browser: &Secret) -> Result<String, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    let entered = Entered { user_code: user_code.to_owned(), browser: name_of(browser) };
    let plain = serde_json::to_vec(&entered).map_err(|_| InternalError::Unwritable("user code"))?;
    Ok(crypto::seal(&keyring, SEAL, &plain, engine.clock.now(), &engine.random)?)
}

fn name_of(browser: &Secret) -> [u8; 32] {
    crypto::sha256(browser.expose().as_bytes())
}

fn wrong(user_code: String) -> Next {
    Next::Enter { user_code, problem: Some(Problem::Wrong) }
}

/// The grant lives as long as the device code until the device comes. It has no redirect URI, so that no code could ever be redeemed for it.
fn details(request: &DeviceRequest, session: &Session) -> GrantDetails {
    GrantDetails {
        request_id: request.id,
        client_id: request.client_id.clone(),
        user_id: session.user_id,
        session_id: session.id,
        scope: request.scope.clone(),
        resources: request.resources.clone(),
        requested_claims: RequestedClaims::default(),
        authentication: session.authentication.clone(),
        nonce: None,
        redirect_uri: RedirectUri::from_registered(String::new()),
        code_challenge: None,
        // The key of the device's first token request becomes that of its tokens.
        dpop_jkt: None,
        code_expires_at: request.expires_at,
        expires_at: request.expires_at,
    }
}
