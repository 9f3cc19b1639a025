//! The end of an authorization request in the browser: the next page, a redirect to the application, or a form that posts itself there.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::domain::Origin;
use crate::flows::Engine;
use crate::flows::authorize::{self, Next, Stop};
use crate::flows::respond::Delivery;
use crate::protocol::redirect::VerifiedRedirectUri;

use super::views::FormPost;
use super::{BrowserParams, PLAIN, Policy, render, see_other, stopped};
use crate::http::Public;

/// What the browser does next.
pub(super) fn go(engine: &Engine, next: Next) -> Response {
    match next {
        Next::Application(Delivery::Redirect(location)) => see_other(&location),
        Next::Application(Delivery::Post { to, fields }) => post(engine, &to, fields),
        Next::Login(pending) => see_other(&format!("/login?request={}", pending.sealed)),
        Next::Consent(pending) => see_other(&format!("/consent?request={}", pending.sealed)),
    }
}

/// Form Post Response Mode §2. Without JavaScript the person presses the button.
fn post(engine: &Engine, to: &VerifiedRedirectUri, fields: Vec<(&'static str, String)>) -> Response {
    let nonce = engine.random.token("").expose().to_owned();
    let page = FormPost { host: to.display_host(), action: to.as_str().to_owned(), fields, nonce: nonce.clone() };
    let source = to.csp_source();
    render(StatusCode::OK, &page, &Policy { form_action: Some(&source), nonce: Some(&nonce), ..PLAIN })
}

/// Where a person turns back whose application does not take its answers from a link.
pub(super) async fn cancel(
    State(public): State<Public>,
    Extension(origin): Extension<Origin>,
    BrowserParams(params): BrowserParams,
) -> Response {
    let sealed = match params.required("request") {
        Ok(sealed) => sealed,
        Err(refusal) => return stopped(Stop::Show(refusal), &origin),
    };
    match authorize::cancel(&public.engine, sealed).await {
        Ok(next) => go(&public.engine, next),
        Err(stop) => stopped(stop, &origin),
    }
}
