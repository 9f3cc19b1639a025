//! `keystead bootstrap`: the first administrator, once.

use super::Failure;
use super::client::{client_id, once};
use super::operator::Target;
use crate::domain::ClientId;
use crate::flows::admin::bootstrap;
use crate::http::admin::documents::CreatedClientView;

/// Arguments of `bootstrap`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The id of the new client; made up when absent.
    #[arg(long, value_name = "ID", value_parser = client_id)]
    client_id: Option<ClientId>,
    /// The name that the audit trail and lists show.
    #[arg(long, default_value = "First administrator")]
    name: String,
    #[command(flatten)]
    target: Target,
}

/// Makes the first client of the admin API and prints its secret.
///
/// # Errors
/// It was done before; the settings; the database.
pub async fn run(args: Args) -> Result<(), Failure> {
    let operator = args.target.connect().await?;
    let made = bootstrap::first_admin(&operator.engine, args.client_id, args.name, &operator.caller).await?;
    let id = made.client.id.to_string();
    let made = CreatedClientView::from(made);
    let secret = made.client_secret.as_deref().unwrap_or_default();
    operator.show(&made, || {
        let issuer = &operator.engine.policy.issuer;
        let answer = once(&[("client_id", &id), ("client_secret", secret)]);
        // RFC 6749 §2.3.1: both halves are form-encoded before they become Basic credentials.
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = format!("{}:{}", encode(&id), encode(secret));
        format!(
            "{answer}\n\nIt may use the whole admin API. A token for it:\n\n  \
             curl {issuer}/oauth2/token -u '{credentials}' -d grant_type=client_credentials -d scope=keystead:admin"
        )
    });
    Ok(())
}
