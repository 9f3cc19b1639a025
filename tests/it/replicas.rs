//! Two replicas over one database: nothing that counts lives in a process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead::domain::{ClientId, ClientMetadata, KeyAlgorithm, Kid, SigningAlgorithm};

use crate::support::{
    Answer, Browser, EMAIL, Es256, Operator, RelyingParty, Scene, TestApp, Tokens, at_once, web_metadata,
};

const ES256: KeyAlgorithm = KeyAlgorithm::Signing(SigningAlgorithm::Es256);

/// Asserts that something becomes true within a second of the machine's time.
async fn within_a_second(what: &str, holds: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(1), "{what} took longer than a second");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A scene and a second replica that is known to hear of changes.
async fn pair() -> (Scene, TestApp) {
    let scene = Scene::start().await;
    let other = scene.app.replica().await;
    let probe = ClientMetadata { grant_types: Vec::new(), ..ClientMetadata::default() };
    let probe = scene.app.client("probe", probe).await;
    for _ in 0..2000 {
        if introspect(&other, probe.pair(), "x").await.status == 200 {
            return (scene, other);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the second replica hears nothing");
}

async fn introspect(app: &TestApp, client: (&str, &str), token: &str) -> Answer {
    app.post_as("/oauth2/introspect", client, &[("token", token)]).await
}

#[tokio::test]
async fn a_code_of_one_is_redeemed_at_the_other_and_so_is_everything_after_it() {
    let (mut scene, other) = pair().await;
    let code = scene.code().await;
    let first = Tokens::of(&scene.rp.redeem(&other, &code).await);
    let second = Tokens::of(&scene.rp.refresh(&scene.app, first.refresh()).await);
    let again = Tokens::of(&scene.rp.refresh(&other, first.refresh()).await);
    assert_eq!(again.refresh(), second.refresh(), "the grace answer is the same everywhere");
    for app in [&scene.app, &other] {
        assert!(scene.rp.is_active(app, first.access()).await && scene.rp.is_active(app, again.access()).await);
    }
    Tokens::of(&scene.rp.refresh(&other, second.refresh()).await);
    assert_eq!(scene.rp.refresh(&scene.app, first.refresh()).await.reason(), "reused");
    assert!(!scene.rp.is_active(&other, again.access()).await);
    assert_eq!(scene.rp.redeem(&scene.app, &code).await.reason(), "reused");
}

#[tokio::test]
async fn pages_and_sessions_of_one_are_good_at_the_other() {
    let (scene, other) = pair().await;
    let mut browser = Browser::default();
    let login = browser.open(&scene.app, &scene.rp.authorization_path(&[])).await;
    let consent = browser.sign_in(&other, &login, EMAIL).await;
    let answer = browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await;
    assert!(answer.location().contains("code="), "{} {}", answer.status, answer.body);
    let silent = browser.open(&other, &scene.rp.authorization_path(&[("prompt", "none")])).await;
    assert!(silent.location().contains("code="), "{}", silent.location());
}

#[tokio::test]
async fn security_42_a_revocation_at_one_shows_at_once_at_the_other() {
    let (mut scene, other) = pair().await;
    let tokens = scene.tokens().await;
    let web = scene.rp.client.pair();
    other.post_as("/oauth2/revoke", web, &[("token", tokens.access())]).await;
    assert!(!scene.is_active(tokens.access()).await);
    let next = scene.refreshed(&tokens).await;
    assert!(scene.rp.is_active(&other, next.access()).await);
    scene.app.post_as("/oauth2/revoke", web, &[("token", next.refresh())]).await;
    assert!(!scene.rp.is_active(&other, next.access()).await);
    assert_eq!(scene.rp.refresh(&other, next.refresh()).await.reason(), "revoked");
}

#[tokio::test]
async fn security_42_a_locked_account_is_locked_everywhere_at_once() {
    let (mut scene, other) = pair().await;
    let tokens = scene.tokens().await;
    Operator(&other).lock(scene.user).await;
    assert!(!scene.is_active(tokens.access()).await);
    let silent = scene.rp.authorization_path(&[("prompt", "none")]);
    assert!(scene.browser.open(&scene.app, &silent).await.location().contains("error=login_required"));
}

#[tokio::test]
async fn a_key_rotation_at_one_is_used_by_both_at_the_same_instant() {
    let (mut scene, other) = pair().await;
    let old = Es256::of(&scene.app).kid;
    let new = Operator(&scene.app).rotate(ES256).await.kid.to_string();
    let is_published = async || other.get("/oauth2/jwks").await.body.contains(&new);
    within_a_second("the new key at the other replica", is_published).await;
    let mut tokens = scene.tokens().await;
    for (pause, expected) in [(299_999_999, &old), (1, &new)] {
        scene.app.wait(time::Duration::microseconds(pause));
        for app in [&scene.app, &other] {
            tokens = Tokens::of(&scene.rp.refresh(app, tokens.refresh()).await);
            assert_eq!(tokens.jose("access_token")["kid"], **expected);
            assert!(scene.rp.is_active(&scene.app, tokens.access()).await);
            assert!(scene.rp.is_active(&other, tokens.access()).await);
        }
    }
    assert_eq!(scene.app.get("/oauth2/jwks").await.body, other.get("/oauth2/jwks").await.body);
}

#[tokio::test]
async fn security_42_a_key_withdrawn_at_one_is_refused_at_the_other_within_a_second() {
    let (mut scene, other) = pair().await;
    let tokens = scene.tokens().await;
    let old = Es256::of(&scene.app).kid;
    Operator(&scene.app).revoke_key(Kid::parse(&old).unwrap()).await;
    assert!(!scene.rp.is_active(&scene.app, tokens.access()).await);
    let refused = async || !scene.rp.is_active(&other, tokens.access()).await;
    within_a_second("the withdrawal at the other replica", refused).await;
    let fresh = Tokens::of(&scene.rp.refresh(&other, tokens.refresh()).await);
    assert_ne!(fresh.jose("access_token")["kid"], old);
    assert!(scene.rp.is_active(&scene.app, fresh.access()).await);
}

#[tokio::test]
async fn a_client_switched_off_at_one_is_refused_at_the_other_within_a_second() {
    let (mut scene, other) = pair().await;
    let tokens = scene.tokens().await;
    let id = ClientId::parse("web").unwrap();
    let pool = scene.app.engine.store.pool();
    let client = keystead::store::clients::find(pool, &id).await.unwrap().unwrap();
    let disabled_at = Some(scene.app.clock.now());
    let off = keystead::domain::Client { disabled_at, ..client };
    keystead::store::clients::update(pool, &off).await.unwrap();
    assert_eq!(
        scene.app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await.status,
        401,
        "at once"
    );
    for app in [&scene.app, &other] {
        let refused = async || scene.rp.refresh(app, "x").await.error() == "invalid_client";
        within_a_second("the refusal", refused).await;
    }
    let answer = scene.browser.open(&other, &scene.rp.authorization_path(&[])).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (400, ""));
}

#[tokio::test]
async fn a_new_client_works_at_the_other_within_a_second_and_a_deleted_one_does_not() {
    let (scene, other) = pair().await;
    let new = RelyingParty::web(scene.app.client("new", web_metadata()).await);
    let works = async || introspect(&other, new.client.pair(), "x").await.status == 200;
    within_a_second("the new client", works).await;
    let tokens = new.tokens(&other, &mut Browser::default(), EMAIL).await;
    assert!(new.is_active(&scene.app, tokens.access()).await);
    let (id, added) = Operator(&other).add_secret("new").await;
    let works = async || introspect(&scene.app, ("new", &added), "x").await.status == 200;
    within_a_second("the second secret", works).await;
    Operator(&other).remove_secret("new", id).await;
    let refused = async || introspect(&scene.app, ("new", &added), "x").await.status == 401;
    within_a_second("the end of the second secret", refused).await;
    Operator(&scene.app).delete_client("new").await;
    let gone = async || introspect(&other, new.client.pair(), "x").await.status == 401;
    within_a_second("the end of the client", gone).await;
}

#[tokio::test]
async fn a_new_api_is_known_at_the_other_within_a_second() {
    let (scene, other) = pair().await;
    let job = scene.app.machine("job", "new:read").await;
    scene.app.resource_server("https://new.example", "new:read", SigningAlgorithm::EdDsa, &["probe"]).await;
    let params = [("grant_type", "client_credentials"), ("resource", "https://new.example")];
    let works = async || other.post_as("/oauth2/token", job.pair(), &params).await.status == 200;
    within_a_second("the new API", works).await;
    let tokens = Tokens::of(&other.post_as("/oauth2/token", job.pair(), &params).await);
    assert_eq!(tokens.jose("access_token")["alg"], "EdDSA");
    let probe = ("probe", "probe-secret-with-enough-characters");
    assert_eq!(introspect(&scene.app, probe, tokens.access()).await.json()["active"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_21_races_across_replicas_are_decided_once() {
    let (mut scene, other) = pair().await;
    let code = scene.code().await;
    let family = scene.tokens().await;
    let (scene, other) = (Arc::new(scene), Arc::new(other));
    let answers = at_once(50, |index| {
        let (scene, other) = (Arc::clone(&scene), Arc::clone(&other));
        let (code, token) = (code.clone(), family.refresh().to_owned());
        async move {
            let app = if index % 4 < 2 { &scene.app } else { other.as_ref() };
            if index % 2 == 0 { scene.rp.redeem(app, &code).await } else { scene.rp.refresh(app, &token).await }
        }
    })
    .await;
    let given: Vec<Tokens> = answers.iter().filter(|answer| answer.status == 200).map(Tokens::of).collect();
    let (redeemed, refreshed): (Vec<_>, Vec<_>) =
        given.iter().partition(|tokens| tokens.claims("id_token").get("nonce").is_some());
    assert_eq!((redeemed.len(), refreshed.len()), (1, 25));
    assert!(refreshed.iter().all(|tokens| tokens.refresh() == refreshed[0].refresh()));
    assert!(!scene.is_active(redeemed[0].access()).await && scene.is_active(refreshed[0].access()).await);
}

#[tokio::test]
async fn who_waits_for_a_connection_keeps_no_announcement_waiting() {
    let (scene, other) = pair().await;
    let id = ClientId::parse(&scene.rp.client.id).unwrap();
    let pool = other.engine.store.pool();
    let mut taken = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        taken.push(pool.acquire().await.unwrap());
    }
    let (engine, asked) = (Arc::clone(&other.engine), id.clone());
    let waiting = tokio::spawn(async move { engine.reload_client(&asked).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    Operator(&scene.app).change_client(id.as_str(), |metadata| metadata.client_name = "Renamed".into()).await;
    let is_heard = async || other.engine.snapshots.client(&id).unwrap().unwrap().metadata.client_name == "Renamed";
    within_a_second("an announcement", is_heard).await;
    assert!(!waiting.is_finished(), "it has no connection yet");
    drop(taken);
    waiting.await.unwrap().unwrap();
}
