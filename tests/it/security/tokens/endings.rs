//! What ends a family, and what is dead then: SECURITY 37, 42; the matrix of events against artefacts of PROTOCOL.md.

use keystead::domain::{ClientId, ClientMetadata, Scope};
use keystead::store;
use time::Duration;

use crate::support::{ClientFixture, Operator, Scene, TestApp, Tokens};

const OFFLINE: &str = "openid offline_access api:read";
const ONLINE: &str = "openid api:read";

/// A scene whose tokens are also for an API, so that somebody else than the client can introspect them.
struct Family {
    scene: Scene,
    api: ClientFixture,
    tokens: Tokens,
}

impl Family {
    async fn start(scope: &str) -> Self {
        let app = TestApp::start_with(|policy| policy.session_absolute_lifetime = Duration::minutes(5)).await;
        let api = app.api().await;
        let registered = Scope::parse(OFFLINE).unwrap();
        let mut scene = Scene::over(app, |metadata| ClientMetadata { scope: registered, ..metadata }).await;
        let tokens = scene.tokens_for(&[("scope", scope)]).await;
        Self { scene, api, tokens }
    }

    /// What the API learns at introspection; userinfo agrees.
    async fn access_token_is_live(&self) -> bool {
        let answer =
            self.scene.app.post_as("/oauth2/introspect", self.api.pair(), &[("token", self.tokens.access())]).await;
        let active = answer.json()["active"].as_bool().unwrap();
        assert_eq!(self.scene.userinfo(self.tokens.access()).await.status == 200, active);
        active
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    SignOut,
    SessionEnded,
    SessionExpired,
    SessionGone,
    Locked,
    LockedAndUnlocked,
    OnlyLocked,
    SignedOutEverywhere,
    PasswordChanged,
    UserDeleted,
    ClientOff,
    ClientOffAndOn,
    ClientDeleted,
    NotBefore,
    GrantEnded,
    Revoked,
}

async fn happen(event: Event, family: &mut Family) {
    let Family { scene, tokens, .. } = family;
    if matches!(event, Event::SignOut) {
        return scene.sign_out().await;
    }
    let (app, operator, user) = (&scene.app, Operator(&scene.app), scene.user);
    let (pool, now) = (app.engine.store.pool(), app.clock.now());
    match event {
        Event::SignOut => unreachable!("done above"),
        Event::SessionEnded => operator.end_session(tokens.claims("access_token")["sid"].as_str().unwrap()).await,
        Event::SessionExpired => app.wait(Duration::minutes(5)),
        Event::SessionGone => {
            let gone = store::housekeeping::sessions(pool, now + Duration::hours(1)).await.unwrap();
            assert_eq!(gone, 1);
        }
        Event::Locked => operator.lock(user).await,
        Event::OnlyLocked => assert!(store::users::set_locked(pool, &user, true, now).await.unwrap()),
        Event::LockedAndUnlocked => {
            operator.lock(user).await;
            operator.unlock(user).await;
        }
        Event::SignedOutEverywhere => operator.sign_out_everywhere(user).await,
        Event::PasswordChanged => operator.change_password(user, "another long password").await,
        Event::UserDeleted => operator.delete_user(user).await,
        Event::ClientOff => operator.disable_client("web", true).await,
        Event::ClientOffAndOn => {
            operator.disable_client("web", true).await;
            operator.disable_client("web", false).await;
        }
        Event::ClientDeleted => operator.delete_client("web").await,
        Event::NotBefore => {
            store::clients::kill_tokens_before(pool, &ClientId::parse("web").unwrap(), now).await.unwrap();
        }
        Event::GrantEnded => operator.end_grant_of(tokens.access()).await,
        Event::Revoked => {
            let token = [("token", tokens.refresh())];
            assert_eq!(app.post_as("/oauth2/revoke", scene.rp.client.pair(), &token).await.status, 200);
        }
    }
}

/// Each event, the scope of the family, and what a refresh is told afterwards; nothing where the family lives on.
const TABLE: [(Event, &str, &str); 21] = [
    (Event::SignOut, ONLINE, "session_ended"),
    (Event::SignOut, OFFLINE, ""),
    (Event::SessionEnded, ONLINE, "session_ended"),
    (Event::SessionEnded, OFFLINE, ""),
    (Event::SessionExpired, ONLINE, "session_ended"),
    (Event::SessionExpired, OFFLINE, ""),
    (Event::SessionGone, ONLINE, "session_ended"),
    (Event::SessionGone, OFFLINE, ""),
    (Event::Locked, OFFLINE, "revoked"),
    (Event::OnlyLocked, OFFLINE, "user_locked"),
    (Event::LockedAndUnlocked, OFFLINE, "revoked"),
    (Event::LockedAndUnlocked, ONLINE, "revoked"),
    (Event::SignedOutEverywhere, OFFLINE, "session_ended"),
    (Event::PasswordChanged, OFFLINE, "password_changed"),
    (Event::UserDeleted, OFFLINE, "unknown"),
    (Event::ClientOff, OFFLINE, "invalid_client"),
    (Event::ClientOffAndOn, OFFLINE, "unknown"),
    (Event::ClientDeleted, OFFLINE, "invalid_client"),
    (Event::NotBefore, OFFLINE, "unknown"),
    (Event::GrantEnded, OFFLINE, "revoked"),
    (Event::Revoked, OFFLINE, "revoked"),
];

#[tokio::test]
async fn security_37_42_each_event_ends_what_stands_on_it_and_nothing_else() {
    for (event, scope, told) in TABLE {
        let mut family = Family::start(scope).await;
        assert!(family.access_token_is_live().await);
        happen(event, &mut family).await;
        let answer = family.scene.refresh(family.tokens.refresh()).await;
        if told.is_empty() {
            assert_eq!(answer.status, 200, "{event:?} {scope}: {}", answer.body);
            assert!(family.access_token_is_live().await, "{event:?} {scope}");
        } else {
            let heard = if told == "invalid_client" { answer.error() } else { answer.reason() };
            assert_eq!(heard, told, "{event:?} {scope}: {}", answer.body);
            assert!(!family.access_token_is_live().await, "{event:?} {scope}");
        }
        assert_eq!(family.scene.app.events("grant.refresh_token_reused").await, 0, "{event:?} is no theft");
    }
}

#[tokio::test]
async fn security_37_a_grace_answer_is_refused_once_the_family_is_over() {
    for event in [Event::SignOut, Event::Locked, Event::PasswordChanged, Event::Revoked, Event::GrantEnded] {
        let mut family = Family::start(ONLINE).await;
        let first = family.tokens.refresh().to_owned();
        family.tokens = family.scene.refreshed(&family.tokens).await;
        happen(event, &mut family).await;
        assert_eq!(family.scene.refresh(&first).await.error(), "invalid_grant", "{event:?}");
    }
}

#[tokio::test]
async fn security_42_a_clients_own_token_dies_with_it_and_stays_dead() {
    let app = TestApp::start().await;
    let service = app.service().await;
    app.wait(Duration::milliseconds(300));
    let token =
        Tokens::of(&app.post_as("/oauth2/token", service.pair(), &[("grant_type", "client_credentials")]).await);
    let live = async || {
        let (api, params) = (("api", "api-secret-with-enough-characters"), [("token", token.access())]);
        app.post_as("/oauth2/introspect", api, &params).await.json()["active"].as_bool().unwrap()
    };
    assert!(live().await);
    app.wait(Duration::milliseconds(300));
    Operator(&app).disable_client("service", true).await;
    assert!(!live().await);
    app.wait(Duration::seconds(1));
    Operator(&app).disable_client("service", false).await;
    assert!(!live().await, "issued in the very second in which the client was switched off");
    let fresh = app.post_as("/oauth2/token", service.pair(), &[("grant_type", "client_credentials")]).await;
    let token = Tokens::of(&fresh);
    let answer = app.post_as("/oauth2/introspect", service.pair(), &[("token", token.access())]).await;
    assert_eq!(answer.json()["active"], true, "the client works again");
}

#[tokio::test]
async fn security_37_ending_one_family_leaves_the_others_alone() {
    let mut scene = Scene::start().await;
    let (one, two) = (scene.tokens().await, scene.tokens().await);
    Operator(&scene.app).end_grant_of(one.access()).await;
    assert!(!scene.is_active(one.access()).await);
    assert!(scene.is_active(two.access()).await);
    assert_eq!(scene.refresh(two.refresh()).await.status, 200);
    scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", two.refresh())]).await;
    assert_eq!(scene.refresh(two.refresh()).await.reason(), "revoked");
    assert_eq!(scene.tokens().await.claims("access_token")["sub"], scene.user.to_string(), "the session lives on");
}
