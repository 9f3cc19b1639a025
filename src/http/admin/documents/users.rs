//! Accounts of people. There is no member for a password (SECURITY 75).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas;
use crate::domain::{Profile, User, UserState};
use crate::flows::admin::users::AccountDraft;

/// An account as it is sent. What is absent or null has its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserDocument {
    /// A second name to sign in with; the claim `preferred_username`.
    pub username: Option<String>,
    /// E-mail address, with which the person signs in. Required.
    pub email: Option<String>,
    /// Whether the address was proven. False when absent, and after a change of the address that does not say otherwise.
    pub email_verified: Option<bool>,
    /// The other standard claims (OpenID Connect Core §5.1).
    #[schema(value_type = Option<schemas::ProfileClaims>)]
    pub profile: Option<Profile>,
}

/// An account as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserView {
    /// The `sub` of everything issued for the person.
    pub user_id: Uuid,
    /// A second name to sign in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// E-mail address.
    pub email: String,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// The other standard claims.
    #[schema(value_type = schemas::ProfileClaims)]
    pub profile: Profile,
    /// Whether the account is locked: no sign-in, and all tokens inactive.
    pub locked: bool,
    /// Since when it is locked.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub locked_at: Option<OffsetDateTime>,
    /// Whether a password is set.
    pub has_password: bool,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When the account or its claims were changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl UserDocument {
    /// What is stored, as it would have been sent; whether the address was proven is left for the patch to say.
    #[must_use]
    pub fn of(draft: AccountDraft) -> Self {
        Self {
            username: draft.username,
            email: Some(draft.email),
            email_verified: draft.email_verified,
            profile: Some(draft.profile),
        }
    }

    /// What shall be stored; judged by the flow.
    #[must_use]
    pub fn into_draft(self) -> AccountDraft {
        AccountDraft {
            username: self.username,
            email: self.email.unwrap_or_default(),
            email_verified: self.email_verified,
            profile: self.profile.unwrap_or_default(),
        }
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let locked_at = match user.state {
            UserState::Active => None,
            UserState::Locked { since } => Some(since),
        };
        Self {
            user_id: user.id.0,
            username: user.username,
            email: user.email,
            email_verified: user.email_verified,
            profile: user.profile,
            locked: locked_at.is_some(),
            locked_at,
            has_password: user.has_password,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
