//! What `keystead dev` puts into its database; doing it again changes nothing.

use crate::crypto;
use crate::domain::{
    ADMIN_AUDIENCE, Address, ApplicationType, Client, ClientAuthMethod, ClientId, ClientMetadata, ClientSecret,
    GrantType, Profile, RedirectUri, ResourceServer, ResourceServerId, SCOPE_ADMIN, Scope, Secret, SecretId,
    SigningAlgorithm, User, UserId, UserState, normalize_identifier,
};
use crate::flows::{Engine, InternalError};
use crate::store;

/// The API of the demo.
const API: &str = "https://api.example.com";

struct DemoClient {
    id: &'static str,
    name: &'static str,
    secret: Option<&'static str>,
    method: ClientAuthMethod,
    grants: &'static [GrantType],
    scope: &'static str,
}

const USER_SCOPE: &str = "openid profile email address phone offline_access";

const CLIENTS: [DemoClient; 5] = [
    DemoClient {
        id: "demo-web",
        name: "Demo Web",
        secret: Some("demo-web-secret-000000000000000000000000"),
        method: ClientAuthMethod::ClientSecretBasic,
        grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: USER_SCOPE,
    },
    DemoClient {
        id: "demo-spa",
        name: "Demo App",
        secret: None,
        method: ClientAuthMethod::None,
        grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
        scope: USER_SCOPE,
    },
    DemoClient {
        id: "demo-service",
        name: "Demo Service",
        secret: Some("demo-service-secret-00000000000000000000"),
        method: ClientAuthMethod::ClientSecretPost,
        grants: &[GrantType::ClientCredentials],
        scope: "demo:read demo:write",
    },
    DemoClient {
        id: "demo-api",
        name: "Demo API",
        secret: Some("demo-api-secret-000000000000000000000000"),
        method: ClientAuthMethod::ClientSecretBasic,
        grants: &[],
        scope: "",
    },
    DemoClient {
        id: "demo-admin",
        name: "Demo Admin",
        secret: Some("demo-admin-secret-0000000000000000000000"),
        method: ClientAuthMethod::ClientSecretPost,
        grants: &[GrantType::ClientCredentials],
        scope: SCOPE_ADMIN,
    },
];

/// Passwords of the demo people; printed at start.
pub const PEOPLE: [(&str, &str); 2] =
    [("demo@example.com", "keystead demo password"), ("other@example.com", "keystead other password")];

/// Puts the demo's clients, API and people in place.
///
/// # Errors
/// The database.
pub async fn seed(engine: &Engine) -> Result<(), InternalError> {
    for demo in &CLIENTS {
        seed_client(engine, demo).await?;
    }
    seed_api(engine).await?;
    for (email, password) in PEOPLE {
        seed_person(engine, email, password).await?;
    }
    Ok(())
}

fn metadata(demo: &DemoClient, issuer: &str) -> ClientMetadata {
    let uri = |text: &str| RedirectUri::register(text, ApplicationType::Web).ok();
    let with_people = demo.grants.contains(&GrantType::AuthorizationCode);
    let mut redirect_uris = Vec::new();
    let mut post_logout_redirect_uris = Vec::new();
    if with_people {
        redirect_uris.extend(
            [uri(&format!("{issuer}/demo/callback")), uri("http://127.0.0.1:9999/callback")].into_iter().flatten(),
        );
        post_logout_redirect_uris
            .extend([uri(&format!("{issuer}/demo")), uri("http://127.0.0.1:9999/callback")].into_iter().flatten());
    }
    if demo.secret.is_none() {
        redirect_uris.extend(uri("http://localhost:9999/callback"));
    }
    ClientMetadata {
        client_name: demo.name.to_owned(),
        redirect_uris,
        post_logout_redirect_uris,
        token_endpoint_auth_method: demo.method,
        grant_types: demo.grants.to_vec(),
        scope: Scope::parse(demo.scope).unwrap_or_default(),
        ..ClientMetadata::default()
    }
}

async fn seed_client(engine: &Engine, demo: &DemoClient) -> Result<(), InternalError> {
    let now = engine.clock.now();
    let Some(id) = ClientId::parse(demo.id) else { return Ok(()) };
    let mut tx = engine.store.begin("seed client").await?;
    let metadata = metadata(demo, &engine.policy.issuer);
    match store::clients::find(tx.conn(), &id).await? {
        Some(found) if found.metadata == metadata => {}
        // A demo database follows the address that it is served at.
        Some(found) => store::clients::update(tx.conn(), &Client { metadata, updated_at: now, ..found }).await?,
        None => {
            let client = Client {
                id: id.clone(),
                metadata,
                secrets: Vec::new(),
                disabled_at: None,
                created_at: now,
                updated_at: now,
            };
            store::clients::insert(tx.conn(), &client).await?;
            if let Some(secret) = demo.secret {
                let id_of_secret = SecretId(engine.random.uuid_v7(now));
                let secret =
                    ClientSecret { id: id_of_secret, sha256: crypto::sha256(secret.as_bytes()), created_at: now };
                store::clients::insert_secret(tx.conn(), &id, &secret).await?;
            }
        }
    }
    Ok(tx.commit().await?)
}

async fn seed_api(engine: &Engine) -> Result<(), InternalError> {
    let now = engine.clock.now();
    let mut tx = engine.store.begin("seed resource server").await?;
    let known = store::resource_servers::all(tx.conn()).await?;
    debug_assert!(known.iter().any(|server| server.audience == ADMIN_AUDIENCE));
    if known.iter().all(|server| server.audience != API) {
        let scope = Scope::parse("demo:read demo:write").unwrap_or_default();
        let introspection_clients: Vec<ClientId> = ClientId::parse("demo-api").into_iter().collect();
        let server = ResourceServer {
            id: ResourceServerId(engine.random.uuid_v7(now)),
            audience: API.to_owned(),
            name: "Demo API".to_owned(),
            scope: scope.clone(),
            signing_algorithm: SigningAlgorithm::Es256,
            access_token_lifetime: None,
            introspection_clients: introspection_clients.clone(),
            created_at: now,
            updated_at: now,
        };
        store::resource_servers::insert(tx.conn(), &server).await?;
        store::resource_servers::insert_scopes(tx.conn(), server.id, &scope).await?;
        store::resource_servers::insert_introspection_clients(tx.conn(), server.id, &introspection_clients).await?;
    }
    Ok(tx.commit().await?)
}

async fn seed_person(engine: &Engine, email: &str, password: &str) -> Result<(), InternalError> {
    let now = engine.clock.now();
    if store::users::find_for_sign_in(engine.store.pool(), &normalize_identifier(email)).await?.is_some() {
        return Ok(());
    }
    let phc = engine.passwords.hash(Secret::new(password.to_owned())).await?;
    let (first, last) = if email.starts_with("demo") { ("Dora", "Demo") } else { ("Otto", "Other") };
    let user = User {
        id: UserId(engine.random.uuid_v7(now)),
        username: email.split('@').next().map(str::to_owned),
        email: email.to_owned(),
        email_verified: true,
        profile: profile(first, last),
        state: UserState::Active,
        has_password: true,
        created_at: now,
        updated_at: now,
    };
    let mut tx = engine.store.begin("seed person").await?;
    store::users::insert(tx.conn(), &user).await?;
    store::users::set_password_hash(tx.conn(), &user.id, &phc, now).await?;
    Ok(tx.commit().await?)
}

/// Every standard claim, so that a relying party can be tried with all of them.
fn profile(first: &str, last: &str) -> Profile {
    let text = |value: &str| Some(value.to_owned());
    let lower = first.to_lowercase();
    Profile {
        name: Some(format!("{first} Maria {last}")),
        given_name: text(first),
        family_name: text(last),
        middle_name: text("Maria"),
        nickname: text(&lower),
        profile: Some(format!("https://people.example.com/{lower}")),
        picture: Some(format!("https://people.example.com/{lower}.png")),
        website: Some(format!("https://{lower}.example.com")),
        gender: text("unspecified"),
        birthdate: text("1990-04-01"),
        zoneinfo: text("Europe/Berlin"),
        locale: text("en-GB"),
        phone_number: text("+493012345678"),
        phone_number_verified: Some(true),
        address: Some(Address {
            formatted: text("Hauptstrasse 1\n10115 Berlin\nGermany"),
            street_address: text("Hauptstrasse 1"),
            locality: text("Berlin"),
            region: text("Berlin"),
            postal_code: text("10115"),
            country: text("Germany"),
        }),
    }
}
