//! Keys as operators see, replace and withdraw them.

use super::{AdminError, Caller, Page, PageRequest};
use crate::domain::{KeyAlgorithm, KeyRecord, Kid};
use crate::flows::Engine;
use crate::store;

/// Every key, oldest first, also retired and revoked ones. There are few, so a page is cut here and not in the database.
///
/// # Errors
/// The database.
pub async fn list(engine: &Engine, request: PageRequest<Kid>) -> Result<Page<KeyRecord>, AdminError> {
    let keys = store::keys::all(engine.store.pool()).await?;
    let start =
        request.after.map_or(0, |kid| keys.iter().position(|key| key.kid == kid).map_or(keys.len(), |index| index + 1));
    Ok(request.page(keys.into_iter().skip(start).collect()))
}

/// Makes a successor for the key of every algorithm, or of this one, and gives those that now wait: a successor signs once
/// everybody can have fetched it.
///
/// # Errors
/// The database, or a key that cannot be encrypted.
pub async fn rotate(
    engine: &Engine,
    algorithm: Option<KeyAlgorithm>,
    caller: &Caller,
) -> Result<Vec<KeyRecord>, AdminError> {
    Ok(engine.rotate_keys(algorithm, &caller.actor, &caller.origin).await?)
}

/// Withdraws a key in an emergency: its tokens are refused from now on, and a successor signs at once.
///
/// # Errors
/// There is no key of this name, or it was withdrawn before.
pub async fn revoke(engine: &Engine, kid: Kid, caller: &Caller) -> Result<(), AdminError> {
    let revoked = engine.revoke_key(kid, &caller.actor, &caller.origin).await?;
    if revoked { Ok(()) } else { Err(AdminError::NotFound) }
}
