//! Who may use the admin API.

use crate::domain::{ADMIN_AUDIENCE, ClientId, SCOPE_ADMIN, SCOPE_ADMIN_READ};
use crate::flows::{Engine, InternalError, introspect};

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only look.
    Read,
    /// Change something.
    Write,
}

/// Why a token does not open the admin API.
#[derive(Debug)]
pub enum AccessRefused {
    /// Not a live access token for this API (RFC 6750 `invalid_token`).
    InvalidToken,
    /// A live one that is too narrow (RFC 6750 `insufficient_scope`).
    InsufficientScope,
    /// It could not be found out.
    Internal(InternalError),
}

impl<E: Into<InternalError>> From<E> for AccessRefused {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// Judges an access token for the admin API, and gives the client that showed it; its state is read from the database every time.
///
/// # Errors
/// The token does not hold, is for somebody else, or is too narrow.
pub async fn authorize(engine: &Engine, token: &str, needed: Access) -> Result<ClientId, AccessRefused> {
    let token = introspect::check_bearer_token(engine, token).await?.ok_or(AccessRefused::InvalidToken)?;
    // RFC 9700 §2.3: a token that is for another API as well is seen there, and whoever runs that API could administer with it.
    if *token.audience != [ADMIN_AUDIENCE] {
        return Err(AccessRefused::InvalidToken);
    }
    // RFC 9068 §5: a client's own token has the client as its subject. A token that a person gave would make everybody who
    // signs in an administrator.
    if token.subject != token.client_id {
        return Err(AccessRefused::InvalidToken);
    }
    let client_id = ClientId::parse(&token.client_id).ok_or(AccessRefused::InvalidToken)?;
    let allowed =
        token.scope.contains(SCOPE_ADMIN) || (needed == Access::Read && token.scope.contains(SCOPE_ADMIN_READ));
    if allowed { Ok(client_id) } else { Err(AccessRefused::InsufficientScope) }
}
