//! Who a client means by a `sub`, and by which one it knows a person.

use uuid::Uuid;

use super::{AdminError, clients};
use crate::domain::{ClientId, SubjectType, UserId};
use crate::flows::{Engine, subject};
use crate::store;

/// People who are looked through at a time for a name that cannot be turned back.
const AT_A_TIME: i64 = 10_000;

/// A person as one client knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPerson {
    /// The client.
    pub client_id: ClientId,
    /// The person's id here.
    pub user_id: UserId,
    /// What the client calls them.
    pub sub: String,
    /// Whether others call them so too.
    pub subject_type: SubjectType,
}

/// Finds a person by their id here or by the `sub` of the client; one is a UUID and a pairwise one never is. For that everybody is
/// looked through, which takes about a second for a million people.
///
/// # Errors
/// There is no such client or person; the database.
pub async fn find(engine: &Engine, client_id: &ClientId, name: &str) -> Result<KnownPerson, AdminError> {
    let client = clients::find(engine, client_id).await?;
    let subject_type = client.metadata.protocol.subject_type;
    let pool = engine.store.pool();
    let known = |user_id, sub| KnownPerson { client_id: client.id.clone(), user_id, sub, subject_type };
    if let Ok(id) = Uuid::try_parse(name) {
        let user = store::users::find(pool, &UserId(id)).await?.ok_or(AdminError::NotFound)?;
        return Ok(known(user.id, subject::of_person(engine, &client, user.id)?));
    }
    // Only a name of this form can be anybody's.
    if subject_type == SubjectType::Public || name.len() != 43 {
        return Err(AdminError::NotFound);
    }
    let keyring = engine.snapshots.keyring()?;
    let mut after = None;
    loop {
        let people = store::users::ids_after(pool, after, AT_A_TIME).await?;
        after = Some(*people.last().ok_or(AdminError::NotFound)?);
        for person in people {
            if subject::person_in(&keyring, &client, person)? == name {
                return Ok(known(person, name.to_owned()));
            }
        }
    }
}
