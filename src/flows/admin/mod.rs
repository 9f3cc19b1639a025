//! What operators do: clients, resource servers, accounts, keys, sessions and grants, the audit trail, the first administrator.
//!
//! Each change is one transaction with its audit event; once it is committed this replica's memory follows at once, and the
//! others hear of it from the database. Does not own: rules (`protocol::registration`), forms of JSON, tables.

mod access;
pub mod audit;
pub mod bootstrap;
pub mod clients;
pub mod initial_access_tokens;
pub mod keys;
pub mod live_access;
pub mod resource_servers;
pub mod subjects;
pub mod users;

use std::fmt::Display;

use serde_json::Value;

use super::{Engine, InternalError};
use crate::domain::{Actor, AuditEvent, MetadataProblem, Origin};
use crate::store::{StoreError, Tx};

pub use access::{Access, AccessRefused, authorize};

/// Why an operator's wish was not fulfilled.
#[derive(Debug)]
pub enum AdminError {
    /// There is nothing of this name.
    NotFound,
    /// What was sent cannot be accepted.
    Invalid(Vec<MetadataProblem>),
    /// It does not go together with what is there; the sentence says what to do.
    Conflict(String),
    /// Trouble of our own.
    Internal(InternalError),
}

impl<E: Into<InternalError>> From<E> for AdminError {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// Who makes a change, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<K> {
    /// Only what comes after this one.
    pub after: Option<K>,
    /// How many at most.
    pub limit: u16,
}

impl<K> PageRequest<K> {
    /// One more than asked for, which tells whether there is a next page.
    fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    fn page<T>(&self, mut items: Vec<T>) -> Page<T> {
        let more = items.len() > usize::from(self.limit);
        items.truncate(self.limit.into());
        Page { items, more }
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Whether others come after these.
    pub more: bool,
}

impl Engine {
    /// Keeps an operator's change in the audit trail, in the change's own transaction.
    async fn record(
        &self,
        tx: &mut Tx,
        name: &'static str,
        subject: &(impl Display + Sync),
        details: Value,
        caller: &Caller,
    ) -> Result<(), StoreError> {
        let event = AuditEvent { name, actor: caller.actor.clone(), subject: subject.to_string(), details };
        self.audit(tx, &event, &caller.origin).await
    }
}

fn refuse_problems(problems: Vec<MetadataProblem>) -> Result<(), AdminError> {
    if problems.is_empty() { Ok(()) } else { Err(AdminError::Invalid(problems)) }
}

/// A change is committed but memory could not follow: the listener or the next re-read will make up for it.
pub(super) fn tolerate(reloaded: Result<(), InternalError>) {
    if let Err(error) = reloaded {
        tracing::warn!(%error, "a change is stored but not in memory yet");
    }
}

/// The names of the fields in which two values of one struct differ.
macro_rules! changed_fields {
    ($old:expr, $new:expr, [$($field:ident),+ $(,)?]) => {{
        let (old, new) = (&$old, &$new);
        let mut names: Vec<&'static str> = Vec::new();
        $(if old.$field != new.$field { names.push(stringify!($field)); })+
        names
    }};
}
use changed_fields;
