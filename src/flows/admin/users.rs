//! Accounts of people. An operator can lock them and end what they have open, but cannot read a password, nor choose one through
//! the API.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{AdminError, Caller, Page, PageRequest, changed_fields, refuse_problems};
use crate::domain::{GrantEnd, MetadataProblem, Secret, User, UserId, UserState, normalize_identifier};
use crate::flows::{Engine, InternalError};
use crate::protocol::registration;
use crate::store::{self, StoreError, Tx};

pub use crate::protocol::registration::AccountDraft;

/// People in order of creation; with `email`, only who has that address.
///
/// # Errors
/// The database.
pub async fn list(
    engine: &Engine,
    email: Option<&str>,
    request: PageRequest<UserId>,
) -> Result<Page<User>, AdminError> {
    let email = email.map(normalize_identifier);
    let users = store::users::page(engine.store.pool(), email.as_deref(), request.after, request.rows()).await?;
    Ok(request.page(users))
}

/// One person.
///
/// # Errors
/// There is none of this id; the database.
pub async fn find(engine: &Engine, id: UserId) -> Result<User, AdminError> {
    store::users::find(engine.store.pool(), &id).await?.ok_or(AdminError::NotFound)
}

/// The person of this id, e-mail address or user name.
///
/// # Errors
/// There is none; the database.
pub async fn find_by_any_name(engine: &Engine, name: &str) -> Result<User, AdminError> {
    if let Ok(id) = Uuid::try_parse(name) {
        return find(engine, UserId(id)).await;
    }
    let found = store::users::find_for_sign_in(engine.store.pool(), &normalize_identifier(name)).await?;
    found.map(|(user, _)| user).ok_or(AdminError::NotFound)
}

/// Makes an account without a password.
///
/// # Errors
/// It cannot be accepted, or somebody else has the address or the user name.
pub async fn create(engine: &Engine, draft: AccountDraft, caller: &Caller) -> Result<User, AdminError> {
    let user = new_user(engine, draft)?;
    let mut tx = engine.store.begin("create user").await?;
    insert(engine, &mut tx, &user, caller).await?;
    tx.commit().await?;
    Ok(user)
}

/// Makes an account that can sign in at once. Only for the command line.
///
/// # Errors
/// As [`create`] and [`set_password`].
pub async fn create_with_password(
    engine: &Engine,
    draft: AccountDraft,
    password: Secret,
    caller: &Caller,
) -> Result<User, AdminError> {
    let user = new_user(engine, draft)?;
    let phc = judged_hash(engine, password, &user).await?;
    let mut tx = engine.store.begin("create user").await?;
    insert(engine, &mut tx, &user, caller).await?;
    let user = write_password(engine, &mut tx, user, &phc, caller).await?;
    tx.commit().await?;
    Ok(user)
}

/// Changes an account. `change` gets what is stored and gives what shall be. A new address counts as not verified unless `change`
/// says otherwise (SECURITY 59).
///
/// # Errors
/// There is none of this id, `change` or the rules refuse, or somebody else has the address or the user name.
pub async fn update<F>(engine: &Engine, id: UserId, change: F, caller: &Caller) -> Result<User, AdminError>
where
    F: FnOnce(AccountDraft) -> Result<AccountDraft, Vec<MetadataProblem>>,
{
    let mut tx = engine.store.begin("update user").await?;
    let current = store::users::lock(tx.conn(), &id).await?.ok_or(AdminError::NotFound)?;
    let wanted = change(draft_of(&current)).map_err(AdminError::Invalid)?;
    refuse_problems(registration::judge_account(&wanted))?;
    let same_address = normalize_identifier(&wanted.email) == normalize_identifier(&current.email);
    let mut updated = User {
        username: wanted.username,
        email: wanted.email,
        email_verified: wanted.email_verified.unwrap_or(same_address && current.email_verified),
        profile: wanted.profile,
        ..current.clone()
    };
    if updated == current {
        return Ok(current);
    }
    updated.updated_at = engine.clock.now();
    store::users::update(tx.conn(), &updated).await.map_err(explain_taken)?;
    let changed = changed_fields!(current, updated, [username, email, email_verified, profile]);
    engine.record(&mut tx, "user.updated", &id, json!({ "changed": changed }), caller).await?;
    tx.commit().await?;
    Ok(updated)
}

/// Removes a person; sessions, grants and consents go with the account, and all tokens are inactive.
///
/// # Errors
/// There is none of this id; the database.
pub async fn delete(engine: &Engine, id: UserId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("delete user").await?;
    // While its sessions and grants are still there to tell which clients have to hear of it.
    let sessions = store::live_access::end_sessions(tx.conn(), id, engine.clock.now()).await?;
    engine.note_logout(&mut tx, &sessions).await?;
    if !store::users::delete(tx.conn(), &id).await? {
        return Err(AdminError::NotFound);
    }
    engine.record(&mut tx, "user.deleted", &id, json!({}), caller).await?;
    tx.commit().await?;
    Ok(())
}

/// Locks an account: no sign-in, and all that was open is ended for good. A locked one stays as it is.
///
/// # Errors
/// There is none of this id; the database.
pub async fn lock(engine: &Engine, id: UserId, caller: &Caller) -> Result<User, AdminError> {
    let mut tx = engine.store.begin("lock user").await?;
    let user = store::users::lock(tx.conn(), &id).await?.ok_or(AdminError::NotFound)?;
    let now = engine.clock.now();
    if !store::users::set_locked(tx.conn(), &id, true, now).await? {
        return Ok(user);
    }
    let ended = end_all(engine, &mut tx, id, GrantEnd::EndedByAdmin).await?;
    engine.record(&mut tx, "user.locked", &id, ended, caller).await?;
    tx.commit().await?;
    Ok(User { state: UserState::Locked { since: now }, ..user })
}

/// Unlocks an account, and forgets its failed sign-ins so that nobody has to wait. What was ended stays ended. An account that is
/// neither locked nor waiting stays as it is.
///
/// # Errors
/// There is none of this id; the database.
pub async fn unlock(engine: &Engine, id: UserId, caller: &Caller) -> Result<User, AdminError> {
    let mut tx = engine.store.begin("unlock user").await?;
    let user = store::users::lock(tx.conn(), &id).await?.ok_or(AdminError::NotFound)?;
    let unlocked = store::users::set_locked(tx.conn(), &id, false, engine.clock.now()).await?;
    let forgotten = store::users::forget_failures(tx.conn(), &id).await?;
    if unlocked || forgotten {
        engine.record(&mut tx, "user.unlocked", &id, json!({}), caller).await?;
        tx.commit().await?;
    }
    Ok(User { state: UserState::Active, ..user })
}

/// Ends every session and every grant of a person, also those for offline use.
///
/// # Errors
/// There is none of this id; the database.
pub async fn sign_out(engine: &Engine, id: UserId, caller: &Caller) -> Result<(), AdminError> {
    let mut tx = engine.store.begin("sign user out").await?;
    store::users::lock(tx.conn(), &id).await?.ok_or(AdminError::NotFound)?;
    let ended = end_all(engine, &mut tx, id, GrantEnd::SignedOutEverywhere).await?;
    engine.record(&mut tx, "user.signed_out", &id, ended, caller).await?;
    tx.commit().await?;
    Ok(())
}

/// Sets a password, and ends what was opened with the old one. Only for the command line (SECURITY 75).
///
/// # Errors
/// There is none of this id, or the password is refused, with the reasons.
pub async fn set_password(engine: &Engine, id: UserId, password: Secret, caller: &Caller) -> Result<User, AdminError> {
    let phc = judged_hash(engine, password, &find(engine, id).await?).await?;
    let mut tx = engine.store.begin("set password").await?;
    let user = store::users::lock(tx.conn(), &id).await?.ok_or(AdminError::NotFound)?;
    let user = write_password(engine, &mut tx, user, &phc, caller).await?;
    tx.commit().await?;
    Ok(user)
}

fn new_user(engine: &Engine, draft: AccountDraft) -> Result<User, AdminError> {
    refuse_problems(registration::judge_account(&draft))?;
    let now = engine.clock.now();
    Ok(User {
        id: UserId(engine.random.uuid_v7(now)),
        username: draft.username,
        email: draft.email,
        email_verified: draft.email_verified.unwrap_or(false),
        profile: draft.profile,
        state: UserState::Active,
        has_password: false,
        created_at: now,
        updated_at: now,
    })
}

async fn insert(engine: &Engine, tx: &mut Tx, user: &User, caller: &Caller) -> Result<(), AdminError> {
    store::users::insert(tx.conn(), user).await.map_err(explain_taken)?;
    engine.record(tx, "user.created", &user.id, json!({}), caller).await?;
    Ok(())
}

/// Hashing takes long, so it comes before the transaction.
async fn judged_hash(engine: &Engine, password: Secret, user: &User) -> Result<String, AdminError> {
    refuse_problems(registration::judge_password(password.expose(), engine.policy.password_min_length, user))?;
    Ok(engine.passwords.hash(password).await.map_err(InternalError::from)?)
}

async fn write_password(
    engine: &Engine,
    tx: &mut Tx,
    user: User,
    phc: &str,
    caller: &Caller,
) -> Result<User, AdminError> {
    let now = engine.clock.now();
    store::users::set_password_hash(tx.conn(), &user.id, phc, now).await?;
    let ended = end_all(engine, tx, user.id, GrantEnd::PasswordChanged).await?;
    engine.record(tx, "user.password_set", &user.id, ended, caller).await?;
    Ok(User { has_password: true, updated_at: now, ..user })
}

/// Ends all sessions and grants, notes who has to be told, and says how many there were.
async fn end_all(engine: &Engine, tx: &mut Tx, id: UserId, reason: GrantEnd) -> Result<Value, InternalError> {
    let now = engine.clock.now();
    let sessions = store::live_access::end_sessions(tx.conn(), id, now).await?;
    let grants = store::live_access::end_grants(tx.conn(), id, reason, now).await?;
    engine.note_logout(tx, &sessions).await?;
    Ok(json!({ "sessions_ended": sessions.len(), "grants_ended": grants }))
}

fn explain_taken(error: StoreError) -> AdminError {
    let sentence = match &error {
        StoreError::Constraint(name) if name == "users_email_normalized_key" => {
            "another account has this e-mail address; change that account, or use another address"
        }
        StoreError::Constraint(name) if name == "users_username_normalized_key" => {
            "another account has this user name; choose another, or leave it out"
        }
        _ => return error.into(),
    };
    AdminError::Conflict(sentence.to_owned())
}

fn draft_of(user: &User) -> AccountDraft {
    AccountDraft {
        username: user.username.clone(),
        email: user.email.clone(),
        email_verified: None,
        profile: user.profile.clone(),
    }
}
