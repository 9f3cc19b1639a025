//! People and clients.

use keystead::crypto::sha256;
use keystead::domain::{
    ApplicationType, Client, ClientAuthMethod, ClientId, ClientMetadata, ClientSecret, GrantType, Profile, RedirectUri,
    ResourceServer, ResourceServerId, Scope, Secret, SecretId, SigningAlgorithm, User, UserId, UserState,
};
use keystead::store;

use super::TestApp;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// A registered client and its secret.
#[derive(Debug, Clone)]
pub struct ClientFixture {
    pub id: String,
    pub secret: String,
}

impl ClientFixture {
    /// For HTTP Basic.
    pub fn pair(&self) -> (&str, &str) {
        (&self.id, &self.secret)
    }
}

impl TestApp {
    /// Registers a person.
    pub async fn person(&self, email: &str) -> UserId {
        let now = self.clock.now();
        let user = User {
            id: UserId(self.engine.random.uuid_v7(now)),
            username: Some(email.split('@').next().unwrap().to_owned()),
            email: email.to_owned(),
            email_verified: true,
            profile: Profile { name: Some("Pat Person".into()), ..Profile::default() },
            state: UserState::Active,
            has_password: true,
            created_at: now,
            updated_at: now,
        };
        let phc = self.engine.passwords.hash(Secret::new(PASSWORD.into())).await.unwrap();
        store::users::insert(self.engine.store.pool(), &user).await.unwrap();
        store::users::set_password_hash(self.engine.store.pool(), &user.id, &phc, now).await.unwrap();
        user.id
    }

    /// Registers a client exactly as given; a confidential one gets a secret.
    pub async fn client(&self, id: &str, metadata: ClientMetadata) -> ClientFixture {
        let now = self.clock.now();
        let client_id = ClientId::parse(id).unwrap();
        let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
        let metadata = ClientMetadata { client_name: format!("The {id} app"), ..metadata };
        let client = Client {
            id: client_id.clone(),
            metadata,
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        let pool = self.engine.store.pool();
        store::clients::insert(pool, &client).await.unwrap();
        let secret = format!("{id}-secret-with-enough-characters");
        if !public {
            let id = SecretId(self.engine.random.uuid_v7(now));
            let secret = ClientSecret { id, sha256: sha256(secret.as_bytes()), created_at: now };
            assert!(store::clients::insert_secret(pool, &client_id, &secret).await.unwrap());
        }
        self.engine.reload_client(&client_id).await.unwrap();
        ClientFixture { id: id.to_owned(), secret }
    }

    /// A confidential web application with all user scopes.
    pub async fn web_client(&self) -> ClientFixture {
        self.client("web", web_metadata()).await
    }

    /// An installed application: it has no secret, and its redirect URIs prove nothing.
    pub async fn native_client(&self, redirect_uris: &[&str]) -> ClientFixture {
        let metadata = ClientMetadata {
            application_type: ApplicationType::Native,
            token_endpoint_auth_method: ClientAuthMethod::None,
            redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::from_registered((*uri).into())).collect(),
            ..web_metadata()
        };
        self.client("native", metadata).await
    }

    /// A machine client for the API `https://api.example` with scopes `api:read api:write`.
    pub async fn service(&self) -> ClientFixture {
        self.api().await;
        self.machine("service", "api:read api:write").await
    }

    /// A client that acts for itself, with this scope at most.
    pub async fn machine(&self, id: &str, scope: &str) -> ClientFixture {
        let (grant_types, scope) = (vec![GrantType::ClientCredentials], Scope::parse(scope).unwrap());
        self.client(id, ClientMetadata { grant_types, scope, ..ClientMetadata::default() }).await
    }

    /// The API `https://api.example`; its client `api` may introspect.
    pub async fn api(&self) -> ClientFixture {
        let api = self.client("api", ClientMetadata { grant_types: Vec::new(), ..ClientMetadata::default() }).await;
        self.resource_server("https://api.example", "api:read api:write", SigningAlgorithm::Es256, &["api"]).await;
        api
    }

    /// A resource server.
    pub async fn resource_server(
        &self,
        audience: &str,
        scope: &str,
        algorithm: SigningAlgorithm,
        introspecting: &[&str],
    ) {
        let now = self.clock.now();
        let clients: Vec<ClientId> = introspecting.iter().filter_map(|id| ClientId::parse(id)).collect();
        let server = ResourceServer {
            id: ResourceServerId(self.engine.random.uuid_v7(now)),
            audience: audience.into(),
            name: audience.into(),
            scope: Scope::parse(scope).unwrap(),
            signing_algorithm: algorithm,
            access_token_lifetime: None,
            introspection_clients: clients.clone(),
            created_at: now,
            updated_at: now,
        };
        let pool = self.engine.store.pool();
        store::resource_servers::insert(pool, &server).await.unwrap();
        store::resource_servers::insert_scopes(pool, server.id, &server.scope).await.unwrap();
        store::resource_servers::insert_introspection_clients(pool, server.id, &clients).await.unwrap();
        self.engine.reload_resource_servers().await.unwrap();
    }
}

/// What [`TestApp::web_client`] registers.
pub fn web_metadata() -> ClientMetadata {
    ClientMetadata {
        redirect_uris: vec![RedirectUri::from_registered("https://rp.example/cb".into())],
        post_logout_redirect_uris: vec![RedirectUri::from_registered("https://rp.example/bye".into())],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: Scope::parse("openid profile email address phone offline_access").unwrap(),
        ..ClientMetadata::default()
    }
}
