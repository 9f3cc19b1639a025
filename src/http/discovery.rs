//! Discovery documents and the JWKS: made once, served as bytes until what they tell changes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::domain::Timestamp;
use crate::flows::InternalError;

use super::{Public, errors};

/// The bytes that are being served.
pub(super) struct Documents {
    /// `Cache-Control` of both.
    cache_control: HeaderValue,
    configuration: ArcSwapOption<Made>,
    jwks: ArcSwapOption<Made>,
}

impl Documents {
    /// Nothing is made yet; caches may keep what will be for this many seconds.
    pub(super) fn new(max_age: i64) -> Self {
        let cache_control = HeaderValue::from_str(&format!("public, max-age={max_age}"));
        Self {
            cache_control: cache_control.unwrap_or(HeaderValue::from_static("no-cache")),
            configuration: ArcSwapOption::empty(),
            jwks: ArcSwapOption::empty(),
        }
    }
}

struct Made {
    /// Address of the snapshot that it was made from, which is kept alive so that no other can take its place.
    from: Arc<dyn std::any::Any + Send + Sync>,
    /// From when it must be made anew even so.
    until: Option<Timestamp>,
    bytes: Bytes,
}

/// The bytes in `place` if they were made from this snapshot and still hold, otherwise new ones.
fn bytes<T: Send + Sync + 'static>(
    place: &ArcSwapOption<Made>,
    from: Arc<T>,
    now: Timestamp,
    make: impl FnOnce(&T) -> (String, Option<Timestamp>),
) -> Bytes {
    if let Some(made) = place.load().as_ref()
        && std::ptr::addr_eq(Arc::as_ptr(&made.from), Arc::as_ptr(&from))
        && made.until.is_none_or(|until| now < until)
    {
        return made.bytes.clone();
    }
    let (text, until) = make(&from);
    let bytes = Bytes::from(text);
    place.store(Some(Arc::new(Made { from, until, bytes: bytes.clone() })));
    bytes
}

/// Headers of an answer, these and those that every answer gets: a map that grows on the way is built twice.
const HEADERS: usize = 10;

fn answer(public: &Public, made: Result<Bytes, InternalError>) -> Response {
    let bytes = match made {
        Ok(bytes) => bytes,
        Err(error) => return errors::oauth_json(&errors::conceal(&error)),
    };
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, public.documents.cache_control.clone());
    let mut response = Response::new(Body::from(bytes));
    *response.headers_mut() = headers;
    response
}

/// OpenID Connect Discovery §4, RFC 8414 §3.
pub(super) async fn configuration(State(public): State<Public>) -> Response {
    let engine = &public.engine;
    let made = engine.snapshots.published(engine.policy.jwks_max_age).map(|(servers, _)| {
        bytes(&public.documents.configuration, servers, engine.clock.now(), |servers| {
            (engine.discovery_document(servers), None)
        })
    });
    answer(&public, made)
}

/// RFC 7517 §5: the public keys, pending ones too, so that nobody meets a signature of an unknown key.
pub(super) async fn jwks(State(public): State<Public>) -> Response {
    let engine = &public.engine;
    let now = engine.clock.now();
    let made = engine.snapshots.published(engine.policy.jwks_max_age).map(|(_, keyring)| {
        bytes(&public.documents.jwks, keyring, now, |keyring| {
            (engine.jwks_document(keyring), engine.next_key_change(keyring))
        })
    });
    answer(&public, made)
}
