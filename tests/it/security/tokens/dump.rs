//! SECURITY 38, 47: whoever copies the database has no token, code, secret, cookie, password or private key.

use std::fmt::Write as _;

use crate::support::{Operator, PASSWORD, Scene};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Whether a text, or a telling part of it, lies in the dump: as it is, or as bytes.
fn holds(dump: &str, secret: &str) -> bool {
    let bytes = secret.as_bytes();
    bytes
        .chunks(16)
        .filter(|part| part.len() >= 12)
        .any(|part| dump.contains(std::str::from_utf8(part).unwrap()) || dump.contains(&hex(part)))
}

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
    let dump = scene.app.hex_dump().await;
    let known = keystead::crypto::sha256(scene.rp.client.secret.as_bytes());
    for visible in ["pat@example.com", "https://rp.example/cb", "$argon2id$", "grant.revoked", &hex(&known)] {
        assert!(dump.contains(visible), "the dump is a dump: {visible}");
    }
    let mut secrets = vec![PASSWORD, &code[15..], &added, &scene.rp.client.secret, &service.secret];
    for tokens in [&first, &second] {
        // The kid and the grant's id stand at the beginning of a refresh token; what counts is the MAC behind them.
        secrets.push(&tokens.refresh()[42..]);
        for jwt in [tokens.access(), tokens.text("id_token")] {
            secrets.extend(jwt.rsplit('.').next());
        }
    }
    secrets.extend(scene.browser.cookies.values().map(String::as_str));
    assert!(secrets.len() >= 12 && secrets.iter().all(|secret| secret.len() >= 20), "{secrets:?}");
    for secret in secrets {
        assert!(!holds(&dump, secret), "{secret}");
    }
}

#[tokio::test]
async fn security_38_a_copy_of_the_database_holds_no_mac_of_a_token() {
    use base64::Engine as _;
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let code = scene.code().await;
    let dump = scene.app.hex_dump().await;
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
    let dump = scene.app.hex_dump().await;
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
