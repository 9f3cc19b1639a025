//! Proxies, path confusion, what the public listener shows, limits, caches.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use base64::Engine as _;

use crate::support::{AdminApi, Answer, Browser, ISSUER, PASSWORD, RelyingParty, TestApp, form, send};

const EMAIL: &str = "pat@example.com";
const STRANGER: &str = "203.0.113.7";
const PROXY: &str = "10.0.0.2";

/// A try to sign in, as it comes from `peer` with these headers.
async fn try_from(app: &TestApp, peer: &str, headers: &[(&'static str, &str)], password: &str) -> Answer {
    let mut browser = Browser::default();
    let page = browser.get(app, "/login").await;
    let mut request = browser.filled_in(&page, "/login", &[("username", EMAIL), ("password", password)]);
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40_000)));
    app.send(request).await
}

/// Four tries where three are allowed: whether they counted as one source.
async fn count_together(app: TestApp, tries: [(&str, Vec<(&'static str, &str)>); 4]) -> bool {
    let app = app.with_http(|options| options.sign_ins_per_source_per_minute = 3);
    let mut last = 0;
    for (peer, headers) in tries {
        last = try_from(&app, peer, &headers, "a wrong password").await.status.as_u16();
    }
    last == 429
}

#[tokio::test]
async fn security_65_what_a_stranger_says_about_its_address_is_ignored() {
    let app = TestApp::start().await;
    let claim = |address| {
        let names = ["x-forwarded-for", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];
        let mut headers: Vec<_> = names.map(|name| (name, address)).into();
        headers.push(("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43"));
        (STRANGER, headers)
    };
    assert!(count_together(app, [claim("1.1.1.1"), claim("2.2.2.2"), claim(PROXY), claim("127.0.0.1")]).await);
}

#[tokio::test]
async fn security_65_a_trusted_proxy_says_where_a_request_came_from_and_nobody_before_it_does() {
    let through = |forwarded| (PROXY, vec![("x-forwarded-for", forwarded)]);
    let same = ["1.1.1.1, 198.51.100.9", "2.2.2.2,198.51.100.9 , 10.9.9.9", "198.51.100.9", "x, 198.51.100.9"];
    assert!(count_together(TestApp::start().await, same.map(through)).await);
    let different = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"];
    assert!(!count_together(TestApp::start().await, different.map(through)).await);
    // Two headers are one list.
    let two = |first, second| (PROXY, vec![("x-forwarded-for", first), ("x-forwarded-for", second)]);
    let tries = ["3.3.3.1", "3.3.3.2", "3.3.3.3", "3.3.3.4"].map(|first| two(first, "198.51.100.9"));
    assert!(count_together(TestApp::start().await, tries).await);
}

#[tokio::test]
async fn security_65_one_household_counts_once_however_it_writes_its_address() {
    let direct = |peer| (peer, Vec::new());
    let one_network = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::", "2001:db8:1:2::3"].map(direct);
    assert!(count_together(TestApp::start().await, one_network).await);
    let mapped = ["::ffff:203.0.113.7", STRANGER, "::ffff:203.0.113.7", STRANGER].map(direct);
    assert!(count_together(TestApp::start().await, mapped).await);
}

#[tokio::test]
async fn security_65_no_header_changes_where_the_server_says_it_is_or_who_calls() {
    let app = TestApp::start().await;
    let service = app.service().await;
    for peer in [STRANGER, PROXY] {
        let ask = |mut request: Request<Body>| {
            for (name, value) in [
                ("host", "evil.example"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-prefix", "/evil"),
                ("x-original-url", "/admin/v1/clients"),
                ("x-rewrite-url", "/admin/v1/clients"),
                ("forwarded", "host=evil.example;proto=http"),
                ("x-ssl-client-cert", "evil"),
                ("x-client-cert", "evil"),
                ("x-ssl-client-verify", "SUCCESS"),
                ("x-remote-user", "service"),
            ] {
                request.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40_000)));
            send(&app.public, request)
        };
        let discovery = ask(Request::get("/.well-known/openid-configuration").body(Body::empty()).unwrap()).await;
        assert_eq!(discovery.json()["issuer"], ISSUER);
        let login = ask(Request::get("/login").body(Body::empty()).unwrap()).await;
        assert_eq!(login.status, 200, "the path is the one of the request line");
        for answer in [discovery, login] {
            assert!(!format!("{:?}{}", answer.headers, answer.body).contains("evil"), "{answer:?}");
        }
        let unproven = [("grant_type", "client_credentials"), ("client_id", service.id.as_str())];
        assert_eq!(ask(form("/oauth2/token", &unproven)).await.status, 401);
    }
}

/// Ways to write a path so that a careless reader takes it for another.
fn confusing(path: &str) -> Vec<String> {
    let tail = path.trim_start_matches('/');
    let (first, rest) = tail.split_once('/').unwrap_or((tail, ""));
    vec![
        path.to_owned(),
        format!("{path}/"),
        format!("/{path}"),
        format!("/{first}//{rest}"),
        format!("/{first};a=b/{rest}"),
        format!("{path};a=b"),
        format!("{path}%00"),
        format!("{path}.json"),
        format!("{path}%3fx"),
        format!("/./{tail}"),
        format!("/;/{tail}"),
        format!("/health/live/../..{path}"),
        format!("/health/live/..;/..;{path}"),
        format!("/health/live/..%2f..%2f{tail}"),
        format!("/login/%2e%2e{path}"),
        format!("/{}", tail.replace('/', "%2f")),
        format!("/{}", tail.replace('/', "%5c")),
        format!("/{}", tail.replace('a', "%61")),
        format!("/{}", tail.replace('a', "%2561")),
        path.to_uppercase(),
        format!("/oauth2{path}"),
    ]
}

#[tokio::test]
async fn security_66_no_spelling_of_a_path_reaches_the_admin_api_without_a_token() {
    let app = TestApp::start().await;
    app.web_client().await;
    for path in ["/admin/v1/clients", "/admin/v1/clients/web", "/admin/v1/keys/rotate", "/health/ready", "/metrics"] {
        for spelling in confusing(path) {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::HEAD] {
                let request = || Request::builder().method(&method).uri(&spelling).body(Body::empty()).unwrap();
                let public = app.send(request()).await;
                assert_eq!(public.status, 404, "{method} {spelling}");
                let admin = app.send_admin(request()).await;
                let own = spelling == path && !path.starts_with("/admin");
                assert!(own || [401, 404].contains(&admin.status.as_u16()), "{method} {spelling}: {}", admin.status);
            }
        }
    }
}

#[tokio::test]
async fn security_66_the_method_is_the_one_of_the_request_line() {
    let app = TestApp::start().await;
    app.web_client().await;
    let admin = AdminApi::open(&app).await;
    for method in [Method::GET, Method::POST] {
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let mut request = form("/admin/v1/clients/web?_method=DELETE", &[("_method", "DELETE")]);
            *request.method_mut() = method.clone();
            request.headers_mut().insert(name, HeaderValue::from_static("DELETE"));
            let status = admin.send(request).await.status.as_u16();
            // A query parameter that the endpoint does not know may also be refused.
            assert!(if method == Method::GET { [200, 400].contains(&status) } else { status == 405 }, "{status}");
        }
    }
    assert_eq!(admin.get("/clients/web").await.status, 200);
}

#[tokio::test]
async fn security_67_the_public_listener_shows_nothing_of_the_inside() {
    let app = TestApp::start().await;
    for path in [
        "/metrics",
        "/health",
        "/health/ready",
        "/healthz",
        "/readyz",
        "/livez",
        "/status",
        "/server-status",
        "/debug",
        "/debug/pprof",
        "/actuator",
        "/actuator/env",
        "/env",
        "/info",
        "/version",
        "/openapi.json",
        "/swagger",
        "/swagger-ui",
        "/api-docs",
        "/admin",
        "/admin/v1",
        "/admin/v1/openapi.json",
        "/admin/v1/audit-events",
        "/.git/config",
        "/.env",
        "/config",
        "/trace",
        "/graphql",
        "/favicon.ico",
        "/robots.txt",
        "/assets",
        "/assets/",
        "/assets/../Cargo.toml",
    ] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    let live = app.get("/health/live").await;
    assert_eq!(live.body, r#"{"status":"ok"}"#);
    app.engine.store.close().await;
    let mut browser = Browser::default();
    browser.cookies.insert("__Host-keystead-session".into(), "x".repeat(43));
    let away = browser.get(&app, "/login").await;
    assert_eq!(away.status, 503);
    for answer in [live, away, app.get("/nothing").await] {
        assert_eq!((answer.header("server"), answer.header("x-powered-by")), ("", ""));
        let shown = answer.body.to_lowercase();
        for inside in ["sqlx", "postgres", "pool", "/tmp", "0.1.0", "axum", "hyper", "panicked"] {
            assert!(!shown.contains(inside), "{inside} in {shown}");
        }
    }
}

/// The quickest of a few tries, because this machine has other work.
async fn quickly(app: &TestApp, request: impl Fn() -> Request<Body>) -> Answer {
    let mut quickest = Duration::MAX;
    loop {
        let begin = Instant::now();
        let answer = app.send(request()).await;
        let took = begin.elapsed();
        if took < Duration::from_millis(100) {
            return answer;
        }
        assert!(quickest == Duration::MAX || took < quickest * 4, "{took:?} again and again");
        quickest = quickest.min(took);
    }
}

#[tokio::test]
async fn security_70_what_is_too_large_is_refused_at_once() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let long = Bytes::from(format!("token={}", "x".repeat(10 << 20)));
    for path in [
        "/oauth2/token",
        "/oauth2/introspect",
        "/oauth2/revoke",
        "/oauth2/userinfo",
        "/oauth2/authorize",
        "/oauth2/end_session",
        "/login",
        "/consent",
        "/logout",
    ] {
        let answer = quickly(&app, || form(path, &[]).map(|_| Body::from(long.clone()))).await;
        assert_eq!(answer.status, 413, "{path}");
    }
    let many: Vec<(String, String)> = (0..101).map(|number| (format!("p{number}"), "x".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for path in ["/oauth2/token", "/oauth2/authorize", "/login"] {
        assert_eq!(quickly(&app, || form(path, &many)).await.status, 400, "{path}");
    }
    let scopes = "api:read ".repeat(5_000);
    let words: String = (0..5_000).map(|number| format!("s{number} ")).collect();
    for scope in [scopes.trim(), words.trim()] {
        let params = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("client_id", "service"),
            ("client_secret", &service.secret),
        ];
        let answer = quickly(&app, || form("/oauth2/token", &params)).await;
        assert!(answer.status == 400 || answer.status == 401, "{} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn security_70_bombs_in_the_form_of_a_token_are_inactive_at_once() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let b64 = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let kid = app.get("/oauth2/jwks").await.json()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let head = b64(&format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#));
    let bombs = [
        format!("{}.a.b.c.d", b64(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}"#)),
        format!("{}.a.b.c.d", b64(r#"{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}"#)),
        format!("{}.{}.c2ln", b64(&deep), b64("{}")),
        format!("{head}.{}.c2ln", b64(&deep)),
        format!("{head}.{}.{}", b64("{}"), "A".repeat(50_000)),
        ".".repeat(60_000),
        "ksr_".to_owned() + &"A".repeat(60_000),
        "\u{202e}".repeat(5_000),
    ];
    let authorization = crate::support::basic(&service.id, &service.secret);
    for bomb in &bombs {
        let answer = quickly(&app, || {
            let mut request = form("/oauth2/introspect", &[("token", bomb)]);
            request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
            request
        })
        .await;
        let begin: String = bomb.chars().take(60).collect();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"active":false}"#), "{begin}");
        let bearer = format!("Bearer {}", bomb.replace('\u{202e}', "x"));
        let info = app.get_as("/oauth2/userinfo", &bearer).await;
        // The largest are more than a request's head may hold.
        assert_eq!(info.status, if bearer.len() > 32_000 { 431 } else { 401 }, "{begin}");
    }
}

#[tokio::test]
async fn security_70_deep_json_is_refused() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for body in
        [format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)), "[".repeat(60_000), "x".repeat(70_000)]
    {
        let request = Request::post("/admin/v1/clients").header(header::CONTENT_TYPE, "application/json");
        let answer = admin.send(request.body(Body::from(body.clone())).unwrap()).await;
        let expected = if body.len() > 65_536 { 413 } else { 400 };
        assert_eq!(answer.status, expected, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn security_39_nobody_keeps_an_answer_with_tokens_or_about_a_person() {
    let app = TestApp::start().await;
    app.person(EMAIL).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let wrong = browser.submit(&app, &login, "/login", &[("username", EMAIL), ("password", "x")]).await;
    let posted = browser.filled_in(&login, "/login", &[("username", EMAIL), ("password", PASSWORD)]);
    let to_consent = browser.send(&app, posted).await;
    let consent = browser.get(&app, to_consent.location()).await;
    let signed_in = browser.get(&app, "/login").await;
    let allowed = browser.filled_in(&consent, "/consent", &[("decision", "allow")]);
    let to_application = browser.send(&app, allowed).await;
    let code = rp.code(&app, &mut browser, EMAIL).await;
    let redeemed = rp.redeem(&app, &code).await;
    let tokens = redeemed.json();
    let access = tokens["access_token"].as_str().unwrap();
    let answers = [
        ("sign-in page", login),
        ("wrong password", wrong),
        ("to consent", to_consent),
        ("consent page", consent),
        ("signed in", signed_in),
        ("to the application", to_application),
        ("code replay", rp.redeem(&app, &code).await),
        ("refused refresh", rp.refresh(&app, "ksr_x").await),
        ("introspection", app.post_as("/oauth2/introspect", rp.client.pair(), &[("token", access)]).await),
        ("userinfo refused", app.get_as("/oauth2/userinfo", "Bearer x").await),
        ("userinfo without token", app.get("/oauth2/userinfo").await),
        ("userinfo", app.get_as("/oauth2/userinfo", &format!("Bearer {access}")).await),
        ("revocation", app.post_as("/oauth2/revoke", rp.client.pair(), &[("token", access)]).await),
        ("introspection refused", app.post("/oauth2/introspect", &[("token", access)]).await),
        ("error page", browser.get(&app, "/oauth2/authorize?client_id=nobody").await),
        ("logout question", browser.get(&app, "/logout").await),
        ("admin refused", app.send_admin(Request::get("/admin/v1/users").body(Body::empty()).unwrap()).await),
        ("redeemed", redeemed),
    ];
    for (what, answer) in answers {
        assert!(answer.header("cache-control").split(", ").any(|part| part == "no-store"), "{what}: {answer:?}");
    }
}
