//! RFC 7592, management of dynamic client registrations.

use axum::http::Method;
use keystead::domain::RegistrationMode;
use keystead::jobs;
use serde_json::{Value, json};
use time::Duration as Span;

use crate::support::{AdminApi, Answer, Browser, EMAIL, Registrant, TestApp, own_metadata};

async fn registered() -> (TestApp, Registrant) {
    let app = TestApp::with_registration(RegistrationMode::Open).await;
    let client = Registrant::of(&app.register(None, &own_metadata()).await);
    (app, client)
}

/// What the client would send to keep its registration, with another value of one member.
fn again(client: &Registrant, member: &str, value: Value) -> Value {
    let mut metadata = own_metadata();
    metadata["client_id"] = json!(client.id);
    metadata[member] = value;
    metadata
}

fn is_unauthorized(answer: &Answer) -> bool {
    answer.status == 401 && answer.error() == "invalid_token" && answer.header("www-authenticate").starts_with("Bearer")
}

#[tokio::test]
async fn section_2_1_a_client_reads_its_registration_but_not_its_secret() {
    let (app, client) = registered().await;
    let answer = client.call(&app, Method::GET, None).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    let mut first = client.document.clone();
    for member in ["client_secret", "client_secret_expires_at"] {
        first.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(answer.json(), first);
}

#[tokio::test]
async fn section_2_2_an_update_replaces_everything_and_the_client_goes_on_with_it() {
    let (app, client) = registered().await;
    app.person(EMAIL).await;
    let wanted = json!({ "client_id": client.id, "redirect_uris": ["https://rp.example/new"], "client_uri": "https://rp.example/",
                         "client_secret": client.document["client_secret"] });
    let answer = client.call(&app, Method::PUT, Some(&wanted)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let now = answer.json();
    assert_eq!((&now["client_name"], &now["grant_types"]), (&json!(client.id), &json!(["authorization_code"])));
    assert_eq!((&now["registration_access_token"], now.get("client_secret")), (&json!(client.token), None));
    let mut rp = client.relying_party();
    let mut browser = Browser::default();
    assert_eq!(browser.open(&app, &rp.authorization_path(&[])).await.status, 400, "the old address is gone");
    rp.redirect_uri = "https://rp.example/new".into();
    rp.scope = "openid".into();
    rp.tokens(&app, &mut browser, EMAIL).await;
    let event = AdminApi::open(&app).await.event(&client.id, "client.updated").await;
    assert_eq!(event["actor_id"], client.id.as_str());
}

#[tokio::test]
async fn section_2_2_an_update_cannot_take_what_a_registration_could_not() {
    let (app, client) = registered().await;
    for (member, value, code) in [
        ("client_id", json!("other"), "invalid_client_metadata"),
        ("client_id", json!(null), "invalid_client_metadata"),
        ("client_secret", json!("chosen-by-the-client"), "invalid_client_metadata"),
        ("registration_access_token", json!(client.token), "invalid_client_metadata"),
        ("client_secret_expires_at", json!(0), "invalid_client_metadata"),
        ("scope", json!("keystead:admin"), "invalid_client_metadata"),
        ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
        ("redirect_uris", json!(["http://rp.example/cb"]), "invalid_redirect_uri"),
        ("software_statement", json!("a.b.c"), "unapproved_software_statement"),
    ] {
        let answer = client.call(&app, Method::PUT, Some(&again(&client, member, value))).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, code), "{member}: {}", answer.body);
    }
    let admin = AdminApi::open(&app).await;
    let path = format!("/clients/{}", client.id);
    admin.change(&path, json!({ "skip_consent": true, "access_token_lifetime": 77 })).await;
    let answer = client.call(&app, Method::PUT, Some(&again(&client, "skip_consent", json!(false)))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let seen = admin.show(&path).await;
    assert_eq!((&seen["skip_consent"], &seen["access_token_lifetime"]), (&json!(true), &json!(77)), "the operator's");
}

#[tokio::test]
async fn section_2_2_secrets_come_and_go_with_the_way_of_authentication() {
    let (app, client) = registered().await;
    let public = again(&client, "token_endpoint_auth_method", json!("none"));
    assert_eq!(client.call(&app, Method::PUT, Some(&public)).await.status, 200);
    assert_eq!(app.sql_count("client_secrets").await, 0, "nothing that could be found later");
    let answer = client.call(&app, Method::PUT, Some(&again(&client, "scope", json!("openid")))).await.json();
    let secret = answer["client_secret"].as_str().unwrap();
    assert_eq!(answer["client_secret_expires_at"], 0);
    assert_ne!(answer["client_secret"], client.document["client_secret"]);
    assert_eq!(app.post_as("/oauth2/revoke", (&client.id, secret), &[("token", "x")]).await.status, 200);
}

#[tokio::test]
async fn section_2_3_a_client_removes_itself_and_all_that_people_allowed_it() {
    let (app, client) = registered().await;
    app.person(EMAIL).await;
    let rp = client.relying_party();
    let tokens = rp.tokens(&app, &mut Browser::default(), EMAIL).await;
    let answer = client.call(&app, Method::DELETE, None).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.error(), "invalid_client");
    assert_eq!(app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await.status, 401);
    for method in [Method::GET, Method::DELETE] {
        assert!(is_unauthorized(&client.call(&app, method, None).await), "its token is gone too");
    }
    AdminApi::open(&app).await.event(&client.id, "client.deleted").await;
}

#[tokio::test]
async fn section_2_a_wrong_token_and_the_token_of_another_client_learn_nothing() {
    let (app, client) = registered().await;
    let other = Registrant::of(&app.register(None, &own_metadata()).await);
    let web = app.web_client().await;
    let body = again(&client, "scope", json!("openid"));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let mut answers = Vec::new();
        for id in [&client.id, &web.id, "kc_nobody", "%20", "019a0000-0000-7000-8000-000000000001"] {
            for token in ["ksg_wrong", &other.token, "", &client.document["client_secret"].to_string()] {
                let path = format!("/oauth2/register/{id}");
                let body = (method == Method::PUT).then_some(&body);
                let answer = app.registration(method.clone(), &path, Some(token), body).await;
                assert!(is_unauthorized(&answer), "{method} {id} {token}: {}", answer.body);
                answers.push(answer.body);
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let path = format!("/oauth2/register/{}", client.id);
        assert!(is_unauthorized(&app.registration(method.clone(), &path, None, None).await), "no token");
    }
    assert_eq!(client.call(&app, Method::GET, None).await.status, 200, "nothing has happened");
    let dump = app.sql_text("SELECT string_agg(t::text, ' ') FROM client_registrations t").await;
    assert!(!dump.contains(&client.token), "only its hash is kept");
}

#[tokio::test]
async fn section_2_a_client_that_was_switched_off_cannot_switch_itself_on() {
    let (app, client) = registered().await;
    let admin = AdminApi::open(&app).await;
    admin.change(&format!("/clients/{}", client.id), json!({ "disabled": true })).await;
    let wanted = again(&client, "disabled", json!(false));
    for (method, body) in [(Method::GET, None), (Method::PUT, Some(&wanted)), (Method::DELETE, None)] {
        let answer = client.call(&app, method, body).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (403, "access_denied"), "{}", answer.body);
    }
}

#[tokio::test]
async fn security_46_a_client_that_nobody_uses_goes_and_one_in_use_stays() {
    let (app, unused) = registered().await;
    app.person(EMAIL).await;
    let used = Registrant::of(&app.register(None, &own_metadata()).await);
    let adopted = Registrant::of(&app.register(None, &own_metadata()).await);
    let admin = AdminApi::open(&app).await;
    let grants = json!({ "grant_types": ["authorization_code", "client_credentials"] });
    admin.change(&format!("/clients/{}", adopted.id), grants).await;
    used.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
    for _ in 0..4 {
        app.wait(Span::days(29));
        jobs::remove_expired(&app.engine).await.unwrap();
        if app.sql_count("client_registrations").await == 3 {
            used.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
        }
    }
    for (client, status) in [(&unused, 401), (&used, 200), (&adopted, 200)] {
        assert_eq!(client.call(&app, Method::GET, None).await.status, status);
    }
    let admin = AdminApi { token: app.machine_token(&admin.client, "keystead:admin").await, ..admin };
    assert_eq!(admin.event(&unused.id, "client.expired").await["actor_kind"], "system");
    app.wait(Span::days(91));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(used.call(&app, Method::GET, None).await.status, 401, "its refresh tokens lay idle too long");
}

#[tokio::test]
async fn a_source_looks_after_registrations_only_so_often() {
    let (app, client) = registered().await;
    let app = app.with_http(|options| options.sign_ins_per_source_per_minute = 3);
    for expected in [200, 200, 200, 429, 429] {
        assert_eq!(client.call(&app, Method::GET, None).await.status, expected);
    }
    assert_eq!(client.call(&app, Method::DELETE, None).await.status, 429, "whatever it wants");
}

#[tokio::test]
async fn security_46_who_came_without_a_token_and_was_never_used_goes_soon() {
    let (app, stranger) = registered().await;
    app.person(EMAIL).await;
    let admin = AdminApi::open(&app).await;
    let made = admin.create("/initial-access-tokens", json!({ "uses": 1 })).await;
    let partner = app.register(made["initial_access_token"].as_str(), &own_metadata()).await;
    let partner = Registrant::of(&partner);
    let used = Registrant::of(&app.register(None, &own_metadata()).await);
    used.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
    app.wait(Span::hours(25));
    jobs::remove_expired(&app.engine).await.unwrap();
    for (client, status) in [(&stranger, 401), (&partner, 200), (&used, 200)] {
        assert_eq!(client.call(&app, Method::GET, None).await.status, status);
    }
    app.wait(Span::days(40));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(used.call(&app, Method::GET, None).await.status, 200, "it was used once");
    app.wait(Span::days(60));
    jobs::remove_expired(&app.engine).await.unwrap();
    assert_eq!(partner.call(&app, Method::GET, None).await.status, 401, "in the end everybody goes whom nobody needs");
}

#[tokio::test]
async fn whoever_looks_at_a_registration_waits_for_nobody_who_changes_it() {
    let (app, client) = registered().await;
    let mut locked = app.engine.store.begin("test").await.unwrap();
    let id = keystead::domain::ClientId::parse(&client.id).unwrap();
    keystead::store::clients::lock(locked.conn(), &id).await.unwrap().unwrap();
    assert_eq!(client.call(&app, Method::GET, None).await.status, 200);
    let same = again(&client, "client_name", own_metadata()["client_name"].clone());
    assert_eq!(client.call(&app, Method::PUT, Some(&same)).await.status, 200, "what changes nothing locks nothing");
    let greedy = again(&client, "scope", json!("keystead:admin"));
    assert_eq!(client.call(&app, Method::PUT, Some(&greedy)).await.status, 400, "nor does what is refused");
}

#[tokio::test]
async fn one_registration_changes_only_so_often_and_one_request_at_a_time() {
    let (app, client) = registered().await;
    let rename =
        async |name: String| client.call(&app, Method::PUT, Some(&again(&client, "client_name", json!(name)))).await;
    let mut changes = 0;
    let refused = loop {
        let answer = rename(changes.to_string()).await;
        if answer.status != 200 {
            break answer;
        }
        changes += 1;
    };
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (503, "temporarily_unavailable"));
    assert!((60..70).contains(&changes), "{changes}");
    assert_eq!(rename((changes - 1).to_string()).await.status, 200, "no change");
    let other = Registrant::of(&app.register(None, &own_metadata()).await);
    let renamed = again(&other, "client_name", json!("Renamed"));
    assert_eq!(other.call(&app, Method::PUT, Some(&renamed)).await.status, 200, "another client");
}
