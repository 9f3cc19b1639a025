//! What an operator does to people, clients and keys, without HTTP; [`super::AdminApi`] does it over HTTP.

use keystead::domain::{
    Actor, ClientId, ClientMetadata, GrantId, KeyAlgorithm, KeyRecord, Kid, Origin, Secret, SecretId, SessionId, UserId,
};
use keystead::flows::admin::clients::ClientDraft;
use keystead::flows::admin::{self, AdminError, Caller};

use super::TestApp;

/// Somebody at the command line of one replica.
pub struct Operator<'a>(pub &'a TestApp);

/// Whom the audit trail names for what is done here.
pub fn caller() -> Caller {
    Caller { actor: Actor::Cli, origin: Origin::default() }
}

impl Operator<'_> {
    pub async fn lock(&self, user: UserId) {
        admin::users::lock(&self.0.engine, user, &caller()).await.unwrap();
    }

    pub async fn unlock(&self, user: UserId) {
        admin::users::unlock(&self.0.engine, user, &caller()).await.unwrap();
    }

    pub async fn delete_user(&self, user: UserId) {
        admin::users::delete(&self.0.engine, user, &caller()).await.unwrap();
    }

    pub async fn sign_out_everywhere(&self, user: UserId) {
        admin::users::sign_out(&self.0.engine, user, &caller()).await.unwrap();
    }

    /// Sets a password that may be refused.
    pub async fn set_password(&self, user: UserId, password: &str) -> Result<(), AdminError> {
        admin::users::set_password(&self.0.engine, user, Secret::new(password.into()), &caller()).await.map(|_| ())
    }

    pub async fn change_password(&self, user: UserId, password: &str) {
        self.set_password(user, password).await.unwrap();
    }

    pub async fn end_session(&self, session: &str) {
        let session = SessionId(session.parse().unwrap());
        admin::live_access::end_session(&self.0.engine, session, &caller()).await.unwrap();
    }

    /// Ends the grant behind an access token.
    pub async fn end_grant_of(&self, access_token: &str) {
        let jti = super::jwt_part(access_token, 1)["jti"].as_str().unwrap().to_owned();
        let grant = GrantId(jti.split('.').next().unwrap().parse().unwrap());
        admin::live_access::end_grant(&self.0.engine, grant, &caller()).await.unwrap();
    }

    /// Changes what is registered about a client.
    pub async fn change_client(&self, id: &str, change: impl FnOnce(&mut ClientMetadata)) {
        self.draft(id, |draft| change(&mut draft.metadata)).await;
    }

    /// Switches a client off or on.
    pub async fn disable_client(&self, id: &str, disabled: bool) {
        self.draft(id, |draft| draft.disabled = disabled).await;
    }

    async fn draft(&self, id: &str, change: impl FnOnce(&mut ClientDraft)) {
        let id = ClientId::parse(id).unwrap();
        let change = |mut draft: ClientDraft| {
            change(&mut draft);
            Ok(draft)
        };
        admin::clients::update(&self.0.engine, &id, change, &caller()).await.unwrap();
    }

    pub async fn delete_client(&self, id: &str) {
        admin::clients::delete(&self.0.engine, &ClientId::parse(id).unwrap(), &caller()).await.unwrap();
    }

    /// Gives a client another secret.
    pub async fn add_secret(&self, id: &str) -> (SecretId, String) {
        let added = admin::clients::add_secret(&self.0.engine, &ClientId::parse(id).unwrap(), &caller()).await;
        let (stored, secret) = added.unwrap_or_else(|error| panic!("{error:?}"));
        (stored.id, secret.expose().to_owned())
    }

    pub async fn remove_secret(&self, id: &str, secret: SecretId) {
        admin::clients::remove_secret(&self.0.engine, &ClientId::parse(id).unwrap(), secret, &caller()).await.unwrap();
    }

    /// Makes the successor of one key.
    pub async fn rotate(&self, algorithm: KeyAlgorithm) -> KeyRecord {
        let mut pending = admin::keys::rotate(&self.0.engine, Some(algorithm), &caller()).await.unwrap();
        pending.pop().unwrap()
    }

    pub async fn revoke_key(&self, kid: Kid) {
        admin::keys::revoke(&self.0.engine, kid, &caller()).await.unwrap();
    }
}
