//! Audit events: added in the transaction of what they tell about, read by operators, never changed.

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Actor, AuditEvent, ClientId, Origin, Timestamp, UserId};

/// An audit event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Ordered by time.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// A dotted name in the past tense, such as `client.created`; maybe one of a later version.
    pub name: String,
    /// Who.
    pub actor: Actor,
    /// What it was done to.
    pub subject: String,
    /// Facts worth keeping.
    pub details: Value,
    /// From where.
    pub origin: Origin,
}

/// Which events to read; what is absent does not narrow.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what was done to this.
    pub subject: Option<String>,
    /// Only events of this name.
    pub name: Option<String>,
}

struct AuditRow {
    id: Uuid,
    at: Timestamp,
    name: String,
    actor_kind: String,
    actor_id: Option<String>,
    subject: String,
    details: Value,
    ip: Option<String>,
    correlation_id: String,
}

/// Keeps an event.
///
/// # Errors
/// The database.
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: Uuid,
    at: Timestamp,
    event: &AuditEvent,
    origin: &Origin,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO audit_events (id, at, name, actor_kind, actor_id, subject, details, ip, correlation_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id,
        at,
        event.name,
        event.actor.kind(),
        event.actor.id(),
        event.subject,
        event.details,
        origin.ip.map(|ip| ip.to_string()),
        origin.correlation_id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// At most `limit` events from before `before`, newest first.
///
/// # Errors
/// The database, or a row that this version cannot read.
pub async fn page(
    db: impl PgExecutor<'_>,
    filter: &AuditFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AuditRecord>, StoreError> {
    let rows = sqlx::query_as!(
        AuditRow,
        "SELECT id, at, name, actor_kind, actor_id, subject, details, ip, correlation_id
         FROM audit_events
         WHERE ($1::uuid IS NULL OR id < $1) AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR name = $3)
         ORDER BY id DESC
         LIMIT $4",
        before,
        filter.subject,
        filter.name,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(AuditRecord::try_from).collect()
}

/// The actor of this [`Actor::kind`] and [`Actor::id`].
fn read_actor(kind: &str, id: Option<&str>) -> Option<Actor> {
    match (kind, id) {
        ("client", Some(id)) => ClientId::parse(id).map(Actor::Client),
        ("user", Some(id)) => Uuid::try_parse(id).ok().map(|id| Actor::User(UserId(id))),
        ("cli", None) => Some(Actor::Cli),
        ("system", None) => Some(Actor::System),
        _ => None,
    }
}

impl TryFrom<AuditRow> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        let corrupt = |field| StoreError::Corrupt { table: "audit_events", id: row.id.to_string(), field };
        let actor = read_actor(&row.actor_kind, row.actor_id.as_deref()).ok_or_else(|| corrupt("actor"))?;
        let ip = row.ip.as_deref().map(str::parse).transpose().map_err(|_| corrupt("ip"))?;
        Ok(Self {
            id: row.id,
            at: row.at,
            name: row.name,
            actor,
            subject: row.subject,
            details: row.details,
            origin: Origin { ip, correlation_id: row.correlation_id },
        })
    }
}
