//! 1, 2, 5, 16: where answers may go.

use axum::body::Body;
use axum::http::Request;

use super::{MALLORY, PAT, assert_refused_to, assert_shown};
use crate::support::{Browser, ISSUER, Operator, RelyingParty, TestApp, param};

const CALLBACK: &str = "https://rp.example/cb";

/// Somebody who is signed in and allowed everything: only the check under test stands between an attacker and a code.
async fn open_door(app: &TestApp) -> (RelyingParty, Browser) {
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    rp.code(app, &mut browser, PAT).await;
    (rp, browser)
}

#[tokio::test]
async fn security_01_a_redirect_uri_that_differs_in_any_way_gives_a_page_and_never_a_redirect() {
    let app = TestApp::start().await;
    let (rp, mut browser) = open_door(&app).await;
    for uri in [
        "https://rp.example/cb/",
        "https://rp.example/cb?x=1",
        "https://rp.example/cb?",
        "https://rp.example/cb/../x",
        "https://rp.example/x/../cb",
        "https://rp.example/CB",
        "https://RP.example/cb",
        "HTTPS://rp.example/cb",
        "http://rp.example/cb",
        "https://rp@evil.example/cb",
        "https://rp.example@evil.example/cb",
        "https://rp.example:x@evil.example/cb",
        "https://rp.example.evil.example/cb",
        "https://rp.example/%2e%2e/cb",
        "https://rp.example/%63b",
        "https://rp.example./cb",
        "https://rp.example:443/cb",
        "https://rp.example:8443/cb",
        "https://rp.example/cb#f",
        "https://rp.example\\@evil.example/cb",
        "https:rp.example/cb",
        "//rp.example/cb",
        "/cb",
        " https://rp.example/cb",
        "https://rp.example/cb ",
        "https://rp.example/cb\t",
        "https://rp.example/cb\r\nLocation: https://evil.example",
        "https://rp。example/cb",
        "https://evil.example/cb",
        "javascript:alert(1)",
    ] {
        let answer = browser.get(&app, &rp.authorization_path(&[("redirect_uri", uri)])).await;
        assert_shown(&answer, uri);
        assert!(answer.body.contains("redirect_uri"), "{uri}");
    }
    let right = browser.get(&app, &rp.authorization_path(&[])).await;
    assert!(param(right.location(), "code").is_some());
}

#[tokio::test]
async fn security_01_bytes_that_are_no_text_are_not_mended_into_a_registered_uri() {
    let app = TestApp::start().await;
    let (rp, mut browser) = open_door(&app).await;
    let without = rp.authorization_path(&[("redirect_uri", "")]);
    for uri in ["https://rp.example/cb%00", "https://rp.example/c%ffb", "%00", "https://rp.example/cb%C0%AF"] {
        let answer = browser.get(&app, &format!("{without}&redirect_uri={uri}")).await;
        assert_shown(&answer, uri);
    }
}

#[tokio::test]
async fn security_02_only_the_port_of_a_loopback_literal_may_vary_and_only_for_a_native_client() {
    let app = TestApp::start().await;
    let native = app.native_client(&["http://127.0.0.1/cb", "http://localhost/cb", "http://[::1]:1234/cb"]).await;
    let rp = RelyingParty { public: true, ..RelyingParty::web(native) };
    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "http://[::1]:9/cb", "http://localhost/cb"] {
        let answer = app.get(&rp.authorization_path(&[("redirect_uri", uri)])).await;
        assert!(answer.location().starts_with("/login?request="), "{uri}: {}", answer.body);
    }
    for uri in [
        "http://localhost:51004/cb",
        "http://127.0.0.2/cb",
        "https://127.0.0.1:51004/cb",
        "http://127.0.0.1:51004/other",
        "http://127.0.0.1:51004/cb?x=1",
        "http://127.0.0.1:51004/cb#f",
        "http://127.0.0.1:51004@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://[0:0:0:0:0:0:0:1]:9/cb",
    ] {
        assert_shown(&app.get(&rp.authorization_path(&[("redirect_uri", uri)])).await, uri);
    }
}

#[tokio::test]
async fn security_02_a_code_for_one_port_is_bound_to_it_and_a_web_client_gets_no_port_freedom() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let native = app.native_client(&["http://127.0.0.1/cb"]).await;
    let mut rp = RelyingParty { public: true, ..RelyingParty::web(native) };
    rp.redirect_uri = "http://127.0.0.1:51004/cb".into();
    let mut browser = Browser::default();
    let answer = browser.authorize(&app, &rp.authorization_path(&[]), PAT).await;
    assert!(answer.location().starts_with("http://127.0.0.1:51004/cb?code="), "{}", answer.location());
    let code = param(answer.location(), "code").unwrap();
    rp.redirect_uri = "http://127.0.0.1:51005/cb".into();
    assert_eq!(rp.redeem(&app, &code).await.error(), "invalid_grant");
    rp.redirect_uri = "http://127.0.0.1:51004/cb".into();
    assert_eq!(rp.redeem(&app, &code).await.status, 200);

    Operator(&app)
        .change_client("native", |metadata| metadata.application_type = keystead::domain::ApplicationType::Web)
        .await;
    assert_shown(&app.get(&rp.authorization_path(&[])).await, "a web client");
}

#[tokio::test]
async fn security_05_errors_about_client_or_redirect_uri_are_shown_and_all_others_go_to_the_registered_uri() {
    let app = TestApp::start().await;
    let (rp, mut browser) = open_door(&app).await;
    app.client("off", crate::support::web_metadata()).await;
    Operator(&app).disable_client("off", true).await;
    let client_ids = ["", "nobody", "off", "WEB", "web ", "web\n", "019a0000-0000-7000-8000-000000000001"];
    let uris = ["", "https://evil.example/cb"];
    let others = [
        ("scope", "openid admin", "invalid_scope"),
        ("scope", "openid\"", "invalid_scope"),
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "soon", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("id_token_hint", "garbage", "invalid_request"),
        ("request", "e30.e30.", "invalid_request_object"),
        ("request_uri", "https://rp.example/request", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
        ("resource", "https://unknown.example", "invalid_target"),
    ];
    for (name, value, error) in others {
        let what = format!("{name}={value}");
        let answer = browser.get(&app, &rp.authorization_path(&[(name, value)])).await;
        assert_refused_to(&answer, CALLBACK, error, &what);
        assert_eq!(param(answer.location(), "state").as_deref(), Some("the-state"), "{what}");
        for client_id in client_ids {
            let path = rp.authorization_path(&[(name, value), ("client_id", client_id)]);
            assert_shown(&browser.get(&app, &path).await, &format!("{what} client_id={client_id}"));
        }
        for uri in uris {
            let path = rp.authorization_path(&[(name, value), ("redirect_uri", uri)]);
            assert_shown(&browser.get(&app, &path).await, &format!("{what} redirect_uri={uri}"));
        }
    }
}

#[tokio::test]
async fn security_16_no_parameter_leads_the_browser_to_another_origin() {
    let app = TestApp::start().await;
    let (_, mut signed_in) = open_door(&app).await;
    let targets = [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "https://id.example.evil.example",
        "https://id.example@evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/\r\nLocation: https://evil.example",
        "java\tscript:alert(1)",
        "\thttps://evil.example",
        "/%2fevil.example",
    ];
    let names =
        ["return_to", "next", "wreply", "redirect_uri", "post_logout_redirect_uri", "continue", "request", "state"];
    for path in ["/login", "/consent", "/logout", "/oauth2/end_session", "/oauth2/authorize", "/demo", "/"] {
        for (name, target) in names.into_iter().flat_map(|name| targets.map(|target| (name, target))) {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, target).finish();
            for browser in [&mut signed_in, &mut Browser::default()] {
                let answer = browser.get(&app, &format!("{path}?{query}")).await;
                assert_eq!(answer.location(), "", "{path} {name}={target}");
                assert!(
                    !answer.body.contains("href=\"//") && !answer.body.contains("href=\"https://evil"),
                    "{path} {name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn security_16_a_posted_form_leads_to_no_other_origin_either() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    for target in
        ["//evil.example", "https://evil.example", "&next=//evil.example", "\r\nLocation: https://evil.example"]
    {
        for path in ["/login", "/consent", "/logout"] {
            let mut browser = Browser::default();
            let page = browser.get(&app, "/login").await;
            let csrf = page.hidden("csrf_token");
            let form = [("request", target), ("csrf_token", &csrf), ("decision", "allow"), ("username", PAT)];
            let answer = browser.post(&app, path, &form).await;
            assert_eq!((answer.status.as_u16(), answer.location()), (403, ""), "{path} {target}");
            let onward = answer.way_back();
            assert!(
                onward.starts_with("/login?request=") || onward.starts_with("/consent?request=") || onward == "/logout"
            );
        }
    }
}

#[tokio::test]
async fn security_16_hosts_headers_and_spellings_of_the_path_do_not_change_where_redirects_lead() {
    let app = TestApp::start().await;
    app.person(MALLORY).await;
    let rp = RelyingParty::web(app.web_client().await);
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-forwarded-prefix", "//evil.example"),
        ("x-original-url", "//evil.example"),
        ("x-rewrite-url", "//evil.example"),
    ] {
        let request = Request::get(rp.authorization_path(&[])).header(name, value).body(Body::empty()).unwrap();
        let answer = app.send(request).await;
        assert!(answer.location().starts_with("/login?request="), "{name}: {}", answer.location());
        let refused = rp.authorization_path(&[("prompt", "none")]);
        let answer = app.send(Request::get(refused).header(name, value).body(Body::empty()).unwrap()).await;
        assert!(answer.location().starts_with(CALLBACK), "{name}: {}", answer.location());
        assert_eq!(param(answer.location(), "iss").as_deref(), Some(ISSUER), "{name}");
    }
    for path in [
        "//evil.example/login",
        "/login/",
        "/login//",
        "/%2fevil.example",
        "/.//evil.example",
        "/login/../..//evil.example",
    ] {
        assert_eq!((app.get(path).await.status.as_u16(), app.get(path).await.location()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn security_16_nothing_in_a_request_adds_a_header_to_the_answer() {
    let app = TestApp::start().await;
    let (rp, mut browser) = open_door(&app).await;
    let hostile = "x\r\nSet-Cookie: a=b\r\nX-Injected: 1\n\n<script>alert(1)</script>";
    for more in [&[("state", hostile)][..], &[("state", hostile), ("prompt", "none login")], &[("scope", hostile)]] {
        let answer = browser.get(&app, &rp.authorization_path(more)).await;
        assert_eq!(answer.status, 303);
        assert!(answer.headers.get("x-injected").is_none() && answer.headers.get("set-cookie").is_none());
        assert!(answer.location().bytes().all(|byte| byte.is_ascii_graphic()), "{}", answer.location());
    }
    let request = Request::get("/login").header("x-correlation-id", "evil").header("x-request-id", "evil");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    let id = answer.header("x-correlation-id");
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "only ours: {id}");
    assert!(answer.headers.values().all(|value| !value.to_str().unwrap().contains("evil")));
}
