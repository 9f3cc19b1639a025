//! How an authorization response reaches the client.

use serde::{Deserialize, Serialize};

use super::client::text_form;

/// OAuth 2.0 Multiple Response Type Encoding Practices §2.1, Form Post Response Mode, JARM §2.3. `jwt` means `query.jwt` for the one response
/// type that there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResponseMode {
    /// Parameters in the query of the redirect URI.
    #[default]
    #[serde(rename = "query")]
    Query,
    /// Parameters in a form that the browser posts to the redirect URI.
    #[serde(rename = "form_post")]
    FormPost,
    /// One signed JWT in the query.
    #[serde(rename = "query.jwt", alias = "jwt")]
    QueryJwt,
    /// One signed JWT in a form.
    #[serde(rename = "form_post.jwt")]
    FormPostJwt,
}

text_form!(ResponseMode {
    Query => "query",
    FormPost => "form_post",
    QueryJwt => "query.jwt",
    FormPostJwt => "form_post.jwt",
});

impl ResponseMode {
    /// The other name of [`ResponseMode::QueryJwt`].
    pub const JWT: &str = "jwt";

    /// Reads the value of a `response_mode` parameter.
    #[must_use]
    pub fn of_request(text: &str) -> Option<Self> {
        if text == Self::JWT { Some(Self::QueryJwt) } else { Self::parse(text) }
    }

    /// Whether the browser posts the answer.
    #[must_use]
    pub fn is_posted(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }

    /// Whether the answer is one signed JWT.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::QueryJwt | Self::FormPostJwt)
    }
}
