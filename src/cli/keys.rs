//! `keystead keys`: look at keys, replace them, withdraw one in an emergency.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Failure;
use super::operator::{Operator, Target, all, table};
use crate::domain::{KeyAlgorithm, KeyRecord, Kid};
use crate::flows::admin::keys;
use crate::http::admin::documents::KeyView;

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all keys with their stage of life.
    List(Target),
    /// Make successors, which sign once everybody can have fetched them.
    Rotate(Rotate),
    /// Withdraw a key in an emergency: its tokens are refused from now on.
    Revoke(Revoke),
}

/// Which keys get a successor.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// Only the key of this algorithm; all when absent.
    #[arg(long, value_parser = algorithm())]
    algorithm: Option<KeyAlgorithm>,
    #[command(flatten)]
    target: Target,
}

/// Which key is withdrawn.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The key's name.
    #[arg(value_parser = kid)]
    kid: Kid,
    #[command(flatten)]
    target: Target,
}

/// Does it.
///
/// # Errors
/// The settings, the database, or a refusal with its reasons.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(target) => {
            let operator = target.connect().await?;
            let found =
                all(async |request| keys::list(&operator.engine, request).await, |key: &KeyRecord| key.kid).await?;
            show(&operator, found, "There are no keys yet; the server makes them when it starts.");
            Ok(())
        }
        Command::Rotate(Rotate { algorithm, target }) => {
            let operator = target.connect().await?;
            // How long a retiring key must be accepted depends on the clients.
            operator.engine.reload_all().await?;
            let made = keys::rotate(&operator.engine, algorithm, &operator.caller).await?;
            show(&operator, made, "Nothing was made: each key has a successor that waits, or was made just now.");
            Ok(())
        }
        Command::Revoke(Revoke { kid, target }) => {
            let operator = target.connect().await?;
            keys::revoke(&operator.engine, kid, &operator.caller).await?;
            operator.tell("Revoked. Its tokens are refused, and another key signs.");
            Ok(())
        }
    }
}

fn show(operator: &Operator, keys: Vec<KeyRecord>, none: &str) {
    let now = operator.engine.clock.now();
    let views: Vec<KeyView> = keys.into_iter().map(|key| KeyView::new(key, now)).collect();
    operator.show(&views, || {
        if views.is_empty() {
            return none.to_owned();
        }
        let rows = views.iter().map(|key| {
            let ends = key.revoked_at.or(key.retires_at).map(moment).unwrap_or_default();
            [key.kid.clone(), key.algorithm.to_owned(), key.state.as_str().to_owned(), moment(key.activates_at), ends]
        });
        table(["KID", "ALGORITHM", "STATE", "SIGNS FROM", "SIGNS UNTIL"], rows)
    });
}

fn moment(at: OffsetDateTime) -> String {
    at.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

fn kid(text: &str) -> Result<Kid, &'static str> {
    Kid::parse(text).ok_or("a key's name has 11 characters of base64url, as `keystead keys list` shows them")
}

fn algorithm() -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    let names = PossibleValuesParser::new(KeyAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()));
    names.try_map(|name| KeyAlgorithm::parse(&name).ok_or("is unknown"))
}
