//! The one HTTP client that leaves the house: for keys of clients, documents of clients, and word to clients that somebody signed out.
//!
//! Owns: where it may connect to, how long it waits, how much it reads. Does not own: what is fetched, when, and what it means.
//!
//! Whoever may register a URL could otherwise make this server read or post to machines that only it can reach (SECURITY 69). So: https,
//! an address of the internet after the name was resolved, no redirects, no proxy from the environment, few seconds, few kilobytes.

mod address;
mod fetched;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use url::{Host, Url};

pub use fetched::{Fetched, Whose};

/// From the first byte sent to the last one read.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests under way at once, for reading and for telling each; others wait for their turn, and no longer than for an answer.
const MOST_AT_ONCE: usize = 32;
/// As many for URLs that a stranger brought just now; they must not take the places of those that an operator or a registration knows.
const MOST_FOR_STRANGERS: usize = 8;
/// Of them to one host: one that never answers must not take the places of all others.
const MOST_TO_A_HOST: usize = 4;
/// Who waits for one of those looks this often whether one is free.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const USER_AGENT: &str = concat!("keystead/", env!("CARGO_PKG_VERSION"));

/// Why nothing was fetched or delivered. To others than operators it is shown as [`OutboundError::as_told`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not an absolute https URL without user name and fragment.
    #[error("the URL is not an https URL with a host and without user name, password and fragment")]
    Url,
    /// It leads to an address that is not of the internet.
    #[error("the URL leads to an address that is not public")]
    Forbidden,
    /// No answer in time, or none at all.
    #[error("no answer came within a few seconds, or the connection or its certificate failed")]
    Unreachable,
    /// An answer other than 200. Redirects are not followed.
    #[error("the answer had status {0} instead of 200; redirects are not followed")]
    Status(u16),
    /// A larger answer than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The client itself could not be made, such as where the system has no root certificates.
    #[error("this server cannot make https requests; its operator finds the reason in the log")]
    NotReady,
}

impl OutboundError {
    /// What may be told to whoever named the URL: not whether a name leads to a machine of ours.
    #[must_use]
    pub fn as_told(self) -> Self {
        if self == Self::Forbidden { Self::Unreachable } else { self }
    }
}

/// The guarded client.
pub struct Outbound {
    allow_loopback: bool,
    reading: Semaphore,
    meeting: Semaphore,
    telling: Semaphore,
    /// How many requests are under way to each host.
    busy: Mutex<HashMap<String, usize>>,
    /// Made at the first use, because reading the system's root certificates takes time that no start should wait for.
    public: OnceLock<Option<Client>>,
    loopback: OnceLock<Option<Client>>,
}

impl Outbound {
    /// `allow_loopback` also lets it talk to this very machine, by http or with any certificate: for tests only.
    #[must_use]
    pub fn new(allow_loopback: bool) -> Self {
        Self {
            allow_loopback,
            reading: Semaphore::new(MOST_AT_ONCE),
            meeting: Semaphore::new(MOST_FOR_STRANGERS),
            telling: Semaphore::new(MOST_AT_ONCE),
            busy: Mutex::default(),
            public: OnceLock::new(),
            loopback: OnceLock::new(),
        }
    }

    /// Whether it also talks to this very machine.
    #[must_use]
    pub fn allows_loopback(&self) -> bool {
        self.allow_loopback
    }

    /// Whether a URL may be asked at all, as far as that shows before its name is resolved; for registration.
    ///
    /// # Errors
    /// [`OutboundError::Url`], [`OutboundError::Forbidden`].
    pub fn check(&self, url: &str) -> Result<(), OutboundError> {
        self.target(url).map(|_| ())
    }

    /// Reads a document of at most `most` bytes. The turn is kept until the last one was read.
    ///
    /// # Errors
    /// Each that there is.
    pub async fn get(&self, whose: Whose, url: &str, most: usize) -> Result<Fetched, OutboundError> {
        let places = match whose {
            Whose::Registered => &self.reading,
            Whose::Stranger => &self.meeting,
        };
        let ask = |request: RequestBuilder| request.header("accept", "application/json");
        let (mut response, _turn) = self.send(places, Method::GET, url, ask).await?;
        if response.status() != 200 {
            return Err(OutboundError::Status(response.status().as_u16()));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let max_age = header("cache-control").and_then(max_age);
        let content_type = header("content-type").and_then(|value| value.split(';').next());
        let content_type = content_type.map(|value| value.trim().to_ascii_lowercase());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
            if bytes.len() + chunk.len() > most {
                return Err(OutboundError::TooLarge(most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched { bytes, max_age, content_type })
    }

    /// Posts a form of one parameter and gives the status of the answer, whose body is not read.
    ///
    /// # Errors
    /// Each but those about the answer.
    pub async fn post_form(&self, url: &str, name: &str, value: &str) -> Result<u16, OutboundError> {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        let form =
            |request: RequestBuilder| request.header("content-type", "application/x-www-form-urlencoded").body(body);
        Ok(self.send(&self.telling, Method::POST, url, form).await?.0.status().as_u16())
    }

    async fn send<'a>(
        &'a self,
        places: &'a Semaphore,
        method: Method,
        url: &str,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(Response, Turn<'a>), OutboundError> {
        let (client, target) = self.target(url)?;
        let client = client.as_ref().ok_or(OutboundError::NotReady)?;
        let turn = async {
            let host = self.wait_for_place_at(target.host_str().unwrap_or_default()).await;
            (host, places.acquire().await)
        };
        let turn = tokio::time::timeout(TIMEOUT, turn).await.map_err(|_| OutboundError::Unreachable)?;
        let response =
            complete(client.request(method, target)).send().await.map_err(|error| unreachable(url, &error))?;
        Ok((response, turn))
    }

    async fn wait_for_place_at(&self, host: &str) -> PlaceAt<'_> {
        loop {
            if let Some(place) = self.place_at(host) {
                return place;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// A place among the requests to a host, unless there are too many already.
    fn place_at(&self, host: &str) -> Option<PlaceAt<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = busy.entry(host.to_owned()).or_default();
        if *count >= MOST_TO_A_HOST {
            return None;
        }
        *count += 1;
        Some(PlaceAt { busy: &self.busy, host: host.to_owned() })
    }

    /// The client for a URL, and the URL once it was looked at.
    fn target(&self, text: &str) -> Result<(&Option<Client>, Url), OutboundError> {
        let url = Url::parse(text).map_err(|_| OutboundError::Url)?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !is_bare {
            return Err(OutboundError::Url);
        }
        // A literal address is never resolved, so it is looked at here; all other names in the resolver.
        let literal = match url.host().ok_or(OutboundError::Url)? {
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(IpAddr::from(address)),
            Host::Domain(_) => None,
        };
        let is_local = literal.map_or(url.host_str() == Some("localhost"), |address| address.is_loopback());
        if self.allow_loopback && is_local && matches!(url.scheme(), "http" | "https") {
            return Ok((
                self.loopback.get_or_init(|| ready(builder(Reach::Loopback).tls_danger_accept_invalid_certs(true))),
                url,
            ));
        }
        if url.scheme() != "https" {
            return Err(OutboundError::Url);
        }
        if is_local || literal.is_some_and(|address| !address::is_public(address)) {
            return Err(OutboundError::Forbidden);
        }
        Ok((self.public.get_or_init(|| ready(builder(Reach::Internet).https_only(true))), url))
    }
}

/// A place at the host and one among all requests.
type Turn<'a> = (PlaceAt<'a>, Result<SemaphorePermit<'a>, AcquireError>);

/// One request that is under way to a host.
struct PlaceAt<'a> {
    busy: &'a Mutex<HashMap<String, usize>>,
    host: String,
}

impl Drop for PlaceAt<'_> {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.host);
            }
        }
    }
}

fn builder(reach: Reach) -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        // The next fetch from the same place is minutes away, and its name is to be resolved and looked at anew.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(reach))
}

fn ready(builder: reqwest::ClientBuilder) -> Option<Client> {
    builder
        .build()
        .inspect_err(
            |error| tracing::error!(%error, "https requests cannot be made; see that the system has root certificates"),
        )
        .ok()
}

fn unreachable(url: &str, error: &reqwest::Error) -> OutboundError {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
        if let Some(refused) = source.downcast_ref::<OutboundError>() {
            return refused.clone();
        }
    }
    // The innermost reason only: the outer ones repeat the URL, which may hold a secret.
    tracing::warn!(host, reason = %source, "an outbound request failed");
    OutboundError::Unreachable
}

/// Which addresses a name may resolve to.
#[derive(Debug, Clone, Copy)]
enum Reach {
    Internet,
    Loopback,
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let fits = |address: &SocketAddr| match reach {
                Reach::Internet => address::is_public(address.ip()),
                Reach::Loopback => address.ip().is_loopback(),
            };
            // One bad address among good ones is a try to get around this, so nothing of it is used.
            if found.iter().all(fits) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(OutboundError::Forbidden.into())
            }
        })
    }
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let directive = |wanted: &str| {
        cache_control
            .split(',')
            .map(str::trim)
            .find(|part| part.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)))
    };
    if directive("no-store").or(directive("no-cache")).is_some() {
        return Some(Duration::ZERO);
    }
    directive("max-age=")?.get("max-age=".len()..)?.trim_matches('"').parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_69_urls_that_lead_elsewhere_are_refused_before_anything_is_resolved() {
        let outbound = Outbound::new(false);
        assert_eq!(outbound.check("https://client.example/jwks.json?a=b"), Ok(()));
        for url in [
            "http://client.example/",
            "ftp://client.example/",
            "file:///etc/passwd",
            "https://user:password@client.example/",
            "https://user@client.example/",
            "https://client.example/#f",
            "https://",
            "client.example",
            "",
        ] {
            assert_eq!(outbound.check(url), Err(OutboundError::Url), "{url}");
        }
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://10.0.0.1:8443/",
        ] {
            assert_eq!(outbound.check(url), Err(OutboundError::Forbidden), "{url}");
        }
    }

    #[test]
    fn loopback_is_for_tests_and_nothing_else_with_it() {
        let outbound = Outbound::new(true);
        for url in ["http://127.0.0.1:9/", "https://localhost:9/", "http://[::1]:9/"] {
            assert_eq!(outbound.check(url), Ok(()), "{url}");
        }
        assert_eq!(outbound.check("http://client.example/"), Err(OutboundError::Url));
        assert_eq!(outbound.check("https://10.0.0.1/"), Err(OutboundError::Forbidden));
    }

    #[tokio::test]
    async fn security_69_a_name_that_resolves_to_a_private_address_is_not_connected_to() {
        let internet = Reach::Internet.resolve("localhost".parse().unwrap()).await;
        assert_eq!(internet.err().unwrap().downcast_ref(), Some(&OutboundError::Forbidden));
        assert!(Reach::Loopback.resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn one_host_has_a_few_places_and_gives_them_back() {
        let outbound = Outbound::new(false);
        let mut places: Vec<_> = (0..MOST_TO_A_HOST).map(|_| outbound.place_at("slow.example").unwrap()).collect();
        assert!(outbound.place_at("slow.example").is_none());
        assert!(outbound.place_at("other.example").is_some());
        places.pop();
        assert!(outbound.place_at("slow.example").is_some());
        places.clear();
        assert!(outbound.busy.lock().unwrap().is_empty());
    }

    #[test]
    fn max_age_is_read_from_cache_control() {
        for (text, expected) in [
            ("max-age=60", Some(60)),
            ("public, Max-Age=\"5\"", Some(5)),
            ("no-store, max-age=60", Some(0)),
            ("private", None),
            ("max-age=x", None),
        ] {
            assert_eq!(max_age(text), expected.map(Duration::from_secs), "{text}");
        }
    }
}
