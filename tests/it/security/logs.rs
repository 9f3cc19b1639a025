//! SECURITY 71: after a whole story no log, error, metric or row holds a secret, even at the most talkative setting.

mod house;
mod story;

use keystead::domain::UserId;

use crate::support::line::Passed;
use crate::support::secrets::{Secrets, forms};
use crate::support::{AdminApi, Browser, Scene};
use house::{Evidence, House};

/// Lives through the whole story.
async fn evidence() -> Evidence {
    let (mut house, app) = House::build().await;
    let client = house.administrator().await;
    let token = app.machine_token(&client, "keystead:admin").await;
    let registered = story::register(&AdminApi { app: &app, client: client.clone(), token: token.clone() }).await;
    house.set_passwords().await;
    let user = UserId(registered.user.parse().unwrap());
    let mut scene = Scene { app, user, rp: registered.rp, browser: Browser::default() };
    let code = story::sign_in(&mut scene).await;
    let tokens = story::use_tokens(&mut scene, &code).await;
    story::run_service(&scene.app, &registered.service).await;
    story::misplace(&mut scene, &tokens).await;
    let admin = AdminApi { app: &scene.app, client, token };
    story::misplace_at_the_admin_api(&admin, &scene.rp.client.secret, &tokens).await;
    let refresh = story::speak_http2(house.public, &scene, &tokens).await;
    house.secrets.add("refresh_token", &refresh);
    story::sign_out(&mut scene, &tokens).await;
    house.network.lose_connections();
    assert_eq!(scene.refresh(&refresh).await.status, 503);
    house.leave(&scene.app).await
}

#[tokio::test]
async fn security_71_after_a_whole_story_no_log_error_metric_or_row_holds_a_secret() {
    let evidence = evidence().await;
    assert_is_complete(&evidence);
    let Evidence { log, dump, metrics, line, secrets } = evidence;
    let search = secrets.search_for_all_but(&[]);
    for (place, text) in [("log", log), ("dump", dump), ("metrics", metrics)] {
        assert_eq!(search.find(&text), None, "in the {place}");
    }
    // These two are in every form, also where an error shows the form again.
    let search = secrets.search_for_all_but(&["request", "csrf_token"]);
    line.read(|passed| {
        for Passed { target, body, answer, .. } in passed.iter().filter(|passed| !passed.answer.status.is_success()) {
            // A problem document names the path, which whoever asked for it knows.
            let path = target.split('?').next().unwrap();
            let shown = format!("{}\n{}", answer.header("www-authenticate"), answer.body.replace(path, ""));
            assert_eq!(search.find(&shown), None, "in the answer to {target} {body}");
        }
    });
}

/// The story was told to its end, and what it left behind is what a search is worth.
fn assert_is_complete(Evidence { log, dump, metrics, line, secrets }: &Evidence) {
    for (kind, least) in [
        ("encryption key", 4),
        ("database password", 1),
        ("client_secret", 5),
        ("password", 3),
        ("code", 4),
        ("code_verifier", 1),
        ("access_token", 9),
        ("refresh_token", 7),
        ("id_token", 4),
        ("authorization", 6),
        ("request", 3),
        ("csrf_token", 3),
        ("__Host-keystead-browser", 1),
        ("__Host-keystead-session", 1),
        ("__Host-keystead-device", 1),
    ] {
        assert!(secrets.count(kind) >= least, "{kind}: {}", secrets.count(kind));
    }
    let (asked, told) = (line.read(<[_]>::len), log.matches(r#""message":"request""#).count());
    assert!(asked > 100 && told >= asked, "{told} of {asked} requests are in the log");
    for known in ["temporarily unavailable", "sign_in.refused", "grant.refresh_token_reused"] {
        assert!(log.contains(known), "{known} in {log}");
    }
    for known in ["pat@example.com", "https://rp.example/cb", "$argon2id$", "grant.refresh_token_reused"] {
        assert!(dump.contains(known), "{known} in {dump}");
    }
    assert!(metrics.contains("keystead_http_requests_total"), "{metrics}");
}

#[tokio::test]
async fn security_71_what_the_http2_library_refuses_is_not_in_the_log() {
    let (mut house, app) = House::build().await;
    let client = house.administrator().await;
    let token = app.machine_token(&client, "keystead:admin").await;
    story::misplace_in_frames(house.public, &token).await;
    let Evidence { log, secrets, .. } = house.leave(&app).await;
    assert_eq!(secrets.search_for_all_but(&[]).find(&log), None);
}

#[test]
fn security_71_the_search_finds_a_secret_in_every_form() {
    let planted =
        ["ksr_0123456789abcdefghijklmnop", "a wröng password & <more> 71+%\"", "e30.e30.c2lnbmF0dXJlIG9mIGEgdG9rZW4"];
    let mut secrets = Secrets::default();
    planted.iter().for_each(|secret| secrets.add("planted", secret));
    let search = secrets.search_for_all_but(&[]);
    for secret in planted {
        for form in forms(secret) {
            assert!(search.find(&format!("before{form}after")).is_some(), "{form}");
        }
        assert!(search.find(&secret[2..26]).is_some());
        assert_eq!(secrets.search_for_all_but(&["planted"]).find(secret), None);
    }
    assert_eq!(search.find("a text without any of them"), None);
}
