//! One private PostgreSQL for the whole run, one database for each test, copied from a template that is migrated and has keys.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use keystead::cli::dev::postgres::{PrivatePostgres, StartOptions};
use keystead::domain::Secret;
use keystead::store::{Store, StoreOptions};

static SERVER_URL: OnceLock<String> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The URL of a fresh database, migrated and with keys: making RSA keys for each test would take most of its time.
pub async fn fresh() -> String {
    create(Some("keystead")).await
}

/// The URL of a database without any table.
pub async fn empty() -> String {
    create(None).await
}

async fn create(template: Option<&str>) -> String {
    let server = tokio::task::spawn_blocking(|| SERVER_URL.get_or_init(start).clone()).await.unwrap();
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    // Nobody may be connected to a template while it is copied.
    let admin = store(&server.replace("/keystead?", "/postgres?"));
    admin.create_database(&name, template).await.expect("a database for the test");
    admin.close().await;
    server.replace("/keystead?", &format!("/{name}?"))
}

/// A store with few connections, for a test's own use.
pub fn store(url: &str) -> Store {
    Store::prepare(&StoreOptions {
        url: Secret::new(url.to_owned()),
        max_connections: 10,
        acquire_timeout: std::time::Duration::from_secs(20),
        statement_timeout: std::time::Duration::from_secs(20),
    })
    .unwrap()
}

/// Where the programs of PostgreSQL are looked for.
pub fn search_path() -> std::ffi::OsString {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
    std::env::var_os("PATH").unwrap_or_default()
}

/// Starts PostgreSQL on a thread that lives as long as the process, so that it ends with it.
fn start() -> String {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let data_dir = std::path::PathBuf::new();
            let options = StartOptions { data_dir, ephemeral: true, search_path: search_path() };
            let postgres = PrivatePostgres::start(options).await.expect("PostgreSQL for the tests");
            let store = store(postgres.database_url());
            store.migrate().await.expect("the template database");
            store.close().await;
            super::app::make_keys(postgres.database_url()).await;
            send.send(postgres.database_url().to_owned()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().expect("PostgreSQL for the tests")
}
