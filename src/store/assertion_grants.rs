//! Grants that an assertion gives (RFC 7523 §2.1).

use sqlx::PgExecutor;

use super::StoreError;
use crate::domain::{ClientId, GrantId, KeyThumbprint, Kid, Scope, Timestamp, UserId};

/// A grant without a code and without a browser session.
#[derive(Debug, Clone, Copy)]
pub struct AssertionGrant<'a> {
    /// Its name inside its one access token.
    pub id: GrantId,
    /// To whom it is given.
    pub client_id: &'a ClientId,
    /// What is allowed. With `offline_access`, so that it hangs on no session.
    pub scope: &'a Scope,
    /// For which resources.
    pub resources: &'a [String],
    /// What the token is bound to.
    pub key: Option<KeyThumbprint>,
    /// A key that derives refresh tokens; nobody gets one.
    pub mac_kid: Kid,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// By what a person is found.
#[derive(Debug, Clone, Copy)]
pub enum FoundBy<'a> {
    /// Their id.
    Id(UserId),
    /// A verified address, normalized.
    Email(&'a str),
}

/// Keeps a grant of this person, and names them. `None`: there is no such account, or it is locked.
///
/// Who locks the account or signs the person out everywhere waits for this statement or makes it wait, so that no grant slips through.
///
/// # Errors
/// The database.
pub async fn insert(
    db: impl PgExecutor<'_>,
    person: FoundBy<'_>,
    grant: AssertionGrant<'_>,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let (id, email) = match person {
        FoundBy::Id(id) => (Some(id.0), None),
        FoundBy::Email(email) => (None, Some(email)),
    };
    let user = sqlx::query_scalar!(
        "INSERT INTO grants (id, request_id, client_id, user_id, session_id, scope, resources, auth_time, acr, amr, redirect_uri,
             code_expires_at, created_at, expires_at, generation, mac_kid, rotated_at, idle_expires_at, dpop_jkt)
         SELECT $1::uuid, $1, $2::text, u.id, $1, $3::text[], $4::text[], $5::timestamptz, '', '{}', '',
                $5, $5, $6::timestamptz, 1, $7::bytea, $5, $6, $8::bytea
         FROM users u
         WHERE (u.id = $9::uuid OR (u.email_normalized = $10::text AND u.email_verified)) AND u.locked_at IS NULL
         FOR SHARE
         RETURNING user_id",
        grant.id.0,
        grant.client_id.as_str(),
        &grant.scope.to_vec(),
        grant.resources,
        now,
        grant.expires_at,
        &grant.mac_kid.0[..],
        grant.key.as_ref().map(|key| &key.0[..]),
        id,
        email,
    );
    Ok(user.fetch_optional(db).await?.map(UserId))
}
