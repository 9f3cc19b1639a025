//! Tokens with which operators let clients register themselves (RFC 7591 §3).

use serde_json::json;
use time::Duration;

use super::{AdminError, Caller, Page, PageRequest, refuse_problems};
use crate::crypto::sha256;
use crate::domain::{InitialAccessToken, InitialAccessTokenId, MetadataProblem, RegistrationMode, Secret};
use crate::flows::Engine;
use crate::store;

/// The longest that a token works, in seconds: 90 days.
pub const LONGEST: i64 = 7_776_000;
/// The most clients that one token registers.
pub const MOST_USES: i32 = 1_000;

/// What an operator decides about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    /// What it is for.
    pub description: String,
    /// How many clients it registers.
    pub uses: i32,
    /// Seconds that it works.
    pub expires_in: i64,
}

/// Tokens, oldest first; those that are used up too, until they expire.
///
/// # Errors
/// The database.
pub async fn list(
    engine: &Engine,
    request: PageRequest<InitialAccessTokenId>,
) -> Result<Page<InitialAccessToken>, AdminError> {
    Ok(request.page(store::initial_access_tokens::page(engine.store.pool(), request.after, request.rows()).await?))
}

/// Makes a token; nobody can read it again.
///
/// # Errors
/// The draft cannot be accepted, or nobody may register.
pub async fn create(
    engine: &Engine,
    draft: TokenDraft,
    caller: &Caller,
) -> Result<(InitialAccessToken, Secret), AdminError> {
    if engine.policy.registration.mode == RegistrationMode::Off {
        let sentence = "clients cannot register themselves here; set registration.mode to initial_access_token first";
        return Err(AdminError::Conflict(sentence.to_owned()));
    }
    refuse_problems(judge(&draft))?;
    let now = engine.clock.now();
    let token = InitialAccessToken {
        id: InitialAccessTokenId(engine.random.uuid_v7(now)),
        description: draft.description,
        uses: draft.uses,
        uses_left: draft.uses,
        created_at: now,
        expires_at: now + Duration::seconds(draft.expires_in),
    };
    let secret = engine.random.token("ksi_");
    let mut tx = engine.store.begin("create initial access token").await?;
    store::initial_access_tokens::insert(tx.conn(), &token, sha256(secret.expose().as_bytes())).await?;
    let details = json!({ "uses": token.uses, "expires_at": token.expires_at.unix_timestamp() });
    engine.record(&mut tx, "initial_access_token.created", &token.id, details, caller).await?;
    tx.commit().await?;
    Ok((token, secret))
}

/// Removes a token, so that it registers nothing any more. The clients that it registered stay.
///
/// # Errors
/// There is none of this id; the database.
pub async fn delete(engine: &Engine, id: InitialAccessTokenId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("delete initial access token").await?;
    if !store::initial_access_tokens::delete(tx.conn(), id).await? {
        return Err(AdminError::NotFound);
    }
    engine.record(&mut tx, "initial_access_token.deleted", &id, json!({}), caller).await?;
    tx.commit().await?;
    Ok(())
}

fn judge(draft: &TokenDraft) -> Vec<MetadataProblem> {
    let rules = [
        (
            "description",
            draft.description.chars().count() <= 200,
            "is longer than 200 characters; shorten it".to_owned(),
        ),
        ("uses", (1..=MOST_USES).contains(&draft.uses), format!("must be 1 to {MOST_USES}")),
        ("expires_in", (1..=LONGEST).contains(&draft.expires_in), format!("must be 1 to {LONGEST} seconds")),
    ];
    let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
    broken.map(|(field, _, sentence)| MetadataProblem { field: field.to_owned(), sentence }).collect()
}
