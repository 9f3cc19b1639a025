//! What a client calls people and their sessions: by public ids, or by names of its sector (OpenID Connect Core §8).
//!
//! Whatever tells a client about a person asks here, so that no client learns two names of one person.

use crate::crypto::Keyring;
use crate::domain::{Client, KeyAlgorithm, SessionId, UserId};

use super::{Engine, InternalError};

/// The `sub` by which a client knows a person: in tokens, at userinfo, in requests that name whom they expect.
///
/// # Errors
/// Memory that is not confirmed.
pub fn of_person(engine: &Engine, client: &Client, person: UserId) -> Result<String, InternalError> {
    person_in(&*engine.snapshots.keyring()?, client, person)
}

/// As [`of_person`], with the keys at hand.
///
/// # Errors
/// The key is missing.
pub(super) fn person_in(keyring: &Keyring, client: &Client, person: UserId) -> Result<String, InternalError> {
    match client.metadata.sector() {
        None => Ok(person.to_string()),
        Some(sector) => keyring.pairwise_subject(&sector, person).ok_or_else(no_key),
    }
}

/// The `sid` by which a client knows a session.
///
/// # Errors
/// The key is missing.
pub(super) fn session_in(keyring: &Keyring, client: &Client, session: SessionId) -> Result<String, InternalError> {
    match client.metadata.sector() {
        None => Ok(session.to_string()),
        Some(sector) => keyring.pairwise_session(&sector, session).ok_or_else(no_key),
    }
}

fn no_key() -> InternalError {
    InternalError::NoKey(KeyAlgorithm::PairwiseNames.as_str())
}
