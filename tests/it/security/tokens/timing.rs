//! SECURITY 28: nobody learns from the time an answer takes whether a client exists or how close a secret is.

use std::time::{Duration, Instant};

use crate::support::TestApp;

/// Times of many requests for each of several clients, taken in turns so that other work on the machine meets all alike.
async fn measure(app: &TestApp, clients: &[(&str, String)]) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::new(); clients.len()];
    for _ in 0..1000 {
        for (index, (id, secret)) in clients.iter().enumerate() {
            let started = Instant::now();
            let answer = app.post_as("/oauth2/introspect", (id, secret), &[("token", "x")]).await;
            times[index].push(started.elapsed());
            assert_eq!(answer.status, 401);
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    times
}

/// Whether the middle of one distribution, its second to ninth tenth, meets the middle of the other.
fn overlap(a: &[Duration], b: &[Duration]) -> bool {
    let middle = |times: &[Duration]| (times[times.len() / 10], times[times.len() * 9 / 10]);
    let ((a_low, a_high), (b_low, b_high)) = (middle(a), middle(b));
    a_low <= b_high && b_low <= a_high
}

#[tokio::test]
async fn security_28_unknown_clients_cost_the_same_as_known_ones() {
    let app = TestApp::start().await;
    let api = app.api().await;
    let length = api.secret.len();
    // Names and secrets of one length each, so that only the outcome differs.
    let clients = [
        ("apj", api.secret.clone()),
        ("apj", "z".repeat(length)),
        ("api", format!("{}x", &api.secret[..length - 1])),
        ("api", format!("x{}", &api.secret[1..])),
        ("api", "z".repeat(length)),
    ];
    let times = measure(&app, &clients).await;
    for (index, other) in times.iter().enumerate().skip(1) {
        assert!(overlap(&times[0], other), "{index}: median {:?} and {:?}", times[0][500], other[500]);
    }
}

#[tokio::test]
async fn security_28_unknown_and_known_clients_get_the_same_answer() {
    let app = TestApp::start().await;
    let api = app.api().await;
    let visible = async |id: &str, secret: &str| {
        let answer = app.post_as("/oauth2/introspect", (id, secret), &[("token", "x")]).await;
        (answer.status, answer.body.clone(), answer.header("www-authenticate").to_owned())
    };
    let unknown = visible("nobody", &api.secret).await;
    for id in ["api", "", "a b", "0198f0c0-0000-7000-8000-000000000000", "äpi", "api\u{200b}", &"x".repeat(200)] {
        assert_eq!(visible(id, "wrong").await, unknown, "{id:?}");
    }
}
