//! The state behind access tokens, read at each use and never cached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::{GrantId, Profile, Timestamp, User, UserId, UserState};

use super::StoreError;
use super::kept::Kept;

/// One access token about which something is asked.
#[derive(Debug, Clone)]
pub struct TokenQuestion {
    /// Its `jti`.
    pub jti: String,
    /// Its client.
    pub client_id: String,
    /// Its grant, where a person is behind it.
    pub grant: Option<GrantId>,
    /// Its `iat`.
    pub issued_at: Timestamp,
    /// Whether the person's claims are wanted as well.
    pub with_person: bool,
    /// The time.
    pub now: Timestamp,
}

/// What the database says about an access token.
#[derive(Debug)]
pub struct TokenStanding {
    /// Whether nothing speaks against it: neither that it was revoked itself, nor its client, grant, account or session.
    pub is_live: bool,
    /// The person behind it, where they were wanted and are there.
    pub person: Option<User>,
}

/// What is true at the moment of the tokens asked about: one row, since each further one costs as much as the look-up.
struct FactsRow {
    /// Live grants.
    grants: Vec<Uuid>,
    /// Whose they are, in the same order.
    grant_clients: Vec<String>,
    /// Tokens of live clients that act by themselves, by `jti`.
    client_tokens: Vec<String>,
    /// Tokens that were revoked one by one, by `jti`.
    revoked: Vec<String>,
    people: Option<Json<HashMap<Uuid, PersonColumn>>>,
}

/// A person, in JSON.
#[derive(Clone, Deserialize)]
struct PersonColumn {
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
}

/// Answers questions about many access tokens in one round trip. What they have in common is looked up once.
///
/// # Errors
/// The database.
pub(super) async fn standings(
    db: Kept,
    questions: Arc<[TokenQuestion]>,
) -> Result<Vec<Result<TokenStanding, StoreError>>, StoreError> {
    let Some(now) = questions.iter().map(|q| q.now).max() else { return Ok(Vec::new()) };
    let wanted = Wanted::of(&questions);
    let mut connection = db.take().await?;
    // What is in parentheses is looked for by its key and only where it matters; as a join the planner might read a whole table for it.
    let facts = sqlx::query_as!(
        FactsRow,
        r#"SELECT COALESCE(array_agg(g.id), '{}') AS "grants!", COALESCE(array_agg(g.client_id), '{}') AS "grant_clients!",
                  ARRAY(SELECT q.jti FROM unnest($2::text[], $3::timestamptz[], $4::text[]) AS q (client_id, issued_at, jti)
                        WHERE (SELECT c.disabled_at IS NULL AND c.tokens_not_before <= q.issued_at FROM clients c WHERE c.id = q.client_id))
                      AS "client_tokens!",
                  ARRAY(SELECT r.jti FROM revoked_tokens r WHERE r.jti = ANY ($5)) AS "revoked!",
                  (SELECT jsonb_object_agg(p.id, (
                       SELECT jsonb_build_object('id', u.id, 'username', u.username, 'email', u.email, 'email_verified', u.email_verified,
                           'profile', u.profile, 'has_password', u.password_hash IS NOT NULL, 'created_at', u.created_at,
                           'updated_at', u.updated_at)
                       FROM users u WHERE u.id = p.user_id))
                   FROM grants p WHERE p.id = ANY ($6)) AS "people: Json<HashMap<Uuid, PersonColumn>>"
           FROM grants g
           JOIN users u ON u.id = g.user_id AND u.locked_at IS NULL
           JOIN clients c ON c.id = g.client_id AND c.disabled_at IS NULL AND c.tokens_not_before <= g.created_at
           WHERE g.id = ANY ($1) AND g.ended_at IS NULL AND g.expires_at > $7
             AND ('offline_access' = ANY (g.scope)
                  OR (SELECT s.ended_at IS NULL AND s.expires_at > $7 FROM sessions s WHERE s.id = g.session_id))"#,
        &wanted.grants,
        &wanted.own.iter().map(|q| q.client_id.as_str()).collect::<Vec<_>>() as &[&str],
        &wanted.own.iter().map(|q| q.issued_at).collect::<Vec<_>>(),
        &wanted.own.iter().map(|q| q.jti.as_str()).collect::<Vec<_>>() as &[&str],
        &wanted.jtis as &[&str],
        &wanted.people,
        now,
    )
    .fetch_one(&mut *connection)
    .await?;
    db.keep(connection);
    let facts = Facts::from(facts);
    Ok(questions.iter().map(|question| Ok(facts.judge(question))).collect())
}

/// What a statement has to look up, each thing once.
struct Wanted<'a> {
    grants: Vec<Uuid>,
    /// About tokens of clients that act by themselves.
    own: Vec<&'a TokenQuestion>,
    jtis: Vec<&'a str>,
    people: Vec<Uuid>,
}

impl<'a> Wanted<'a> {
    fn of(questions: &'a [TokenQuestion]) -> Self {
        let asked = |q: &TokenQuestion| q.grant.map(|grant| grant.0);
        let people = questions.iter().filter(|q| q.with_person).filter_map(asked).collect();
        let mut own: Vec<&TokenQuestion> = questions.iter().filter(|q| q.grant.is_none()).collect();
        own.sort_unstable_by(|a, b| a.jti.cmp(&b.jti));
        own.dedup_by(|a, b| a.jti == b.jti);
        Self {
            grants: once(questions.iter().filter_map(asked).collect()),
            own,
            jtis: once(questions.iter().map(|q| q.jti.as_str()).collect()),
            people: once(people),
        }
    }
}

fn once<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

/// The same, ready to be looked up.
struct Facts {
    grants: HashMap<Uuid, String>,
    client_tokens: HashSet<String>,
    revoked: HashSet<String>,
    people: HashMap<Uuid, PersonColumn>,
}

impl From<FactsRow> for Facts {
    fn from(row: FactsRow) -> Self {
        Self {
            grants: row.grants.into_iter().zip(row.grant_clients).collect(),
            client_tokens: row.client_tokens.into_iter().collect(),
            revoked: row.revoked.into_iter().collect(),
            people: row.people.map(|people| people.0).unwrap_or_default(),
        }
    }
}

impl Facts {
    fn judge(&self, question: &TokenQuestion) -> TokenStanding {
        let holds = match question.grant {
            Some(grant) => self.grants.get(&grant.0) == Some(&question.client_id),
            None => self.client_tokens.contains(&question.jti),
        };
        let asked = question.grant.filter(|_| question.with_person);
        let person = asked.and_then(|grant| self.people.get(&grant.0)).cloned().map(User::from);
        TokenStanding { is_live: holds && !self.revoked.contains(&question.jti), person }
    }
}

impl From<PersonColumn> for User {
    fn from(person: PersonColumn) -> Self {
        Self {
            id: UserId(person.id),
            username: person.username,
            email: person.email,
            email_verified: person.email_verified,
            profile: person.profile,
            // Who is locked has no live token, so that is told already.
            state: UserState::Active,
            has_password: person.has_password,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}

/// Marks one access token as revoked until it would have expired anyway.
///
/// # Errors
/// The database.
pub async fn revoke(db: impl PgExecutor<'_>, jti: &str, expires_at: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
        jti,
        expires_at
    )
    .execute(db)
    .await?;
    Ok(())
}
