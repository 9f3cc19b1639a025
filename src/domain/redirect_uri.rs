//! Redirect URIs as clients register them: which forms are safe enough to hold (RFC 9700 §2.1, §2.6; RFC 8252 §7, §8.4).

use std::fmt;

use url::Url;

use super::ApplicationType;

/// A redirect URI that passed the rules of registration. It is compared by its exact text, so the text is what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

/// Why a URI cannot be registered; each sentence says what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriProblem {
    /// Not an absolute URI.
    #[error("it is not an absolute URI; write it in full, for example https://app.example.com/callback")]
    NotAbsolute,
    /// RFC 6749 §3.1.2: a fragment would swallow what is appended.
    #[error("it has a fragment (#...); remove it")]
    Fragment,
    /// Plain http sends the code over the network in the clear.
    #[error("plain http is only for loopback addresses (127.0.0.1, [::1], localhost); use https")]
    PlainHttp,
    /// `javascript:`, `data:` and their like run or read what the attacker wrote.
    #[error("this scheme is dangerous; use https, or a reverse-domain scheme such as com.example.app:/callback")]
    DangerousScheme,
    /// RFC 8252 §7.1: without a dot anybody's app may claim the scheme.
    #[error("a private-use scheme must be a reverse domain name with a dot, such as com.example.app:/callback")]
    SchemeWithoutDot,
    /// A private-use scheme is for installed applications.
    #[error("a private-use scheme is only for clients with application_type native")]
    PrivateSchemeForWeb,
    /// Nothing behind the scheme.
    #[error("it has no path after the scheme; add one, such as com.example.app:/callback")]
    SchemeOnly,
    /// `https://user:password@host` is how look-alike addresses are built.
    #[error("it holds user information before the host; remove it")]
    UserInfo,
    /// A host that DNS cannot know; it would also be copied into the pages' Content-Security-Policy, where `;` and `,` separate.
    #[error(
        "its host holds a character that host names do not have; use letters, digits, dots and hyphens (xn--... for others)"
    )]
    Host,
    /// Wildcards are not offered.
    #[error("wildcards are not allowed; register each URI in full")]
    Wildcard,
    /// Control characters, spaces, backslashes or characters outside ASCII.
    #[error("it holds a character that is not allowed in a URI; percent-encode it")]
    Character,
    /// Longer than 2,000 characters.
    #[error("it is longer than 2000 characters")]
    TooLong,
    /// `.` or `..` in the path.
    #[error("its path holds . or .. segments; write the path that is meant")]
    DotSegments,
}

impl RedirectUri {
    /// Judges a URI that somebody wants to register for a client of this kind.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn register(text: &str, application_type: ApplicationType) -> Result<Self, RedirectUriProblem> {
        use RedirectUriProblem as P;
        if text.len() > 2000 {
            return Err(P::TooLong);
        }
        if !text.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
        }) {
            return Err(P::Character);
        }
        if text.contains('#') {
            return Err(P::Fragment);
        }
        if text.contains('*') {
            return Err(P::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| P::NotAbsolute)?;
        match url.scheme() {
            "https" | "http" => Self::check_web(text, &url)?,
            scheme => Self::check_private_scheme(scheme, text, application_type)?,
        }
        Ok(Self(text.to_owned()))
    }

    fn check_web(text: &str, url: &Url) -> Result<(), RedirectUriProblem> {
        use RedirectUriProblem as P;
        if !text.to_ascii_lowercase().starts_with(&format!("{}://", url.scheme())) || url.host_str().is_none() {
            return Err(P::NotAbsolute);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(P::UserInfo);
        }
        if !authority(text).bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) {
            return Err(P::Host);
        }
        if url.scheme() == "http" && !is_loopback(url) {
            return Err(P::PlainHttp);
        }
        let path = text.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
        if path.split('/').skip(3).any(|segment| segment == "." || segment == "..") {
            return Err(P::DotSegments);
        }
        Ok(())
    }

    fn check_private_scheme(
        scheme: &str,
        text: &str,
        application_type: ApplicationType,
    ) -> Result<(), RedirectUriProblem> {
        use RedirectUriProblem as P;
        const DANGEROUS: [&str; 12] = [
            "javascript",
            "data",
            "vbscript",
            "file",
            "about",
            "blob",
            "filesystem",
            "view-source",
            "ws",
            "wss",
            "ftp",
            "mailto",
        ];
        if DANGEROUS.contains(&scheme) {
            return Err(P::DangerousScheme);
        }
        if !scheme.contains('.') {
            return Err(P::SchemeWithoutDot);
        }
        if application_type != ApplicationType::Native {
            return Err(P::PrivateSchemeForWeb);
        }
        if text.len() <= scheme.len() + 1 || text[scheme.len() + 1..].trim_matches('/').is_empty() {
            return Err(P::SchemeOnly);
        }
        Ok(())
    }

    /// A URI that was judged when it was registered and now comes back from the database.
    #[must_use]
    pub fn from_registered(text: String) -> Self {
        Self(text)
    }

    /// The text as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it leads to this very machine by address literal: the only kind whose port may vary (RFC 8252 §7.3).
    #[must_use]
    pub fn is_loopback_literal(&self) -> bool {
        self.0.starts_with("http://") && matches!(authority_host(&self.0), "127.0.0.1" | "[::1]")
    }

    /// Whether whoever receives a redirect to this URI is known to be the registered party (RFC 8252 §8.6):
    /// an https host is proven by DNS and TLS; a loopback port or a private-use scheme can be taken by any application.
    #[must_use]
    pub fn assures_identity(&self) -> bool {
        self.0.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

fn authority(text: &str) -> &str {
    let after = text.split_once("://").map_or("", |(_, rest)| rest);
    after.split(['/', '?']).next().unwrap_or_default()
}

fn authority_host(text: &str) -> &str {
    let authority = authority(text);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RedirectUriProblem as P;

    #[test]
    fn security_03_dangerous_and_plain_http_uris_are_refused() {
        let cases = [
            ("http://app.example/cb", P::PlainHttp),
            ("http://127.0.0.2/cb", P::PlainHttp),
            ("javascript:alert(1)", P::DangerousScheme),
            ("data:text/html,x", P::DangerousScheme),
            ("vbscript:x", P::DangerousScheme),
            ("file:///etc/passwd", P::DangerousScheme),
            ("com.example.app:", P::SchemeOnly),
            ("com.example.app://", P::SchemeOnly),
            ("https://app.example/cb#f", P::Fragment),
            ("https://user@app.example/cb", P::UserInfo),
            ("https://*.app.example/cb", P::Wildcard),
            ("https://app.example;script-src/cb", P::Host),
            ("https://app.example,b/cb", P::Host),
            ("https://%65vil.example/cb", P::Host),
            ("https://app.example/a/../cb", P::DotSegments),
            ("https://app.example/a/%2E%2e/cb", P::DotSegments),
            ("https:app.example/cb", P::NotAbsolute),
            ("https://app.example\\@evil/cb", P::Character),
            ("/cb", P::NotAbsolute),
            ("https://app.example/c b", P::Character),
        ];
        for (uri, problem) in cases {
            assert_eq!(RedirectUri::register(uri, ApplicationType::Native), Err(problem), "{uri}");
        }
    }

    #[test]
    fn security_04_a_private_use_scheme_needs_a_dot() {
        assert_eq!(RedirectUri::register("myapp:/cb", ApplicationType::Native), Err(P::SchemeWithoutDot));
        assert!(RedirectUri::register("com.example.app:/cb", ApplicationType::Native).is_ok());
        assert_eq!(RedirectUri::register("com.example.app:/cb", ApplicationType::Web), Err(P::PrivateSchemeForWeb));
    }

    #[test]
    fn loopback_literals_are_told_from_names() {
        let literal = |text: &str| RedirectUri::register(text, ApplicationType::Native).unwrap().is_loopback_literal();
        assert!(literal("http://127.0.0.1/cb"));
        assert!(literal("http://127.0.0.1:9999/cb"));
        assert!(literal("http://[::1]/cb"));
        assert!(!literal("http://localhost/cb"));
        assert!(!literal("https://127.0.0.1/cb"));
    }
}
