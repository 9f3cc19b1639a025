//! What one connection does: requests whose answers are checked. The same operations run against Keystead and against the reference.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::failure::Failure;
use crate::http::{self, Answer, Connection};

/// Requests of which each is sent once, shared by all connections.
#[derive(Clone, Default)]
pub struct Stock(Arc<Mutex<Vec<Vec<u8>>>>);

impl Stock {
    /// Puts one more in.
    pub fn put(&self, request: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Something that a connection does again and again.
pub enum Operation {
    /// One request, always the same.
    Same { request: Vec<u8>, expected: &'static str },
    /// Many requests, each again and again; connections start at different ones.
    Many { requests: Arc<Vec<Vec<u8>>>, next: usize, expected: &'static str },
    /// Requests that can be sent once only.
    Once { stock: Stock, expected: &'static str },
    /// A chain of refresh tokens.
    Refresh(Chain),
    /// Many chains, one after the other.
    RefreshEach(Circle),
    /// A person who signs in with a new browser.
    SignIn(SignIn),
    /// Somebody who tries passwords for names that do not exist.
    Guess(Guess),
}

impl Operation {
    /// Does it once. `false`: there is nothing left to do.
    pub async fn perform(&mut self, connection: &mut Connection) -> Result<bool, Failure> {
        match self {
            Self::Same { request, expected } => check(&connection.exchange(request).await?, expected)?,
            Self::Many { requests, next, expected } => {
                let request = &requests[*next % requests.len()];
                *next += 1;
                check(&connection.exchange(request).await?, expected)?;
            }
            Self::Once { stock, expected } => {
                let Some(request) = stock.take() else { return Ok(false) };
                check(&connection.exchange(&request).await?, expected)?;
            }
            Self::Refresh(chain) => chain.refresh(connection).await?,
            Self::RefreshEach(circle) => return circle.refresh(connection).await,
            Self::SignIn(person) => {
                person.sign_in(connection).await?;
            }
            Self::Guess(guess) => guess.perform(connection).await?,
        }
        Ok(true)
    }
}

fn check(answer: &Answer<'_>, expected: &str) -> Result<(), Failure> {
    if answer.status == 200 && answer.body.contains(expected) {
        return Ok(());
    }
    Err(Failure::unexpected(answer.status, answer.body, &format!("200 and {expected}")))
}

/// A refresh token that is exchanged for its successor, and so on.
pub struct Chain {
    path: String,
    authorization: String,
    refresh_token: String,
    access_token: String,
    id_token: bool,
}

impl Chain {
    /// Begins with the first tokens of a grant.
    pub fn new(path: &str, authorization: &str, refresh_token: &str, id_token: bool) -> Self {
        Self {
            path: path.to_owned(),
            authorization: authorization.to_owned(),
            refresh_token: refresh_token.to_owned(),
            access_token: String::new(),
            id_token,
        }
    }

    /// The access token of the last refresh.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// Refreshes once. That the new token is a good one shows the next time.
    pub async fn refresh(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let form = format!("grant_type=refresh_token&refresh_token={}", self.refresh_token);
        let request = http::post(&self.path, &[("Authorization", &self.authorization)], &form);
        let answer = connection.exchange(&request).await?.with_status(200)?;
        let missing = |name: &str| Failure::new(format!("a refresh was answered without {name}"));
        let refresh_token = answer.member("refresh_token").ok_or_else(|| missing("refresh_token"))?;
        let access_token = answer.member("access_token").ok_or_else(|| missing("access_token"))?;
        if answer.member("id_token").is_some() != self.id_token {
            return Err(Failure::new("a refresh was answered with an ID token that was not expected, or without it"));
        }
        if refresh_token == self.refresh_token || access_token == self.access_token {
            return Err(Failure::new("a refresh was answered with the tokens of the time before"));
        }
        replace(&mut self.refresh_token, refresh_token);
        replace(&mut self.access_token, access_token);
        Ok(())
    }
}

/// Chains that all connections share: each takes the first and puts it back at the end. One whose refresh failed does not come back.
#[derive(Clone, Default)]
pub struct Circle(Arc<Mutex<VecDeque<Chain>>>);

impl Circle {
    /// Adds chains.
    pub fn extend(&self, chains: Vec<Chain>) {
        self.chains().extend(chains);
    }

    /// How many there are, apart from those in use.
    pub fn len(&self) -> usize {
        self.chains().len()
    }

    /// The last access token of each.
    pub fn access_tokens(&self) -> Vec<String> {
        self.chains().iter().map(|chain| chain.access_token().to_owned()).collect()
    }

    /// Refreshes the next one. `false`: there is none.
    pub async fn refresh(&self, connection: &mut Connection) -> Result<bool, Failure> {
        // Not within the `if`: the lock would be held while the request is on its way.
        let next = self.chains().pop_front();
        let Some(mut chain) = next else { return Ok(false) };
        chain.refresh(connection).await?;
        self.chains().push_back(chain);
        Ok(true)
    }

    fn chains(&self) -> std::sync::MutexGuard<'_, VecDeque<Chain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replace(text: &mut String, new: &str) {
    text.clear();
    text.push_str(new);
}

/// A person with a password.
#[derive(Clone)]
pub struct SignIn {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

const BROWSER: &str = "__Host-keystead-browser";
const SESSION: &str = "__Host-keystead-session";

impl SignIn {
    /// Opens the page and posts its form as a browser would that was never here before. Gives the cookies of the session.
    pub async fn sign_in(&self, connection: &mut Connection) -> Result<String, Failure> {
        let (browser, request) = self.form(connection).await?;
        let answer = connection.exchange(&request).await?.with_status(303)?;
        let session = answer.cookie(SESSION).ok_or_else(|| missing("the cookie of the session"))?;
        let browser = answer.cookie(BROWSER).unwrap_or(browser);
        Ok(format!("{SESSION}={session}; {BROWSER}={browser}"))
    }

    /// Opens the page. Gives the cookie of the browser, and the request that posts the form.
    async fn form(&self, connection: &mut Connection) -> Result<(String, Vec<u8>), Failure> {
        let page = connection.exchange(&http::get("/login", &[])).await?.with_status(200)?;
        let browser = page.cookie(BROWSER).ok_or_else(|| missing("the cookie of the browser"))?;
        let (_, csrf) = page.body.split_once(r#"name="csrf_token" value=""#).ok_or_else(|| missing("a CSRF token"))?;
        let form = http::form(&[
            ("csrf_token", csrf.split('"').next().unwrap_or_default()),
            ("request", ""),
            ("username", &self.username),
            ("password", &self.password),
        ]);
        let cookie = format!("{BROWSER}={browser}");
        let request = http::post("/login", &[("Cookie", &cookie), ("Sec-Fetch-Site", "same-origin")], &form);
        Ok((browser, request))
    }
}

fn missing(name: &str) -> Failure {
    Failure::new(format!("a sign-in was answered without {name}"))
}

/// Somebody who tries passwords for names that do not exist, each once. The server hashes for them as for anybody.
pub struct Guess {
    name: String,
    tries: u64,
    told: Arc<Told>,
}

/// What many were told who guessed.
#[derive(Default)]
pub struct Told {
    /// The password is wrong, after it was hashed.
    pub wrong: AtomicU64,
    /// To come again later.
    pub busy: AtomicU64,
}

impl Guess {
    /// This many, with different names.
    pub fn many(count: usize, told: &Arc<Told>) -> Vec<Operation> {
        let guess = |number| Guess { name: format!("guess-{number}"), tries: 0, told: Arc::clone(told) };
        (0..count).map(guess).map(Operation::Guess).collect()
    }

    /// How long it stays away when it is told to come later: 250 to 750 ms, sooner than the answer says. It differs with each try, but not from
    /// run to run; after the same time all would come back in one millisecond, which people do not.
    fn pause(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        (&self.name, self.tries).hash(&mut hasher);
        Duration::from_millis(250 + hasher.finish() % 500)
    }

    async fn perform(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        self.tries += 1;
        let username = format!("{}-{}@example.com", self.name, self.tries);
        let person = SignIn { username, password: "a guess as good as any".to_owned() };
        let (_, request) = person.form(connection).await?;
        let answer = connection.exchange(&request).await?;
        match answer.status {
            200 | 401 | 422 => self.told.wrong.fetch_add(1, Ordering::Relaxed),
            503 => {
                self.told.busy.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(self.pause()).await;
                return Ok(());
            }
            status => return Err(Failure::unexpected(status, answer.body, "wrong password, or busy")),
        };
        Ok(())
    }
}
