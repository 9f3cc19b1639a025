//! Ids in paths. One that has not even the form of an id is answered like one that is unknown.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::value::StringDeserializer;

use super::problem::Problem;
use crate::domain::{ClientId, Kid};
use crate::flows::admin::AdminError;

/// An id that is the only parameter of the path.
pub(super) struct Id<T>(pub T);

/// A client's id and, behind it, the id of something that belongs to the client.
pub(super) struct ClientAnd<T>(pub ClientId, pub T);

/// What can stand in a path.
pub(super) trait PathId: Sized {
    /// Reads the decoded text.
    fn read(text: String) -> Option<Self>;
}

impl PathId for ClientId {
    fn read(text: String) -> Option<Self> {
        Self::parse(&text)
    }
}

impl PathId for Kid {
    fn read(text: String) -> Option<Self> {
        Self::parse(&text)
    }
}

macro_rules! uuid_ids {
    ($($id:ident),+) => { $(
        impl PathId for crate::domain::$id {
            fn read(text: String) -> Option<Self> {
                Self::deserialize(StringDeserializer::<serde::de::value::Error>::new(text)).ok()
            }
        }
    )+ };
}
uuid_ids!(GrantId, ResourceServerId, SecretId, SessionId, UserId);

impl<S: Send + Sync, T: PathId> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        T::read(text).map(Self).ok_or_else(unknown)
    }
}

impl<S: Send + Sync, T: PathId> FromRequestParts<S> for ClientAnd<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((client, other)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        let client = ClientId::parse(&client).ok_or_else(unknown)?;
        T::read(other).map(|other| Self(client, other)).ok_or_else(unknown)
    }
}

fn unknown() -> Problem {
    AdminError::NotFound.into()
}
