//! What happens without a request: clean-up.

use keystead::domain::Timestamp;
use keystead::jobs;
use sqlx::Connection as _;
use time::Duration as Span;

use crate::support::{Browser, Operator, PASSWORD, RelyingParty, TestApp};

async fn count(app: &TestApp, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    #[expect(clippy::disallowed_methods, reason = "the table is an argument")]
    sqlx::query_scalar(statement).fetch_one(app.engine.store.pool()).await.unwrap()
}

async fn counts(app: &TestApp) -> [i64; 5] {
    let mut counts = [0; 5];
    let tables = ["grants", "sessions", "revoked_tokens", "sign_in_failures", "pushed_requests"];
    for (count_of, table) in counts.iter_mut().zip(tables) {
        *count_of = count(app, table).await;
    }
    counts
}

/// Makes a row of each kind.
async fn live(app: &TestApp, rp: &RelyingParty) {
    let mut browser = Browser::default();
    let tokens = rp.tokens(app, &mut browser, "pat@example.com").await;
    rp.token(app, &[]).await;
    app.post_as("/oauth2/revoke", rp.client.pair(), &[("token", tokens.access())]).await;
    Browser::default().try_password(app, "nobody@example.com", PASSWORD).await;
    rp.push(app, &[]).await;
    // A code that nobody redeems.
    rp.code(app, &mut browser, "pat@example.com").await;
}

#[tokio::test]
async fn rows_that_are_of_no_use_any_more_go_and_live_ones_stay() {
    let app = TestApp::start().await;
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    live(&app, &rp).await;
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(counts(&app).await, [2, 1, 1, 1, 1], "nothing has expired");
    app.wait(Span::minutes(11));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(counts(&app).await, [2, 1, 0, 1, 0], "the revoked token and the pushed request have expired");
    app.wait(Span::days(2));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(counts(&app).await, [1, 1, 0, 0, 0], "the code and the failure are history");
    app.wait(Span::days(30));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(counts(&app).await, [1, 0, 0, 0, 0], "the session is over, the family for offline use is not");
    app.wait(Span::days(335));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(counts(&app).await, [0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_was_ended_early_is_kept_until_it_would_have_expired_and_stays_dead() {
    let app = TestApp::start().await;
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let tokens = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    app.post_as("/oauth2/revoke", rp.client.pair(), &[("token", tokens.refresh())]).await;
    for (days, left, what) in [(3, 1, "kept"), (365, 0, "gone")] {
        app.wait(Span::days(days));
        jobs::remove_expired(&app.engine).await.unwrap();
        assert_eq!(count(&app, "grants").await, left, "{what}");
        let refused = rp.refresh(&app, tokens.refresh()).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_grant"), "{what}");
        assert!(!rp.is_active(&app, tokens.access()).await);
    }
}

/// Expired revocations, without a request each.
async fn revocations(app: &TestApp, count: i64) {
    let past = app.clock.now() - Span::hours(1);
    let statement =
        format!("INSERT INTO revoked_tokens SELECT 'old-' || n, '{}' FROM generate_series(1, {count}) n", at(past));
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(app.engine.store.pool()).await.unwrap();
}

fn at(time: Timestamp) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test]
async fn clean_up_goes_in_small_steps_and_comes_back_soon_when_there_is_more() {
    let app = TestApp::start().await;
    revocations(&app, 12_345).await;
    assert!(jobs::remove_expired(&app.engine).await.unwrap(), "there is more");
    assert_eq!(count(&app, "revoked_tokens").await, 2_345);
    assert!(!jobs::remove_expired(&app.engine).await.unwrap());
    assert_eq!(count(&app, "revoked_tokens").await, 0);
}

#[tokio::test]
async fn one_replica_cleans_up_at_a_time() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    revocations(&app, 700).await;
    let mut elsewhere = sqlx::PgConnection::connect(&app.database_url).await.unwrap();
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('keystead housekeeping'))";
    sqlx::raw_sql(lock).execute(&mut elsewhere).await.unwrap();
    for replica in [&app, &other] {
        assert!(!jobs::remove_expired(&replica.engine).await.unwrap(), "somebody else is at it");
    }
    assert_eq!(count(&app, "revoked_tokens").await, 700);
    sqlx::raw_sql("COMMIT").execute(&mut elsewhere).await.unwrap();
    let both = tokio::join!(jobs::remove_expired(&app.engine), jobs::remove_expired(&other.engine));
    assert!(both.0.is_ok() && both.1.is_ok());
    jobs::remove_expired(&other.engine).await.unwrap();
    assert_eq!(count(&app, "revoked_tokens").await, 0);
}

#[tokio::test]
async fn nothing_is_removed_by_a_clock_that_is_ahead_of_the_databases() {
    // The clock of tests is.
    let app = TestApp::start().await;
    revocations(&app, 3).await;
    assert!(!jobs::clean_up(&app.engine).await.unwrap());
    assert_eq!(count(&app, "revoked_tokens").await, 3);
    sqlx::raw_sql("UPDATE revoked_tokens SET expires_at = now() - interval '1 hour'")
        .execute(app.engine.store.pool())
        .await
        .unwrap();
    assert!(!jobs::clean_up(&app.engine).await.unwrap());
    assert_eq!(count(&app, "revoked_tokens").await, 3, "it is the clock that counts");
    let right = TestApp::beside(&app.database_url).await;
    jobs::clean_up(&right.engine).await.unwrap();
    assert_eq!(count(&app, "revoked_tokens").await, 0);
}

#[tokio::test]
async fn audit_events_go_when_they_are_as_old_as_the_operator_said() {
    let app = TestApp::start_with(|policy| policy.audit_retention = Span::days(30)).await;
    let pat = app.person("pat@example.com").await;
    Operator(&app).lock(pat).await;
    app.wait(Span::days(20));
    Operator(&app).unlock(pat).await;
    app.wait(Span::days(10) - Span::seconds(1));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!((app.events("user.locked").await, app.events("user.unlocked").await), (1, 1));
    app.wait(Span::seconds(2));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!((app.events("user.locked").await, app.events("user.unlocked").await), (0, 1));
}
