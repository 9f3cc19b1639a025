//! Signing keys, MAC keys and key-encryption keys over their lives: SECURITY 42, 47, and PROTOCOL 38.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead::crypto::{KeyEncryptionKeys, Keyring};
use keystead::domain::{ClientMetadata, KeyAlgorithm, KeyState, Kid, SecretBytes, SigningAlgorithm};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{ENCRYPTION_KEY, Es256, Operator, Scene, TestApp, jwks, verify};

const ES256: KeyAlgorithm = KeyAlgorithm::Signing(SigningAlgorithm::Es256);
const MAC: KeyAlgorithm = KeyAlgorithm::HmacSha256;
/// How long a new key waits, which is the JWKS max-age.
const PENDING: Duration = Duration::minutes(5);

async fn published(app: &TestApp) -> Vec<Value> {
    app.get("/oauth2/jwks").await.json()["keys"].as_array().unwrap().clone()
}

async fn is_published(app: &TestApp, kid: &str) -> bool {
    published(app).await.iter().any(|key| key["kid"] == kid)
}

/// The kid that a code or refresh token names.
fn mac_kid(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    Kid(bytes[..8].try_into().unwrap()).to_string()
}

#[tokio::test]
async fn security_47_the_key_set_has_public_members_only_and_unique_kids() {
    let app = TestApp::start().await;
    Operator(&app).rotate(ES256).await;
    Operator(&app).rotate(MAC).await;
    let keys = published(&app).await;
    assert_eq!(keys.len(), 5, "no MAC key is among them");
    let mut kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    kids.sort_unstable();
    kids.dedup();
    assert_eq!(kids.len(), 5);
    for key in &keys {
        let mut names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = match key["kty"].as_str().unwrap() {
            "RSA" => "alg e kid kty n use",
            "EC" => "alg crv kid kty use x y",
            _ => "alg crv kid kty use x",
        };
        assert_eq!((names.join(" ").as_str(), key["use"].as_str()), (expected, Some("sig")));
        if let Some(modulus) = key["n"].as_str() {
            let modulus = URL_SAFE_NO_PAD.decode(modulus).unwrap();
            assert!(modulus.len() >= 256 && modulus[0] >= 0x80, "2048 bits");
        }
    }
}

#[tokio::test]
async fn protocol_38_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_have_expired() {
    let longest = |metadata| ClientMetadata { access_token_lifetime: Some(86_400), ..metadata };
    let mut scene = Scene::with(longest).await;
    let old = Es256::of(&scene.app);
    let new = Operator(&scene.app).rotate(ES256).await.kid.to_string();
    assert!(is_published(&scene.app, &old.kid).await && is_published(&scene.app, &new).await, "pending");
    scene.app.wait(PENDING - Duration::MICROSECOND);
    let last_of_old = scene.tokens().await;
    assert_eq!(last_of_old.jose("access_token")["kid"], old.kid, "published, not signing");
    scene.app.wait(Duration::MICROSECOND);
    let first_of_new = scene.tokens().await;
    assert_eq!(first_of_new.jose("access_token")["kid"], new, "active");
    scene.app.wait(Duration::days(1) - Duration::seconds(2));
    for tokens in [&last_of_old, &first_of_new] {
        assert!(scene.is_active(tokens.access()).await, "retiring still verifies");
        verify(&jwks(&scene.app).await, tokens.access(), "https://id.example").unwrap();
    }
    scene.app.wait(PENDING + Duration::seconds(2));
    assert!(!is_published(&scene.app, &old.kid).await && is_published(&scene.app, &new).await, "retired");
    let mut claims = scene.refreshed(&first_of_new).await.claims("access_token");
    claims["exp"] = json!(scene.app.clock.now().unix_timestamp() + 600);
    assert!(!scene.is_active(&old.access_token(&claims)).await, "whoever finds a retired key has nothing");
    assert!(scene.is_active(&Es256::of(&scene.app).access_token(&claims)).await);
}

#[tokio::test]
async fn protocol_38_keys_rotate_by_themselves_in_time_for_the_caches_of_relying_parties() {
    let app = TestApp::start_with_new_keys().await;
    let old = Es256::of(&app).kid;
    app.wait(Duration::days(89));
    app.engine.maintain_keys().await.unwrap();
    assert_eq!(published(&app).await.len(), 4, "not yet");
    app.wait(Duration::days(1));
    app.engine.maintain_keys().await.unwrap();
    app.engine.maintain_keys().await.unwrap();
    assert_eq!((published(&app).await.len(), Es256::of(&app).kid), (8, old.clone()), "one successor each");
    app.wait(PENDING);
    assert_ne!(Es256::of(&app).kid, old);
    assert_eq!(app.events("key.rotated").await, 5);
}

#[tokio::test]
async fn security_42_a_revoked_keys_tokens_are_inactive_at_once_and_another_key_signs_at_once() {
    for pending_exists in [false, true] {
        let mut scene = Scene::start().await;
        let tokens = scene.tokens().await;
        let old = Es256::of(&scene.app);
        let waiting = if pending_exists { Some(Operator(&scene.app).rotate(ES256).await.kid) } else { None };
        Operator(&scene.app).revoke_key(Kid::parse(&old.kid).unwrap()).await;
        assert!(!scene.is_active(tokens.access()).await);
        assert!(!is_published(&scene.app, &old.kid).await);
        let fresh = scene.refreshed(&tokens).await;
        let kid = fresh.jose("access_token")["kid"].clone();
        assert!(kid != old.kid && waiting.is_none_or(|waiting| kid == waiting.to_string()));
        assert!(scene.is_active(fresh.access()).await);
        verify(&jwks(&scene.app).await, fresh.access(), "https://id.example").unwrap();
        assert!(!scene.is_active(&old.access_token(&fresh.claims("access_token"))).await, "the thief has nothing");
        assert_eq!(scene.app.events("key.revoked").await, 1);
        let hint = [("id_token_hint", tokens.text("id_token")), ("prompt", "none"), ("scope", "openid")];
        assert!(scene.authorize(&hint).await.location().contains("code="), "the ID token has another key");
    }
}

#[tokio::test]
async fn a_key_that_is_withdrawn_while_it_waits_leaves_the_key_before_it_signing() {
    let mut scene = Scene::start().await;
    let active = Es256::of(&scene.app).kid;
    let waiting = Operator(&scene.app).rotate(ES256).await;
    scene.app.wait(Duration::minutes(1));
    Operator(&scene.app).revoke_key(waiting.kid).await;
    assert!(!is_published(&scene.app, &waiting.kid.to_string()).await);
    scene.app.wait(Duration::hours(30));
    assert_eq!(scene.tokens().await.jose("access_token")["kid"], active, "its planned end was taken back");
    let next = Operator(&scene.app).rotate(ES256).await;
    assert_ne!(next.kid, waiting.kid);
}

#[tokio::test]
async fn a_new_key_signs_also_where_the_clock_is_a_little_behind() {
    let app = TestApp::start_with_new_keys().await;
    app.wait(Duration::seconds(-10));
    let mut scene = Scene::over(app, |metadata| metadata).await;
    scene.tokens().await;
    scene.app.wait(Duration::seconds(10));
    Operator(&scene.app).revoke_key(Kid::parse(&Es256::of(&scene.app).kid).unwrap()).await;
    scene.app.wait(Duration::seconds(-10));
    scene.tokens().await;
}

#[tokio::test]
async fn a_mac_key_rotates_in_the_middle_of_a_family_without_anybody_noticing() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let new = Operator(&scene.app).rotate(MAC).await.kid.to_string();
    scene.app.wait(PENDING - Duration::seconds(10));
    let second = scene.refreshed(&first).await;
    assert_eq!(mac_kid(second.refresh()), mac_kid(first.refresh()));
    scene.app.wait(Duration::seconds(20));
    assert_eq!(scene.refreshed(&first).await.refresh(), second.refresh(), "the same successor, under the retiring key");
    let third = scene.refreshed(&second).await;
    assert_eq!(mac_kid(third.refresh()), new);
    assert_eq!(scene.refreshed(&second).await.refresh(), third.refresh(), "and across the rotation");
    assert_eq!(mac_kid(&scene.code().await), new);
    assert_eq!(scene.refresh(first.refresh()).await.reason(), "reused", "theft is seen across it too");
    assert!(!scene.is_active(third.access()).await);
}

#[tokio::test]
async fn a_mac_key_is_known_as_long_as_the_longest_refresh_token_may_lie_unused() {
    let patient = |metadata| ClientMetadata {
        refresh_token_idle_lifetime: Some(60 * 86_400),
        refresh_token_absolute_lifetime: Some(100 * 86_400),
        ..metadata
    };
    let mut scene = Scene::with(patient).await;
    Operator(&scene.app).rotate(MAC).await;
    scene.app.wait(PENDING - Duration::MICROSECOND);
    let tokens = scene.tokens().await;
    scene.app.wait(Duration::days(60) - Duration::SECOND);
    assert_ne!(mac_kid(scene.refreshed(&tokens).await.refresh()), mac_kid(tokens.refresh()));
    scene.app.wait(Duration::days(1));
    assert_eq!(scene.refresh(tokens.refresh()).await.reason(), "unknown", "now its key is retired");
}

#[tokio::test]
async fn security_42_an_emergency_revocation_of_a_mac_key_kills_what_it_made() {
    let mut scene = Scene::start().await;
    let (tokens, code) = (scene.tokens().await, scene.code().await);
    let kid = Kid::parse(&mac_kid(tokens.refresh())).unwrap();
    Operator(&scene.app).revoke_key(kid).await;
    assert_eq!(scene.refresh(tokens.refresh()).await.reason(), "unknown");
    assert_eq!(scene.redeem(&code).await.reason(), "unknown");
    assert!(!scene.is_active(tokens.refresh()).await);
    let fresh = scene.tokens().await;
    assert_ne!(mac_kid(fresh.refresh()), kid.to_string());
    assert_eq!(scene.refresh(fresh.refresh()).await.status, 200, "a new one works at once");
}

#[tokio::test]
async fn a_lost_answer_whose_key_was_revoked_is_refused_and_is_no_defect() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let new = Operator(&scene.app).rotate(MAC).await;
    scene.app.wait(PENDING);
    let second = scene.refreshed(&first).await;
    assert_eq!(mac_kid(second.refresh()), new.kid.to_string());
    Operator(&scene.app).revoke_key(new.kid).await;
    let answer = scene.refresh(first.refresh()).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"), "{}", answer.body);
}

fn encryption_key(id: &str, byte: u8, previous: Vec<(String, SecretBytes)>) -> KeyEncryptionKeys {
    KeyEncryptionKeys::new(id.into(), SecretBytes::new(vec![byte; 32]), previous).unwrap()
}

#[tokio::test]
async fn security_47_the_key_encryption_key_can_be_replaced_while_everything_goes_on() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let records = keystead::store::keys::all(scene.app.engine.store.pool()).await.unwrap();
    let now = scene.app.clock.now();
    let refused = Keyring::load(&records, &encryption_key("k2", 8, Vec::new()), now).err().unwrap();
    assert!(refused.to_string().contains("keys.previous_encryption_keys"), "{refused}");
    let old = || SecretBytes::new(ENCRYPTION_KEY.to_vec());
    let both = vec![("k2".to_owned(), SecretBytes::new(vec![8; 32]))];
    let first = scene.app.replica_under(KeyEncryptionKeys::new("k1".into(), old(), both).unwrap()).await;
    let previous = vec![("k1".to_owned(), old())];
    let second = scene.app.replica_under(encryption_key("k2", 8, previous)).await;
    assert_eq!(second.sql_count("keys WHERE encryption_key_id = 'k2'").await, 5);
    for (before, after) in records.iter().zip(keystead::store::keys::all(second.engine.store.pool()).await.unwrap()) {
        assert!(before.kid == after.kid && before.wrapped != after.wrapped);
        assert_eq!(after.state(now), KeyState::Active);
    }
    let third = second.replica_under(encryption_key("k2", 8, Vec::new())).await;
    first.engine.reload_all().await.unwrap();
    for app in [&first, &second, &third] {
        assert!(scene.rp.is_active(app, tokens.access()).await);
        assert_eq!(published(app).await, published(&scene.app).await);
    }
    assert_eq!(scene.rp.refresh(&third, tokens.refresh()).await.status, 200);
}

#[tokio::test]
async fn a_clock_set_back_behind_the_making_of_the_keys_stops_nobody() {
    let app = TestApp::start_with_new_keys().await;
    let kid = Es256::of(&app).kid;
    Operator(&app).rotate(ES256).await;
    app.wait(-Duration::hours(2));
    assert!(app.engine.snapshots.keyring().unwrap().mac_kid(app.clock.now()).is_none(), "none is active yet");
    app.engine.maintain_keys().await.unwrap();
    assert_eq!(Es256::of(&app).kid, kid, "of two that wait, the one that everybody may know signs");
    app.engine.maintain_keys().await.unwrap();
    assert_eq!(app.events("key.activated").await, 5, "one of each kind, once");
    let service = app.service().await;
    let answer = app.post_as("/oauth2/token", service.pair(), &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.wait(Duration::hours(2));
    app.engine.maintain_keys().await.unwrap();
    assert_eq!((Es256::of(&app).kid, published(&app).await.len()), (kid, 5), "and the clock may come forward again");
}
