//! Grants: one row a token family. Rotation and redemption are single guarded statements; the row decides every race.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgExecutor;
use sqlx::types::Json;
use time::Duration;
use uuid::Uuid;

use crate::domain::{
    Authentication, ClientId, Grant, GrantDetails, GrantEnd, GrantId, KeyThumbprint, Kid, Position, RedirectUri,
    RequestId, RequestedClaims, Scope, SessionId, Timestamp, UserId,
};

use super::StoreError;
use super::kept::Kept;
use super::person::PersonColumn;

#[derive(Clone)]
struct GrantRow {
    /// Which of several questions the row answers.
    place: i64,
    id: Uuid,
    request_id: Uuid,
    client_id: String,
    user_id: Uuid,
    session_id: Uuid,
    scope: Vec<String>,
    resources: Vec<String>,
    requested_claims: Option<Json<RequestedClaims>>,
    auth_time: Timestamp,
    acr: String,
    amr: Vec<String>,
    nonce: Option<String>,
    redirect_uri: String,
    code_challenge: Option<String>,
    dpop_jkt: Option<Vec<u8>>,
    code_expires_at: Timestamp,
    expires_at: Timestamp,
    generation: i32,
    mac_kid: Vec<u8>,
    rotated_at: Timestamp,
    idle_expires_at: Timestamp,
    ended_at: Option<Timestamp>,
    end_reason: Option<String>,
    person: Option<Json<PersonColumn>>,
    user_locked: bool,
    session_over: bool,
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "grants", id: row.id.to_string(), field };
        let ended = match (row.ended_at, &row.end_reason) {
            (Some(at), Some(reason)) => Some((at, GrantEnd::parse(reason).ok_or_else(|| corrupt("end_reason"))?)),
            _ => None,
        };
        let dpop_jkt = row.dpop_jkt.as_deref().map(<[u8; 32]>::try_from).transpose();
        let dpop_jkt = dpop_jkt.map_err(|_| corrupt("dpop_jkt"))?.map(KeyThumbprint);
        Ok(Self {
            id: GrantId(row.id),
            generation: row.generation,
            mac_kid: Kid(row.mac_kid.as_slice().try_into().map_err(|_| corrupt("mac_kid"))?),
            rotated_at: row.rotated_at,
            idle_expires_at: row.idle_expires_at,
            ended,
            person: row.person.map(|Json(person)| Box::new(person.into())),
            user_locked: row.user_locked,
            session_over: row.session_over,
            details: GrantDetails {
                request_id: RequestId(row.request_id),
                client_id: ClientId::parse(&row.client_id).ok_or_else(|| corrupt("client_id"))?,
                user_id: UserId(row.user_id),
                session_id: SessionId(row.session_id),
                scope: Scope::from_tokens(row.scope).map_err(|_| StoreError::Corrupt {
                    table: "grants",
                    id: row.id.to_string(),
                    field: "scope",
                })?,
                resources: row.resources,
                requested_claims: row.requested_claims.map(|Json(claims)| claims).unwrap_or_default(),
                authentication: Authentication { auth_time: row.auth_time, acr: row.acr, amr: row.amr },
                nonce: row.nonce,
                redirect_uri: RedirectUri::from_registered(row.redirect_uri),
                code_challenge: row.code_challenge,
                dpop_jkt,
                code_expires_at: row.code_expires_at,
                expires_at: row.expires_at,
            },
        })
    }
}

/// Keeps a new grant, its code not yet redeemed; until then it lives as long as its code. `false`: the session was ended meanwhile.
/// Who signs a person out everywhere waits for this statement or makes it wait, so that no grant slips through behind the sign-out.
///
/// # Errors
/// Constraint `grants_request_id_key`: this authorization request was answered before.
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: GrantId,
    details: &GrantDetails,
    mac_kid: Kid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let asked = (!details.requested_claims.is_empty()).then_some(Json(&details.requested_claims));
    let inserted = sqlx::query!(
        "INSERT INTO grants (id, request_id, client_id, user_id, session_id, scope, resources, auth_time, acr, amr, nonce,
             redirect_uri, code_challenge, code_expires_at, created_at, expires_at, mac_kid, rotated_at, idle_expires_at, dpop_jkt,
             requested_claims)
         SELECT $1::uuid, $2::uuid, $3::text, $4::uuid, s.id, $6::text[], $7::text[], $8::timestamptz, $9::text, $10::text[], $11::text,
                $12::text, $13::text, $14::timestamptz, $15::timestamptz, $14, $16::bytea, $15, $14, $17::bytea, $18::jsonb
         FROM sessions s
         WHERE s.id = $5 AND s.ended_at IS NULL
         FOR SHARE",
        id.0,
        details.request_id.0,
        details.client_id.as_str(),
        details.user_id.0,
        details.session_id.0,
        &details.scope.to_vec(),
        &details.resources,
        details.authentication.auth_time,
        details.authentication.acr,
        &details.authentication.amr,
        details.nonce,
        details.redirect_uri.as_str(),
        details.code_challenge,
        details.code_expires_at,
        now,
        &mac_kid.0[..],
        details.dpop_jkt.as_ref().map(|key| &key.0[..]),
        asked as Option<Json<&RequestedClaims>>,
    )
    .execute(db)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// One grant that somebody wants to see.
#[derive(Debug, Clone, Copy)]
pub struct GrantQuestion {
    /// Its name.
    pub id: GrantId,
    /// The time.
    pub now: Timestamp,
}

/// A grant with what decides whether it holds.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn find(db: impl PgExecutor<'_>, id: GrantId, now: Timestamp) -> Result<Option<Grant>, StoreError> {
    select(db, &[id.0], now).await?.pop().map(Grant::try_from).transpose()
}

/// As [`find`], for many in one statement.
pub(super) async fn found(
    db: Kept,
    questions: Arc<[GrantQuestion]>,
) -> Result<Vec<Result<Option<Grant>, StoreError>>, StoreError> {
    let Some(now) = questions.iter().map(|q| q.now).max() else { return Ok(Vec::new()) };
    let mut ids: Vec<Uuid> = questions.iter().map(|q| q.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut connection = db.take().await?;
    let rows = select(&mut *connection, &ids, now).await?;
    db.keep(connection);
    let rows: HashMap<Uuid, GrantRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    Ok(questions.iter().map(|q| rows.get(&q.id.0).cloned().map(Grant::try_from).transpose()).collect())
}

async fn select(db: impl PgExecutor<'_>, ids: &[Uuid], now: Timestamp) -> Result<Vec<GrantRow>, StoreError> {
    let rows = sqlx::query_as!(
        GrantRow,
        r#"SELECT 1::bigint AS "place!", g.id, g.request_id, g.client_id, g.user_id, g.session_id, g.scope, g.resources, g.auth_time, g.acr, g.amr, g.nonce,
                  g.requested_claims AS "requested_claims: Json<RequestedClaims>",
                  CASE WHEN g.requested_claims ? 'id_token' THEN (
                      SELECT jsonb_build_object('id', p.id, 'username', p.username, 'email', p.email, 'email_verified', p.email_verified,
                          'profile', p.profile, 'has_password', p.password_hash IS NOT NULL, 'created_at', p.created_at,
                          'updated_at', p.updated_at)
                      FROM users p WHERE p.id = g.user_id) END AS "person: Json<PersonColumn>",
                  g.redirect_uri, g.code_challenge, g.dpop_jkt, g.code_expires_at, g.expires_at, g.generation, g.mac_kid, g.rotated_at,
                  g.idle_expires_at, g.ended_at, g.end_reason, u.locked_at IS NOT NULL AS "user_locked!",
                  COALESCE((SELECT s.ended_at IS NOT NULL OR s.expires_at <= $2 FROM sessions s WHERE s.id = g.session_id), true)
                      AS "session_over!"
           FROM grants g
           JOIN users u ON u.id = g.user_id
           JOIN clients c ON c.id = g.client_id AND g.created_at >= c.tokens_not_before
           WHERE g.id = ANY ($1)"#,
        ids,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Waits until nobody else changes the grant, for the rest of the transaction.
///
/// # Errors
/// The database.
pub async fn lock(db: impl PgExecutor<'_>, id: GrantId) -> Result<(), StoreError> {
    sqlx::query!("SELECT id FROM grants WHERE id = $1 FOR UPDATE", id.0).fetch_optional(db).await?;
    Ok(())
}

/// What the next generation of a grant shall be like.
#[derive(Debug, Clone, Copy)]
pub struct Successor {
    /// The key with which its refresh token is derived.
    pub mac_kid: Kid,
    /// How long it may lie unused.
    pub idle_lifetime: Duration,
}

/// One code that is to be redeemed.
#[derive(Debug, Clone, Copy)]
pub struct Redemption {
    /// The grant that it stands for.
    pub grant: GrantId,
    /// What comes next.
    pub successor: Successor,
    /// The key that was proven; the grant is bound to it from now on.
    pub key: Option<KeyThumbprint>,
    /// When the grant ends at the latest. Only now does it get its full lifetime, so that a code that nobody redeems is cleaned away soon.
    pub expires_at: Timestamp,
    /// The time.
    pub now: Timestamp,
}

/// Redeems many codes in one statement: generation 0 becomes 1, for exactly one caller each. True: it was this one.
///
/// # Errors
/// The database.
pub(super) async fn redemptions(
    db: Kept,
    questions: Arc<[Redemption]>,
) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
    let mut connection = db.take().await?;
    let places = sqlx::query_scalar!(
        r#"UPDATE grants g
           SET generation = 1, mac_kid = q.mac_kid, rotated_at = q.now, idle_expires_at = LEAST(q.idle_expires_at, q.expires_at),
               expires_at = q.expires_at, dpop_jkt = COALESCE(g.dpop_jkt, q.dpop_jkt)
           FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bytea[]) WITH ORDINALITY
                    AS q (grant_id, mac_kid, now, idle_expires_at, expires_at, dpop_jkt, place)
           WHERE g.id = q.grant_id AND g.generation = 0 AND g.ended_at IS NULL AND g.code_expires_at > q.now
           RETURNING q.place AS "place!""#,
        &questions.iter().map(|q| q.grant.0).collect::<Vec<_>>(),
        &questions.iter().map(|q| &q.successor.mac_kid.0[..]).collect::<Vec<_>>() as &[&[u8]],
        &questions.iter().map(|q| q.now).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.now + q.successor.idle_lifetime).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.expires_at).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.key.as_ref().map(|key| &key.0[..])).collect::<Vec<_>>() as &[Option<&[u8]>],
    )
    .fetch_all(&mut *connection)
    .await?;
    db.keep(connection);
    let mut answers: Vec<Result<bool, StoreError>> = questions.iter().map(|_| Ok(false)).collect();
    for place in places {
        if let Some(answer) = answers.get_mut(usize::try_from(place - 1).unwrap_or(usize::MAX)) {
            *answer = Ok(true);
        }
    }
    Ok(answers)
}

/// One refresh token that is to be rotated.
#[derive(Debug, Clone)]
pub struct RotationQuestion {
    /// What the token says.
    pub position: Position,
    /// Who presents it.
    pub client_id: ClientId,
    /// The key that was proven. A grant that is bound to none yet is bound to it from now on.
    pub key: Option<KeyThumbprint>,
    /// Whether any key will do for a bound grant, because the client proved itself (RFC 9449 §5).
    pub any_key: bool,
    /// The scope asked for, empty for all that was granted.
    pub scope: Vec<String>,
    /// How many generations it goes on: 1, or 0 where the refresh token stays.
    pub step: i32,
    /// What comes next.
    pub successor: Successor,
    /// The time.
    pub now: Timestamp,
}

/// Rotates many refresh tokens in one statement: generation n becomes n + 1 for exactly one caller each, if the family still holds in every
/// respect and the scope asked for is within it. Where it does not, or where two callers present the same token, one gets nothing and
/// nothing changes for it; [`find`] then tells why.
///
/// # Errors
/// The database.
pub(super) async fn rotations(
    db: Kept,
    questions: Arc<[RotationQuestion]>,
) -> Result<Vec<Result<Option<Grant>, StoreError>>, StoreError> {
    let scopes: Vec<String> = questions.iter().map(|q| q.scope.join(" ")).collect();
    let mut connection = db.take().await?;
    let rows = sqlx::query_as!(
        GrantRow,
        r#"UPDATE grants g
           SET generation = g.generation + q.step, mac_kid = q.mac_kid, rotated_at = q.now,
               idle_expires_at = LEAST(q.idle_expires_at, g.expires_at), dpop_jkt = COALESCE(g.dpop_jkt, q.dpop_jkt)
           FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[], $7::timestamptz[], $8::bytea[],
                       $9::bool[], $10::int4[]) WITH ORDINALITY
                    AS q (grant_id, generation, client_id, scope, mac_kid, now, idle_expires_at, dpop_jkt, any_key, step, place),
                users u, clients c
           WHERE g.id = q.grant_id AND g.generation = q.generation AND g.client_id = q.client_id
             AND (g.dpop_jkt IS NULL OR g.dpop_jkt = q.dpop_jkt OR (q.any_key AND q.dpop_jkt IS NOT NULL))
             AND (q.scope = '' OR string_to_array(q.scope, ' ') <@ g.scope)
             AND g.ended_at IS NULL AND g.expires_at > q.now AND g.idle_expires_at > q.now
             AND u.id = g.user_id AND u.locked_at IS NULL
             AND c.id = g.client_id AND g.created_at >= c.tokens_not_before
             AND ('offline_access' = ANY (g.scope)
                  OR (SELECT s.ended_at IS NULL AND s.expires_at > q.now FROM sessions s WHERE s.id = g.session_id))
           RETURNING q.place AS "place!", g.id, g.request_id, g.client_id, g.user_id, g.session_id, g.scope, g.resources, g.auth_time,
               g.requested_claims AS "requested_claims: Json<RequestedClaims>",
               CASE WHEN g.requested_claims ? 'id_token' THEN (
                   SELECT jsonb_build_object('id', p.id, 'username', p.username, 'email', p.email, 'email_verified', p.email_verified,
                       'profile', p.profile, 'has_password', p.password_hash IS NOT NULL, 'created_at', p.created_at,
                       'updated_at', p.updated_at)
                   FROM users p WHERE p.id = g.user_id) END AS "person: Json<PersonColumn>",
               g.acr, g.amr, g.nonce, g.redirect_uri, g.code_challenge, g.dpop_jkt, g.code_expires_at, g.expires_at, g.generation, g.mac_kid,
               g.rotated_at, g.idle_expires_at, g.ended_at, g.end_reason, false AS "user_locked!", false AS "session_over!""#,
        &questions.iter().map(|q| q.position.grant.0).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.position.generation).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.client_id.as_str()).collect::<Vec<_>>() as &[&str],
        &scopes,
        &questions.iter().map(|q| &q.successor.mac_kid.0[..]).collect::<Vec<_>>() as &[&[u8]],
        &questions.iter().map(|q| q.now).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.now + q.successor.idle_lifetime).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.key.as_ref().map(|key| &key.0[..])).collect::<Vec<_>>() as &[Option<&[u8]>],
        &questions.iter().map(|q| q.any_key).collect::<Vec<_>>(),
        &questions.iter().map(|q| q.step).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *connection)
    .await?;
    db.keep(connection);
    let mut answers: Vec<Result<Option<Grant>, StoreError>> = questions.iter().map(|_| Ok(None)).collect();
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        if let Some(answer) = answers.get_mut(place) {
            // What cannot be read is told to its own caller: the rotations of the others have happened.
            *answer = Grant::try_from(row).map(Some);
        }
    }
    Ok(answers)
}

/// Binds a grant to a key, if it is not bound yet.
///
/// # Errors
/// The database.
pub async fn bind(db: impl PgExecutor<'_>, id: GrantId, key: KeyThumbprint) -> Result<(), StoreError> {
    sqlx::query!("UPDATE grants SET dpop_jkt = $2 WHERE id = $1 AND dpop_jkt IS NULL", id.0, &key.0[..])
        .execute(db)
        .await?;
    Ok(())
}

/// Ends a grant, if it has not ended before. Whether it was this call that ended it.
///
/// # Errors
/// The database.
pub async fn end(db: impl PgExecutor<'_>, id: GrantId, reason: GrantEnd, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE grants SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        now,
        reason.as_str(),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
