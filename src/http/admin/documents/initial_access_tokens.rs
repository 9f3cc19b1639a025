//! Tokens with which clients register themselves.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{InitialAccessToken, Secret};
use crate::flows::admin::initial_access_tokens::TokenDraft;

/// A week.
const USUAL_SECONDS: i64 = 604_800;

/// What makes an initial access token. What is absent or null has its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InitialAccessTokenDocument {
    /// What it is for, such as who gets it; up to 200 characters.
    pub description: Option<String>,
    /// How many clients it registers; 1 when absent.
    #[schema(minimum = 1, maximum = 1000)]
    pub uses: Option<i32>,
    /// Seconds that it works; a week when absent.
    #[schema(minimum = 1, maximum = 7_776_000)]
    pub expires_in: Option<i64>,
}

/// An initial access token as it is shown, without the token.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InitialAccessTokenView {
    /// Names it for removal.
    pub id: Uuid,
    /// What it is for.
    pub description: String,
    /// How many clients it was made for.
    pub uses: i32,
    /// How many it still registers.
    pub uses_left: i32,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it stops to work.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// An initial access token that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedInitialAccessTokenView {
    /// What is known about it.
    #[serde(flatten)]
    pub token: InitialAccessTokenView,
    /// The token, shown this once.
    pub initial_access_token: String,
}

impl InitialAccessTokenDocument {
    /// What shall be made; judged by the flow.
    #[must_use]
    pub fn into_draft(self) -> TokenDraft {
        TokenDraft {
            description: self.description.unwrap_or_default(),
            uses: self.uses.unwrap_or(1),
            expires_in: self.expires_in.unwrap_or(USUAL_SECONDS),
        }
    }
}

impl From<InitialAccessToken> for InitialAccessTokenView {
    fn from(token: InitialAccessToken) -> Self {
        Self {
            id: token.id.0,
            description: token.description,
            uses: token.uses,
            uses_left: token.uses_left,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

impl CreatedInitialAccessTokenView {
    /// Shows a token this once.
    #[must_use]
    pub fn new(token: InitialAccessToken, secret: &Secret) -> Self {
        Self { token: token.into(), initial_access_token: secret.expose().to_owned() }
    }
}
