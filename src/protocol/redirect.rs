//! Which redirect URI a request may use (RFC 9700 §2.1, §4.1.3; RFC 8252 §7.3), and how an answer is put into it.

use serde::{Deserialize, Serialize};

use crate::domain::{ApplicationType, Client, RedirectUri};

/// A redirect URI of a request that was found among those of its client. Only then may an answer be sent there.
///
/// It can be read back from a sealed request: the seal proves that it was found before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifiedRedirectUri(String);

impl VerifiedRedirectUri {
    /// Finds the requested URI among the client's.
    #[must_use]
    pub fn match_registered(client: &Client, requested: &str) -> Option<Self> {
        let metadata = &client.metadata;
        let port_may_vary = metadata.application_type == ApplicationType::Native;
        let found = metadata.redirect_uris.iter().any(|registered| {
            registered.as_str() == requested || (port_may_vary && differs_only_in_loopback_port(registered, requested))
        });
        found.then(|| Self(requested.to_owned()))
    }

    /// The URI as the request wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the grant keeps it.
    #[must_use]
    pub fn to_redirect_uri(&self) -> RedirectUri {
        RedirectUri::from_registered(self.0.clone())
    }

    /// The URI with parameters appended; a query that was registered stays (RFC 6749 §3.1.2).
    #[must_use]
    pub fn with_params(&self, params: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
        append_params(&self.0, params)
    }

    /// What a Content-Security-Policy must allow so that a form's answer may lead there.
    #[must_use]
    pub fn csp_source(&self) -> String {
        let (scheme, rest) = self.0.split_once(':').unwrap_or((&self.0, ""));
        let scheme = scheme.to_ascii_lowercase();
        match rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?']).next()) {
            Some(authority) if matches!(scheme.as_str(), "http" | "https") => format!("{scheme}://{authority}"),
            _ => format!("{scheme}:"),
        }
    }

    /// Whether a browser can post a form there.
    #[must_use]
    pub fn is_web(&self) -> bool {
        self.csp_source().contains("://")
    }

    /// Host or scheme, as a person recognizes it.
    #[must_use]
    pub fn display_host(&self) -> String {
        self.csp_source().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches(':').to_owned()
    }
}

/// Appends form-encoded parameters to a URI that has no fragment.
#[must_use]
pub fn append_params(uri: &str, params: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    if query.is_empty() {
        return uri.to_owned();
    }
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

/// RFC 8252 §7.3: an installed application gets whatever port is free, on the address literal only. A name such as localhost may
/// resolve to something else, and any other part of the URI is the client's identity.
fn differs_only_in_loopback_port(registered: &RedirectUri, requested: &str) -> bool {
    if !registered.is_loopback_literal() {
        return false;
    }
    match (split_port(registered.as_str()), split_port(requested)) {
        (Some((host_a, path_a)), Some((host_b, path_b))) => host_a == host_b && path_a == path_b,
        _ => false,
    }
}

/// `http://HOST[:PORT]REST` as (HOST, REST), for the two loopback literals only.
fn split_port(uri: &str) -> Option<(&str, &str)> {
    let after = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| after.starts_with(host))?;
    let rest = &after[host.len()..];
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (port, path) = rest.split_at(path_at);
    let port_is_fine = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        });
    port_is_fine.then_some((host, path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ClientId, ClientMetadata, Clock};

    fn client(uris: &[&str], application_type: ApplicationType) -> Client {
        let now = Clock::System.now();
        let redirect_uris = uris.iter().map(|uri| RedirectUri::register(uri, application_type).unwrap()).collect();
        Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata { redirect_uris, application_type, ..ClientMetadata::default() },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn security_01_only_the_exact_text_matches() {
        let client = client(&["https://rp.example/cb"], ApplicationType::Web);
        let matches = |uri: &str| VerifiedRedirectUri::match_registered(&client, uri).is_some();
        assert!(matches("https://rp.example/cb"));
        for uri in [
            "https://rp.example/cb/",
            "https://rp.example/cb?x=1",
            "https://rp.example/cb/../x",
            "https://rp.example/CB",
            "https://rp.example@evil.example/cb",
            "https://rp.example.evil.example/cb",
            "https://rp.example/%2e%2e/cb",
            "https://rp.example./cb",
            "https://rp.example:443/cb",
            "https://rp.example/cb#f",
            "https://RP.example/cb",
            "HTTPS://rp.example/cb",
            " https://rp.example/cb",
            "https://rp.example/cb ",
            "https://rp.example/cb?",
        ] {
            assert!(!matches(uri), "{uri}");
        }
    }

    #[test]
    fn security_02_only_the_port_of_a_loopback_literal_may_vary_and_only_for_native_clients() {
        let native =
            client(&["http://127.0.0.1/cb", "http://localhost/cb", "http://[::1]:1234/cb"], ApplicationType::Native);
        let matches = |uri: &str| VerifiedRedirectUri::match_registered(&native, uri).is_some();
        for uri in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:51004/cb",
            "http://[::1]:9/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
        ] {
            assert!(matches(uri), "{uri}");
        }
        for uri in [
            "http://localhost:51004/cb",
            "http://127.0.0.2/cb",
            "https://127.0.0.1/cb",
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:51004/cb?x=1",
        ] {
            assert!(!matches(uri), "{uri}");
        }
        let web = client(&["http://127.0.0.1/cb"], ApplicationType::Web);
        assert!(VerifiedRedirectUri::match_registered(&web, "http://127.0.0.1:51004/cb").is_none());
    }

    #[test]
    fn protocol_18_a_registered_query_stays_and_parameters_are_appended() {
        assert_eq!(
            append_params("https://rp.example/cb?a=b", &[("code", "x y")]),
            "https://rp.example/cb?a=b&code=x+y"
        );
        assert_eq!(
            append_params("https://rp.example/cb", &[("code", "1"), ("state", "é&")]),
            "https://rp.example/cb?code=1&state=%C3%A9%26"
        );
        assert_eq!(append_params("https://rp.example/cb?", &[("a", "1")]), "https://rp.example/cb?a=1");
    }

    #[test]
    fn security_10_a_page_policy_names_exactly_the_origin_or_the_private_scheme() {
        let native = |uri: &str| {
            let client = client(&[uri], ApplicationType::Native);
            let uri = VerifiedRedirectUri::match_registered(&client, uri).unwrap();
            (uri.csp_source(), uri.display_host())
        };
        for (uri, source, host) in [
            ("https://rp.example:8443/cb?a;b", "https://rp.example:8443", "rp.example:8443"),
            ("HTTPS://rp.example/cb", "https://rp.example", "rp.example"),
            ("http://[::1]:9/cb", "http://[::1]:9", "[::1]:9"),
            ("com.example.app:/cb", "com.example.app:", "com.example.app"),
        ] {
            assert_eq!(native(uri), (source.to_owned(), host.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_exact_uri_matches_a_web_client(uri in "https?://[a-z.@:0-9/?%#]{0,30}") {
            let client = client(&["https://rp.example/cb"], ApplicationType::Web);
            prop_assert_eq!(VerifiedRedirectUri::match_registered(&client, &uri).is_some(), uri == "https://rp.example/cb");
        }

        #[test]
        fn any_port_matches_a_native_loopback_uri(port in 1_u16..) {
            let client = client(&["http://127.0.0.1/cb"], ApplicationType::Native);
            let uri = format!("http://127.0.0.1:{port}/cb");
            prop_assert!(VerifiedRedirectUri::match_registered(&client, &uri).is_some());
        }
    }
}
