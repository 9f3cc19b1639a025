//! Ids in paths and cursors. One that has not even the form of an id is answered like one that is unknown.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::{ClientId, Kid, UserId};
use crate::flows::admin::AdminError;

/// An id that is the only parameter of the path.
pub(super) struct Id<T>(pub T);

/// A client's id and, behind it, the id of something that belongs to the client.
pub(super) struct ClientAnd<T>(pub ClientId, pub T);

/// A person's id and, behind it, the id of something that has to do with the person.
pub(super) struct UserAnd<T>(pub UserId, pub T);

/// What can be named by a text.
pub(super) trait TextId: Sized {
    /// Reads the decoded text.
    fn read(text: &str) -> Option<Self>;
}

impl TextId for ClientId {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl TextId for String {
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl TextId for Kid {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl TextId for Uuid {
    fn read(text: &str) -> Option<Self> {
        Self::try_parse(text).ok()
    }
}

macro_rules! uuid_ids {
    ($($id:ident),+) => { $(
        impl TextId for crate::domain::$id {
            fn read(text: &str) -> Option<Self> {
                Uuid::read(text).map(Self)
            }
        }
    )+ };
}
uuid_ids!(GrantId, InitialAccessTokenId, ResourceServerId, SecretId, SessionId, UserId);

impl<S: Send + Sync, T: TextId> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        T::read(&text).map(Self).ok_or_else(unknown)
    }
}

impl<S: Send + Sync, T: TextId> FromRequestParts<S> for ClientAnd<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (client, other) = two(parts, state).await?;
        Ok(Self(client, other))
    }
}

impl<S: Send + Sync, T: TextId> FromRequestParts<S> for UserAnd<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (user, other) = two(parts, state).await?;
        Ok(Self(user, other))
    }
}

async fn two<A: TextId, B: TextId>(parts: &mut Parts, state: &(impl Send + Sync)) -> Result<(A, B), Problem> {
    let Path((first, second)) =
        Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
    A::read(&first).zip(B::read(&second)).ok_or_else(unknown)
}

fn unknown() -> Problem {
    AdminError::NotFound.into()
}
