//! Refusals are problem documents (RFC 9457), whatever was wrong with a request.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use keystead::http::{HttpOptions, admin_site};
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{AdminApi, Answer, TestApp};

/// What no JSON parser may accept, or what no member here can be.
const MALFORMED: [&[u8]; 14] = [
    b"{",
    b"}",
    b"nope",
    b"{} {}",
    b"{}x",
    b"{'a': 1}",
    b"{\"client_name\": \"a}",
    b"{\"client_name\": \"\x00\"}",
    b"{\"client_name\": \"\xff\"}",
    b"\xef\xbb\xbf{}",
    b"{\"client_name\": \"\\ud800\"}",
    b"\xff\xfe{\x00}\x00",
    b"{\"email\": 1e999}",
    b"{\"algorithm\": NaN}",
];

/// Sends bytes as they are.
async fn raw(admin: &AdminApi<'_>, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/admin/v1{path}"));
    if !content_type.is_empty() {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    admin.send(request.body(body.into()).unwrap()).await
}

/// Every operation that reads a body.
async fn readers(app: &TestApp, admin: &AdminApi<'_>) -> Vec<(Method, String)> {
    let user = app.person("pat@example.com").await;
    let server = json!({ "audience": "https://orders.example", "name": "Orders" });
    let server = admin.create("/resource-servers", server).await;
    vec![
        (Method::POST, "/clients".into()),
        (Method::PATCH, format!("/clients/{}", admin.client.id)),
        (Method::POST, "/users".into()),
        (Method::PATCH, format!("/users/{user}")),
        (Method::POST, "/resource-servers".into()),
        (Method::PATCH, format!("/resource-servers/{}", server["id"].as_str().unwrap())),
        (Method::POST, "/keys/rotate".into()),
    ]
}

#[tokio::test]
async fn section_8_a_problem_document_says_all_that_rfc_9457_asks_for() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let answer = admin.post("/keys/rotate", json!({ "algoritm": "ES256" })).await;
    assert_eq!(answer.header("x-correlation-id").len(), 16);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    insta::assert_json_snapshot!(answer.problem(400, "invalid-request"), @r#"
    {
      "detail": "See `errors` for what is wrong with algoritm; nothing was changed.",
      "errors": [
        {
          "detail": "unknown field `algoritm`, expected `algorithm`",
          "field": "algoritm"
        }
      ],
      "instance": "/admin/v1/keys/rotate",
      "status": 400,
      "title": "The request cannot be accepted",
      "type": "urn:keystead:problem:invalid-request"
    }
    "#);
}

#[tokio::test]
async fn section_8_a_body_that_is_no_json_is_refused_by_every_reader() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let readers = readers(&app, &admin).await;
    let before = app.dump().await;
    let deep_array = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let deep_member = format!("{{\"client_name\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for (method, path) in &readers {
        for body in MALFORMED {
            let answer = raw(&admin, method.clone(), path, "application/json", body.to_vec()).await;
            let text = String::from_utf8_lossy(body).into_owned();
            assert_eq!(answer.status, 400, "{method} {path} {text}: {}", answer.body);
            let problem = answer.problem(400, answer.json()["type"].as_str().unwrap().rsplit(':').next().unwrap());
            assert!(
                problem["type"].as_str().unwrap().ends_with("malformed-json") || problem["errors"].is_array(),
                "{text}: {problem}"
            );
        }
        for body in [&deep_array, &deep_object, &deep_member] {
            let answer = raw(&admin, method.clone(), path, "application/json", body.clone()).await;
            assert_eq!(answer.status, 400, "{method} {path}: {}", answer.body);
        }
    }
    assert_eq!(app.dump().await, before, "nothing was changed");
}

#[tokio::test]
async fn section_8_json_of_another_form_is_refused_by_every_reader() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (method, path) in readers(&app, &admin).await {
        if path != "/keys/rotate" {
            raw(&admin, method.clone(), &path, "application/json", "null").await.problem(400, "invalid-request");
        }
        for body in ["[]", "true", "5", "\"client_name\"", "[{}]", "[\"a\", \"b\"]"] {
            let answer = raw(&admin, method.clone(), &path, "application/json", body).await;
            let problem = answer.problem(400, "invalid-request");
            assert!(
                problem["detail"].as_str().unwrap().contains("send an object"),
                "{method} {path} {body}: {problem}"
            );
        }
        for name in ["surprise", "__proto__", "constructor", "id", "created_at", ""] {
            let answer = admin.call(method.clone(), &format!("/admin/v1{path}"), Some(&json!({ name: null }))).await;
            let problem = answer.problem(400, "invalid-request");
            assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("unknown field"), "{problem}");
            assert_eq!(answer.refused_members(), [name], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn section_8_an_empty_body_is_refused_where_one_is_needed() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (method, path) in readers(&app, &admin).await {
        let answer = raw(&admin, method, &path, "application/json", "").await;
        match path.as_str() {
            "/keys/rotate" => assert_eq!(answer.status, 200, "its body may be left out"),
            _ => assert!(answer.problem(400, "malformed-json")["detail"].as_str().unwrap().contains("empty")),
        }
    }
}

#[tokio::test]
async fn section_8_members_that_occur_twice_are_refused_by_name() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let id = admin.client.id.clone();
    for (method, path, body, member) in [
        (Method::POST, "/clients".to_owned(), r#"{"client_name": "A", "client_name": "B"}"#, "client_name"),
        (Method::PATCH, format!("/clients/{id}"), r#"{"scope": "", "scope": "keystead:admin"}"#, "scope"),
        (Method::PATCH, format!("/clients/{id}"), r#"{"scope": "", "sc\u006fpe": null}"#, "scope"),
        (Method::POST, "/users".into(), r#"{"email": "a@b.example", "email": "c@d.example"}"#, "email"),
        (
            Method::POST,
            "/users".into(),
            r#"{"email": "a@b.example", "profile": {"name": "A", "name": "B"}}"#,
            "profile.name",
        ),
    ] {
        let answer = raw(&admin, method, &path, "application/json", body).await;
        assert_eq!(answer.refused_members(), [member], "{body}");
        assert!(answer.body.contains("duplicate"), "{}", answer.body);
    }
}

#[tokio::test]
async fn section_8_members_of_another_type_are_named() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (path, body, member) in [
        ("/clients", json!({ "client_name": 5 }), "client_name"),
        ("/clients", json!({ "redirect_uris": "https://rp.example/cb" }), "redirect_uris"),
        ("/clients", json!({ "redirect_uris": ["https://rp.example/cb", 5] }), "redirect_uris[1]"),
        ("/clients", json!({ "grant_types": [null] }), "grant_types[0]"),
        ("/clients", json!({ "scope": ["openid"] }), "scope"),
        ("/clients", json!({ "require_pkce": "false" }), "require_pkce"),
        ("/clients", json!({ "access_token_lifetime": 60.5 }), "access_token_lifetime"),
        ("/clients", json!({ "access_token_lifetime": "60" }), "access_token_lifetime"),
        ("/clients", json!({ "access_token_lifetime": 3_000_000_000_u32 }), "access_token_lifetime"),
        ("/users", json!({ "profile": { "phone_number_verified": 1 } }), "profile.phone_number_verified"),
        ("/users", json!({ "profile": { "address": "Long Street 1" } }), "profile.address"),
        ("/resource-servers", json!({ "scopes": [["a"]] }), "scopes[0]"),
        ("/resource-servers", json!({ "introspection_clients": { "a": 1 } }), "introspection_clients"),
    ] {
        assert_eq!(admin.post(path, body.clone()).await.refused_members(), [member], "{body}");
    }
}

#[tokio::test]
async fn section_8_a_body_of_another_type_or_too_large_is_refused() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let large = format!("{{\"client_name\": \"{}\"}}", "x".repeat(70_000));
    for (method, path) in readers(&app, &admin).await {
        let types = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "application/xml",
            "",
            "application/*",
        ];
        for content_type in types {
            let answer = raw(&admin, method.clone(), &path, content_type, "{}").await;
            let problem = answer.problem(415, "unsupported-media-type");
            assert!(problem["detail"].as_str().unwrap().contains("application/json"), "{problem}");
        }
        let answer = raw(&admin, method.clone(), &path, "application/json", large.clone()).await;
        answer.problem(413, "body-too-large");
    }
    for content_type in ["application/json;charset=utf-8", "APPLICATION/JSON", " application/json ; x=y"] {
        let answer = raw(&admin, Method::POST, "/users", content_type, "{\"email\": \"a\"}").await;
        assert_eq!(answer.refused_members(), ["email"], "{content_type}");
    }
}

#[tokio::test]
async fn section_8_unknown_paths_and_methods_are_told_where_to_look() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for path in ["", "/", "/nothing", "/clients/a/b/c/d", "/client", "/keys/rotate/now", "/openapi.yaml", "/v2"] {
        let problem = admin.get(&format!("/admin/v1{path}")).await.problem(404, "not-found");
        assert_eq!(problem["instance"], format!("/admin/v1{path}"));
        assert!(problem["detail"].as_str().unwrap().contains("openapi.json"), "{problem}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/clients", "GET,HEAD,POST"),
        (Method::PUT, "/clients/a", "GET,HEAD,PATCH,DELETE"),
        (Method::GET, "/keys/rotate", "POST"),
        (Method::GET, "/users/00000000-0000-0000-0000-000000000000/lock", "POST"),
        (Method::OPTIONS, "/clients", "GET,HEAD,POST"),
        (Method::TRACE, "/clients", "GET,HEAD,POST"),
        ("PROPFIND".parse().unwrap(), "/clients", "GET,HEAD,POST"),
    ] {
        let answer = admin.call(method.clone(), path, None).await;
        answer.problem(405, "method-not-allowed");
        let sorted = |list: &str| {
            let mut names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(answer.header("allow")), sorted(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn section_8_a_request_that_runs_out_of_time_gets_a_problem_too() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let options = HttpOptions {
        trusted_proxies: Vec::new(),
        certificate_proxies: Vec::new(),
        client_certificate_header: None,
        max_body_bytes: 65_536,
        request_timeout: Duration::from_millis(200),
        sign_ins_per_source_per_minute: 10,
        registrations_per_source_per_hour: 10,
        demo: false,
        hsts: false,
    };
    let impatient = admin_site(app.engine.clone(), &options);
    let mut busy = app.engine.store.begin("keeps a table").await.unwrap();
    sqlx::raw_sql("LOCK TABLE users").execute(busy.conn()).await.unwrap();
    let request = Request::get("/admin/v1/users").header(header::AUTHORIZATION, format!("Bearer {}", admin.token));
    let answer = Answer::read(impatient.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
    answer.problem(503, "temporarily-unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn section_8_a_lost_database_is_a_problem_with_retry_after() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    // Closed from the first poll on; the listener keeps its connection for longer than a test has patience.
    let _ = tokio::time::timeout(Duration::ZERO, app.engine.store.close()).await;
    for answer in [admin.get("/clients").await, admin.post("/users", json!({ "email": "a@b.example" })).await] {
        let problem = answer.problem(503, "temporarily-unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!problem.to_string().contains("pool"), "{problem}");
    }
}
