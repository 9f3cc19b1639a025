//! What people allowed which client before.

use sqlx::PgExecutor;

use crate::domain::{ClientId, Consent, Timestamp, UserId};

use super::StoreError;

/// Adds to what a person allows a client.
///
/// # Errors
/// The database.
pub async fn remember(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    client_id: &ClientId,
    consent: &Consent,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO consents (user_id, client_id, scope, claims, granted_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, client_id) DO UPDATE
         SET scope = ARRAY(SELECT DISTINCT unnest(consents.scope || excluded.scope) ORDER BY 1),
             claims = ARRAY(SELECT DISTINCT unnest(consents.claims || excluded.claims) ORDER BY 1), granted_at = excluded.granted_at",
        user_id.0,
        client_id.as_str(),
        &consent.scope.to_vec(),
        &consent.claims.to_vec(),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what a person allowed a client. Whether there was something.
///
/// # Errors
/// The database.
pub async fn forget(db: impl PgExecutor<'_>, user_id: UserId, client_id: &ClientId) -> Result<bool, StoreError> {
    let done =
        sqlx::query!("DELETE FROM consents WHERE user_id = $1 AND client_id = $2", user_id.0, client_id.as_str());
    Ok(done.execute(db).await?.rows_affected() == 1)
}
