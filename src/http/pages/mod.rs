//! Pages for people: server-rendered forms that need no JavaScript.
//!
//! Owns: which struct of `views` is shown with which status and headers. Does not own: the next step; `flows` says it.

mod answer;
mod asked;
mod assets;
mod device;
mod logout;
mod sign_in;
mod views;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::domain::Origin;
use crate::flows::InternalError;
use crate::flows::authorize::Stop;
use crate::flows::browser::Browser;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::protocol::redirect::append_params;

use super::body::is_form;
use super::{Public, errors};
use views::{ErrorPage, LinkView};

const AUTHORIZE: &str = "/oauth2/authorize";
const END_SESSION: &str = "/oauth2/end_session";

/// Routes of everything that a browser shows.
pub(super) fn router(demo: bool) -> Router<Public> {
    // SECURITY 13: a browser says where a form was posted from; what comes from another site is refused before anything is read.
    let forms = Router::new()
        .route("/login", get(sign_in::login_page).post(sign_in::login))
        .route("/consent", get(sign_in::consent_page).post(sign_in::consent))
        .route(device::PATH, get(device::page).post(device::form))
        .route("/logout", get(logout::page).post(logout::confirm))
        .layer(CsrfLayer::new())
        .layer(from_fn(forgive_old_browsers))
        .layer(from_fn(explain_cross_site));
    let router = Router::new()
        .merge(forms)
        .route(AUTHORIZE, get(sign_in::authorize).post(sign_in::authorize))
        .route("/cancel", get(answer::cancel))
        .route(END_SESSION, get(logout::end_session).post(logout::end_session))
        .merge(assets::router());
    if demo { router.merge(assets::demo_router()) } else { router }
}

/// What a page may load and where its forms may lead.
struct Policy<'a> {
    /// Further source of `form-action`: browsers check it for the redirect that answers a form, too.
    form_action: Option<&'a str>,
    /// Lets the page's own inline script run.
    nonce: Option<&'a str>,
    /// Whether scripts of the page may call this server; only the demo.
    connect: bool,
    /// What it may load into hidden frames; only the end of a logout.
    frames: &'a [String],
}

const PLAIN: Policy<'static> = Policy { form_action: None, nonce: None, connect: false, frames: &[] };

fn render(status: StatusCode, page: &impl Template, policy: &Policy<'_>) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return errors::oauth_json(&OAuthError::new(
                ErrorCode::ServerError,
                "The page could not be made; try again.",
            ));
        }
    };
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    let connect = if policy.connect { "; connect-src 'self'" } else { "" };
    // https: in form-action, because an application may lead its answer on to another of its hosts, and browsers check each hop.
    let form_action = policy.form_action.map(|source| format!(" {source}")).unwrap_or_default();
    let frames =
        if policy.frames.is_empty() { String::new() } else { format!("; frame-src {}", policy.frames.join(" ")) };
    let script = policy.nonce.map_or_else(|| "'self'".to_owned(), |nonce| format!("'nonce-{nonce}'"));
    let csp = format!(
        "default-src 'none'; style-src 'self'; script-src {script}; img-src 'self' https: data:; form-action 'self' https:{form_action}{connect}{frames}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let fallback = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&csp).unwrap_or(fallback));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// RFC 9700 §4.12: 303, so that no browser sends a form with a password on to somebody else. Nothing on the way may be kept.
fn see_other(location: &str) -> Response {
    let mut response = Redirect::to(location).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Proxies commonly take no longer request line than 8 KiB.
const LONGEST_ADDRESS: usize = 6000;

/// Whether a form may have come without our cookies because another site posted it (SameSite=Lax). The same request by GET brings them; so
/// nobody is taken for signed out because the application chose POST.
fn came_without_session(method: &Method, browser: &Browser) -> bool {
    *method == Method::POST && browser.session.is_none()
}

/// The way to the same request by GET, if its address is not too long.
fn again_by_get(path: &str, params: &Params) -> Option<Response> {
    let address = append_params(path, &params.pairs());
    (address.len() <= LONGEST_ADDRESS).then(|| see_other(&address))
}

/// A page that says what went wrong, what to do, and under which id the log knows it.
pub(super) fn error(status: StatusCode, error: &OAuthError, origin: &Origin, back: Option<String>) -> Response {
    let (title, advice) = match error.code {
        ErrorCode::TemporarilyUnavailable => ("One moment, please", "Wait a few seconds and reload this page."),
        ErrorCode::ServerError => ("Something went wrong", "Try again. If it stays, tell the operator the id below."),
        _ if status == StatusCode::NOT_FOUND => ("Page not found", "Check the address, or go back to the application."),
        _ => (
            "This request cannot be completed",
            "Go back to the application and try again. If it stays, tell its developers the code below.",
        ),
    };
    let page = ErrorPage {
        title: title.to_owned(),
        sentence: error.description.clone(),
        advice: advice.to_owned(),
        code: error.code.as_str().to_owned(),
        correlation_id: origin.correlation_id.clone(),
        back: back.map(|href| LinkView { href, label: "Back to the application".to_owned() }),
    };
    let mut response = render(status, &page, &PLAIN);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn internal(trouble: &InternalError, origin: &Origin) -> Response {
    let concealed = errors::conceal(trouble);
    let status =
        if trouble.is_temporary() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    error(status, &concealed, origin, None)
}

fn stopped(stop: Stop, origin: &Origin) -> Response {
    let bad = StatusCode::BAD_REQUEST;
    match stop {
        Stop::Show(refusal) => error(bad, &refusal, origin, None),
        Stop::Expired { back } => error(
            bad,
            &OAuthError::invalid_request("This page was open for too long and has expired."),
            origin,
            Some(back),
        ),
        Stop::Answered { back } => error(
            bad,
            &OAuthError::invalid_request("This request was answered before, perhaps in another tab."),
            origin,
            Some(back),
        ),
        Stop::Internal(trouble) => internal(&trouble, origin),
    }
}

/// A form that this browser session did not get from us, or that was used before.
fn stale_form(browser: &Browser, origin: &Origin, again: Option<String>) -> Response {
    let (title, sentence, advice) = if browser.is_new {
        // Without the cookie no form can be told from a forged one, and a fresh page would end here again.
        let sentence = "This browser did not send back the cookie that protects this form. Nothing was changed.";
        ("Cookies are needed", sentence, "Allow cookies for this site, then continue with a fresh page.")
    } else {
        let sentence = "This page is out of date: you may have signed in or out in another tab. Nothing was changed.";
        ("This page is out of date", sentence, "Continue with a fresh page.")
    };
    let refusal = OAuthError::new(ErrorCode::AccessDenied, sentence);
    let page = ErrorPage {
        title: title.to_owned(),
        sentence: refusal.description,
        advice: advice.to_owned(),
        code: refusal.code.as_str().to_owned(),
        correlation_id: origin.correlation_id.clone(),
        back: again.map(|href| LinkView { href, label: "Continue".to_owned() }),
    };
    render(StatusCode::FORBIDDEN, &page, &PLAIN)
}

/// Our pages send no referrer, and a browser from before `Sec-Fetch-Site` (Safari until 16.4) therefore posts their forms with the origin
/// `null`, which tells nothing. Without both headers the token in the form decides alone.
async fn forgive_old_browsers(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    if !headers.contains_key("sec-fetch-site") && headers.get(header::ORIGIN).is_some_and(|origin| origin == "null") {
        headers.remove(header::ORIGIN);
    }
    next.run(request).await
}

/// Puts a page in the place of the empty answer with which [`CsrfLayer`] refuses a form.
async fn explain_cross_site(Extension(origin): Extension<Origin>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<ProtectionError>().is_none() {
        return response;
    }
    let refusal =
        OAuthError::new(ErrorCode::AccessDenied, "This form was sent from another site, so nothing was done.");
    error(StatusCode::FORBIDDEN, &refusal, &origin, None)
}

/// An address that does not exist.
pub(super) async fn not_found(Extension(origin): Extension<Origin>, headers: HeaderMap) -> Response {
    let refusal = OAuthError::invalid_request("There is nothing at this address.");
    if super::context::accepts_html(&headers) {
        return error(StatusCode::NOT_FOUND, &refusal, &origin, None);
    }
    let mut response = errors::oauth_json(&refusal);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// A method that a page does not know.
pub(super) async fn method_not_allowed(Extension(origin): Extension<Origin>) -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        &OAuthError::invalid_request("This address does not know this HTTP method."),
        &origin,
        None,
    )
}

/// The parameters of a browser's request: the query of a GET, query and form of a POST. What cannot be read is answered with a page.
struct BrowserParams(Params);

impl<S: Send + Sync> FromRequest<S> for BrowserParams {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let origin = request.extensions().get::<Origin>().cloned().unwrap_or_default();
        let refuse = |status, sentence: &str| error(status, &OAuthError::invalid_request(sentence), &origin, None);
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let mut form = String::new();
        if parts.method == Method::POST {
            if !is_form(&parts.headers) {
                return Err(refuse(
                    StatusCode::BAD_REQUEST,
                    "The Content-Type must be application/x-www-form-urlencoded.",
                ));
            }
            let bytes = Bytes::from_request(Request::from_parts(parts, body), state).await;
            let bytes = bytes.map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large."))?;
            form = String::from_utf8(bytes.into())
                .map_err(|_| refuse(StatusCode::BAD_REQUEST, "The form is not UTF-8."))?;
        }
        let params = Params::parse(&[&query, &form]);
        params.map(Self).map_err(|refusal| error(StatusCode::BAD_REQUEST, &refusal, &origin, None))
    }
}
