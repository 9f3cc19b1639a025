//! A listener's answer to every request: its routes, and around them correlation id, source address, deadline, CORS, metrics, one log
//! event, common headers. One plain function instead of layers, because axum clones and boxes each layer for each request.

use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::{BoxError, Extension, Router};
use futures_util::FutureExt as _;
use http_body_util::Limited;
use tokio::sync::Semaphore;
use tower::Service;

use crate::domain::Origin;
use crate::telemetry::{self, RequestMeter};

use super::HttpOptions;
use super::certificate::forwarded;
use super::context::{announced_length, head_length, method_label, new_correlation_id, reader, route_label, source};
use super::errors::{self, Breakdown};
use super::server::MOST_HEADER_BYTES;

const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Everything that one listener answers; clones share it.
#[derive(Clone, Debug)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    router: Router,
    options: HttpOptions,
    /// The endpoints that programs call, by their path. SECURITY 12: scripts of any origin may call these, since they take no cookie; the
    /// rest has no CORS at all.
    api: HashMap<&'static str, RequestMeter>,
    /// Those of them whose path ends with an id, by what stands before it.
    members: Vec<(&'static str, RequestMeter)>,
    pages: Turns,
}

impl Inner {
    /// The endpoint for programs at this path, if it is one, and whether the path ends with an id.
    fn meter(&self, path: &str) -> Option<(&RequestMeter, bool)> {
        let member = || {
            let (collection, id) = path.rsplit_once('/')?;
            let (_, meter) = self.members.iter().find(|(own, _)| *own == collection && !id.is_empty())?;
            Some((meter, true))
        };
        self.api.get(path).map(|meter| (meter, false)).or_else(member)
    }
}

/// Lets requests for pages (and what operators ask, on their own listener) begin one after the other, so that programs need not wait for all
/// pages of a storm of sign-ins.
#[derive(Debug)]
struct Turns(Semaphore);

impl Turns {
    fn new() -> Self {
        Self(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Waits for those who came before, and until the runtime has looked what else arrived. Who asks an endpoint waits for no turn, and so goes
    /// first. What a page waits for later, such as the database, it does not keep from the others.
    async fn wait(&self) {
        // It is never closed.
        let _turn = self.0.acquire().await;
        tokio::task::yield_now().await;
    }
}

/// Where the route of a request is noted while it is answered.
#[derive(Clone, Default)]
struct NotedRoute(Arc<OnceLock<MatchedPath>>);

/// Notes which route answers, for everything but the endpoints of [`Site::new`].
pub(super) fn noted<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    async fn note(
        Extension(noted): Extension<NotedRoute>,
        path: Option<MatchedPath>,
        request: Request,
        next: Next,
    ) -> Response {
        if let Some(path) = path {
            // A request has one route.
            let _ = noted.0.set(path);
        }
        next.run(request).await
    }
    router.route_layer(from_fn(note))
}

impl Site {
    /// These routes; `api` are the paths of the endpoints that programs call.
    pub(super) fn new(router: Router, api: impl IntoIterator<Item = &'static str>, options: &HttpOptions) -> Self {
        let (mut whole, mut members) = (HashMap::new(), Vec::new());
        for path in api {
            match path.rsplit_once("/{") {
                Some((collection, _)) => members.push((collection, RequestMeter::new(path))),
                None => {
                    whole.insert(path, RequestMeter::new(path));
                }
            }
        }
        Self(Arc::new(Inner { router, options: options.clone(), api: whole, members, pages: Turns::new() }))
    }

    /// Answers one request from this peer.
    pub async fn answer<B>(&self, request: axum::http::Request<B>, peer: Option<IpAddr>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let options = &self.0.options;
        let started = Instant::now();
        let method = method_label(request.method());
        let (meter, is_member) = self.0.meter(request.uri().path()).unzip();
        let origin = Origin {
            ip: source(peer, request.headers(), &options.trusted_proxies),
            correlation_id: new_correlation_id(),
        };
        let noted = NotedRoute::default();
        let mut response = if meter.is_some() && request.method() == Method::OPTIONS {
            preflight(is_member == Some(true))
        } else {
            let mut request = request.map(|body| Body::new(Limited::new(body, options.max_body_bytes)));
            if let Some(name) = &options.client_certificate_header
                && let Some(chain) = forwarded(name, request.headers(), peer, &options.certificate_proxies)
            {
                request.extensions_mut().insert(chain);
            }
            if meter.is_none() {
                request.extensions_mut().insert(noted.clone());
            }
            let turns = meter.is_none().then_some(&self.0.pages);
            self.handle(request, &origin, turns).await
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&origin.correlation_id) {
            headers.insert(CORRELATION_ID, id);
        }
        headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(NOSNIFF);
        if options.hsts {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if meter.is_some() {
            allow_any_origin(&mut response);
        }
        let (status, took) = (response.status().as_u16(), started.elapsed());
        let route = if let Some(meter) = meter {
            meter.count(method, status, took);
            meter.route()
        } else {
            let route = route_label(noted.0.get().map(MatchedPath::as_str));
            telemetry::request(route, method, status, took);
            route
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(method, route, status, micros, correlation_id = origin.correlation_id, "request");
        response
    }

    /// The handler's answer, or one in its place. The time that it may take begins before its turn, where it needs one.
    async fn handle(&self, mut request: Request, origin: &Origin, turns: Option<&Turns>) -> Response {
        let Inner { router, options, .. } = &*self.0;
        let reader = reader(&request);
        // The HTTP/1.1 reader looks at its limit only when it has to read on, so it lets some larger heads pass.
        if head_length(&request) > MOST_HEADER_BYTES as usize {
            return errors::broken_down(Breakdown::HeadTooLarge, reader, origin);
        }
        // A body that is announced as too large is not waited for.
        if announced_length(request.headers()) > options.max_body_bytes as u64 {
            return errors::broken_down(Breakdown::TooLarge, reader, origin);
        }
        request.extensions_mut().insert(origin.clone());
        let answer = async {
            if let Some(turns) = turns {
                turns.wait().await;
            }
            router.clone().call(request).await
        };
        // A handler that panics must not take the connection and its other requests with it.
        let answer = AssertUnwindSafe(answer).catch_unwind();
        match tokio::time::timeout(options.request_timeout, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(reason)) => {
                tracing::error!(reason = reason_of(reason.as_ref()), "a handler panicked");
                errors::broken_down(Breakdown::Panicked, reader, origin)
            }
            Err(_) => errors::broken_down(Breakdown::TooSlow, reader, origin),
        }
    }
}

fn reason_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

/// The answer to a browser's question whether a script may send such a request (Fetch §3.3.2).
fn preflight(is_member: bool) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, if is_member { "GET,PUT,DELETE" } else { "GET,POST" }),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization,content-type,dpop,x-requested-with"),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn allow_any_origin(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("www-authenticate,x-correlation-id,retry-after,dpop-nonce"),
    );
}

/// For tests and tools that have no connection; the peer is what [`ConnectInfo`] says.
impl Service<Request> for Site {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let site = self.clone();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        Box::pin(async move { Ok(site.answer(request, peer).await) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use axum::routing::get;

    use super::*;

    fn options() -> HttpOptions {
        HttpOptions {
            trusted_proxies: Vec::new(),
            certificate_proxies: Vec::new(),
            client_certificate_header: None,
            max_body_bytes: 1024,
            request_timeout: std::time::Duration::from_secs(10),
            sign_ins_per_source_per_minute: 1,
            registrations_per_source_per_hour: 1,
            demo: false,
            hsts: false,
        }
    }

    #[tokio::test]
    async fn who_asks_an_endpoint_does_not_wait_for_all_pages_that_were_asked_for_before() {
        let answered = Arc::new(Mutex::new(Vec::new()));
        let handler = |name: &'static str| {
            let answered = Arc::clone(&answered);
            get(async move || answered.lock().unwrap_or_else(PoisonError::into_inner).push(name))
        };
        let router = Router::new().route("/login", handler("page")).route("/jwks", handler("endpoint"));
        let site = Site::new(router, ["/jwks"], &options());
        let paths = std::iter::repeat_n("/login", 1000).chain(["/jwks"]);
        let requests = paths.map(|path| {
            let site = site.clone();
            tokio::spawn(
                async move { site.answer(axum::http::Request::get(path).body(Body::empty()).unwrap(), None).await },
            )
        });
        for request in requests.collect::<Vec<_>>() {
            assert_eq!(request.await.unwrap().status(), StatusCode::OK);
        }
        let answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
        let before = answered.iter().position(|name| *name == "endpoint").unwrap();
        assert_eq!(answered.len(), 1001);
        assert!(before < 200, "{before} pages came first");
    }

    #[tokio::test]
    async fn a_page_waits_for_its_turn_no_longer_than_a_request_may_take() {
        let options = HttpOptions { request_timeout: std::time::Duration::from_millis(20), ..options() };
        let site = Site::new(Router::new().route("/login", get(async || ())), [], &options);
        let turns = &site.0.pages.0;
        let _all = turns.acquire_many(turns.available_permits().try_into().unwrap()).await.unwrap();
        let answer = site.answer(axum::http::Request::get("/login").body(Body::empty()).unwrap(), None).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
