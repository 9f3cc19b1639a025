//! Many at once: whatever the order in which they arrive, exactly the right number wins.

use std::sync::Arc;
use std::time::Duration;

use keystead::domain::{ClientMetadata, KeyAlgorithm, KeyState};
use serde_json::Value;

use crate::support::{Answer, Operator, RelyingParty, Scene, TestApp, Tokens, at_once, caller, jwt_part, web_metadata};

const MANY: usize = 50;

fn successes(answers: &[Answer]) -> Vec<Tokens> {
    answers.iter().filter(|answer| answer.status == 200).map(Tokens::of).collect()
}

fn reasons(answers: &[Answer]) -> Vec<String> {
    let mut reasons: Vec<String> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .map(|answer| answer.error() + " " + &answer.reason())
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// Presents refresh tokens in turns, all at once.
async fn refresh_at_once(scene: &Arc<Scene>, tokens: &[&str]) -> Vec<Answer> {
    at_once(MANY, |index| {
        let (scene, token) = (Arc::clone(scene), tokens[index % tokens.len()].to_owned());
        async move { scene.refresh(&token).await }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_of_fifty_redemptions_of_one_code_one_succeeds_and_the_family_is_dead_afterwards() {
    let mut scene = Scene::start().await;
    let code = scene.code().await;
    let scene = Arc::new(scene);
    let answers = at_once(MANY, |_| {
        let (scene, code) = (Arc::clone(&scene), code.clone());
        async move { scene.redeem(&code).await }
    })
    .await;
    let winners = successes(&answers);
    assert_eq!(winners.len(), 1);
    assert_eq!(reasons(&answers), ["invalid_grant reused"]);
    assert!(!scene.is_active(winners[0].access()).await && !scene.is_active(winners[0].refresh()).await);
    assert_eq!(scene.refresh(winners[0].refresh()).await.reason(), "reused");
    assert_eq!(scene.app.events("grant.code_reused").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_fifty_refreshes_with_one_token_are_one_rotation_and_fifty_answers() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let scene = Arc::new(scene);
    let winners = successes(&refresh_at_once(&scene, &[first.refresh()]).await);
    assert_eq!(winners.len(), MANY);
    assert!(winners.iter().all(|tokens| tokens.refresh() == winners[0].refresh()));
    assert_eq!(scene.app.sql_text("SELECT generation::text FROM grants").await, "2");
    for tokens in &winners {
        assert!(scene.is_active(tokens.access()).await);
    }
    assert_eq!(scene.refresh(winners[0].refresh()).await.status, 200);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_without_a_grace_period_one_of_fifty_refreshes_succeeds() {
    let strict = |metadata| ClientMetadata { refresh_token_grace_period: Some(0), ..metadata };
    let mut scene = Scene::with(strict).await;
    let first = scene.tokens().await;
    let scene = Arc::new(scene);
    let answers = refresh_at_once(&scene, &[first.refresh()]).await;
    let winners = successes(&answers);
    assert_eq!(winners.len(), 1);
    assert_eq!(reasons(&answers), ["invalid_grant reused"]);
    assert!(!scene.is_active(winners[0].access()).await && !scene.is_active(winners[0].refresh()).await);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_old_and_current_tokens_at_once_leave_one_chain_or_none() {
    for _ in 0..5 {
        let mut scene = Scene::start().await;
        let first = scene.tokens().await;
        let second = scene.refreshed(&first).await;
        let scene = Arc::new(scene);
        let answers = refresh_at_once(&scene, &[first.refresh(), second.refresh()]).await;
        let mut given: Vec<String> = successes(&answers).iter().map(|tokens| tokens.refresh().to_owned()).collect();
        given.sort_unstable();
        given.dedup();
        assert!(given.len() <= 2, "only the second and the third token were ever given");
        let stolen = !reasons(&answers).is_empty();
        let mut live = 0;
        for token in &given {
            live += usize::from(scene.is_active(token).await);
        }
        assert_eq!((live, scene.app.events("grant.refresh_token_reused").await), if stolen { (0, 1) } else { (1, 0) });
    }
}

/// The grant that an access token names.
fn grant_of(access_token: &str) -> String {
    jwt_part(access_token, 1)["jti"].as_str().unwrap().split('.').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_travel_together_each_gets_its_own_answer() {
    let mut scene = Scene::start().await;
    let stranger = RelyingParty::web(scene.app.client("stranger", web_metadata()).await);
    let mut families = Vec::new();
    for _ in 0..8 {
        families.push(scene.tokens().await);
    }
    for dead in [2, 5] {
        let token = [("token", families[dead].refresh())];
        scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &token).await;
    }
    let all = Arc::new((scene, stranger, families));
    at_once(120, |index| {
        let all = Arc::clone(&all);
        async move {
            let (scene, stranger, families) = &*all;
            let (family, is_live) = (&families[index % 8], ![2, 5].contains(&(index % 8)));
            match index % 5 {
                0 => assert_eq!(scene.userinfo(family.access()).await.status == 200, is_live),
                1 => {
                    let answer = scene.refresh(family.refresh()).await;
                    assert_eq!(answer.status == 200, is_live, "{}", answer.body);
                    assert!(!is_live || grant_of(Tokens::of(&answer).access()) == grant_of(family.access()));
                }
                2 => assert_eq!(stranger.refresh(&scene.app, family.refresh()).await.reason(), "unknown"),
                3 => assert!(!stranger.is_active(&scene.app, family.access()).await),
                _ => {
                    let token = [("token", family.access())];
                    let answer = scene.app.post_as("/oauth2/introspect", scene.rp.client.pair(), &token).await.json();
                    let jti = if is_live { family.claims("access_token")["jti"].clone() } else { Value::Null };
                    assert_eq!(answer["jti"], jti);
                }
            }
        }
    })
    .await;
    assert_eq!(all.0.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_among_refreshes_ends_the_family_whatever_came_first() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let scene = Arc::new(scene);
    let answers = at_once(MANY, |index| {
        let (scene, token) = (Arc::clone(&scene), first.refresh().to_owned());
        async move {
            if index % 10 == 0 {
                let params = [("token", token.as_str())];
                scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &params).await
            } else {
                scene.refresh(&token).await
            }
        }
    })
    .await;
    for tokens in answers.iter().filter(|answer| answer.status == 200 && !answer.body.is_empty()).map(Tokens::of) {
        assert!(!scene.is_active(tokens.access()).await && !scene.is_active(tokens.refresh()).await);
        assert_eq!(scene.refresh(tokens.refresh()).await.reason(), "revoked");
    }
    assert_eq!(scene.app.events("grant.revoked").await, 1);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_access_token_that_is_revoked_fifty_times_at_once_is_revoked() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let scene = Arc::new(scene);
    let answers = at_once(MANY, |_| {
        let (scene, token) = (Arc::clone(&scene), tokens.access().to_owned());
        async move { scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", &token)]).await }
    })
    .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(!scene.is_active(tokens.access()).await && scene.is_active(tokens.refresh()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_14_21_a_consent_form_that_is_sent_fifty_times_gives_one_code() {
    let mut scene = Scene::start().await;
    let path = scene.rp.authorization_path(&[]);
    let login = scene.browser.open(&scene.app, &path).await;
    let consent = scene.browser.sign_in(&scene.app, &login, crate::support::EMAIL).await;
    assert!(consent.body.contains("id=\"consent-allow\""), "{}", consent.body);
    let (scene, consent) = (Arc::new(scene), Arc::new(consent));
    let answers = at_once(MANY, |_| {
        let (scene, consent, mut browser) = (Arc::clone(&scene), Arc::clone(&consent), scene.browser.clone());
        async move { browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await }
    })
    .await;
    let codes = answers.iter().filter(|answer| answer.location().contains("code=")).count();
    let told = answers.iter().filter(|answer| answer.status == 400 && answer.body.contains("answered before")).count();
    assert_eq!((codes, told), (1, MANY - 1));
    assert_eq!(scene.app.sql_count("grants").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_slips_through_while_everything_is_ended() {
    let mut scene = Scene::start().await;
    scene.tokens().await;
    let scene = Arc::new(scene);
    at_once(20, |index| {
        let (scene, mut browser) = (Arc::clone(&scene), scene.browser.clone());
        async move {
            if index == 10 {
                Operator(&scene.app).sign_out_everywhere(scene.user).await;
            } else {
                browser.open(&scene.app, &scene.rp.authorization_path(&[])).await;
            }
        }
    })
    .await;
    assert_eq!(scene.app.sql_count("grants WHERE ended_at IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_look_after_the_keys_at_once_make_one_successor_each() {
    let app = TestApp::start().await;
    let mut replicas =
        vec![Arc::new(app.replica().await), Arc::new(app.replica().await), Arc::new(app.replica().await)];
    app.wait(time::Duration::days(90));
    replicas.push(Arc::new(app));
    at_once(12, |index| {
        let replica = Arc::clone(&replicas[index % replicas.len()]);
        async move { replica.engine.maintain_keys().await.unwrap() }
    })
    .await;
    let now = replicas[0].clock.now();
    let records = keystead::store::keys::all(replicas[0].engine.store.pool()).await.unwrap();
    assert_eq!(records.len(), 2 * KeyAlgorithm::ALL.len());
    for algorithm in KeyAlgorithm::ALL {
        let states: Vec<KeyState> =
            records.iter().filter(|key| key.algorithm == algorithm).map(|key| key.state(now)).collect();
        assert_eq!(states, [KeyState::Active, KeyState::Pending], "{algorithm:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn operators_who_rotate_and_withdraw_keys_at_once_leave_one_key_that_signs() {
    let app = Arc::new(TestApp::start().await);
    let es256 = KeyAlgorithm::Signing(keystead::domain::SigningAlgorithm::Es256);
    let records = app.engine.snapshots.keyring().unwrap().records().to_vec();
    let kid = records.iter().find(|key| key.algorithm == es256).unwrap().kid;
    let withdrawn = at_once(10, |index| {
        let app = Arc::clone(&app);
        async move {
            let by = caller();
            if index % 2 == 0 {
                return app.engine.revoke_key(kid, &by.actor, &by.origin).await.unwrap();
            }
            app.engine.rotate_keys(Some(es256), &by.actor, &by.origin).await.unwrap();
            false
        }
    })
    .await;
    assert_eq!(withdrawn.iter().filter(|done| **done).count(), 1, "a key is withdrawn once");
    let records = keystead::store::keys::all(app.engine.store.pool()).await.unwrap();
    let now = app.clock.now();
    let states = |state| records.iter().filter(|key| key.algorithm == es256 && key.state(now) == state).count();
    assert_eq!((states(KeyState::Active), states(KeyState::Revoked)), (1, 1));
    assert!(states(KeyState::Pending) <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_that_is_cut_off_in_the_middle_can_be_sent_again() {
    let mut scene = Scene::start().await;
    let mut token = scene.tokens().await.refresh().to_owned();
    let scene = Arc::new(scene);
    for round in 0..60_u64 {
        let (other, cut_off) = (Arc::clone(&scene), token.clone());
        let request = tokio::spawn(async move { other.refresh(&cut_off).await });
        tokio::time::sleep(Duration::from_micros(round * 150)).await;
        request.abort();
        token = Tokens::of(&scene.refresh(&token).await).refresh().to_owned();
    }
    assert!(scene.is_active(&token).await);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_are_cut_off_leave_no_connection_and_no_lock_behind() {
    let mut scene = Scene::start().await;
    let stolen = scene.tokens().await;
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(scene.code().await);
    }
    let scene = Arc::new(scene);
    let last = scene.refreshed(&scene.refreshed(&stolen).await).await;
    for (round, code) in (0_u64..).zip(&codes) {
        let (one, two, code, old) = (Arc::clone(&scene), Arc::clone(&scene), code.clone(), stolen.refresh().to_owned());
        let requests = [
            tokio::spawn(async move { one.redeem(&code).await }),
            tokio::spawn(async move { two.refresh(&old).await }),
        ];
        tokio::time::sleep(Duration::from_micros(round * 200)).await;
        requests.iter().for_each(tokio::task::JoinHandle::abort);
    }
    for code in &codes {
        let answer = scene.redeem(code).await;
        assert!(answer.status == 200 || answer.reason() == "reused", "{}", answer.body);
    }
    assert_eq!(scene.refresh(stolen.refresh()).await.reason(), "reused");
    assert!(!scene.is_active(last.access()).await);
    assert_eq!(scene.app.events("grant.refresh_token_reused").await, 1);
    let all = at_once(MANY, |_| {
        let scene = Arc::clone(&scene);
        async move { scene.refresh("x").await.status.as_u16() + scene.app.get("/health/live").await.status.as_u16() }
    });
    assert!(all.await.iter().all(|status| *status == 600));
}
