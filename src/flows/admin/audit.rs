//! Reading the audit trail.

use uuid::Uuid;

use super::{AdminError, Page, PageRequest};
use crate::flows::Engine;
use crate::store;

pub use crate::store::audit::{AuditFilter, AuditRecord};

/// Audit events, newest first.
///
/// # Errors
/// The database.
pub async fn list(
    engine: &Engine,
    filter: &AuditFilter,
    request: PageRequest<Uuid>,
) -> Result<Page<AuditRecord>, AdminError> {
    let records = store::audit::page(engine.store.pool(), filter, request.after, request.rows()).await?;
    Ok(request.page(records))
}
