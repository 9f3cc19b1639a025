//! The pages of the device flow (RFC 8628 §3.3).

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use crate::domain::Origin;
use crate::flows::authorize::Stop;
use crate::flows::browser::{Browser, Form};
use crate::flows::device::page::{self as flow, Confirmation, Next, Problem};
use crate::flows::sign_in::NewCookies;
use crate::flows::{Engine, InternalError};
use crate::protocol::error::OAuthError;

use super::asked::scope_view;
use super::sign_in::{client_view, duration_in_words};
use super::views::{Device, DeviceConfirm, DeviceDone};
use super::{BrowserParams, PLAIN, internal, render, see_other, stale_form, stopped};
use crate::http::{Public, cookies};

/// Where people enter codes.
pub(super) const PATH: &str = "/device";

/// Tells the `request` of a device from that of an application on the sign-in page; sealed texts hold no dot.
const MARK: &str = "device.";

/// The sealed code in a `request` of the sign-in page, if it is that of a device.
pub(super) fn sealed(request: &str) -> Option<&str> {
    request.strip_prefix(MARK)
}

/// Where the person goes on with a sealed code.
pub(super) fn address(sealed: &str) -> String {
    format!("{PATH}?request={sealed}")
}

/// Where a sign-in leads that a device asked for.
pub(super) fn after_sign_in(
    engine: &Engine,
    sealed: &str,
    browser: &Browser,
    cookies: &NewCookies,
) -> Result<String, InternalError> {
    // A code that was entered in another browser is filled in there and not gone on with.
    let own = flow::after_sign_in(engine, sealed, browser, cookies)?;
    Ok(address(own.as_deref().unwrap_or(sealed)))
}

/// The field for the code, filled in by `verification_uri_complete`; with a sealed code the page that asks for the decision.
pub(in crate::http) async fn page(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let next = match (params.one("request"), params.one("user_code")) {
        (Ok(Some(sealed)), _) => flow::resume(&public.engine, sealed, &browser, &origin).await,
        // RFC 8628 §5.4: whoever opens a link has not said yes to anything; the code is not even looked up.
        (Ok(None), Ok(typed)) => {
            Ok(Next::Enter { user_code: typed.unwrap_or_default().chars().take(20).collect(), problem: None })
        }
        (Err(refusal), _) | (_, Err(refusal)) => return stopped(Stop::Show(refusal), &origin),
    };
    let shown = next.and_then(|next| show(&public.engine, &browser, next));
    shown.unwrap_or_else(|trouble| internal(&trouble, &origin))
}

/// The posted code, or the posted decision.
pub(in crate::http) async fn form(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let read = || {
        params.refuse_repetition()?;
        let allowed = match params.one("decision")? {
            Some("allow") => Some(true),
            Some("deny") => Some(false),
            Some(_) => return Err(OAuthError::invalid_request("decision must be allow or deny.")),
            None => None,
        };
        let text = |name| params.one(name).map(Option::unwrap_or_default);
        let bound = if allowed.is_some() { params.required("request")? } else { "" };
        Ok((text("csrf_token")?, allowed, bound, text("user_code")?))
    };
    let (csrf, decision, sealed, typed) = match read() {
        Ok(form) => form,
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    let engine = &public.engine;
    let (form, again) = match decision {
        Some(_) => (Form::Device, address(sealed)),
        None => (Form::UserCode, PATH.to_owned()),
    };
    match engine.csrf_fits(&browser, form, sealed, csrf) {
        Ok(true) => {}
        Ok(false) => return stale_form(&browser, &origin, Some(again)),
        Err(trouble) => return internal(&trouble, &origin),
    }
    let next = match decision {
        Some(allowed) => flow::decide(engine, sealed, allowed, &browser, &origin).await,
        None => flow::enter(engine, typed, &browser, &origin).await,
    };
    let shown = next.and_then(|next| match next {
        Next::Confirm(confirmation) => Ok(see_other(&address(&confirmation.sealed))),
        next => show(engine, &browser, next),
    });
    shown.unwrap_or_else(|trouble| internal(&trouble, &origin))
}

fn show(engine: &Engine, browser: &Browser, next: Next) -> Result<Response, InternalError> {
    let mut response = match next {
        Next::SignIn { sealed } => return Ok(see_other(&format!("/login?request={MARK}{sealed}"))),
        Next::Enter { user_code, problem } => show_field(engine, browser, user_code, problem)?,
        Next::Confirm(confirmation) => show_confirmation(engine, browser, &confirmation)?,
        Next::Decided { allowed, client } => {
            render(StatusCode::OK, &DeviceDone { client_name: client.metadata.client_name.clone(), allowed }, &PLAIN)
        }
    };
    cookies::greet(response.headers_mut(), browser);
    Ok(response)
}

fn show_field(
    engine: &Engine,
    browser: &Browser,
    user_code: String,
    problem: Option<Problem>,
) -> Result<Response, InternalError> {
    let (status, error, wait) = match problem {
        None => (StatusCode::OK, None, None),
        Some(Problem::Wrong) => {
            let sentence = "That code is not right, or it has expired. Compare it with your device and try again.";
            (StatusCode::BAD_REQUEST, Some(sentence.to_owned()), None)
        }
        Some(Problem::Wait { seconds }) => {
            let sentence = format!("Too many wrong codes. Wait {} and try again.", duration_in_words(seconds));
            (StatusCode::TOO_MANY_REQUESTS, Some(sentence), Some(seconds))
        }
    };
    let page = Device { user_code, error, csrf: engine.csrf_token(browser, Form::UserCode, "")? };
    let mut response = render(status, &page, &PLAIN);
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn show_confirmation(engine: &Engine, browser: &Browser, asked: &Confirmation) -> Result<Response, InternalError> {
    let Confirmation { sealed, user_code, request, client, session } = asked;
    let page = DeviceConfirm {
        client: client_view(client),
        username: session.email.clone(),
        scopes: request.scope.tokens().filter(|token| *token != "openid").map(scope_view).collect(),
        user_code: user_code.clone(),
        unverified: client.metadata.protocol.registered_openly,
        ends_with_session: !request.scope.contains("offline_access"),
        csrf: engine.csrf_token(browser, Form::Device, sealed)?,
        request: sealed.clone(),
    };
    Ok(render(StatusCode::OK, &page, &PLAIN))
}
