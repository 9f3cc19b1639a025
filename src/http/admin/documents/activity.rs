//! Sessions, grants, keys and audit events, as they are shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas;
use crate::domain::{KeyRecord, KeyState, Scope, Timestamp};
use crate::flows::admin::audit::AuditRecord;
use crate::flows::admin::live_access::{LiveGrant, LiveSession};

/// A live session of a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The `sid` of tokens.
    pub id: Uuid,
    /// Who signed in.
    pub user_id: Uuid,
    /// When the person last proved who they are.
    #[serde(with = "time::serde::rfc3339")]
    pub auth_time: OffsetDateTime,
    /// How well.
    pub acr: String,
    /// By what (RFC 8176).
    pub amr: Vec<String>,
    /// When the session began.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was used last, to within a minute.
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen_at: OffsetDateTime,
    /// When it ends at the latest.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Source address of the sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What the browser called itself then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A live grant: what a person allowed a client, and with it one family of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    /// Its name.
    pub id: Uuid,
    /// Who gave it.
    pub user_id: Uuid,
    /// To whom.
    pub client_id: String,
    /// In which session.
    pub session_id: Uuid,
    /// What was allowed.
    #[schema(value_type = String)]
    pub scope: Scope,
    /// When it was given.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its tokens were renewed last.
    #[serde(with = "time::serde::rfc3339")]
    pub rotated_at: OffsetDateTime,
    /// When its refresh token dies unused.
    #[serde(with = "time::serde::rfc3339")]
    pub idle_expires_at: OffsetDateTime,
    /// When it ends at the latest.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// A key, without its private part.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// Its name in JOSE headers.
    pub kid: String,
    /// What it is for; HMAC-SHA256 keys derive codes and refresh tokens and are never published.
    #[schema(value_type = schemas::KeyAlgorithmName)]
    pub algorithm: &'static str,
    /// Its stage of life now.
    #[schema(value_type = schemas::KeyStateName)]
    pub state: KeyState,
    /// Which key-encryption key protects it.
    pub encryption_key_id: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when it signs.
    #[serde(with = "time::serde::rfc3339")]
    pub activates_at: OffsetDateTime,
    /// From when it no longer signs; absent until a successor exists.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<OffsetDateTime>,
    /// From when it is no longer published or accepted.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was withdrawn in an emergency.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// Which keys to rotate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// Only the key of this algorithm; all when absent.
    #[schema(value_type = Option<schemas::KeyAlgorithmName>)]
    pub algorithm: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventView {
    /// Ordered by time.
    pub id: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What, such as `client.created`.
    pub name: String,
    /// Who: `client`, `user`, `cli` or `system`.
    pub actor_kind: &'static str,
    /// Which client or person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// To what: a client id, a user id, a kid.
    pub subject: String,
    /// Facts worth keeping.
    #[schema(value_type = Object)]
    pub details: Value,
    /// Source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The correlation id of the request's log event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
}

impl From<LiveSession> for SessionView {
    fn from(session: LiveSession) -> Self {
        Self {
            id: session.id.0,
            user_id: session.user_id.0,
            auth_time: session.authentication.auth_time,
            acr: session.authentication.acr,
            amr: session.authentication.amr,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            ip: session.ip,
            user_agent: session.user_agent,
        }
    }
}

impl From<LiveGrant> for GrantView {
    fn from(grant: LiveGrant) -> Self {
        Self {
            id: grant.id.0,
            user_id: grant.user_id.0,
            client_id: grant.client_id.to_string(),
            session_id: grant.session_id.0,
            scope: grant.scope,
            created_at: grant.created_at,
            rotated_at: grant.rotated_at,
            idle_expires_at: grant.idle_expires_at,
            expires_at: grant.expires_at,
        }
    }
}

impl KeyView {
    /// Shows a key as it stands at `now`.
    #[must_use]
    pub fn new(key: KeyRecord, now: Timestamp) -> Self {
        Self {
            kid: key.kid.to_string(),
            algorithm: key.algorithm.as_str(),
            state: key.state(now),
            encryption_key_id: key.encryption_key_id,
            created_at: key.created_at,
            activates_at: key.activates_at,
            retires_at: key.retires_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

impl From<AuditRecord> for AuditEventView {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            name: record.name,
            actor_kind: record.actor.kind(),
            actor_id: record.actor.id(),
            subject: record.subject,
            details: record.details,
            ip: record.origin.ip.map(|ip| ip.to_string()),
            correlation_id: record.origin.correlation_id,
        }
    }
}
