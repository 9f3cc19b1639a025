//! `keystead client`: register clients and replace their secrets.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use uuid::Uuid;

use super::Failure;
use super::operator::{Operator, Target, all, table};
use crate::domain::{
    ApplicationType, Client, ClientAuthMethod, ClientId, ClientMetadata, ClientProfile, ClientProtocol, GrantType,
    Scope, SecretId, SigningAlgorithm,
};
use crate::flows::admin::clients::{self, ClientDraft, NewClient};
use crate::http::admin::documents::{ClientView, CreatedClientView, CreatedSecretView};
use crate::protocol::registration;

/// What to do with clients.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register a client; a confidential one gets a secret, which is shown once.
    Create(Box<Create>),
    /// List all clients.
    List(Target),
    /// Show one client.
    Show(One),
    /// Remove a client; its tokens are inactive at once.
    Delete(One),
    /// Make a second secret, so that the client can change over without an outage.
    AddSecret(One),
    /// Remove a secret; it is refused from now on.
    RemoveSecret(Secret),
}

/// A client to be registered.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The name that people see.
    #[arg(long)]
    name: String,
    /// Its id; made up when absent.
    #[arg(long, value_parser = client_id)]
    id: Option<ClientId>,
    /// What it gets where nothing else is said here, and what it may not ask for.
    #[arg(long, value_name = "PROFILE", value_parser = profile(), default_value = "default")]
    profile: ClientProfile,
    /// A grant that it may use; repeat for several. The profile's when absent, of `default` `authorization_code`.
    #[arg(long = "grant-type", value_name = "GRANT", value_parser = grant_type())]
    grant_types: Vec<GrantType>,
    /// Where authorization responses may go; repeat for several.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where a browser may go after signing out; repeat for several.
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// The widest scope that it may ask for, separated by spaces.
    #[arg(long, default_value = "", value_parser = scope)]
    scope: Scope,
    /// How it authenticates; `none` for a public client. The profile's when absent, of `default` `client_secret_basic`.
    #[arg(long, visible_alias = "token-endpoint-auth-method", value_name = "METHOD", value_parser = auth_method())]
    auth_method: Option<ClientAuthMethod>,
    /// Where its public keys are published: an https URL. For `private_key_jwt` and signed requests.
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// `native` for an application that is installed on a device. The profile's when absent, of `default` web.
    #[arg(long, value_name = "TYPE", value_parser = application_type())]
    application_type: Option<ApplicationType>,
    /// The algorithm of its ID tokens. The profile's when absent, of `default` RS256.
    #[arg(long, value_name = "ALGORITHM", value_parser = signing_algorithm())]
    id_token_alg: Option<SigningAlgorithm>,
    /// Let it ask for codes without PKCE; only for a confidential client that uses a nonce.
    #[arg(long)]
    no_pkce: bool,
    /// A first-party application: its users are not asked for consent.
    #[arg(long)]
    skip_consent: bool,
    #[command(flatten)]
    target: Target,
}

/// One client.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The client's id.
    #[arg(value_parser = client_id)]
    client_id: ClientId,
    #[command(flatten)]
    target: Target,
}

/// One secret of a client.
#[derive(Debug, clap::Args)]
pub struct Secret {
    /// The client's id.
    #[arg(value_parser = client_id)]
    client_id: ClientId,
    /// The secret's id, which `client show` lists.
    #[arg(value_name = "SECRET_ID")]
    id: Uuid,
    #[command(flatten)]
    target: Target,
}

/// Does it.
///
/// # Errors
/// The settings, the database, or a refusal with its reasons.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => run_create(*create).await,
        Command::List(target) => list(&target.connect().await?).await,
        Command::Show(one) => show(&one.target.connect().await?, &one.client_id).await,
        Command::Delete(one) => {
            let operator = one.target.connect().await?;
            clients::delete(&operator.engine, &one.client_id, &operator.caller).await?;
            operator.tell("Deleted. Its tokens are inactive.");
            Ok(())
        }
        Command::AddSecret(one) => add_secret(&one.target.connect().await?, &one.client_id).await,
        Command::RemoveSecret(Secret { client_id, id, target }) => {
            let operator = target.connect().await?;
            clients::remove_secret(&operator.engine, &client_id, SecretId(id), &operator.caller).await?;
            operator.tell("Removed. The secret is refused from now on.");
            Ok(())
        }
    }
}

async fn run_create(create: Create) -> Result<(), Failure> {
    let operator = create.target.connect().await?;
    let metadata = metadata(&create)?;
    let new = NewClient { id: create.id, draft: ClientDraft { metadata, disabled: false }, secret: None };
    let made = clients::create(&operator.engine, new, &operator.caller).await?;
    let id = made.client.id.to_string();
    let created = CreatedClientView::from(made);
    operator.show(&created, || match &created.client_secret {
        Some(secret) => once(&[("client_id", &id), ("client_secret", secret)]),
        None => format!("client_id  {id}\nIt has no secret."),
    });
    Ok(())
}

/// What is named, and for the rest what the profile gives.
fn metadata(create: &Create) -> Result<ClientMetadata, Failure> {
    let base = registration::defaults(create.profile);
    let application_type = create.application_type.unwrap_or(base.application_type);
    let uris = |field, texts: &[String]| registration::redirect_uris(field, texts, application_type).map_err(invalid);
    let grant_types = if create.grant_types.is_empty() { base.grant_types } else { create.grant_types.clone() };
    Ok(ClientMetadata {
        redirect_uris: uris("redirect_uris", &create.redirect_uris)?,
        post_logout_redirect_uris: uris("post_logout_redirect_uris", &create.post_logout_redirect_uris)?,
        client_name: create.name.clone(),
        application_type,
        token_endpoint_auth_method: create.auth_method.unwrap_or(base.token_endpoint_auth_method),
        grant_types,
        scope: create.scope.clone(),
        id_token_signed_response_alg: create.id_token_alg.unwrap_or(base.id_token_signed_response_alg),
        require_pkce: base.require_pkce && !create.no_pkce,
        skip_consent: create.skip_consent,
        protocol: ClientProtocol { jwks_uri: create.jwks_uri.clone(), ..base.protocol },
        ..ClientMetadata::default()
    })
}

async fn list(operator: &Operator) -> Result<(), Failure> {
    let found =
        all(async |request| clients::list(&operator.engine, request).await, |client: &Client| client.id.clone())
            .await?;
    let views: Vec<ClientView> = found.iter().cloned().map(ClientView::from).collect();
    operator.show(&views, || {
        let rows = found.iter().map(|client| {
            let metadata = &client.metadata;
            let grants: Vec<&str> = metadata.grant_types.iter().map(|grant| grant.as_str()).collect();
            let state = if client.disabled_at.is_some() { "disabled" } else { "live" };
            [
                client.id.to_string(),
                metadata.client_name.clone(),
                state.to_owned(),
                grants.join(" "),
                metadata.scope.to_string(),
            ]
        });
        table(["CLIENT", "NAME", "STATE", "GRANTS", "SCOPE"], rows)
    });
    Ok(())
}

async fn show(operator: &Operator, id: &ClientId) -> Result<(), Failure> {
    let view = ClientView::from(clients::find(&operator.engine, id).await?);
    // A document of many members reads best as it is.
    operator.show(&view, || serde_json::to_string_pretty(&view).unwrap_or_default());
    Ok(())
}

async fn add_secret(operator: &Operator, id: &ClientId) -> Result<(), Failure> {
    let (stored, secret) = clients::add_secret(&operator.engine, id, &operator.caller).await?;
    let view = CreatedSecretView::new(&stored, &secret);
    operator.show(&view, || once(&[("secret_id", &view.id.to_string()), ("client_secret", &view.client_secret)]));
    Ok(())
}

/// Lines of names and values of which one is a secret.
pub fn once(lines: &[(&str, &str)]) -> String {
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:13}  {value}")).collect();
    format!("{}\nKeep the secret now: it is not shown again.", lines.join("\n"))
}

fn invalid(problems: Vec<crate::domain::MetadataProblem>) -> Failure {
    crate::flows::admin::AdminError::Invalid(problems).into()
}

/// Reads a client id.
///
/// # Errors
/// What is wrong with its form.
pub fn client_id(text: &str) -> Result<ClientId, &'static str> {
    ClientId::parse(text).ok_or("a client id has 1 to 128 printable ASCII characters and not the form of a UUID")
}

fn scope(text: &str) -> Result<Scope, crate::domain::InvalidScope> {
    Scope::parse(text)
}

macro_rules! names_of {
    ($($function:ident: $type:ty),+ $(,)?) => { $(
        fn $function() -> impl clap::builder::TypedValueParser<Value = $type> {
            let names = PossibleValuesParser::new(<$type>::ALL.iter().map(|value| value.as_str()));
            names.try_map(|name| <$type>::parse(&name).ok_or("is unknown"))
        }
    )+ };
}
names_of!(
    profile: ClientProfile,
    grant_type: GrantType,
    auth_method: ClientAuthMethod,
    application_type: ApplicationType,
    signing_algorithm: SigningAlgorithm,
);
