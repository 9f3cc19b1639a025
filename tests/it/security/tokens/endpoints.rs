//! What every endpoint for programs has in common: parameters, client authentication, headers, limits.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use keystead::domain::{ClientAuthMethod, ClientMetadata, ClientProtocol, GrantType, Scope};
use keystead::http::server::{self, Service};

use crate::support::{ASSERTION_TYPE, Answer, Es256, Scene, TestApp, basic, form, tcp, web_metadata};

const FORM: &str = "application/x-www-form-urlencoded";

/// Posts a body as it is.
async fn post(app: &TestApp, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    app.send(Request::post(path).header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap()).await
}

#[tokio::test]
async fn security_06_no_parameter_may_occur_twice() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let authorization = basic(&service.id, &service.secret);
    let table = [
        ("/oauth2/token", "grant_type=client_credentials", "grant_type=client_credentials"),
        ("/oauth2/token", "grant_type=client_credentials", "grant_type=password"),
        ("/oauth2/token", "grant_type=client_credentials&scope=api:read", "scope=api:read"),
        ("/oauth2/token", "grant_type=client_credentials&client_id=service", "client_id=service"),
        ("/oauth2/token", "grant_type=client_credentials&x=1", "x=2"),
        ("/oauth2/token", "grant_type=refresh_token&refresh_token=a", "refresh_token=b"),
        ("/oauth2/token", "grant_type=authorization_code&code=a", "code=b"),
        ("/oauth2/token", "grant_type=authorization_code&code=a&code_verifier=a", "code_verifier="),
        ("/oauth2/introspect", "token=a", "token=b"),
        ("/oauth2/introspect", "token=a&token_type_hint=a", "token_type_hint=a"),
        ("/oauth2/revoke", "token=a", "token=a"),
    ];
    for (path, body, again) in table {
        let request = |query: &str, body: String| {
            let request = Request::post(format!("{path}{query}")).header(header::CONTENT_TYPE, FORM);
            request.header(header::AUTHORIZATION, &authorization).body(Body::from(body)).unwrap()
        };
        let twice = app.send(request("", format!("{body}&{again}"))).await;
        assert_eq!(
            (twice.status, twice.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{body} {again}"
        );
        assert!(twice.body.contains("more than once"), "{}", twice.body);
        let across = app.send(request(&format!("?{again}"), body.to_owned())).await;
        assert_eq!((across.status, across.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{again}");
    }
    let twice = post(&app, "/oauth2/token", FORM, "client_id=a&client_secret=b&client_secret=c").await;
    assert_eq!(twice.error(), "invalid_request");
}

#[tokio::test]
async fn security_06_only_the_resource_may_be_repeated() {
    let app = TestApp::start().await;
    let service = app.service().await;
    let twice = [("resource", "https://api.example"), ("resource", "https://api.example")];
    let params: Vec<_> = [("grant_type", "client_credentials")].into_iter().chain(twice).collect();
    assert_eq!(app.post_as("/oauth2/token", service.pair(), &params).await.status, 200);
}

#[tokio::test]
async fn security_06_two_authorization_headers_are_refused() {
    let app = TestApp::start().await;
    let service = app.service().await;
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"] {
        let mut request = form(path, &[("grant_type", "client_credentials"), ("token", "x")]);
        let value = basic(&service.id, &service.secret).parse().unwrap();
        request.headers_mut().append(header::AUTHORIZATION, basic("somebody", "else").parse().unwrap());
        request.headers_mut().append(header::AUTHORIZATION, value);
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{path}");
    }
}

#[tokio::test]
async fn security_12_scripts_of_any_origin_may_call_what_takes_no_cookie_and_nothing_else() {
    let app = TestApp::start().await;
    let open =
        ["/oauth2/token", "/oauth2/userinfo", "/oauth2/jwks", "/oauth2/revoke", "/.well-known/openid-configuration"];
    let closed = ["/oauth2/authorize", "/login", "/consent", "/logout", "/oauth2/end_session", "/demo"];
    for (path, method) in
        open.iter().chain(&closed).flat_map(|path| [(*path, "GET"), (*path, "POST"), (*path, "OPTIONS")])
    {
        let request = Request::builder().method(method).uri(path).header(header::ORIGIN, "https://evil.example");
        let request = request.header("access-control-request-method", "POST").header(header::CONTENT_TYPE, FORM);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        let allowed = if open.contains(&path) { "*" } else { "" };
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{method} {path}");
        if method == "OPTIONS" && open.contains(&path) {
            assert!(answer.header("access-control-allow-headers").contains("authorization"), "{path}");
        }
    }
}

/// One client for each way to authenticate, all with the secret of its fixture.
async fn clients(app: &TestApp, key: &Es256) -> Vec<(ClientAuthMethod, String, String)> {
    app.api().await;
    let mut made = Vec::new();
    for &method in ClientAuthMethod::ALL {
        let machine = method != ClientAuthMethod::None;
        let base = if machine { ClientMetadata::default() } else { web_metadata() };
        let grant_types = if machine { vec![GrantType::ClientCredentials] } else { base.grant_types.clone() };
        let scope = if machine { Scope::parse("api:read").unwrap() } else { base.scope.clone() };
        let protocol = ClientProtocol { jwks: Some(key.jwks()), ..base.protocol };
        let metadata = ClientMetadata { token_endpoint_auth_method: method, grant_types, scope, protocol, ..base };
        let client = app.client(&format!("client-{}", method.as_str()), metadata).await;
        made.push((method, client.id, client.secret));
    }
    made
}

#[tokio::test]
async fn security_26_a_client_authenticates_by_its_registered_method_only() {
    let app = TestApp::start().await;
    let key = Es256::foreign("client");
    for (registered, id, secret) in clients(&app, &key).await {
        for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
            let base = [("grant_type", "client_credentials"), ("token", "nothing")];
            let answer = async |method: ClientAuthMethod, secret: &str| match method {
                ClientAuthMethod::ClientSecretBasic => app.post_as(path, (&id, secret), &base).await,
                ClientAuthMethod::ClientSecretPost => {
                    app.post(path, &[base[0], base[1], ("client_id", &id), ("client_secret", secret)]).await
                }
                ClientAuthMethod::PrivateKeyJwt => {
                    let assertion = key.assertion(&app, &id);
                    app.post(path, &[base[0], base[1], ASSERTION_TYPE, ("client_assertion", &assertion)]).await
                }
                // Without the certificate that its connection would show.
                _ => app.post(path, &[base[0], base[1], ("client_id", &id)]).await,
            };
            for &method in ClientAuthMethod::ALL {
                let tried = answer(method, &secret).await;
                let with_name_only = method == ClientAuthMethod::None || method.uses_certificate();
                let passes = if with_name_only {
                    registered == ClientAuthMethod::None && path != "/oauth2/introspect"
                } else {
                    method == registered
                };
                assert_eq!(tried.status != 401, passes, "{path} {registered:?} by {method:?}: {}", tried.body);
                if tried.status == 401 {
                    assert_eq!(tried.error(), "invalid_client");
                    assert!(tried.header("www-authenticate").starts_with("Basic "), "RFC 6749 section 5.2");
                }
            }
            // RFC 6749 §2.3.1: an empty secret is none.
            let empty = answer(ClientAuthMethod::ClientSecretBasic, "").await;
            assert_eq!(empty.status, answer(ClientAuthMethod::None, "").await.status, "{path} {registered:?}");
            for wrong in ["wrong", &format!("{secret} "), &secret.to_uppercase(), &secret[1..]] {
                let tried = answer(ClientAuthMethod::ClientSecretBasic, wrong).await;
                assert_eq!((tried.status.as_u16(), tried.error().as_str()), (401, "invalid_client"), "{wrong:?}");
            }
        }
    }
}

#[tokio::test]
async fn security_26_no_authentication_and_two_at_once_are_refused() {
    let app = TestApp::start().await;
    let service = app.service().await;
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let base = [("grant_type", "client_credentials"), ("token", "nothing")];
        let none = app.post(path, &base).await;
        assert_eq!((none.status.as_u16(), none.error().as_str()), (401, "invalid_client"), "{path}");
        let two = app.post_as(path, service.pair(), &[base[0], base[1], ("client_secret", &service.secret)]).await;
        assert_eq!((two.status.as_u16(), two.error().as_str()), (401, "invalid_client"), "{path}");
        let two_names = app.post_as(path, service.pair(), &[base[0], base[1], ("client_id", "api")]).await;
        assert_eq!((two_names.status.as_u16(), two_names.error().as_str()), (400, "invalid_request"), "{path}");
        let assertion = [base[0], base[1], ("client_id", "service"), ("client_assertion", "a.b.c")];
        assert_eq!(app.post(path, &assertion).await.error(), "invalid_client", "{path}");
        for header in ["Basic", "Basic !", "Bearer abc", "Basic c2VydmljZQ==", "Digest username=service", "basic\tYTpi"]
        {
            let mut request = form(path, &base);
            request.headers_mut().insert(header::AUTHORIZATION, header.parse().unwrap());
            assert_eq!(app.send(request).await.error(), "invalid_client", "{path} {header}");
        }
    }
}

#[tokio::test]
async fn security_39_nothing_with_tokens_or_people_in_it_may_be_kept() {
    let mut scene = Scene::start().await;
    let tokens = scene.tokens().await;
    let app = &scene.app;
    let web = scene.rp.client.pair();
    let token = [("token", tokens.access())];
    let answers = [
        scene.refresh(tokens.refresh()).await,
        scene.refresh("wrong").await,
        app.post("/oauth2/token", &[]).await,
        scene.userinfo(tokens.access()).await,
        scene.userinfo("wrong").await,
        app.get("/oauth2/userinfo").await,
        app.post_as("/oauth2/introspect", web, &token).await,
        app.post_as("/oauth2/introspect", ("web", "wrong"), &token).await,
        app.post_as("/oauth2/revoke", web, &token).await,
        app.get("/oauth2/token").await,
        post(app, "/oauth2/token", FORM, "a".repeat(70_000)).await,
        app.get("/login").await,
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn security_70_what_is_too_much_is_refused_at_once() {
    let app = TestApp::start().await;
    let many: Vec<String> = (0..101).map(|i| format!("p{i}=")).collect();
    let scopes: Vec<String> = (0..65).map(|i| format!("s{i}")).collect();
    let resources = "&resource=https://api.example".repeat(11);
    let metadata = ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::ClientSecretPost,
        grant_types: vec![GrantType::ClientCredentials],
        ..ClientMetadata::default()
    };
    let job = app.client("job", metadata).await;
    let job = format!("client_id=job&client_secret={}&grant_type=client_credentials", job.secret);
    let table = [
        ("/oauth2/token", format!("{job}&x={}", "a".repeat(65_536)), 413),
        ("/oauth2/introspect", format!("{job}&token={}", "a".repeat(65_536)), 413),
        ("/oauth2/revoke", "a".repeat(1_000_000), 413),
        ("/oauth2/userinfo", "access_token=".to_owned() + &"a".repeat(1_000_000), 413),
        ("/oauth2/token", many.join("&"), 400),
        ("/oauth2/token", format!("{job}&scope={}", scopes.join("+")), 400),
        ("/oauth2/token", format!("{job}&scope={}", "a".repeat(129)), 400),
        ("/oauth2/token", format!("{job}{resources}"), 400),
        // JSON that nests as deep as the body allows, and a JWE.
        ("/oauth2/introspect", format!("{job}&token={}.a.a", "W1tb".repeat(15_000)), 200),
        ("/oauth2/introspect", format!("{job}&token={}", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..a.a.a"), 200),
    ];
    for (path, body, status) in table {
        let started = Instant::now();
        let answer = post(&app, path, FORM, body).await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
        assert!(started.elapsed() < Duration::from_secs(2), "{path} took {:?}", started.elapsed());
        assert!(status != 200 || answer.body == r#"{"active":false}"#, "{}", answer.body);
    }
}

#[tokio::test]
async fn security_70_oversized_headers_never_reach_a_handler() {
    let app = TestApp::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service { listener, site: app.sites().0, tls: None, most_connections: 10 };
    tokio::spawn(server::serve(service, std::future::pending(), Duration::ZERO));
    for (name, length, status) in [("Authorization", 1000, 401), ("Authorization", 40_000, 431), ("X", 200_000, 431)] {
        let value = "a".repeat(length);
        let request = format!(
            "GET /oauth2/userinfo HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n{name}: Bearer {value}\r\n\r\n"
        );
        let reply = tcp::exchange(address, request.as_bytes()).await.unwrap();
        assert_eq!(reply.status, status, "{name} {length} {}", reply.body);
    }
}
