//! The real program at the command line.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use serde_json::Value;

use crate::support::process::{Ended, Folder, Program};
use crate::support::{database, tcp};

/// Ports that the system chooses.
const PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

fn dev(more: &[&str]) -> Program {
    Program::keystead(&[&["dev"][..], &PORTS, more].concat())
}

/// The command failed and said why.
fn fails(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    for part in parts {
        assert!(ended.output.contains(part), "no {part:?} in:\n{}", ended.output);
    }
    assert!(!ended.output.contains("panicked"), "{}", ended.output);
}

fn succeeds(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    for part in parts {
        assert!(ended.output.contains(part), "no {part:?} in:\n{}", ended.output);
    }
}

/// The folder of the database as `dev` prints it.
fn database_folder(output: &str) -> &str {
    let line = output.lines().find(|line| line.trim().starts_with("Database")).unwrap();
    line.split_whitespace().find(|word| word.starts_with('/')).unwrap()
}

#[tokio::test]
async fn dev_without_a_data_folder_serves_until_it_is_stopped_and_leaves_nothing() {
    let folder = Folder::new();
    let mut running = dev(&["--ephemeral"]).within(&folder).start();
    let (public, admin) = running.develops_at().await;
    let discovery = tcp::get(public, "/.well-known/openid-configuration").await.unwrap().json();
    assert_eq!(discovery["issuer"], format!("http://{public}"));
    assert_eq!(tcp::get(public, "/demo").await.unwrap().status, 200);
    assert!(tcp::get(public, "/login").await.unwrap().body.contains("Sign in"));
    assert_eq!(tcp::get(admin, "/health/ready").await.unwrap().status, 200);
    let output = running.output();
    let database = Path::new(database_folder(&output));
    assert!(database.exists());
    running.stop().await;
    assert!(!database.exists(), "{}", database.display());
    assert_eq!(folder.0.read_dir().unwrap().count(), 0);
}

async fn kid(public: std::net::SocketAddr) -> Value {
    tcp::get(public, "/oauth2/jwks").await.unwrap().json()["keys"][0]["kid"].clone()
}

#[tokio::test]
async fn dev_keeps_its_data_over_kill_9_and_lets_nobody_else_use_them_meanwhile() {
    let folder = Folder::new();
    let data = folder.join("data");
    let data_dir = ["--data-dir", data.to_str().unwrap()];
    let mut first = dev(&data_dir).start();
    let (public, _) = first.develops_at().await;
    let kid_before = kid(public).await;

    let second = dev(&data_dir).run().await;
    fails(&second, &["another keystead dev is running", data.to_str().unwrap(), &first.pid().to_string()]);
    let address = public.to_string();
    let other = folder.join("other");
    let third = ["dev", "--listen", &address, "--admin-listen", "127.0.0.1:0", "--data-dir", other.to_str().unwrap()];
    let third = Program::keystead(&third).run().await;
    fails(&third, &["cannot listen on", &address]);
    assert!(!other.exists(), "nothing was begun before the port was tried");

    first.signal(Signal::SIGKILL);
    first.end().await;
    let mut again = dev(&data_dir).start();
    let (public, _) = again.develops_at().await;
    assert_eq!(kid(public).await, kid_before);
    again.stop().await;
    assert!(!data.join("postgres/data/postmaster.pid").exists());
}

#[tokio::test]
async fn dev_stops_also_while_it_is_still_starting() {
    let folder = Folder::new();
    let data = folder.join("data");
    let mut running = dev(&["--data-dir", data.to_str().unwrap()]).start();
    while !data.join("encryption.key").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    running.stop().await;
    assert!(!running.output().contains("Stop with Ctrl-C"), "it was not ready yet: {}", running.output());
    assert!(!data.join("postgres/data/postmaster.pid").exists());
}

#[tokio::test]
async fn dev_works_for_an_ordinary_user() {
    if !Uid::effective().is_root() {
        // Then every other test of this file shows it.
        return;
    }
    let user = User::from_name("nobody").unwrap().unwrap();
    let folder = Folder::new();
    // Where the user can reach it, wherever the sources are.
    let program = folder.join("keystead");
    std::fs::copy(env!("CARGO_BIN_EXE_keystead"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    let arguments = [&["dev", "--data-dir", data.to_str().unwrap()], &PORTS[..]].concat();
    let mut running = Program::other(&program, &arguments).run_as(&user).within(&folder).start();
    let (_, admin) = running.develops_at().await;
    assert_eq!(tcp::get(admin, "/health/ready").await.unwrap().status, 200);
    assert_eq!(data.join("postgres/data").metadata().unwrap().uid(), user.uid.as_raw());
    assert_eq!(data.join("encryption.key").metadata().unwrap().mode() & 0o777, 0o600);
    running.stop().await;
}

#[tokio::test]
async fn dev_is_for_loopback_only() {
    let folder = Folder::new();
    let url = database::empty().await;
    for flag in ["--listen", "--admin-listen"] {
        let arguments = ["dev", "--database-url", &url, flag, "0.0.0.0:0"];
        let other = if flag == "--listen" { ["--admin-listen", "127.0.0.1:0"] } else { ["--listen", "127.0.0.1:0"] };
        let ended = Program::keystead(&[&arguments[..], &other].concat()).within(&folder).run().await;
        fails(&ended, &["which other machines can reach", "use 127.0.0.1"]);
    }
}

#[tokio::test]
async fn migrate_plans_applies_and_says_when_there_is_nothing_to_do() {
    let url = database::empty().await;
    let migrate = |more: &[&str]| Program::configured(&[&["migrate"][..], more].concat(), &url).run();
    succeeds(&migrate(&["--plan"]).await, &["Would apply 0001", "Would apply 0002"]);
    let serve = Program::configured(&["serve"], &url).run().await;
    fails(&serve, &["not migrated", "0001", "run `keystead migrate`"]);
    // Both at once: one waits for the other.
    let (one, two) = tokio::join!(migrate(&[]), migrate(&[]));
    for ended in [&one, &two] {
        assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    }
    assert!(one.output.contains("Applied 0001") || two.output.contains("Applied 0001"));
    succeeds(&migrate(&[]).await, &["The database is up to date."]);
    succeeds(&migrate(&["--plan"]).await, &["The database is up to date."]);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let url = database::fresh().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', true, '\\x00', 0)";
    let store = database::store(&url);
    sqlx::raw_sql(newer).execute(store.pool()).await.unwrap();
    for command in ["serve", "migrate", "doctor"] {
        let ended = Program::configured(&[command], &url).run().await;
        fails(&ended, &["newer version of keystead", "9999"]);
    }
}

#[tokio::test]
async fn doctor_says_what_to_do_next_until_all_is_well() {
    let url = database::empty().await;
    let doctor = || Program::configured(&["doctor"], &url);
    let ended = doctor().run().await;
    fails(&ended, &["ok    settings", "ok    database", "FAIL  migrations", "run keystead migrate", "FAIL  keys"]);
    succeeds(&Program::configured(&["migrate"], &url).run().await, &[]);
    fails(&doctor().run().await, &["ok    migrations", "FAIL  keys", "no active"]);
    let mut serving = Program::configured(&["serve"], &url).start();
    serving.serves_at().await;
    serving.stop().await;
    succeeds(&doctor().run().await, &["ok    settings", "ok    database", "ok    migrations", "ok    keys"]);
    let wrong = "dYzBt1dOlVMMSaNqKw3zJkYI2nCAbGrtKZ4i2G4MWQ4=";
    let ended = doctor().env("KEYSTEAD__KEYS__ENCRYPTION_KEY", wrong).run().await;
    fails(&ended, &["FAIL  keys", "k1"]);
    assert!(!ended.output.contains(wrong));
    let ended = doctor().env("KEYSTEAD__KEYS__ENCRYPTION_KEY_ID", "another").run().await;
    fails(&ended, &["FAIL  keys", "previous_encryption_keys"]);
    let nowhere = "postgres://keystead@localhost/keystead?host=/nonexistent";
    let ended = doctor().env("KEYSTEAD__DATABASE__URL", nowhere).run().await;
    fails(&ended, &["FAIL  database", "FAIL  migrations"]);
}

#[tokio::test]
async fn config_check_reports_everything_at_once_with_remedies() {
    let folder = Folder::new();
    let open = folder.write("open.key", "x");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = "issuer = \"http://id.example.com/\"\n[public]\nlisten = \"8080\"\n[limits]\nrequest_timeout = \"2h\"\n\
                [keys]\nencryption_key_file = \"open.key\"\n[databse]\nurl = \"postgres://u:hunter2@h/d\"\n";
    let file = folder.write("keystead.toml", text);
    let ended = Program::keystead(&["config", "check", "--config", file.to_str().unwrap()]).run().await;
    let problems = [
        "problems:",
        "issuer",
        "public.listen",
        "limits.request_timeout",
        "keys.encryption_key_file",
        "open.key",
        "databse.url",
        "did you mean database.url?",
        "database.url is missing",
    ];
    fails(&ended, &problems);
    assert!(ended.output.matches("remedy:").count() >= 6, "{}", ended.output);
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named_with_what_to_do() {
    let folder = Folder::new();
    let url = database::fresh().await;
    let missing = folder.join("missing.key");
    let empty = folder.write("empty.key", "\n");
    let binary = folder.join("binary.key");
    std::fs::write(&binary, [0xff; 40]).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (path, remedy) in
        [(&missing, "create the file"), (&empty, "is empty"), (&binary, "as text"), (&folder.0, "name the file itself")]
    {
        let program = Program::keystead(&["serve"])
            .env("KEYSTEAD__ISSUER", "https://id.example")
            .env("DATABASE_URL", &url)
            .env("KEYSTEAD__KEYS__ENCRYPTION_KEY_FILE", path.to_str().unwrap());
        fails(&program.run().await, &["keys.encryption_key_file", path.to_str().unwrap(), remedy]);
    }
}

#[tokio::test]
async fn config_print_shows_what_is_in_effect_and_no_secret() {
    let folder = Folder::new();
    let (secret, earlier) =
        ("dYzBt1dOlVMMSaNqKw3zJkYI2nCAbGrtKZ4i2G4MWQ4=", "q0Pq6OQJ6Gk2VoT7nVd3c1xkqUeWZy8h4bD5mRjL0sA=");
    let text = format!(
        "issuer = \"https://id.example.com\"\n[database]\nurl = \"postgres://u:hunter2@h/d?password=hunter3\"\n[keys]\n\
         encryption_key = \"{secret}\"\nprevious_encryption_keys = [{{ id = \"0\", key = \"{earlier}\" }}]\n"
    );
    let file = folder.write("keystead.toml", &text);
    let print = Program::keystead(&["config", "print", "--config", file.to_str().unwrap()]);
    let ended = print.env("KEYSTEAD__LIMITS__MAX_BODY_BYTES", "70000").run().await;
    succeeds(&ended, &["issuer = \"https://id.example.com\"", "max_body_bytes = 70000", "********", "postgres://u:"]);
    for hidden in ["hunter", secret, earlier] {
        assert!(!ended.output.contains(hidden), "{}", ended.output);
    }
}

#[tokio::test]
async fn serve_ends_with_zero_when_it_is_told_to_stop_and_with_one_when_its_port_is_taken() {
    let url = database::fresh().await;
    let mut serving = Program::configured(&["serve"], &url).start();
    let (public, admin) = serving.serves_at().await;
    for address in [public, admin] {
        let other = Program::configured(&["serve"], &url).env("KEYSTEAD__PUBLIC__LISTEN", &address.to_string());
        fails(&other.run().await, &["cannot listen on", &address.to_string(), "choose another address"]);
    }
    serving.stop().await;
    let output = serving.output();
    let last: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "stopped", "{output}");
    let mut interrupted = Program::configured(&["serve"], &url).start();
    interrupted.serves_at().await;
    interrupted.signal(Signal::SIGINT);
    assert_eq!(interrupted.end().await.code(), Some(0), "{}", interrupted.output());
}

#[tokio::test]
async fn a_client_is_created_with_a_profile_its_keys_and_its_method() {
    let url = database::fresh().await;
    let create = |more: &[&str]| {
        let usual = ["client", "create", "--json", "--name", "A", "--redirect-uri", "https://a.example/cb"];
        Program::configured(&[&usual, more].concat(), &url).run()
    };
    let profile = ["--profile", "fapi2", "--jwks-uri", "https://a.example/jwks.json"];
    let made = create(&[&profile[..], &["--token-endpoint-auth-method", "private_key_jwt"]].concat()).await;
    let jwks_uri = "https://a.example/jwks.json";
    succeeds(&made, &["private_key_jwt", jwks_uri, "\"fapi2\"", "PS256", "refresh_token"]);
    let usual = create(&[]).await;
    succeeds(&usual, &["client_secret_basic", "RS256", "\"default\"", "client_secret"]);
    assert!(!usual.output.contains("refresh_token\""), "{}", usual.output);
    fails(&create(&["--profile", "fapi2", "--auth-method", "client_secret_basic"]).await, &["fapi2"]);
}
