//! How a use case can fail: in a way that the caller may see, or in one that only operators may see.

use crate::crypto::{CryptoError, HashError};
use crate::protocol::error::OAuthError;
use crate::store::StoreError;

/// The outcome of a use case that did not succeed.
#[derive(Debug)]
pub enum FlowError {
    /// The request is refused; the caller is told why.
    Refused(OAuthError),
    /// It could not be done; the caller is told only whether to try again.
    Internal(InternalError),
}

/// Trouble of our own. It goes to the log, never to a caller.
#[derive(Debug, thiserror::Error)]
pub enum InternalError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys and their encryption.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Password hashing; temporary when all hashers are busy.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// What is in memory has not been confirmed by the database for too long.
    #[error("the database has not confirmed clients and keys for too long")]
    Stale,
    /// The database has not answered in time; it may have vanished without a word.
    #[error("the database has not answered in time")]
    Silent,
    /// A key that must exist does not.
    #[error("no active {0} key; run `keystead keys list` and `keystead keys rotate`")]
    NoKey(&'static str),
    /// A value that could not be written as JSON: a defect.
    #[error("a {0} could not be written as JSON")]
    Unwritable(&'static str),
}

impl InternalError {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Hash(HashError::Busy)
                | Self::Stale
                | Self::Silent
                | Self::Store(StoreError::Unavailable(_) | StoreError::Overloaded | StoreError::Contended(_))
        )
    }
}

impl From<OAuthError> for FlowError {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl<E: Into<InternalError>> From<E> for FlowError {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// The outcome, unless the database has vanished without a word and none will come within this time.
///
/// # Errors
/// Those of the work, and [`InternalError::Silent`].
pub async fn in_time<T>(
    most: std::time::Duration,
    work: impl Future<Output = Result<T, InternalError>>,
) -> Result<T, InternalError> {
    tokio::time::timeout(most, work).await.unwrap_or(Err(InternalError::Silent))
}
