//! One type for each kind of identifier, so that one can never be taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_id!(
    /// A person: the `sub` of everything issued for them.
    UserId
);
uuid_id!(
    /// A browser's single sign-on session: the `sid` of tokens.
    SessionId
);
uuid_id!(
    /// One authorization that a person gave to a client: a token family.
    GrantId
);
uuid_id!(
    /// A resource server's registration; tokens name it by its audience.
    ResourceServerId
);
uuid_id!(
    /// One of a client's live secrets.
    SecretId
);
uuid_id!(
    /// A token with which clients register themselves.
    InitialAccessTokenId
);
uuid_id!(
    /// One authorization request, from its validation until it is answered.
    RequestId
);

/// A client's public name (RFC 6749 §2.2): 1 to 128 printable ASCII characters without space, never in the form of a UUID, and
/// nor of 32 bytes in base64url, and neither `.` nor `..`, which no path can hold (RFC 3986 §5.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Checks the form. `None`: not a possible client id, so no client has it.
    ///
    /// A UUID and 32 bytes in base64url are refused because a person's `sub` is one of them: RFC 9068 §5 wants a client's `sub` never to
    /// equal a person's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let addressable = !matches!(text, "." | "..");
        let plausible = printable && (1..=128).contains(&text.len()) && addressable && Uuid::try_parse(text).is_err();
        let plausible = plausible && KeyThumbprint::parse(text).is_none();
        plausible.then(|| Self(text.to_owned()))
    }

    /// The text as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key's name in JOSE headers (RFC 7517 §4.5): eight random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid(pub [u8; 8]);

impl Kid {
    /// Reads the 11 characters of base64url that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The SHA-256 thumbprint of a public key (RFC 7638) or of a certificate (RFC 8705 §3.1), by which tokens name what they are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyThumbprint(pub [u8; 32]);

impl KeyThumbprint {
    /// Reads the 43 characters of base64url that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl From<KeyThumbprint> for String {
    fn from(thumbprint: KeyThumbprint) -> Self {
        thumbprint.to_string()
    }
}

impl TryFrom<String> for KeyThumbprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the thumbprint of a key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_32_a_client_id_cannot_have_the_form_of_a_user_id() {
        for id in [
            "018f3c1e-0000-7000-8000-000000000000",
            "018f3c1e000070008000000000000000",
            "urn:uuid:018f3c1e-0000-7000-8000-000000000000",
            // A pairwise name.
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ] {
            assert_eq!(ClientId::parse(id), None, "{id}");
        }
        assert!(ClientId::parse("demo-web").is_some());
        assert!(ClientId::parse("https://client.example/metadata.json").is_some());
    }

    #[test]
    fn a_client_id_is_short_printable_ascii() {
        for id in ["", "a b", "a\u{0}", "ä", "a\"", ".", "..", &"x".repeat(129)] {
            assert_eq!(ClientId::parse(id), None, "{id:?}");
        }
    }

    #[test]
    fn a_kid_survives_its_text_form() {
        let kid = Kid([1, 2, 3, 250, 251, 252, 253, 254]);
        assert_eq!(Kid::parse(&kid.to_string()), Some(kid));
        assert_eq!(Kid::parse("short"), None);
    }

    #[test]
    fn a_thumbprint_survives_its_text_form() {
        let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(KeyThumbprint::parse(text).unwrap().to_string(), text);
        for wrong in ["", "short", &text[1..], &format!("{text}="), &format!("{text}AA")] {
            assert_eq!(KeyThumbprint::parse(wrong), None, "{wrong}");
        }
    }
}
