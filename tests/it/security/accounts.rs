//! Passwords, guessing, enumeration.

use std::time::{Duration, Instant};

use axum::body::Body;
use keystead::crypto::{HashParams, PasswordPool, Random, sha256};
use keystead::domain::{Secret, UserId};
use keystead::flows::admin::AdminError;
use keystead::store;
use time::Duration as Span;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::support::{Answer, Browser, Operator, PASSWORD, RelyingParty, TestApp};

const EMAIL: &str = "pat@example.com";
/// Spellings of one account: e-mail address, user name, case, space.
const SPELLINGS: [&str; 6] = [EMAIL, "pat", "PAT@example.com", " Pat ", "pAt@EXAMPLE.COM", "\tPAT"];

async fn hash_of(app: &TestApp, name: &str) -> String {
    store::users::find_for_sign_in(app.engine.store.pool(), name).await.unwrap().unwrap().1.unwrap()
}

async fn signs_in(app: &TestApp, password: &str) -> bool {
    Browser::default().try_password(app, EMAIL, password).await.status == 200
}

#[tokio::test]
async fn security_48_length_is_the_only_rule_and_every_character_counts() {
    let app = TestApp::start().await;
    let pat = app.person(EMAIL).await;
    assert!(matches!(Operator(&app).set_password(pat, &"a".repeat(14)).await, Err(AdminError::Invalid(_))));
    let accepted = [
        "fifteen letters".to_owned(),
        "               ".to_owned(),
        "x".repeat(64),
        format!("{}end", "長い合言葉 ".repeat(21)),
        format!("{}e\u{301}", "y".repeat(4000)),
    ];
    for password in accepted {
        Operator(&app).set_password(pat, &password).await.unwrap();
        assert!(signs_in(&app, &password).await, "{password}");
        let mut other: Vec<char> = password.chars().collect();
        *other.last_mut().unwrap() = '#';
        let rest: String = password.chars().skip(1).collect();
        for wrong in [other.into_iter().collect(), format!("{password} "), rest] {
            assert!(!signs_in(&app, &wrong).await, "{wrong} for {password}");
        }
    }
    assert!(!signs_in(&app, PASSWORD).await, "the first password is of no use any more");
}

#[tokio::test]
async fn security_48_a_password_is_taken_as_the_bytes_that_were_sent() {
    let app = TestApp::start().await;
    let pat = app.person(EMAIL).await;
    Operator(&app).set_password(pat, "caf\u{e9} au lait s'il vous pla\u{ee}t").await.unwrap();
    assert!(signs_in(&app, "caf\u{e9} au lait s'il vous pla\u{ee}t").await);
    assert!(!signs_in(&app, "cafe\u{301} au lait s'il vous plai\u{302}t").await, "ASVS 6.2.8: not normalized");
    assert!(!signs_in(&app, "Caf\u{e9} au lait s'il vous pla\u{ee}t").await);
}

#[tokio::test]
async fn security_51_a_password_is_stored_as_argon2id_with_its_own_salt() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    app.person("sam@example.com").await;
    let (pat, sam) = (hash_of(&app, EMAIL).await, hash_of(&app, "sam@example.com").await);
    assert!(pat.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{pat}");
    let piece = |stored: &str, index: usize| stored.split('$').nth(index).unwrap().to_owned();
    assert_eq!((piece(&pat, 4).len(), piece(&pat, 5).len()), (22, 43), "16 and 32 bytes in base64");
    assert_ne!((piece(&pat, 4), piece(&pat, 5)), (piece(&sam, 4), piece(&sam, 5)), "one password, two salts");
}

#[tokio::test]
async fn security_51_a_hash_of_other_parameters_is_renewed_at_sign_in_and_only_then() {
    let app = TestApp::start().await;
    let pat = app.person(EMAIL).await;
    let earlier = HashParams { memory_kib: 32, iterations: 3, parallelism: 2 };
    let pool = PasswordPool::start(earlier, 1, 1, Random::system()).unwrap();
    let old = pool.hash(Secret::new(PASSWORD.into())).await.unwrap();
    store::users::set_password_hash(app.engine.store.pool(), &pat, &old, app.clock.now()).await.unwrap();
    assert!(!signs_in(&app, "not the right password").await);
    assert_eq!(hash_of(&app, EMAIL).await, old);
    assert!(signs_in(&app, PASSWORD).await);
    let renewed = hash_of(&app, EMAIL).await;
    assert!(renewed.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{renewed}");
    assert!(signs_in(&app, PASSWORD).await);
    assert_eq!(hash_of(&app, EMAIL).await, renewed, "once is enough");
}

#[tokio::test]
async fn security_51_a_password_of_ten_megabytes_is_refused_before_any_work() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    let mut browser = Browser::default();
    let page = browser.get(&app, "/login").await;
    let mut request = browser.filled_in(&page, "/login", &[("username", EMAIL)]);
    *request.body_mut() = Body::from(format!("username={EMAIL}&password={}", "x".repeat(10 << 20)));
    let begin = Instant::now();
    assert_eq!(app.send(request).await.status, 413);
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    // What is longer than a password may be and shorter than a form costs no hash either.
    let answer = browser.try_password(&app, EMAIL, &"x".repeat(4097)).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_52_of_200_guesses_at_once_in_any_spelling_ten_are_looked_at() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    let mut browser = Browser::default();
    let page = browser.get(&app, "/login").await;
    let names = (0..200).map(|number| SPELLINGS[number % SPELLINGS.len()].to_owned());
    let statuses = storm(&app, &browser, &page, names).join_all().await;
    let count = |status| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(401), count(429)), (10, 190));
}

#[tokio::test]
async fn security_52_however_patient_a_guesser_is_the_limit_is_never_passed() {
    let app = TestApp::start_with(|policy| policy.consecutive_failures = 25).await;
    app.person(EMAIL).await;
    let mut looked_at = 0;
    for number in 0..200 {
        let name = SPELLINGS[number % SPELLINGS.len()];
        match Browser::default().try_password(&app, name, "a wrong password").await.status.as_u16() {
            401 => looked_at += 1,
            429 => app.wait(Span::minutes(5)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(looked_at, 25);
    let right = Browser::default().try_password(&app, EMAIL, PASSWORD).await;
    assert!(right.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(right.status, 429, "not even the right password from a browser that nobody knows");
}

#[tokio::test]
async fn security_52_a_stranger_cannot_lock_the_owner_out_of_a_known_browser() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    app.person("sam@example.com").await;
    let (mut known, mut other) = (Browser::default(), Browser::default());
    assert_eq!(known.try_password(&app, EMAIL, PASSWORD).await.status, 200);
    assert_eq!(other.try_password(&app, "sam@example.com", PASSWORD).await.status, 200);
    known.cookies.remove("__Host-keystead-session");
    other.cookies.remove("__Host-keystead-session");
    let mut last = 0;
    for _ in 0..12 {
        last = Browser::default().try_password(&app, EMAIL, "a wrong password").await.status.as_u16();
    }
    assert_eq!(last, 429);
    let foreign = other.try_password(&app, EMAIL, PASSWORD).await;
    assert_eq!(foreign.status, 429, "a device of somebody else is no known browser");
    assert_eq!(known.try_password(&app, EMAIL, PASSWORD).await.status, 200);
    known.cookies.remove("__Host-keystead-session");
    for _ in 0..12 {
        last = known.try_password(&app, EMAIL, "a wrong password").await.status.as_u16();
    }
    assert_eq!(last, 429, "a stolen device has a count of its own, not a free pass");
}

#[tokio::test]
async fn security_52_a_success_forgets_the_failures_before_it() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    for _ in 0..3 {
        for _ in 0..9 {
            assert!(!signs_in(&app, "a wrong password").await);
        }
        assert!(signs_in(&app, PASSWORD).await);
    }
}

/// Accounts of every kind that cannot sign in with this password, and names without an account.
async fn names(app: &TestApp) -> Vec<&'static str> {
    app.person("pat@example.com").await;
    let locked = app.person("lou@example.com").await;
    let now = app.clock.now();
    assert!(store::users::set_locked(app.engine.store.pool(), &locked, true, now).await.unwrap());
    let pool = app.engine.store.pool();
    let without: UserId = app.person("kim@example.com").await;
    let statement = sqlx::AssertSqlSafe(format!("UPDATE users SET password_hash = NULL WHERE id = '{without}'"));
    sqlx::raw_sql(statement).execute(pool).await.unwrap();
    vec!["pat@example.com", "lou@example.com", "kim@example.com", "nobody@example.com", "nobody"]
}

#[tokio::test]
async fn security_53_known_locked_and_unknown_names_get_equal_answers_also_when_throttled() {
    let app = TestApp::start().await;
    let names = names(&app).await;
    let mut seen = Vec::new();
    for name in &names {
        let mut answers = Vec::new();
        for _ in 0..13 {
            let answer = Browser::default().try_password(&app, name, "a wrong password").await;
            answers.push(answer.visible(name));
        }
        seen.push(answers);
    }
    let statuses: Vec<u16> = seen[0].iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [&[401; 10][..], &[429; 3]].concat());
    for (name, answers) in names.iter().zip(&seen).skip(1) {
        assert_eq!(answers, &seen[0], "{name}");
    }
    // The right password of a locked account is answered like a wrong one.
    app.wait(Span::minutes(1));
    let locked = Browser::default().try_password(&app, "lou@example.com", PASSWORD).await;
    assert_eq!(locked.visible("lou@example.com"), seen[0][0]);
}

#[tokio::test]
async fn security_53_a_flood_of_one_unknown_name_says_nothing_about_another() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    // Names whose public hash begins like that of the name that a stranger asks about.
    let asked = "nobody@example.com";
    let begin = |name: &str| sha256(name.as_bytes())[..2].to_vec();
    let alike = (0..).map(|n| format!("x{n}@example.com")).find(|name| begin(name) == begin(asked)).unwrap();
    for _ in 0..12 {
        Browser::default().try_password(&app, &alike, "a wrong password").await;
    }
    let unknown = Browser::default().try_password(&app, asked, "a wrong password").await;
    let known = Browser::default().try_password(&app, EMAIL, "a wrong password").await;
    assert_eq!(unknown.visible(asked), known.visible(EMAIL));
}

#[tokio::test]
async fn security_53_known_and_unknown_names_take_equally_long() {
    let app = TestApp::start().await;
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..20 {
        let known = format!("known{number}@example.com");
        app.person(&known).await;
        for (index, name) in [known, format!("unknown{number}@example.com")].into_iter().enumerate() {
            let begin = Instant::now();
            let answer = Browser::default().try_password(&app, &name, "a wrong password").await;
            times[index].push(begin.elapsed());
            assert_eq!(answer.status, 401);
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    // The middles of the two distributions meet; single times say nothing on a busy machine.
    let [known, unknown] = times.map(|times| (times[2], times[17]));
    assert!(known.0 <= unknown.1 && unknown.0 <= known.1, "{known:?} and {unknown:?}");
}

/// Tries a wrong password for each name, all at the same time.
fn storm(app: &TestApp, browser: &Browser, page: &Answer, names: impl Iterator<Item = String>) -> JoinSet<u16> {
    names
        .map(|name| {
            let request = browser.filled_in(page, "/login", &[("username", &name), ("password", "a wrong password")]);
            let router = app.public.clone();
            async move { router.oneshot(request).await.unwrap().status().as_u16() }
        })
        .collect()
}

/// A hash that keeps the only hash thread busy for seconds.
const SLOW: &str =
    "$argon2id$v=19$m=131072,t=32,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

#[tokio::test]
async fn security_52_a_storm_of_sign_ins_is_turned_away_and_other_endpoints_stay_quick() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let pat = app.person(EMAIL).await;
    let engine = std::sync::Arc::clone(&app.engine);
    let slow = tokio::spawn(async move { engine.passwords.verify(Secret::new("x".into()), SLOW.into()).await });
    tokio::task::yield_now().await;
    let mut browser = Browser::default();
    let page = browser.get(&app, "/login").await;
    let _waiting = storm(&app, &browser, &page, (0..64).map(|number| format!("u{number}@example.com")));
    while app.engine.passwords.depth() < 64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for (name, password) in [(EMAIL, PASSWORD), ("nobody@example.com", PASSWORD)] {
        let busy = browser.submit(&app, &page, "/login", &[("username", name), ("password", password)]).await;
        assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (503, "1"));
    }
    let counted = store::sign_in_failures::find(app.engine.store.pool(), pat.0.as_bytes()).await.unwrap();
    assert!(counted.is_none(), "a try that was not looked at does not count, and costs the database nothing");
    for _ in 0..50 {
        let params = [("grant_type", "client_credentials"), ("scope", "api:read")];
        let token = app.post_as("/oauth2/token", service.pair(), &params).await.json();
        let token = token["access_token"].as_str().unwrap();
        let answer = app.post_as("/oauth2/introspect", service.pair(), &[("token", token)]).await;
        assert_eq!(answer.json()["active"], true);
    }
    assert!(!slow.is_finished(), "a hundred requests were answered before the first hash of the storm");
}

#[tokio::test]
async fn security_52_a_sign_in_on_the_way_to_an_application_is_counted_like_any_other() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    for _ in 0..10 {
        let page = browser.open(&app, &rp.authorization_path(&[])).await;
        let values = [("username", EMAIL), ("password", "a wrong password")];
        assert_eq!(browser.submit(&app, &page, "/login", &values).await.status, 401);
    }
    let direct = Browser::default().try_password(&app, "pat", PASSWORD).await;
    assert_eq!(direct.status, 429);
}
