//! People as clients know them.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schemas;
use crate::domain::SubjectType;
use crate::flows::admin::subjects::KnownPerson;

/// A person as one client knows them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubjectView {
    /// The client.
    pub client_id: String,
    /// The person's id here.
    pub user_id: Uuid,
    /// The `sub` by which the client knows them.
    pub sub: String,
    /// `public`: the id itself; `pairwise`: a name that only clients of its sector know.
    #[schema(value_type = schemas::SubjectTypeName)]
    pub subject_type: SubjectType,
}

impl From<KnownPerson> for SubjectView {
    fn from(known: KnownPerson) -> Self {
        Self {
            client_id: known.client_id.to_string(),
            user_id: known.user_id.0,
            sub: known.sub,
            subject_type: known.subject_type,
        }
    }
}
