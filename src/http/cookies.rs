//! Cookies: three of them, all `__Host-`, Secure, `HttpOnly`, `SameSite=Lax` (SECURITY 62).

use axum::http::{HeaderMap, HeaderValue, header};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use crate::domain::Secret;
use crate::flows::Engine;
use crate::flows::browser::Browser;
use crate::flows::sign_in::NewCookies;

const SESSION: &str = "__Host-keystead-session";
const BROWSER: &str = "__Host-keystead-browser";
const DEVICE: &str = "__Host-keystead-device";
/// A year: browsers keep no cookie much longer.
const DEVICE_MAX_AGE: time::Duration = time::Duration::days(365);

/// The browser behind a request.
pub(super) fn browser(engine: &Engine, headers: &HeaderMap) -> Browser {
    let jar = CookieJar::from_headers(headers);
    let value = |name: &str| jar.get(name).map(|cookie| cookie.value().to_owned());
    Browser::read(engine, value(BROWSER).as_deref(), value(SESSION).as_deref(), value(DEVICE).as_deref())
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str, max_age: Option<time::Duration>) {
    let mut cookie =
        Cookie::build((name, value.to_owned())).path("/").secure(true).http_only(true).same_site(SameSite::Lax);
    if let Some(max_age) = max_age {
        cookie = cookie.max_age(max_age);
    }
    if let Ok(value) = HeaderValue::from_str(&cookie.build().to_string()) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Sends a browser its first cookie.
pub(super) fn greet(headers: &mut HeaderMap, browser: &Browser) {
    if browser.is_new {
        set(headers, BROWSER, browser.id.expose(), None);
    }
}

/// Sends the cookies of a sign-in.
pub(super) fn signed_in(headers: &mut HeaderMap, new: &NewCookies, session_lifetime: time::Duration) {
    let expose = Secret::expose;
    set(headers, SESSION, expose(&new.session), Some(session_lifetime));
    set(headers, BROWSER, expose(&new.browser), None);
    set(headers, DEVICE, expose(&new.device), Some(DEVICE_MAX_AGE));
}

/// Takes the session cookie away.
pub(super) fn signed_out(headers: &mut HeaderMap) {
    set(headers, SESSION, "", Some(time::Duration::ZERO));
}
