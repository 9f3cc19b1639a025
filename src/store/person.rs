//! A person in one column, so that rows about other things stay small.

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{ClaimNames, Profile, Timestamp, User, UserId, UserState};

/// What `jsonb_build_object` makes of a row of `users`, and what of it was asked for by name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PersonColumn {
    id: Uuid,
    username: Option<String>,
    email: String,
    email_verified: bool,
    profile: Profile,
    has_password: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: Timestamp,
    /// The claims that the grant's client asked of userinfo.
    #[serde(default)]
    pub(super) asked: Option<ClaimNames>,
}

impl From<PersonColumn> for User {
    fn from(person: PersonColumn) -> Self {
        Self {
            id: UserId(person.id),
            username: person.username,
            email: person.email,
            email_verified: person.email_verified,
            profile: person.profile,
            // Who is locked has no live token and no grant that gives one, so that is told already.
            state: UserState::Active,
            has_password: person.has_password,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}
