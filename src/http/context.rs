//! What a request tells about itself before anything is asked of it.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use ipnet::IpNet;

use super::errors::Reader;

/// Bytes of the address and of all headers.
pub(super) fn head_length(request: &Request) -> usize {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    address + headers.sum::<usize>()
}

pub(super) fn announced_length(headers: &HeaderMap) -> u64 {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Not a secret: it tells requests apart, over all processes and restarts. A counter that begins at random, mixed (splitmix64) so that ids
/// of neighbours do not look alike.
pub(super) fn new_correlation_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().build_hasher().finish()));
    let mut id = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    id = (id ^ (id >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    id ^= id >> 31;
    format!("{id:016x}")
}

/// The address that a request came from. `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, the first
/// address that is not one of ours. A client that writes the header itself changes nothing (RFC 9700 §4.13).
pub(super) fn source(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut last = peer;
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        last = address.to_canonical();
        if !is_trusted(&last) {
            break;
        }
    }
    Some(last)
}

pub(super) fn reader(request: &Request) -> Reader {
    if request.uri().path().starts_with("/admin/") {
        Reader::Operator
    } else if accepts_html(request.headers()) {
        Reader::Person
    } else {
        Reader::Client
    }
}

/// Whether the caller is a person's browser rather than a program.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

/// Routes are few and fixed, so their names are kept for good: metrics want labels that live as long as the process.
pub(super) fn route_label(route: Option<&str>) -> &'static str {
    use std::collections::HashMap;
    use std::sync::{LazyLock, RwLock};
    static KNOWN: LazyLock<RwLock<HashMap<String, &'static str>>> = LazyLock::new(RwLock::default);
    let Some(route) = route else { return "none" };
    if let Some(label) = KNOWN.read().ok().and_then(|known| known.get(route).copied()) {
        return label;
    }
    let label: &'static str = Box::leak(route.to_owned().into_boxed_str());
    if let Ok(mut known) = KNOWN.write() {
        return known.entry(route.to_owned()).or_insert(label);
    }
    label
}

pub(super) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        source(Some(peer.parse().unwrap()), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn security_65_forwarded_addresses_count_only_from_trusted_proxies() {
        assert_eq!(seen("203.0.113.9", "198.51.100.1"), "203.0.113.9", "a stranger's header is ignored");
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2"),
            "198.51.100.1",
            "what the client wrote first is not believed"
        );
        assert_eq!(seen("10.0.0.1", "garbage"), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
    }

    proptest::proptest! {
        #[test]
        fn security_65_any_forwarded_addresses_are_read_or_passed_over(text in "[0-9a-f.:, \\[\\]x]{0,60}", trusted: bool) {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", text.parse().unwrap());
            let proxies = ["10.0.0.0/8".parse().unwrap()];
            let peer: IpAddr = if trusted { "10.0.0.1" } else { "203.0.113.9" }.parse().unwrap();
            let found = source(Some(peer), &headers, &proxies);
            proptest::prop_assert!(found.is_some() && (trusted || found == Some(peer)));
        }
    }

    #[test]
    fn correlation_ids_are_sixteen_digits_and_differ() {
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| new_correlation_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn a_route_has_one_label_however_often_it_is_asked_for() {
        assert!(std::ptr::eq(route_label(Some("/x")), route_label(Some("/x"))));
        assert_eq!(route_label(None), "none");
    }
}
