//! Can this process serve?

use crate::domain::SigningAlgorithm;

use super::Engine;

/// One thing that must hold.
#[derive(Debug)]
pub struct Check {
    /// `database`, `migrations` or `keys`.
    pub name: &'static str,
    /// What is wrong and what to do.
    pub problem: Option<String>,
}

impl Engine {
    /// Checks everything that serving needs.
    pub async fn readiness(&self) -> Vec<Check> {
        let (database, migrations) = match self.store.missing_migrations().await {
            Ok(missing) if missing.is_empty() => (None, None),
            Ok(missing) => (None, Some(format!("{} migrations are missing; run keystead migrate", missing.len()))),
            Err(error) => {
                tracing::warn!(%error, "not ready");
                let unknown = "unknown, because the database cannot be reached";
                (Some("the database cannot be reached; see the log".to_owned()), Some(unknown.to_owned()))
            }
        };
        vec![
            Check { name: "database", problem: database },
            Check { name: "migrations", problem: migrations },
            Check { name: "keys", problem: self.missing_key() },
        ]
    }

    fn missing_key(&self) -> Option<String> {
        let now = self.clock.now();
        match self.snapshots.keyring() {
            Err(error) => Some(error.to_string()),
            Ok(keyring) => {
                let missing =
                    SigningAlgorithm::ALL.iter().find(|algorithm| keyring.signing_key(**algorithm, now).is_none());
                let mac = keyring.mac_kid(now).is_none().then_some("HMAC-SHA256");
                let missing = missing.map(|algorithm| algorithm.as_str()).or(mac);
                missing.map(|name| format!("no active {name} key; run keystead keys rotate"))
            }
        }
    }
}
