//! Who may use the admin API: a live token, for this API, wide enough, sent in the one proper way.

use axum::body::Body;
use axum::http::{Method, Request, header};
use keystead::domain::{ClientMetadata, RedirectUri, Scope};
use serde_json::{Value, json};

use crate::support::{AdminApi, Answer, Browser, RelyingParty, TestApp};

async fn get_as(app: &TestApp, authorization: &str) -> Answer {
    let request = Request::get("/admin/v1/clients").header(header::AUTHORIZATION, authorization);
    app.send_admin(request.body(Body::empty()).unwrap()).await
}

/// Every operation of the OpenAPI document with an id in each place.
fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let document = serde_json::to_value(keystead::http::admin::openapi()).unwrap();
    let id = app.engine.random.uuid_v7(app.clock.now()).to_string();
    let paths = document["paths"].as_object().unwrap();
    let operation = |(path, item): (&String, &Value)| {
        let path = path.replace("{client_id}", "nobody").replace("{kid}", "AAAAAAAAAAA");
        let path = path.replace("{user_id}", &id).replace("{id}", &id);
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
    };
    paths.iter().flat_map(operation).collect()
}

#[tokio::test]
async fn section_8_no_operation_works_without_a_token() {
    let app = TestApp::start().await;
    let operations = operations(&app);
    assert!(operations.len() > 25);
    let unknown =
        ["", "/", "/nothing", "/clients/", "/keys/rotate/now"].map(|path| (Method::GET, format!("/admin/v1{path}")));
    for (method, path) in operations.into_iter().chain(unknown) {
        let request = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
        let answer = app.send_admin(request).await;
        answer.problem(401, "no-token");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keystead\"", "{method} {path}");
    }
}

#[tokio::test]
async fn section_8_a_read_only_token_reads_everything_and_changes_nothing() {
    let app = TestApp::start().await;
    let auditor = AdminApi::with_scope(&app, "keystead:admin.read").await;
    let before = app.dump().await;
    for (method, path) in operations(&app) {
        let answer = auditor.call(method.clone(), &path, None).await;
        if method == Method::GET {
            assert!(matches!(answer.status.as_u16(), 200 | 404), "{path}: {}", answer.body);
            continue;
        }
        let problem = answer.problem(403, "insufficient-scope");
        assert!(problem["detail"].as_str().unwrap().contains("keystead:admin"), "{problem}");
        let challenge = "Bearer realm=\"keystead\", error=\"insufficient_scope\", scope=\"keystead:admin\"";
        assert_eq!(answer.header("www-authenticate"), challenge, "{method} {path}");
    }
    let body = json!({ "client_name": "A", "grant_types": ["client_credentials"] });
    auditor.post("/clients", body).await.problem(403, "insufficient-scope");
    assert_eq!(app.dump().await, before);
    assert_eq!(auditor.call(Method::HEAD, "/clients", None).await.status, 200);
}

#[tokio::test]
async fn section_8_a_token_that_is_none_of_ours_or_damaged_is_refused() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    assert_eq!(get_as(&app, &format!("bearer {}", admin.token)).await.status, 200, "the scheme has no case");
    let (head, rest) = admin.token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = app.machine_token(&admin.client, "keystead:admin").await;
    let other_signature = other.rsplit('.').next().unwrap();
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}.{claims}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{other_signature}"),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}."),
        format!("{head}.{claims}.{signature}A"),
        format!("{head}.{claims}.{signature} {}", admin.token),
        format!("{}, Bearer {}", admin.token, admin.token),
        "x".repeat(20_000),
    ] {
        let answer = get_as(&app, &format!("Bearer {token}")).await;
        answer.problem(401, "invalid-token");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keystead\", error=\"invalid_token\"");
    }
    for header in ["Bearer", "Bearer ", "Basic YTpi", "Bearerx", "DPoP abc", admin.token.as_str()] {
        get_as(&app, header).await.problem(401, "no-token");
    }
}

#[tokio::test]
async fn security_30_tokens_for_others_and_of_other_kinds_are_refused() {
    let app = TestApp::start().await;
    let service = app.service().await;
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let person = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    let machine = app.machine_token(&service, "api:read").await;
    for token in [machine.as_str(), person.access(), person.text("id_token"), person.refresh()] {
        get_as(&app, &format!("Bearer {token}")).await.problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn security_31_a_token_that_another_api_could_send_on_is_refused() {
    let app = TestApp::start().await;
    app.api().await;
    let wide = AdminApi::with_scope(&app, "api:read keystead:admin").await;
    let refused = wide.get("/clients").await.problem(401, "invalid-token");
    assert!(refused["detail"].as_str().unwrap().contains("urn:keystead:admin alone"), "{refused}");
    let params =
        [("grant_type", "client_credentials"), ("scope", "keystead:admin"), ("resource", "urn:keystead:admin")];
    let narrow = app.post_as("/oauth2/token", wide.client.pair(), &params).await.json();
    let token = narrow["access_token"].as_str().unwrap();
    assert_eq!(get_as(&app, &format!("Bearer {token}")).await.status, 200);
}

#[tokio::test]
async fn security_32_a_token_that_a_person_gave_administers_nothing() {
    let app = TestApp::start().await;
    app.person("pat@example.com").await;
    // Registration refuses such a client; this one got into the database another way.
    let metadata = ClientMetadata {
        redirect_uris: vec![RedirectUri::from_registered("https://rp.example/cb".into())],
        scope: Scope::parse("keystead:admin").unwrap(),
        ..ClientMetadata::default()
    };
    let client = app.client("web", metadata).await;
    let rp = RelyingParty { scope: "keystead:admin".into(), ..RelyingParty::web(client) };
    let tokens = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    assert_eq!(tokens.claims("access_token")["aud"], json!(["urn:keystead:admin"]));
    get_as(&app, &format!("Bearer {}", tokens.access())).await.problem(401, "invalid-token");
}

#[tokio::test]
async fn security_42_a_revoked_expired_or_orphaned_token_is_refused_at_once() {
    let app = TestApp::start().await;
    let revoked = AdminApi::open(&app).await;
    let answer = app.post_as("/oauth2/revoke", revoked.client.pair(), &[("token", &revoked.token)]).await;
    assert_eq!(answer.status, 200);
    revoked.get("/clients").await.problem(401, "invalid-token");
    let admin = AdminApi { token: app.machine_token(&revoked.client, "keystead:admin").await, ..revoked };
    let auditor = AdminApi::with_scope(&app, "keystead:admin.read").await;
    assert_eq!(auditor.get("/clients").await.status, 200);
    app.wait(time::Duration::milliseconds(500));
    admin.change(&format!("/clients/{}", auditor.client.id), json!({ "disabled": true })).await;
    auditor.get("/clients").await.problem(401, "invalid-token");
    admin.change(&format!("/clients/{}", auditor.client.id), json!({ "disabled": false })).await;
    auditor.get("/clients").await.problem(401, "invalid-token");
    app.wait(time::Duration::seconds(599) - time::Duration::milliseconds(500));
    assert_eq!(admin.get("/clients").await.status, 200);
    app.wait(time::Duration::seconds(1));
    admin.get("/clients").await.problem(401, "invalid-token");
}

#[tokio::test]
async fn security_40_a_token_in_the_query_is_refused_even_beside_a_good_one() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for query in
        ["access_token=x", "limit=1&access_token=x", "acces%73_token=x", "access_token", "access_token=&limit=1"]
    {
        let answer = admin.get(&format!("/clients?{query}")).await;
        let problem = answer.problem(400, "invalid-request");
        assert!(problem["detail"].as_str().unwrap().contains("Authorization header"), "{problem}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keystead\", error=\"invalid_request\"");
    }
    let alone = Request::get(format!("/admin/v1/clients?access_token={}", admin.token)).body(Body::empty()).unwrap();
    let answer = app.send_admin(alone).await;
    assert!(!answer.problem(400, "invalid-request").to_string().contains(&admin.token));
    let in_body = Request::post("/admin/v1/clients")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("access_token={}", admin.token)));
    app.send_admin(in_body.unwrap()).await.problem(401, "no-token");
    let in_cookie = Request::get("/admin/v1/clients").header(header::COOKIE, format!("access_token={}", admin.token));
    app.send_admin(in_cookie.body(Body::empty()).unwrap()).await.problem(401, "no-token");
}

#[tokio::test]
async fn security_06_a_repeated_authorization_header_is_refused() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let bearer = format!("Bearer {}", admin.token);
    for (first, second) in [(bearer.as_str(), bearer.as_str()), (&bearer, "Basic YTpi"), ("Bearer x", &bearer)] {
        let request = Request::get("/admin/v1/clients")
            .header(header::AUTHORIZATION, first)
            .header(header::AUTHORIZATION, second)
            .body(Body::empty());
        let problem = app.send_admin(request.unwrap()).await.problem(400, "invalid-request");
        assert!(problem["detail"].as_str().unwrap().contains("send it once"), "{problem}");
    }
}

#[tokio::test]
async fn security_12_scripts_of_other_origins_cannot_call_the_admin_api() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let preflight = Request::options("/admin/v1/clients")
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
    let refused = app.send_admin(preflight.body(Body::empty()).unwrap()).await;
    refused.problem(401, "no-token");
    let request = Request::get("/admin/v1/clients").header(header::ORIGIN, "https://elsewhere.example");
    let answer = admin.send(request.body(Body::empty()).unwrap()).await;
    for headers in [refused.headers, answer.headers] {
        assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{headers:?}");
    }
}
