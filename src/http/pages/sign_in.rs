//! The authorization endpoint, the sign-in page and the consent page.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

use crate::domain::{Client, Origin, Secret};
use crate::flows::authorize::{self, Next, Pending, Stop};
use crate::flows::browser::{Browser, Form};
use crate::flows::sign_in::{Credentials, Device, SignIn};
use crate::flows::{Engine, InternalError};
use crate::protocol::authorize as protocol;
use crate::protocol::error::OAuthError;
use crate::protocol::interaction::identity_is_assured;
use crate::protocol::params::Params;
use crate::telemetry;

use super::answer::go;
use super::asked::asked_for;
use super::views::{ClientView, Consent, Login, SignedIn};
use super::{
    AUTHORIZE, BrowserParams, PLAIN, Policy, again_by_get, came_without_session, device, internal, render, see_other,
    stale_form, stopped,
};
use crate::http::{Public, cookies};

/// RFC 6749 §3.1, by GET and by POST.
pub(in crate::http) async fn authorize(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    method: Method,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    // Where a page comes next, its GET brings the cookies; only a silent request would be answered without them. Whether a request is
    // silent stands in its object or in what was pushed.
    let is_silent = params.one("prompt").is_ok_and(|prompt| prompt == Some("none"))
        || protocol::form(&params) != protocol::Form::Plain;
    if is_silent
        && came_without_session(&method, &browser)
        && let Some(again) = again_by_get(AUTHORIZE, &params)
    {
        return again;
    }
    let may_ask = || public.document_limit.allows(&origin);
    match authorize::begin(&public.engine, &params, &browser, &may_ask).await {
        Ok(next) => go(&public.engine, next),
        Err(stop) => stopped(stop, &origin),
    }
}

/// The sign-in page; without a request it signs in to Keystead itself.
pub(in crate::http) async fn login_page(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    if let Ok(Some(request)) = params.one("request")
        && let Some(sealed) = device::sealed(request)
    {
        let page = match public.engine.session(&browser, None).await {
            Ok(Some(_)) => return see_other(&device::address(sealed)),
            Ok(None) => show_login(&public.engine, &browser, Reason::Device(request), None),
            Err(trouble) => Err(trouble),
        };
        return page.unwrap_or_else(|trouble| internal(&trouble, &origin));
    }
    let page = match params.one("request") {
        Ok(Some(sealed)) => match authorize::resume(&public.engine, sealed, &browser).await {
            Ok(Next::Login(pending)) => show_login(&public.engine, &browser, Reason::Application(&pending), None),
            Ok(next) => return go(&public.engine, next),
            Err(stop) => return stopped(stop, &origin),
        },
        Ok(None) => match public.engine.session(&browser, None).await {
            Ok(Some((session, _))) => Ok(render(StatusCode::OK, &SignedIn { username: session.email }, &PLAIN)),
            Ok(None) => show_login(&public.engine, &browser, Reason::Itself, None),
            Err(trouble) => Err(trouble),
        },
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    page.unwrap_or_else(|trouble| internal(&trouble, &origin))
}

/// Why somebody signs in.
#[derive(Clone, Copy)]
enum Reason<'a> {
    /// For Keystead itself.
    Itself,
    /// For an application.
    Application(&'a Pending),
    /// For a device whose code was entered; the `request` as it travels.
    Device(&'a str),
}

/// What a rejected try shows on the page.
struct Rejected<'a> {
    status: StatusCode,
    identifier: &'a str,
    sentence: String,
    /// Seconds until the next try counts.
    retry_after: Option<i64>,
}

fn show_login(
    engine: &Engine,
    browser: &Browser,
    reason: Reason<'_>,
    rejected: Option<Rejected<'_>>,
) -> Result<Response, InternalError> {
    let (pending, sealed, back) = match reason {
        Reason::Itself => (None, String::new(), None),
        Reason::Application(pending) => {
            let back = authorize::way_back(engine, &pending.client, &pending.request)?;
            (Some(pending), pending.sealed.clone(), Some(back))
        }
        Reason::Device(request) => (None, request.to_owned(), Some(device::PATH.to_owned())),
    };
    let known = pending.and_then(|pending| {
        pending.request.login_hint.clone().or_else(|| pending.session.as_ref().map(|session| session.email.clone()))
    });
    let form_action = pending.map(|pending| pending.request.redirect_uri.csp_source());
    let page = Login {
        client: pending.map(|pending| client_view(&pending.client)),
        csrf: engine.csrf_token(browser, Form::Login, &sealed)?,
        request: sealed,
        username: rejected
            .as_ref()
            .map_or_else(|| known.unwrap_or_default(), |rejected| rejected.identifier.to_owned()),
        error: rejected.as_ref().map(|rejected| rejected.sentence.clone()),
        back,
    };
    let status = rejected.as_ref().map_or(StatusCode::OK, |rejected| rejected.status);
    let mut response = render(status, &page, &Policy { form_action: form_action.as_deref(), ..PLAIN });
    if let Some(seconds) = rejected.and_then(|rejected| rejected.retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    cookies::greet(response.headers_mut(), browser);
    Ok(response)
}

/// The posted sign-in form.
pub(in crate::http) async fn login(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let form = match LoginForm::read(&params) {
        Ok(form) => form,
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    let again = if form.request.is_empty() { "/login".to_owned() } else { format!("/login?request={}", form.request) };
    match public.engine.csrf_fits(&browser, Form::Login, &form.request, &form.csrf) {
        Ok(true) => {}
        Ok(false) => return stale_form(&browser, &origin, Some(again)),
        Err(trouble) => return internal(&trouble, &origin),
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    match try_sign_in(&public, form, &browser, &Device { origin: &origin, user_agent }).await {
        Ok(response) => response,
        Err(Stop::Internal(trouble)) => {
            telemetry::sign_in("busy");
            internal(&trouble, &origin)
        }
        Err(stop) => stopped(stop, &origin),
    }
}

struct LoginForm {
    csrf: String,
    request: String,
    identifier: String,
    password: Secret,
}

impl LoginForm {
    fn read(params: &Params) -> Result<Self, OAuthError> {
        params.refuse_repetition()?;
        let text = |name| params.one(name).map(|value| value.unwrap_or_default().to_owned());
        Ok(Self {
            csrf: text("csrf_token")?,
            request: text("request")?,
            identifier: text("username")?,
            password: Secret::new(text("password")?),
        })
    }
}

async fn try_sign_in(
    public: &Public,
    form: LoginForm,
    browser: &Browser,
    device: &Device<'_>,
) -> Result<Response, Stop> {
    let engine = &public.engine;
    // Reading the request anew checks that it has not expired and that its client is still there.
    let pending = match form.request.as_str() {
        "" => None,
        request if device::sealed(request).is_some() => None,
        sealed => match authorize::resume(engine, sealed, browser).await? {
            Next::Login(pending) => Some(pending),
            next => return Ok(go(engine, next)),
        },
    };
    let LoginForm { identifier, password, request, .. } = form;
    let shown = identifier.clone();
    let outcome = if public.sign_in_limit.allows(device.origin) {
        engine.sign_in(Credentials { identifier, password }, browser, device).await?
    } else {
        telemetry::sign_in("throttled");
        SignIn::Wait { seconds: 60 }
    };
    let rejected = match outcome {
        SignIn::Done(new) => {
            let onwards = match device::sealed(&request) {
                Some(sealed) => device::after_sign_in(engine, sealed, browser, &new)?,
                None if request.is_empty() => "/login".to_owned(),
                None => format!("/consent?request={request}"),
            };
            let mut response = see_other(&onwards);
            cookies::signed_in(response.headers_mut(), &new, engine.policy.session_absolute_lifetime);
            return Ok(response);
        }
        SignIn::Wrong => Rejected {
            status: StatusCode::UNAUTHORIZED,
            identifier: &shown,
            sentence: "That name or password is not right. Check both and try again.".to_owned(),
            retry_after: None,
        },
        SignIn::Wait { seconds } => Rejected {
            status: StatusCode::TOO_MANY_REQUESTS,
            identifier: &shown,
            sentence: format!("Too many tries. Wait {} and try again.", duration_in_words(seconds)),
            retry_after: Some(seconds),
        },
    };
    let reason = match pending.as_deref() {
        Some(pending) => Reason::Application(pending),
        None if request.is_empty() => Reason::Itself,
        None => Reason::Device(&request),
    };
    Ok(show_login(engine, browser, reason, Some(rejected))?)
}

pub(super) fn duration_in_words(seconds: i64) -> String {
    match seconds {
        ..=1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        91..=5400 => format!("{} minutes", (seconds + 59) / 60),
        _ => format!("{} hours", (seconds + 3599) / 3600),
    }
}

/// The consent page, and the stop where every sign-in passes by.
pub(in crate::http) async fn consent_page(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let sealed = match params.required("request") {
        Ok(sealed) => sealed,
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    let shown = match authorize::resume(&public.engine, sealed, &browser).await {
        Ok(Next::Consent(pending)) => show_consent(&public.engine, &browser, &pending),
        Ok(next) => return go(&public.engine, next),
        Err(stop) => return stopped(stop, &origin),
    };
    shown.unwrap_or_else(|trouble| internal(&trouble, &origin))
}

fn show_consent(engine: &Engine, browser: &Browser, pending: &Pending) -> Result<Response, InternalError> {
    let Pending { sealed, request, client, session } = pending;
    let page = Consent {
        client: client_view(client),
        client_host: client.document_host().map(str::to_owned),
        username: session.as_ref().map(|session| session.email.clone()).unwrap_or_default(),
        scopes: asked_for(&request.consent()),
        redirect_host: request.redirect_uri.display_host(),
        unverified: !identity_is_assured(request, client) || client.metadata.protocol.registered_openly,
        switch_href: format!("/login?request={}", authorize::for_another_account(engine, request)?),
        csrf: engine.csrf_token(browser, Form::Consent, sealed)?,
        request: sealed.clone(),
    };
    let source = request.redirect_uri.csp_source();
    let mut response = render(StatusCode::OK, &page, &Policy { form_action: Some(&source), ..PLAIN });
    cookies::greet(response.headers_mut(), browser);
    Ok(response)
}

/// The posted consent form.
pub(in crate::http) async fn consent(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let read = || {
        params.refuse_repetition()?;
        let allowed = match params.required("decision")? {
            "allow" => true,
            "deny" => false,
            _ => return Err(OAuthError::invalid_request("decision must be allow or deny.")),
        };
        Ok((params.required("request")?, params.one("csrf_token")?.unwrap_or_default(), allowed))
    };
    let (sealed, csrf, allowed) = match read() {
        Ok(form) => form,
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    match public.engine.csrf_fits(&browser, Form::Consent, sealed, csrf) {
        Ok(true) => {}
        Ok(false) => return stale_form(&browser, &origin, Some(format!("/consent?request={sealed}"))),
        Err(trouble) => return internal(&trouble, &origin),
    }
    match authorize::consent(&public.engine, sealed, &browser, allowed).await {
        Ok(next) => go(&public.engine, next),
        Err(stop) => stopped(stop, &origin),
    }
}

pub(super) fn client_view(client: &Client) -> ClientView {
    let m = &client.metadata;
    ClientView {
        name: m.client_name.clone(),
        uri: m.client_uri.clone(),
        logo_uri: m.logo_uri.clone(),
        policy_uri: m.policy_uri.clone(),
        tos_uri: m.tos_uri.clone(),
    }
}
