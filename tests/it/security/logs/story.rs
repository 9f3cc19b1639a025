//! The story: everything that Keystead does, done well, badly, and in the wrong place.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::{
    AdminApi, Browser, ClientFixture, EMAIL, PASSWORD, RelyingParty, Scene, TestApp, Tokens, altered, basic, form,
    http2, param,
};

const WRONG_PASSWORD: &str = "a wröng password & <more> 71+%\"";
const FORM: &str = "application/x-www-form-urlencoded";

pub struct Registered {
    pub rp: RelyingParty,
    pub service: ClientFixture,
    /// The person's id.
    pub user: String,
}

/// Registers an API, a web application with two secrets, a service, and a person; then replaces the keys.
pub async fn register(admin: &AdminApi<'_>) -> Registered {
    let secret_of = |made: Value| made["client_secret"].as_str().unwrap().to_owned();
    let api = json!({ "audience": "https://api.example", "name": "API", "scopes": ["api:read", "api:write"] });
    admin.create("/resource-servers", api).await;
    let web = json!({
        "client_id": "web", "client_name": "Web", "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["https://rp.example/cb"], "post_logout_redirect_uris": ["https://rp.example/bye"],
        "scope": "openid profile email offline_access",
    });
    let first = secret_of(admin.create("/clients", web).await);
    let second = admin.act("/clients/web/secrets").await;
    let service = json!({
        "client_id": "service", "client_name": "Service", "grant_types": ["client_credentials"],
        "scope": "api:read api:write", "token_endpoint_auth_method": "client_secret_post",
    });
    let service = ClientFixture { id: "service".into(), secret: secret_of(admin.create("/clients", service).await) };
    let person = admin.create("/users", json!({ "email": EMAIL, "email_verified": true })).await;
    assert_eq!(admin.act("/keys/rotate").await.status, 200);
    for secret in [&first, &secret_of(second.json())] {
        let answer = admin.app.post_as("/oauth2/introspect", ("web", secret), &[("token", "x")]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let rp = RelyingParty::web(ClientFixture { id: "web".into(), secret: first });
    Registered { rp, service, user: person["user_id"].as_str().unwrap().to_owned() }
}

/// Signs in, first with a wrong password, and gives the code.
pub async fn sign_in(scene: &mut Scene) -> String {
    let page = scene.browser.open(&scene.app, &scene.rp.authorization_path(&[])).await;
    let wrong = [("username", EMAIL), ("password", WRONG_PASSWORD)];
    assert_eq!(scene.browser.submit(&scene.app, &page, "/login", &wrong).await.status, 401);
    let consent = scene.browser.sign_in(&scene.app, &page, EMAIL).await;
    let request = consent.hidden("request");
    let altered = altered(&request, 0);
    for damaged in [format!("/consent?request={altered}"), format!("/login?request={request}&request=x")] {
        assert_eq!(scene.browser.get(&scene.app, &damaged).await.status, 400);
    }
    let stranger =
        [("request", request.as_str()), ("csrf_token", &consent.hidden("csrf_token")), ("decision", "allow")];
    assert!(Browser::default().post(&scene.app, "/consent", &stranger).await.status.is_client_error());
    let answer = scene.browser.submit(&scene.app, &consent, "/consent", &[("decision", "allow")]).await;
    param(answer.location(), "code").unwrap()
}

/// Uses, repeats, steals, replays and revokes; gives tokens that are alive.
pub async fn use_tokens(scene: &mut Scene, code: &str) -> Tokens {
    let first = Tokens::of(&scene.redeem(code).await);
    let second = scene.refreshed(&first).await;
    assert_eq!(scene.refreshed(&first).await.refresh(), second.refresh(), "the answer was lost");
    let third = scene.refreshed(&second).await;
    assert!(scene.is_active(third.access()).await && scene.is_active(third.refresh()).await);
    assert_eq!(scene.app.post("/oauth2/userinfo", &[("access_token", third.access())]).await.status, 200);
    assert_eq!(scene.refresh(first.refresh()).await.reason(), "reused");
    assert!(!scene.is_active(third.access()).await && !scene.is_active(third.refresh()).await);
    assert!(!scene.is_active("ksr_that-is-no-token-but-perhaps-a-secret").await);
    let other = scene.tokens().await;
    scene.app.post_as("/oauth2/revoke", scene.rp.client.pair(), &[("token", other.access())]).await;
    assert!(!scene.is_active(other.access()).await);
    let code = scene.code().await;
    let replayed = Tokens::of(&scene.redeem(&code).await);
    assert_eq!(scene.redeem(&code).await.error(), "invalid_grant");
    assert!(!scene.is_active(replayed.access()).await);
    scene.tokens().await
}

/// A machine with the right and with wrong secrets.
pub async fn run_service(app: &TestApp, service: &ClientFixture) {
    let wrong = format!("{}x", service.secret);
    let grant = ("grant_type", "client_credentials");
    for (secret, status) in [(&service.secret, 200), (&wrong, 401)] {
        let params = [grant, ("client_id", &service.id), ("client_secret", secret)];
        assert_eq!(app.post("/oauth2/token", &params).await.status, status);
    }
    for pair in [service.pair(), (&service.id, &wrong), (&service.secret, &service.id)] {
        assert_eq!(app.post_as("/oauth2/token", pair, &[grant]).await.status, 401, "it is registered for the form");
    }
}

/// Secrets in addresses and headers where they do not belong.
pub async fn misplace(scene: &mut Scene, tokens: &Tokens) {
    let code = scene.code().await;
    let (secret, access, refresh) = (scene.rp.client.secret.as_str(), tokens.access(), tokens.refresh());
    let app = &scene.app;
    for path in [
        format!("/oauth2/token?client_secret={secret}&code={code}"),
        format!("/oauth2/introspect?token={refresh}"),
        format!("/oauth2/userinfo/{access}"),
        format!("/{refresh}"),
    ] {
        let answer = app.post_as(&path, scene.rp.client.pair(), &[]).await;
        assert!(answer.status.is_client_error(), "{path} {}", answer.body);
    }
    for path in [
        format!("/oauth2/userinfo?access_token={access}"),
        format!("/oauth2/authorize?client_id={secret}&id_token_hint={access}"),
        format!("/oauth2/authorize?client_id=web&redirect_uri=https://rp.example/cb?code={code}"),
        format!(
            "/oauth2/end_session?id_token_hint={access}&client_id={secret}&post_logout_redirect_uri=https://rp.example/bye"
        ),
        format!("/login?request={access}"),
        format!("/nothing/{code}?password={access}"),
    ] {
        let answer = app.get(&path).await;
        assert!(answer.status.is_client_error(), "{path} {}", answer.body);
    }
    for authorization in
        [format!("Bearer {secret}"), format!("Basic {secret}"), secret.to_owned(), format!("Bearer {access}x")]
    {
        let mut request = form("/oauth2/token", &[("grant_type", "authorization_code"), ("code", &code)]);
        request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
        for answer in [app.get_as("/oauth2/userinfo", &authorization).await, app.send(request).await] {
            assert!(answer.status.is_client_error(), "{authorization} {}", answer.body);
        }
    }
    misplace_in_bodies(scene, tokens, &code).await;
}

async fn misplace_in_bodies(scene: &Scene, tokens: &Tokens, code: &str) {
    let (secret, access, refresh) = (scene.rp.client.secret.as_str(), tokens.access(), tokens.refresh());
    for params in [
        [("grant_type", code), ("scope", access)],
        [("grant_type", "refresh_token"), ("refreshToken", refresh)],
        [("token", access), ("token", access)],
        [("grant_type", "authorization_code"), ("code", refresh)],
        [("grant_type", "refresh_token"), ("refresh_token", access)],
        [("client_assertion", access), ("client_secret", secret)],
    ] {
        let answer = scene.rp.token(&scene.app, &params).await;
        assert!(answer.status.is_client_error(), "{params:?} {}", answer.body);
    }
    let json = json!({ "grant_type": "refresh_token", "refresh_token": refresh, "client_secret": secret });
    let not_utf8 = [b"grant_type=\xff&refresh_token=", refresh.as_bytes()].concat();
    let too_long = format!("refresh_token={refresh}&password={}", PASSWORD.repeat(3_000));
    let bodies = [("application/json", json.to_string().into_bytes()), (FORM, not_utf8), (FORM, too_long.into_bytes())];
    for (kind, body) in bodies {
        for path in ["/oauth2/token", "/oauth2/authorize", "/login"] {
            let request =
                Request::post(path).header(header::CONTENT_TYPE, kind).body(Body::from(body.clone())).unwrap();
            let answer = scene.app.send(request).await;
            assert!(answer.status.is_client_error(), "{path} {}", answer.body);
        }
    }
}

/// An operator who confuses members, ids and tokens.
pub async fn misplace_at_the_admin_api(admin: &AdminApi<'_>, secret: &str, tokens: &Tokens) {
    let (access, refresh) = (tokens.access(), tokens.refresh());
    for body in [
        json!({ "client_secret": secret }),
        json!({ "disabled": secret }),
        json!({ "access_token_lifetime": refresh }),
        json!({ "token_endpoint_auth_method": secret }),
        json!({ "grant_types": [access] }),
        json!({ "scope": access }),
        json!({ "redirect_uris": [secret] }),
        json!({ "client_name": { "secret": secret } }),
    ] {
        let answer = admin.patch("/clients/web", body.clone()).await;
        assert_eq!(answer.status, 400, "{body} {}", answer.body);
    }
    for (method, path) in [
        (Method::DELETE, format!("/clients/web/secrets/{secret}")),
        (Method::GET, format!("/clients/{secret}")),
        (Method::GET, format!("/audit-events?cursor={refresh}")),
        (Method::GET, format!("/clients?token={access}")),
        (Method::GET, format!("/clients?access_token={access}")),
        (Method::POST, format!("/keys/{access}/revoke")),
        (Method::GET, format!("/{secret}")),
    ] {
        let answer = admin.call(method, &path, None).await;
        assert!(answer.status.is_client_error(), "{path} {}", answer.body);
    }
    let cut = format!(r#"{{"client_name": "{secret}", "scope": {access}"#);
    let request = Request::post("/admin/v1/clients").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(admin.send(request.body(Body::from(cut)).unwrap()).await.status, 400);
    for token in [access, refresh, secret] {
        let request = Request::get("/admin/v1/clients").header(header::AUTHORIZATION, format!("Bearer {token}"));
        assert_eq!(admin.app.send_admin(request.body(Body::empty()).unwrap()).await.status, 401);
    }
}

/// The same over HTTP/2, whose frames a talkative library could print. Gives the new refresh token.
pub async fn speak_http2(to: SocketAddr, scene: &Scene, tokens: &Tokens) -> String {
    let client = basic(&scene.rp.client.id, &scene.rp.client.secret);
    let body = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh());
    let answer = http2::post(to, "/oauth2/token", &[("authorization", &client)], &body).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer:?}"));
    let bearer = format!("Bearer {}", tokens.access());
    let claims = http2::post(to, "/oauth2/userinfo", &[("authorization", &bearer)], "").await.unwrap();
    assert!(claims.contains(EMAIL), "{claims}");
    answer["refresh_token"].as_str().unwrap().to_owned()
}

/// Over HTTP/2, what the library refuses before this server sees it.
pub async fn misplace_in_frames(to: SocketAddr, token: &str) {
    let with_a_blank = format!("/oauth2/userinfo?access_token={token} ");
    assert_eq!(http2::post(to, &with_a_blank, &[], "").await.unwrap(), "");
    assert_eq!(http2::post(to, "/oauth2/userinfo", &[("te", token)], "").await.unwrap(), "");
}

/// Signs out: the application's request, a damaged form, the person's answer.
pub async fn sign_out(scene: &mut Scene, tokens: &Tokens) {
    let path = format!("/oauth2/end_session?id_token_hint={}", tokens.text("id_token"));
    let away = Browser::default().open(&scene.app, &path).await;
    assert_eq!(away.status, 200, "{}", away.body);
    let question = scene.browser.open(&scene.app, "/logout").await;
    let damaged = altered(&question.hidden("csrf_token"), 0);
    let refused = scene.browser.submit(&scene.app, &question, "/logout", &[("csrf_token", &damaged)]).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    scene.sign_out().await;
}
