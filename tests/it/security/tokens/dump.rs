//! SECURITY 38, 47: whoever copies the database has no token, code, secret, cookie, password or private key.

use crate::support::secrets::{Secrets, hex};
use crate::support::{Operator, PASSWORD, Scene};

#[tokio::test]
async fn security_38_a_copy_of_the_database_holds_nothing_that_opens_anything() {
    let mut scene = Scene::start().await;
    let first = scene.tokens().await;
    let second = scene.refreshed(&first).await;
    let code = scene.code().await;
    let service = scene.app.service().await;
    let (_, added) = Operator(&scene.app).add_secret("service").await;
    scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", second.access())]).await;
    scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", second.refresh())]).await;
    let dump = scene.app.dump().await;
    let known = keystead::crypto::sha256(scene.rp.client.secret.as_bytes());
    for visible in ["pat@example.com", "https://rp.example/cb", "$argon2id$", "grant.revoked", &hex(&known)] {
        assert!(dump.contains(visible), "the dump is a dump: {visible}");
    }
    let mut secrets = Secrets::default();
    let tokens = [&first, &second].into_iter().flat_map(|t| [t.access(), t.refresh(), t.text("id_token")]);
    let others = [PASSWORD, &code, &added, &scene.rp.client.secret, &service.secret];
    let cookies = scene.browser.cookies.values().map(String::as_str);
    tokens.chain(others).chain(cookies).for_each(|secret| secrets.add("secret", secret));
    assert!(secrets.count("secret") >= 14);
    assert_eq!(secrets.search_for_all_but(&[]).find(&dump), None);
}

#[tokio::test]
async fn security_38_a_copy_of_the_database_holds_no_mac_of_a_token() {
    use base64::Engine as _;
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let code = scene.code().await;
    let dump = scene.app.dump().await;
    for text in [tokens.refresh(), &code] {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&text[4..]).unwrap();
        assert!(dump.contains(&hex(&bytes[..8])), "the name of the key is no secret");
        for part in bytes[28..].chunks(8) {
            assert!(!dump.contains(&hex(part)));
        }
    }
}

#[tokio::test]
async fn security_47_a_copy_of_the_database_holds_no_private_key() {
    let scene = Scene::start().await;
    let dump = scene.app.dump().await;
    let keyring = scene.app.engine.snapshots.keyring().unwrap();
    assert_eq!(keyring.records().len(), 5);
    for record in keyring.records() {
        assert!(dump.contains(&hex(&record.wrapped)), "the dump is a dump");
        let private = scene.app.engine.encryption_keys.unwrap(record).unwrap();
        for part in private.expose().chunks(16).filter(|part| part.len() >= 12) {
            assert!(!dump.contains(&hex(part)), "{} {}", record.kid, record.algorithm.as_str());
        }
        let base64 = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(private.expose())
        };
        assert!(!dump.contains(&base64[base64.len() - 24..]), "{}", record.kid);
    }
}
