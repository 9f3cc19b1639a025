//! Cookies: three of them, all `__Host-`, Secure, `HttpOnly`, `SameSite=Lax` (SECURITY 62).

use axum::http::{HeaderMap, HeaderValue, header};
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
    Browser::read(engine, value(headers, BROWSER), value(headers, SESSION), value(headers, DEVICE))
}

/// The value of the only cookie of exactly this name. Browsers let no other host set a name that begins with `__Host-`, so the name
/// is compared byte by byte: what percent-decoding, trimming or folding turns into it may come from any host of the domain, with the
/// attacker's session inside. For the same reason a name that comes twice counts as absent. A neighbour's cookie that is no text
/// does not hide ours.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|all| all.as_bytes().split(|byte| *byte == b';'));
    let named = |pair: &'a [u8]| {
        let spaces = pair.iter().take_while(|byte| **byte == b' ').count();
        pair[spaces..].strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    };
    let mut found = pairs.filter_map(named);
    match (found.next(), found.next()) {
        (Some(value), None) => std::str::from_utf8(value).ok(),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_only_cookie_of_our_name_is_read_whatever_stands_beside_it(
            ours in "[A-Za-z0-9_-]{1,60}", neighbours in vec("[!-:<-~]{0,20}", 0..4), at in any::<prop::sample::Index>(),
        ) {
            let mut pairs: Vec<String> = neighbours.into_iter().filter(|other| !other.starts_with(BROWSER)).collect();
            pairs.insert(at.index(pairs.len() + 1), format!("{BROWSER}={ours}"));
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
            prop_assert_eq!(value(&headers, BROWSER), Some(ours.as_str()));
            headers.append(header::COOKIE, HeaderValue::from_static("__Host-keystead-browser=another"));
            prop_assert_eq!(value(&headers, BROWSER), None, "one of the two may be an attacker's");
        }

        #[test]
        fn any_cookie_header_is_read_or_passed_over(bytes in vec(any::<u8>(), 0..80), named: bool) {
            let start = if named { format!("{SESSION}=") } else { String::new() };
            let bytes = [start.as_bytes(), &bytes].concat();
            let Ok(header) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let headers: HeaderMap = [(header::COOKIE, header)].into_iter().collect();
            if let Some(found) = value(&headers, SESSION) {
                prop_assert!(String::from_utf8_lossy(&bytes).contains(found) && !found.contains(';'));
            }
        }
    }
}
