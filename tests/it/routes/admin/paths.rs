//! SECURITY 66: no spelling of a path and no header leads around the gate before the admin API.

use axum::body::Body;
use axum::http::{Method, Request, Uri, header};
use serde_json::json;

use crate::support::{AdminApi, TestApp};

/// Spellings that a proxy, a cache or a careless router might take for `/admin/v1/clients`.
const CONFUSING: [&str; 34] = [
    "/admin/v1/clients/",
    "/admin/v1/clients//",
    "//admin/v1/clients",
    "/admin//v1/clients",
    "/admin/v1//clients",
    "/admin/v1/clients;a=b",
    "/admin/v1;a=b/clients",
    "/admin;/v1/clients",
    "/;/admin/v1/clients",
    "/admin/v1/./clients",
    "/./admin/v1/clients",
    "/admin/v1/keys/../clients",
    "/admin/v1/keys/..;/clients",
    "/admin/v1/keys/%2e%2e/clients",
    "/admin/v1/keys%2f..%2fclients",
    "/health/live/../../admin/v1/clients",
    "/health/..;/admin/v1/clients",
    "/metrics/../admin/v1/clients",
    "/oauth2/token/../../admin/v1/clients",
    "/admin%2fv1%2fclients",
    "/admin/v1%2fclients",
    "/admin%5cv1%5cclients",
    "/%61dmin/v1/clients",
    "/admin/%76%31/clients",
    "/admin/v1/%63lients",
    "/admin%252fv1/clients",
    "/ADMIN/v1/clients",
    "/admin/V1/clients",
    "/admin/v1/Clients",
    "/admin/v1/clients%00",
    "/admin/v1/clients%20",
    "/admin/v1/clients%3flimit=1",
    "/admin/v1/clients.json",
    "/admin/v1/clients%23",
];

fn get(path: &str) -> Request<Body> {
    Request::get(path.parse::<Uri>().unwrap()).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn security_66_no_spelling_reaches_the_api_on_the_public_listener() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let bearer = format!("Bearer {}", admin.token);
    for path in CONFUSING.into_iter().chain(["/admin/v1/clients", "/admin/v1", "/admin/v1/openapi.json", "/metrics"]) {
        for authorization in ["", bearer.as_str()] {
            let mut request = get(path);
            if !authorization.is_empty() {
                request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
            }
            let answer = app.send(request).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(
                !answer.body.contains(&admin.client.id) && !answer.body.contains("problem"),
                "{path}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn security_66_no_spelling_passes_the_gate_on_the_admin_listener() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for path in CONFUSING {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let mut request = get(path);
            *request.method_mut() = method;
            let answer = app.send_admin(request).await;
            assert!(matches!(answer.status.as_u16(), 401 | 404), "{path}: {} {}", answer.status, answer.body);
            assert!(!answer.body.contains(&admin.client.id), "{path}: {}", answer.body);
        }
        // With a token no other spelling means the list either.
        let answer = admin.send(get(path)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    assert_eq!(app.send_admin(get("http://elsewhere.example/admin/v1/clients")).await.status, 401);
}

#[tokio::test]
async fn security_66_headers_and_parameters_override_neither_path_nor_method() {
    let app = TestApp::start().await;
    let auditor = AdminApi::with_scope(&app, "keystead:admin.read").await;
    let admin = AdminApi::open(&app).await;
    admin
        .create("/clients", json!({ "client_id": "victim", "client_name": "V", "grant_types": ["client_credentials"] }))
        .await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let mut request = get("/admin/v1/clients/victim");
        request.headers_mut().insert(name, "DELETE".parse().unwrap());
        assert_eq!(auditor.send(request).await.status, 200, "{name}");
    }
    let query = get("/admin/v1/clients/victim?_method=DELETE");
    auditor.send(query).await;
    for name in ["x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-prefix", "forwarded"] {
        for path in ["/", "/health/live", "/login"] {
            let mut request = get(path);
            request.headers_mut().insert(name, "/admin/v1/clients".parse().unwrap());
            let bearer = format!("Bearer {}", admin.token).parse().unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
            assert!(!app.send(request).await.body.contains("victim"), "{name} {path}");
        }
        let mut request = get("/health/live");
        request.headers_mut().insert(name, "/admin/v1/clients".parse().unwrap());
        assert_eq!(app.send_admin(request).await.json(), json!({ "status": "ok" }), "{name}");
    }
    assert_eq!(admin.show("/clients/victim").await["client_name"], "V");
}

#[tokio::test]
async fn security_66_an_id_in_a_path_leads_nowhere_else() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for id in ["..%2Fusers", "%2e%2e", "a%2Fsecrets", "a%00", "%FF", "*", "%25", "a%3Bb=c"] {
        admin.get(&format!("/clients/{id}")).await.problem(404, "not-found");
        admin.delete(&format!("/clients/{id}")).await.problem(404, "not-found");
    }
}
