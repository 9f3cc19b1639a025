//! The real program at its most talkative, behind a network that can fail, and all that it leaves behind.

use std::net::SocketAddr;

use base64::Engine as _;
use serde_json::Value;

use crate::support::line::{Line, Passed};
use crate::support::process::{Folder, Program, Running};
use crate::support::proxy::Network;
use crate::support::secrets::{Secrets, of_bytes};
use crate::support::{ClientFixture, EMAIL, ENCRYPTION_KEY, PASSWORD, TestApp, database, tcp};

const DATABASE_PASSWORD: &str = "database-password-71-Ahn4eeyai";
const EARLIER_PASSWORD: &str = "an earlier pässword & <more> 71";

pub struct House {
    line: Line,
    program: Running,
    pub public: SocketAddr,
    admin: SocketAddr,
    pub network: Network,
    pub secrets: Secrets,
}

/// What a thief or a colleague may find afterwards.
pub struct Evidence {
    pub log: String,
    pub dump: String,
    pub metrics: String,
    pub line: Line,
    pub secrets: Secrets,
}

impl House {
    /// A server over a migrated database, and the line on which tests speak to it.
    pub async fn build() -> (Self, TestApp) {
        let direct = database::fresh().await;
        let mut network = Network::to(&direct).await;
        let user_and_password = format!("keystead:{DATABASE_PASSWORD}@");
        network.database_url = network.database_url.replace("keystead@", &user_and_password);
        let mut program = Program::configured(&["serve"], &network.database_url)
            .env("KEYSTEAD__TELEMETRY__LOG_FILTER", "trace")
            .env("KEYSTEAD__DATABASE__ACQUIRE_TIMEOUT", "500ms")
            .env("KEYSTEAD__DATABASE__STATEMENT_TIMEOUT", "500ms")
            .start();
        let (public, admin) = program.serves_at().await;
        let mut app = TestApp::beside(&direct).await;
        let line = Line::default();
        (app.public, app.admin) = (line.to(public), line.to(admin));
        let mut secrets = Secrets::default();
        secrets.add("database password", DATABASE_PASSWORD);
        secrets.add("encryption key", &base64::engine::general_purpose::STANDARD.encode(ENCRYPTION_KEY));
        of_bytes(&ENCRYPTION_KEY).iter().for_each(|text| secrets.add("encryption key", text));
        (Self { line, program, public, admin, network, secrets }, app)
    }

    /// What a command printed, as JSON. It tells no secret that was there before.
    async fn command(&self, arguments: &[&str]) -> Value {
        let ended = Program::configured(arguments, &self.network.database_url).run().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
        assert_eq!(self.secrets.search_for_all_but(&[]).find(&ended.output), None);
        serde_json::from_str(&ended.output).unwrap()
    }

    /// The first administrator.
    pub async fn administrator(&mut self) -> ClientFixture {
        let made = self.command(&["bootstrap", "--client-id", "first", "--json"]).await;
        let secret = made["client_secret"].as_str().unwrap().to_owned();
        self.secrets.add("client_secret", &secret);
        ClientFixture { id: "first".into(), secret }
    }

    /// Gives the person a password, and another one.
    pub async fn set_passwords(&mut self) {
        let folder = Folder::new();
        for password in [EARLIER_PASSWORD, PASSWORD] {
            self.secrets.add("password", password);
            let file = folder.write("password", password);
            let command = ["user", "set-password", EMAIL, "--json", "--password-file", file.to_str().unwrap()];
            self.command(&command).await;
        }
    }

    /// Takes the metrics, stops the program, copies the database, and remembers the secrets of everything that passed.
    pub async fn leave(mut self, app: &TestApp) -> Evidence {
        let metrics = tcp::get(self.admin, "/metrics").await.unwrap().body;
        self.program.stop().await;
        self.line.read(|passed: &[Passed]| passed.iter().for_each(|one| self.secrets.add_all_of(one)));
        let (log, dump) = (self.program.output(), app.dump().await);
        Evidence { log, dump, metrics, line: self.line, secrets: self.secrets }
    }
}
