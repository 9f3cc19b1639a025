//! What is read elsewhere, and for whom.

use std::time::Duration;

/// Who wants something read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// An operator, or a client for which one has vouched or to which people have gone.
    Registered,
    /// Somebody for whom nobody has vouched: fewer at once, and apart from the others.
    Stranger,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub bytes: Vec<u8>,
    /// For how long the other side says that it may be kept (`Cache-Control: max-age`, RFC 9111 §5.2.2.1).
    pub max_age: Option<Duration>,
    /// What it says that it is (RFC 9110 §8.3), without parameters.
    pub content_type: Option<String>,
}

impl Fetched {
    /// A place where anybody may put texts and pictures must not speak for a client or a sector.
    ///
    /// # Errors
    /// It says to be something else than JSON; the end of a sentence about it.
    pub fn require_json(&self) -> Result<(), String> {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let structured = content_type.strip_prefix("application/").is_some_and(|name| name.ends_with("+json"));
        if structured || content_type == "application/json" {
            Ok(())
        } else {
            Err("its Content-Type is neither application/json nor application/...+json".to_owned())
        }
    }
}
