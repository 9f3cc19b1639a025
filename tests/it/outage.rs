//! The real program while its database goes away, and while it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::header;
use keystead::cli::dev::postgres::{PrivatePostgres, StartOptions};
use nix::sys::signal::Signal;
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::support::process::{Folder, Program, Running};
use crate::support::proxy::Network;
use crate::support::tcp::{self, Reply};
use crate::support::{Browser, RelyingParty, TestApp, basic, database, form};

const EMAIL: &str = "pat@example.com";

/// What a load needs to know.
struct Load {
    public: SocketAddr,
    service: String,
    web: String,
    access_token: String,
    refresh_tokens: Vec<String>,
}

/// Registers clients and a person, and signs the person in a few times.
async fn prepare(url: &str, chains: usize) -> Load {
    let app = TestApp::beside(url).await;
    app.person(EMAIL).await;
    let service = app.service().await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut refresh_tokens = Vec::new();
    for _ in 0..chains {
        let tokens = rp.tokens(&app, &mut Browser::default(), EMAIL).await;
        refresh_tokens.push(tokens.refresh().to_owned());
    }
    let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
    let token = app.post_as("/oauth2/token", service.pair(), &params).await.json();
    let load = Load {
        public: SocketAddr::from(([127, 0, 0, 1], 0)),
        service: basic(&service.id, &service.secret),
        web: basic(&rp.client.id, &rp.client.secret),
        access_token: token["access_token"].as_str().unwrap().to_owned(),
        refresh_tokens,
    };
    app.engine.store.close().await;
    load
}

impl Load {
    async fn credentials(&self) -> Reply {
        let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
        tcp::post(self.public, "/oauth2/token", &self.service, &params).await.unwrap()
    }

    async fn introspect(&self) -> Reply {
        let reply = tcp::post(self.public, "/oauth2/introspect", &self.service, &[("token", &self.access_token)]).await;
        let reply = reply.unwrap();
        assert!(reply.status != 200 || reply.json()["active"] == true, "{reply:?}");
        reply
    }

    /// Refreshes as a client does that keeps its token when it gets no answer.
    async fn refresh(&self, token: &mut String) -> Reply {
        let params = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let reply = tcp::post(self.public, "/oauth2/token", &self.web, &params).await.unwrap();
        if reply.status == 200 {
            *token = reply.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        reply
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Credentials,
    Introspection,
    Chain(usize),
}

/// One answer under load.
#[derive(Debug)]
struct Seen {
    work: Work,
    begin: Instant,
    took: Duration,
    reply: Reply,
}

/// One connection after the other until told to stop; gives everything it saw and the last token of its chain.
async fn work(load: Arc<Load>, work: Work, stop: Arc<AtomicBool>) -> (Vec<Seen>, String) {
    let mut seen = Vec::new();
    let mut token = if let Work::Chain(index) = work { load.refresh_tokens[index].clone() } else { String::new() };
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let reply = match work {
            Work::Credentials => load.credentials().await,
            Work::Introspection => load.introspect().await,
            Work::Chain(_) => load.refresh(&mut token).await,
        };
        seen.push(Seen { work, begin, took: begin.elapsed(), reply });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (seen, token)
}

/// A PostgreSQL that can be stopped and started, with a `keystead serve` in front.
struct House {
    serving: Running,
    postgres: Option<PrivatePostgres>,
    folder: Folder,
    admin: SocketAddr,
}

async fn start_postgres(folder: &Folder) -> PrivatePostgres {
    let options =
        StartOptions { data_dir: folder.join("database"), ephemeral: false, search_path: database::search_path() };
    PrivatePostgres::start(options).await.unwrap()
}

impl House {
    async fn build() -> (Self, Load) {
        let folder = Folder::new();
        let postgres = start_postgres(&folder).await;
        let url = postgres.database_url().to_owned();
        let store = database::store(&url);
        store.migrate().await.unwrap();
        store.close().await;
        let mut load = prepare(&url, 3).await;
        let mut serving = Program::configured(&["serve"], &url).start();
        let (public, admin) = serving.serves_at().await;
        load.public = public;
        (Self { serving, postgres: Some(postgres), folder, admin }, load)
    }

    async fn stop_database(&mut self) {
        self.postgres.take().unwrap().stop().await.unwrap();
    }

    async fn start_database(&mut self) {
        self.postgres = Some(start_postgres(&self.folder).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_seconds_without_a_database_cost_nothing_but_503() {
    let (mut house, load) = House::build().await;
    let (load, stop) = (Arc::new(load), Arc::new(AtomicBool::new(false)));
    let kinds = [Work::Credentials, Work::Introspection].repeat(2);
    let mut workers = JoinSet::new();
    for kind in kinds.into_iter().chain([Work::Introspection]).chain((0..3).map(Work::Chain)) {
        workers.spawn(work(Arc::clone(&load), kind, Arc::clone(&stop)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let gone = Instant::now();
    house.stop_database().await;
    tcp::until(house.admin, "/health/ready", 503).await;
    assert_eq!(tcp::get(load.public, "/health/live").await.unwrap().status, 200);
    tokio::time::sleep_until((gone + Duration::from_secs(5)).into()).await;
    house.start_database().await;
    let back = Instant::now();
    tcp::until(house.admin, "/health/ready", 200).await;
    let well = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut seen, mut chains) = (Vec::new(), Vec::new());
    for (answers, token) in workers.join_all().await {
        seen.extend(answers);
        chains.push(token);
    }
    report(&seen, gone, back, well);
    judge(&seen, well);
    assert!(well - back < Duration::from_secs(6), "it took {:?} to recover", well - back);
    for mut token in chains.into_iter().filter(|token| !token.is_empty()) {
        let reply = load.refresh(&mut token).await;
        assert_eq!(reply.status, 200, "a chain is lost: {reply:?}");
    }
    house.serving.stop().await;
}

/// The requirement.
fn judge(seen: &[Seen], well: Instant) {
    for one in seen {
        let said = (one.work, one.took, &one.reply);
        let well_by_now = one.begin > well + Duration::from_secs(1);
        match one.reply.status {
            200 => {}
            503 => assert!(one.reply.has_header("retry-after") && !well_by_now, "{said:?}"),
            _ => panic!("{said:?}"),
        }
        assert!(one.took < Duration::from_secs(11), "{said:?}");
        assert!(one.work != Work::Credentials || one.reply.status == 200, "it needs no database: {said:?}");
    }
    let refused =
        |kind: fn(&Work) -> bool| seen.iter().filter(|one| kind(&one.work) && one.reply.status == 503).count();
    assert!(refused(|work| *work == Work::Introspection) > 0, "a token's state is never guessed");
    assert!(refused(|work| matches!(work, Work::Chain(_))) > 0);
}

/// What was seen, for `--nocapture`.
fn report(seen: &[Seen], gone: Instant, back: Instant, well: Instant) {
    let count = |kind: fn(&Work) -> bool, status| {
        seen.iter().filter(|one| kind(&one.work) && one.reply.status == status).count()
    };
    let slowest = seen.iter().map(|one| one.took).max().unwrap();
    let text = format!(
        "away for {:?}, well again {:?} later; 200/503: credentials {}/{}, introspection {}/{}, refresh {}/{}; slowest answer {slowest:?}",
        back - gone,
        well - back,
        count(|work| *work == Work::Credentials, 200),
        count(|work| *work == Work::Credentials, 503),
        count(|work| *work == Work::Introspection, 200),
        count(|work| *work == Work::Introspection, 503),
        count(|work| matches!(work, Work::Chain(_)), 200),
        count(|work| matches!(work, Work::Chain(_)), 503),
    );
    #[expect(clippy::print_stdout, reason = "cargo test shows it on demand")]
    {
        println!("{text}");
    }
}

/// How many statements wait for a lock in this database.
async fn waiting(connection: &mut sqlx::PgConnection) -> i64 {
    let statement =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    #[expect(clippy::disallowed_methods, reason = "a catalogue of the server, not of the schema")]
    sqlx::query_scalar(statement).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn requests_in_flight_are_finished_after_sigterm() {
    let url = database::fresh().await;
    let mut load = prepare(&url, 4).await;
    let mut serving = Program::configured(&["serve"], &url).start();
    (load.public, _) = serving.serves_at().await;
    let load = Arc::new(load);
    let mut elsewhere = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE grants IN ACCESS EXCLUSIVE MODE").execute(&mut elsewhere).await.unwrap();
    let mut requests = JoinSet::new();
    for mut token in load.refresh_tokens.clone() {
        let load = Arc::clone(&load);
        requests.spawn(async move { load.refresh(&mut token).await });
    }
    // Another connection: inside a transaction the catalogue stands still.
    let mut watcher = sqlx::PgConnection::connect(&url).await.unwrap();
    // What arrives together travels together: at most two statements wait, and the other callers behind them.
    while waiting(&mut watcher).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.signal(Signal::SIGTERM);
    while tokio::net::TcpStream::connect(load.public).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sqlx::raw_sql("COMMIT").execute(&mut elsewhere).await.unwrap();
    for reply in requests.join_all().await {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.json()["refresh_token"].is_string());
    }
    assert_eq!(serving.end().await.code(), Some(0), "{}", serving.output());
}

#[tokio::test]
async fn a_statement_that_waits_too_long_is_answered_with_503_and_others_are_not_held_up() {
    let url = database::fresh().await;
    let mut load = prepare(&url, 1).await;
    let timeout = ("KEYSTEAD__DATABASE__STATEMENT_TIMEOUT", "500ms");
    let mut serving = Program::configured(&["serve"], &url).env(timeout.0, timeout.1).start();
    (load.public, _) = serving.serves_at().await;
    let mut elsewhere = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE grants IN ACCESS EXCLUSIVE MODE").execute(&mut elsewhere).await.unwrap();
    let mut token = load.refresh_tokens[0].clone();
    let before = token.clone();
    let (refused, quick) = tokio::join!(load.refresh(&mut token), load.credentials());
    assert_eq!((refused.status, refused.has_header("retry-after")), (503, true), "{refused:?}");
    assert_eq!((token.as_str(), quick.status), (before.as_str(), 200));
    sqlx::raw_sql("COMMIT").execute(&mut elsewhere).await.unwrap();
    assert_eq!(load.refresh(&mut token).await.status, 200, "the same token works afterwards");
    serving.stop().await;
}

#[tokio::test]
async fn behind_a_slow_database_only_so_many_wait_and_the_others_are_told_at_once() {
    const CALLERS: usize = 6_000;
    // Those for whom there is no place: the queue holds 4,096, and three statements 128 each at most.
    const TOLD: usize = CALLERS - 4_096 - 3 * 128;
    let url = database::fresh().await;
    let load = prepare(&url, 0).await;
    let app = Arc::new(TestApp::beside(&url).await);
    let mut elsewhere = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE").execute(&mut elsewhere).await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let app = Arc::clone(&app);
        let mut request = form("/oauth2/introspect", &[("token", &load.access_token)]);
        request.headers_mut().insert(header::AUTHORIZATION, load.service.parse().unwrap());
        callers.spawn(async move { app.send(request).await });
    }
    let (mut told, mut answered) = (0, 0);
    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        if answer.status == 503 {
            assert!(!answer.header("retry-after").is_empty(), "{}", answer.body);
            told += 1;
            if told == TOLD {
                assert_eq!(answered, 0, "somebody was answered though the table is locked");
                sqlx::raw_sql("COMMIT").execute(&mut elsewhere).await.unwrap();
            }
        } else {
            assert_eq!((answer.status.as_u16(), answer.json()["active"] == true), (200, true), "{}", answer.body);
            answered += 1;
        }
    }
    assert!(told >= TOLD && answered >= 4_096, "{told} were told to come later, {answered} were answered");
}

#[tokio::test]
async fn a_database_host_that_vanishes_without_a_word_is_left_behind() {
    let url = database::fresh().await;
    let mut load = prepare(&url, 1).await;
    let network = Network::to(&url).await;
    let mut serving = Program::configured(&["serve"], &network.database_url)
        .env("KEYSTEAD__DATABASE__MAX_CONNECTIONS", "4")
        .env("KEYSTEAD__DATABASE__ACQUIRE_TIMEOUT", "500ms")
        .env("KEYSTEAD__DATABASE__STATEMENT_TIMEOUT", "500ms")
        .env("KEYSTEAD__LIMITS__REQUEST_TIMEOUT", "4s")
        .start();
    let admin;
    (load.public, admin) = serving.serves_at().await;
    let mut token = load.refresh_tokens[0].clone();
    assert_eq!((load.introspect().await.status, load.refresh(&mut token).await.status), (200, 200));
    network.lose_connections();
    let lost = Instant::now();
    let ready = tcp::get(admin, "/health/ready").await.unwrap();
    assert!(ready.status == 503 && lost.elapsed() < Duration::from_secs(3), "{ready:?} after {:?}", lost.elapsed());
    let mut quiet = 0;
    while quiet < 20 {
        assert!(lost.elapsed() < Duration::from_secs(40), "no recovery; it wrote:\n{}", serving.output());
        let begin = Instant::now();
        let statuses = [load.introspect().await, load.refresh(&mut token).await, load.credentials().await];
        let well = statuses.iter().all(|reply| reply.status == 200);
        assert!(statuses.iter().all(|reply| reply.status == 200 || reply.status == 503), "{statuses:?}");
        assert!(begin.elapsed() < Duration::from_secs(14));
        quiet = if well { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tcp::until(admin, "/health/ready", 200).await;
    serving.stop().await;
}
