//! The first administrator of a new installation.

use serde_json::json;

use super::clients::{self, ClientDraft, CreatedClient, NewClient};
use super::{AdminError, Caller, tolerate};
use crate::domain::{ClientId, ClientMetadata, GrantType, SCOPE_ADMIN, Scope};
use crate::flows::Engine;
use crate::store;

/// Registers the first client of the admin API. A database allows this once (SECURITY 74): there is no default password to guess,
/// and whoever comes second is told.
///
/// # Errors
/// It was done before, or the id is taken.
pub async fn first_admin(
    engine: &Engine,
    id: Option<ClientId>,
    client_name: String,
    caller: &Caller,
) -> Result<CreatedClient, AdminError> {
    let mut tx = engine.store.begin("bootstrap").await?;
    if !store::bootstrap::claim(tx.conn(), engine.clock.now()).await? {
        return Err(AdminError::Conflict(
            "the first administrator was made already, which works once; add a secret with `keystead client add-secret`, or make \
             another administrator with `keystead client create --grant-type client_credentials --scope keystead:admin`"
                .to_owned(),
        ));
    }
    let metadata = ClientMetadata {
        client_name,
        grant_types: vec![GrantType::ClientCredentials],
        scope: Scope::from_tokens([SCOPE_ADMIN])
            .unwrap_or_else(|_| unreachable!("the constant has the form of a scope token")),
        ..ClientMetadata::default()
    };
    let new = NewClient { id, draft: ClientDraft { metadata, disabled: false }, secret: None };
    let created = clients::insert(engine, &mut tx, new, caller).await?;
    engine.record(&mut tx, "admin.bootstrapped", &created.client.id, json!({}), caller).await?;
    tx.commit().await?;
    tolerate(engine.reload_client(&created.client.id).await);
    Ok(created)
}
