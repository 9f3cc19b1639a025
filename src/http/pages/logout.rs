//! Signing out: by an application (RP-initiated logout) or by the person.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use crate::domain::Origin;
use crate::flows::browser::{Browser, Form};
use crate::flows::logout::{self, Ended, Logout, Question};
use crate::flows::{Engine, FlowError, InternalError};
use crate::protocol::error::OAuthError;
use crate::protocol::params::Params;

use super::views::{LinkView, LogoutConfirm, LogoutRefused, SignedOut};
use super::{
    BrowserParams, END_SESSION, PLAIN, Policy, again_by_get, came_without_session, internal, render, see_other,
    stale_form,
};
use crate::http::{Public, cookies};

/// RP-Initiated Logout §2, by GET and by POST.
pub(in crate::http) async fn end_session(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    method: Method,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let outcome = logout::begin(&public.engine, &params, &browser).await;
    if came_without_session(&method, &browser) && matches!(outcome, Ok(Logout::Done(_))) {
        // Where that is too long the person's own way out shows whether there is a session.
        return again_by_get(END_SESSION, &params).unwrap_or_else(|| see_other("/logout"));
    }
    answer(&public.engine, outcome, &browser, &origin)
}

/// The person's own way out: as a logout without an application.
pub(in crate::http) async fn page(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let outcome = logout::begin(&public.engine, &Params::default(), &browser).await;
    answer(&public.engine, outcome, &browser, &origin)
}

fn answer(engine: &Engine, outcome: Result<Logout, FlowError>, browser: &Browser, origin: &Origin) -> Response {
    match outcome {
        Ok(Logout::Done(ended)) => done(&ended, browser),
        Ok(Logout::Ask(question)) => {
            ask(engine, browser, &question).unwrap_or_else(|trouble| internal(&trouble, origin))
        }
        Err(FlowError::Refused(refusal)) => refused(&refusal, origin),
        Err(FlowError::Internal(trouble)) => internal(&trouble, origin),
    }
}

fn done(ended: &Ended, browser: &Browser) -> Response {
    let location = ended.after.location();
    let mut response = match location {
        Some(location) if ended.frames.is_empty() => see_other(location),
        _ => {
            let next = location.map(|href| LinkView { href: href.to_owned(), label: "Continue".to_owned() });
            let page = SignedOut { next, frames: ended.frames.clone() };
            let sources: Vec<String> = ended.frames.iter().filter_map(|frame| origin_of(frame)).collect();
            render(StatusCode::OK, &page, &Policy { frames: &sources, ..PLAIN })
        }
    };
    // A browser that sent no session cookie, perhaps because another site made it come here, keeps what it has.
    if browser.session.is_some() {
        cookies::signed_out(response.headers_mut());
    }
    response
}

fn ask(engine: &Engine, browser: &Browser, question: &Question) -> Result<Response, InternalError> {
    let page = LogoutConfirm {
        username: Some(question.session.email.clone()),
        client_name: question.client.as_ref().map(|client| client.metadata.client_name.clone()),
        csrf: engine.csrf_token(browser, Form::Logout, &question.sealed)?,
        request: question.sealed.clone(),
    };
    let source = question.after.location().and_then(origin_of);
    let mut response = render(StatusCode::OK, &page, &Policy { form_action: source.as_deref(), ..PLAIN });
    cookies::greet(response.headers_mut(), browser);
    Ok(response)
}

/// Scheme and authority of an address, or the bare scheme of a private-use one.
fn origin_of(location: &str) -> Option<String> {
    let url = url::Url::parse(location).ok()?;
    Some(if url.origin().is_tuple() { url.origin().ascii_serialization() } else { format!("{}:", url.scheme()) })
}

fn refused(refusal: &OAuthError, origin: &Origin) -> Response {
    let page = LogoutRefused {
        sentence: refusal.description.clone(),
        code: refusal.code.as_str().to_owned(),
        correlation_id: origin.correlation_id.clone(),
    };
    render(StatusCode::BAD_REQUEST, &page, &PLAIN)
}

/// The posted confirmation.
pub(in crate::http) async fn confirm(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    BrowserParams(params): BrowserParams,
) -> Response {
    let browser = cookies::browser(&public.engine, &headers);
    let read = || -> Result<(&str, &str), OAuthError> {
        params.refuse_repetition()?;
        Ok((params.one("request")?.unwrap_or_default(), params.one("csrf_token")?.unwrap_or_default()))
    };
    let (sealed, csrf) = match read() {
        Ok(form) => form,
        Err(refusal) => return refused(&refusal, &origin),
    };
    match public.engine.csrf_fits(&browser, Form::Logout, sealed, csrf) {
        Ok(true) => {}
        Ok(false) => return stale_form(&browser, &origin, Some("/logout".to_owned())),
        Err(trouble) => return internal(&trouble, &origin),
    }
    match logout::confirm(&public.engine, sealed, &browser).await {
        Ok(ended) => done(&ended, &browser),
        Err(FlowError::Refused(refusal)) => refused(&refusal, &origin),
        Err(FlowError::Internal(trouble)) => internal(&trouble, &origin),
    }
}
