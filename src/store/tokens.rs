//! The state behind access tokens, read at each use and never cached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::{Ancestor, ClaimNames, GrantId, Timestamp, User};

use super::StoreError;
use super::kept::Kept;
use super::person::PersonColumn;

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
    /// The tokens from which it was exchanged, the latest first (RFC 8693).
    pub ancestors: Vec<Ancestor>,
    /// Whether the person's claims are wanted as well.
    pub with_person: bool,
    /// The time.
    pub now: Timestamp,
}

impl TokenQuestion {
    /// Its `jti` and those of its ancestors: whatever ends one of them ends it.
    fn jtis(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.jti.as_str()).chain(self.ancestors.iter().map(|ancestor| ancestor.jti.as_str()))
    }
}

/// What the database says about an access token.
#[derive(Debug)]
pub struct TokenStanding {
    /// Whether nothing speaks against it: neither that it was revoked itself, nor its client, grant, account or session.
    pub is_live: bool,
    /// The person behind it, where they were wanted and are there.
    pub person: Option<Box<PersonBehind>>,
}

/// The person behind an access token.
#[derive(Debug)]
pub struct PersonBehind {
    /// The person.
    pub user: User,
    /// The claims that the client asked of userinfo by name (OpenID Connect Core §5.5).
    pub asked: ClaimNames,
}

/// One thing that is true at the moment.
struct FactRow {
    grant: Option<Uuid>,
    client: Option<String>,
    tokens_not_before: Option<Timestamp>,
    revoked_jti: Option<String>,
    person: Option<Json<PersonColumn>>,
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
    let rows = sqlx::query_as!(
        FactRow,
        r#"SELECT g.id AS grant, g.client_id AS client, NULL::timestamptz AS tokens_not_before, NULL AS revoked_jti,
                  NULL::jsonb AS "person: Json<PersonColumn>"
           FROM grants g
           JOIN users u ON u.id = g.user_id AND u.locked_at IS NULL
           JOIN clients c ON c.id = g.client_id AND c.disabled_at IS NULL AND c.tokens_not_before <= g.created_at
           WHERE g.id = ANY ($1) AND g.ended_at IS NULL AND g.expires_at > $5
             AND ('offline_access' = ANY (g.scope)
                  OR (SELECT s.ended_at IS NULL AND s.expires_at > $5 FROM sessions s WHERE s.id = g.session_id))
           UNION ALL
           SELECT NULL, c.id, GREATEST(c.tokens_not_before, 'epoch'), NULL, NULL
           FROM clients c WHERE c.id = ANY ($2) AND c.disabled_at IS NULL
           UNION ALL
           SELECT NULL, NULL, NULL, r.jti, NULL
           FROM revoked_tokens r WHERE r.jti = ANY ($3)
           UNION ALL
           SELECT p.id, NULL, NULL, NULL, (
               SELECT jsonb_build_object('id', u.id, 'username', u.username, 'email', u.email, 'email_verified', u.email_verified,
                   'profile', u.profile, 'has_password', u.password_hash IS NOT NULL, 'created_at', u.created_at,
                   'updated_at', u.updated_at, 'asked', p.requested_claims -> 'userinfo')
               FROM users u WHERE u.id = p.user_id)
           FROM grants p WHERE p.id = ANY ($4)"#,
        &wanted.grants,
        &wanted.clients as &[&str],
        &wanted.jtis as &[&str],
        &wanted.people,
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    db.keep(connection);
    let facts = Facts::from(rows);
    Ok(questions.iter().map(|question| Ok(facts.judge(question))).collect())
}

/// What a statement has to look up, each thing once.
struct Wanted<'a> {
    grants: Vec<Uuid>,
    clients: Vec<&'a str>,
    jtis: Vec<&'a str>,
    people: Vec<Uuid>,
}

impl<'a> Wanted<'a> {
    fn of(questions: &'a [TokenQuestion]) -> Self {
        let (mut grants, mut clients, mut people) = (Vec::new(), Vec::new(), Vec::new());
        for question in questions {
            match question.grant {
                Some(grant) => grants.push(grant.0),
                None => clients.push(question.client_id.as_str()),
            }
            if !question.ancestors.is_empty() {
                clients.push(question.client_id.as_str());
                clients.extend(question.ancestors.iter().map(|ancestor| ancestor.client_id.as_str()));
            }
            people.extend(question.grant.filter(|_| question.with_person).map(|grant| grant.0));
        }
        let jtis = questions.iter().flat_map(TokenQuestion::jtis).collect();
        Self { grants: once(grants), clients: once(clients), jtis: once(jtis), people: once(people) }
    }
}

fn once<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

/// What is true of the tokens asked about.
#[derive(Default)]
struct Facts {
    /// Live grants, and whose they are.
    grants: HashMap<Uuid, String>,
    /// Enabled clients, and since when their tokens hold.
    clients: HashMap<String, Timestamp>,
    revoked: HashSet<String>,
    people: HashMap<Uuid, PersonColumn>,
}

impl From<Vec<FactRow>> for Facts {
    fn from(rows: Vec<FactRow>) -> Self {
        let mut facts = Self::default();
        for row in rows {
            match row {
                FactRow { grant: Some(grant), client: Some(client), .. } => {
                    facts.grants.insert(grant, client);
                }
                FactRow { client: Some(client), tokens_not_before: Some(not_before), .. } => {
                    facts.clients.insert(client, not_before);
                }
                FactRow { revoked_jti: Some(jti), .. } => {
                    facts.revoked.insert(jti);
                }
                FactRow { grant: Some(grant), person: Some(Json(person)), .. } => {
                    facts.people.insert(grant, person);
                }
                _ => {}
            }
        }
        facts
    }
}

impl Facts {
    fn judge(&self, question: &TokenQuestion) -> TokenStanding {
        let is_enabled = |client: &String| self.clients.get(client).is_some_and(|since| *since <= question.issued_at);
        // The grant, or the client's own authority, is that of the first token; whoever exchanged since then must be enabled too.
        let first = question.ancestors.last().map_or(&question.client_id, |ancestor| &ancestor.client_id);
        let holds = match question.grant {
            Some(grant) => self.grants.get(&grant.0) == Some(first),
            None => is_enabled(first),
        };
        let later = std::iter::once(&question.client_id).chain(question.ancestors.iter().map(|a| &a.client_id));
        let holds = holds && later.take(question.ancestors.len()).all(is_enabled);
        let asked = question.grant.filter(|_| question.with_person);
        let person = asked.and_then(|grant| self.people.get(&grant.0)).cloned().map(|person| Box::new(person.into()));
        TokenStanding { is_live: holds && !question.jtis().any(|jti| self.revoked.contains(jti)), person }
    }
}

impl From<PersonColumn> for PersonBehind {
    fn from(mut person: PersonColumn) -> Self {
        let asked = person.asked.take().unwrap_or_default();
        Self { user: person.into(), asked }
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
