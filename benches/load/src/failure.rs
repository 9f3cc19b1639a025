//! What went wrong, as one sentence for the person who started the run.

/// A sentence. Nothing here is handled otherwise than by telling it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure(pub String);

impl Failure {
    /// From any text.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// An answer that is not the expected one, with the beginning of its body in one line.
    pub fn unexpected(status: u16, body: &str, expected: &str) -> Self {
        let words: Vec<&str> = body.split_whitespace().take(30).collect();
        let shown: String = words.join(" ").chars().take(200).collect();
        Self(format!("status {status} instead of {expected}: {shown}"))
    }

    /// The same with the place where it happened.
    pub fn at(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
