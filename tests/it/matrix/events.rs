//! What may happen, each by the way by which it happens to a running server.

use axum::http::Method;
use keystead::domain::{KeyAlgorithm, Kid, SecretId};
use time::Duration;

use super::world::World;
use crate::support::{AdminApi, Operator, Tokens};

pub async fn happen(event: &str, world: &mut World) {
    match event {
        "nothing" => {}
        "signed_out_by_the_application" | "signed_out_by_the_person" | "session_ended_by_an_operator" => {
            sign_out(event, world).await;
        }
        "code_used_twice"
        | "refresh_token_reused"
        | "refresh_token_revoked"
        | "access_token_revoked"
        | "exchanged_token_revoked"
        | "grant_ended_by_an_operator" => to_each_family(event, world).await,
        "keys_rotated" | "signing_keys_revoked" | "mac_key_revoked" => to_keys(event, world).await,
        _ if event.contains("client") => to_a_client(event, world).await,
        _ => to_the_person(event, world).await,
    }
}

async fn sign_out(event: &str, world: &mut World) {
    let id_token = world.online.tokens.text("id_token").to_owned();
    let scene = &mut world.scene;
    match event {
        "signed_out_by_the_person" => scene.sign_out().await,
        "session_ended_by_an_operator" => {
            let session = world.online.tokens.claims("access_token")["sid"].as_str().unwrap().to_owned();
            AdminApi::open(&scene.app).await.remove(&format!("/sessions/{session}")).await;
        }
        _ => {
            let bye = "https://rp.example/bye";
            let path = format!("/oauth2/end_session?id_token_hint={id_token}&post_logout_redirect_uri={bye}");
            assert_eq!(scene.browser.get(&scene.app, &path).await.location(), bye);
        }
    }
}

async fn to_the_person(event: &str, world: &World) {
    let (app, user) = (&world.scene.app, world.scene.user);
    let admin = AdminApi::open(app).await;
    let user_path = format!("/users/{user}");
    let acts: &[(Method, &str)] = match event {
        "signed_out_everywhere" => &[(Method::POST, "/sign-out")],
        "user_locked" => &[(Method::POST, "/lock")],
        "user_locked_and_unlocked" => &[(Method::POST, "/lock"), (Method::POST, "/unlock")],
        "user_deleted" => &[(Method::DELETE, "")],
        "consent_revoked" => &[(Method::DELETE, "/consents/web")],
        "password_set" => return Operator(app).change_password(user, "another long password").await,
        other => panic!("nobody knows how to do {other}"),
    };
    for (method, path) in acts {
        let answer = admin.call(method.clone(), &format!("{user_path}{path}"), None).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.body);
    }
}

async fn to_a_client(event: &str, world: &mut World) {
    let app = &world.scene.app;
    let operator = Operator(app);
    match event {
        "client_disabled" => operator.disable_client("web", true).await,
        "client_disabled_and_enabled" => {
            operator.disable_client("web", true).await;
            operator.disable_client("web", false).await;
        }
        "client_deleted" => operator.delete_client("web").await,
        "exchanging_client_disabled" => operator.disable_client("gateway", true).await,
        "client_secret_replaced" => {
            let old = app.sql_text("SELECT id::text FROM client_secrets WHERE client_id = 'web'").await;
            let (_, secret) = operator.add_secret("web").await;
            operator.remove_secret("web", SecretId(old.parse().unwrap())).await;
            world.scene.rp.client.secret = secret;
        }
        other => panic!("nobody knows how to do {other}"),
    }
}

async fn to_each_family(event: &str, world: &mut World) {
    let gateway = world.gateway.clone();
    let scene = world.scene.rp.clone();
    let app = world.scene.app.replica().await;
    for family in world.families() {
        let revoke = async |client: (&str, &str), token: &str| {
            assert_eq!(app.post_as("/oauth2/revoke", client, &[("token", token)]).await.status, 200);
        };
        match event {
            "code_used_twice" => {
                assert_eq!(scene.redeem(&app, &family.spent_code).await.reason(), "reused");
            }
            "refresh_token_reused" => {
                let first = family.tokens.refresh().to_owned();
                for _ in 0..2 {
                    let next = Tokens::of(&scene.refresh(&app, family.tokens.refresh()).await);
                    family.tokens.0["refresh_token"] = next.refresh().into();
                }
                assert_eq!(scene.refresh(&app, &first).await.reason(), "reused");
            }
            "refresh_token_revoked" => revoke(scene.client.pair(), family.tokens.refresh()).await,
            "access_token_revoked" => revoke(scene.client.pair(), family.tokens.access()).await,
            "exchanged_token_revoked" => revoke(gateway.pair(), &family.exchanged).await,
            "grant_ended_by_an_operator" => Operator(&app).end_grant_of(family.tokens.access()).await,
            other => panic!("nobody knows how to do {other}"),
        }
    }
}

async fn to_keys(event: &str, world: &World) {
    let (app, operator) = (&world.scene.app, Operator(&world.scene.app));
    if event == "keys_rotated" {
        for algorithm in KeyAlgorithm::ALL {
            operator.rotate(algorithm).await;
        }
        // The successors sign from now on.
        return app.wait(Duration::seconds(60));
    }
    let keys = AdminApi::open(app).await.show("/keys").await;
    for key in keys["items"].as_array().unwrap() {
        if (key["algorithm"] == "HMAC-SHA256") == (event == "mac_key_revoked") {
            operator.revoke_key(Kid::parse(key["kid"].as_str().unwrap()).unwrap()).await;
        }
    }
}
