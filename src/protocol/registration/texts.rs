//! Judgements that several members share.

use url::Url;

use crate::domain::MetadataProblem;

/// The longest URI that is kept.
const LONGEST_URI: usize = 2000;

/// Problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<MetadataProblem>);

impl Problems {
    /// Adds one unless the rule holds.
    pub fn require(&mut self, holds: bool, field: &str, sentence: impl Into<String>) {
        if !holds {
            self.0.push(MetadataProblem { field: field.to_owned(), sentence: sentence.into() });
        }
    }

    /// A text for people: 1 to `longest` characters, no control characters, not only space.
    pub fn require_text(&mut self, field: &str, text: &str, longest: usize) {
        let length = text.chars().count();
        self.require(length <= longest, field, format!("has {length} characters; shorten it to at most {longest}"));
        self.require(!text.trim().is_empty(), field, "is empty or missing; give it a value");
        self.require(
            !text.chars().any(char::is_control),
            field,
            "holds control characters such as line breaks; remove them",
        );
    }

    /// A link that pages show: https, or http on this machine.
    pub fn require_link(&mut self, field: &str, text: &str) {
        if let Err(sentence) = judge_link(text) {
            self.require(false, field, sentence);
        }
    }

    /// Seconds between `least` and `most`, if given.
    pub fn require_seconds(&mut self, field: &str, seconds: Option<i32>, least: i32, most: i32) {
        let Some(seconds) = seconds else { return };
        let sentence = match most {
            i32::MAX => {
                format!("is {seconds}; give at least {least} second(s), or leave it out for the server's default")
            }
            most => format!("is {seconds}; give {least} to {most} seconds, or leave it out for the server's default"),
        };
        self.require((least..=most).contains(&seconds), field, sentence);
    }

    /// What was found.
    pub fn into_vec(self) -> Vec<MetadataProblem> {
        self.0
    }
}

fn judge_link(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_URI {
        return Err("is longer than 2000 characters; shorten it");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`')) {
        return Err("holds a character that is not allowed in a URI; percent-encode it");
    }
    let url = Url::parse(text)
        .map_err(|_| "is not an absolute URI; write it in full, for example https://app.example.com/about")?;
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err("is plain http, which anybody on the way can change; use https"),
        _ => return Err("has another scheme than https, which a page must not link to; use https"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds user information before the host; remove it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_46_links_are_https_or_on_this_machine() {
        for link in
            ["https://app.example", "https://app.example/a?b#c", "http://localhost:3000/logo.png", "http://[::1]/"]
        {
            assert_eq!(judge_link(link), Ok(()), "{link}");
        }
        for link in [
            "javascript:alert(1)",
            "data:text/html,x",
            "http://app.example/",
            "/logo.png",
            "https://a@b.example/",
            "https://x/\"",
            "",
        ] {
            assert!(judge_link(link).is_err(), "{link}");
        }
    }
}
