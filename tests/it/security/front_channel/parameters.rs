//! 6, 7, 17, 73: what a request may say, and how it is answered.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::domain::{ClientMetadata, GrantType, Scope};

use super::{PAT, assert_refused_to, assert_shown};
use crate::support::{Answer, Browser, ISSUER, Operator, RelyingParty, TestApp, VERIFIER, param, web_metadata};

const CALLBACK: &str = "https://rp.example/cb";

/// Posts a raw form.
async fn post(app: &TestApp, browser: &mut Browser, path: &str, body: &str) -> Answer {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    browser.send(app, request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn security_06_a_repeated_parameter_is_refused_in_query_and_body_and_across_them() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    rp.code(&app, &mut browser, PAT).await;
    let names = "response_type client_id redirect_uri scope state nonce code_challenge code_challenge_method prompt max_age \
                 login_hint id_token_hint acr_values ui_locales display response_mode claims request request_uri unknown";
    for name in names.split(' ') {
        let path = rp.authorization_path(&[]);
        let (endpoint, query) = path.split_once('?').unwrap();
        let twice = format!("{query}&{name}=x&{name}=x");
        let (again, same) = (format!("{query}&{name}=x"), format!("{name}=x"));
        for (path, body) in [
            (format!("{endpoint}?{twice}"), None),
            (endpoint.to_owned(), Some(twice)),
            (format!("{endpoint}?{same}"), Some(again.clone())),
            (format!("{endpoint}?{again}"), Some(same)),
        ] {
            let what = format!("{name} {path} {body:?}");
            let answer = match body {
                None => browser.get(&app, &path).await,
                Some(body) => post(&app, &mut browser, &path, &body).await,
            };
            if matches!(name, "client_id" | "redirect_uri") {
                assert_shown(&answer, &what);
            } else {
                assert_refused_to(&answer, CALLBACK, "invalid_request", &what);
                let description = param(answer.location(), "error_description").unwrap();
                assert!(description.contains(name), "{what}: {description}");
            }
            assert_eq!(
                param(answer.location(), "state").is_some(),
                !matches!(name, "state" | "client_id" | "redirect_uri")
            );
        }
    }
}

#[tokio::test]
async fn security_06_a_repeated_parameter_is_refused_at_the_token_endpoint() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let code = rp.code(&app, &mut Browser::default(), PAT).await;
    let right = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in right.into_iter().chain([("scope", "openid"), ("unknown", "1"), ("refresh_token", "x")]) {
        let mut twice = right.to_vec();
        twice.push((name, value));
        if !right.iter().any(|(known, _)| *known == name) {
            twice.push((name, value));
        }
        assert_eq!(rp.token(&app, &twice).await.error(), "invalid_request", "{name} twice in the body");
        let path = format!(
            "/oauth2/token?{}",
            form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
        );
        let across = app.post_as(&path, rp.client.pair(), &right).await;
        assert_eq!(
            (across.status.as_u16(), across.error().as_str()),
            (400, "invalid_request"),
            "{name} in query and body"
        );
    }
    assert_eq!(rp.token(&app, &right).await.status, 200, "none of it used the code up");
}

#[tokio::test]
async fn security_07_every_authorization_response_says_who_answers() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let asked = browser.open(&app, &rp.authorization_path(&[])).await;
    let cancelled = asked.attribute("login-cancel", "href");
    let consent = browser.sign_in(&app, &asked, PAT).await;
    let denied = browser.submit(&app, &consent, "/consent", &[("decision", "deny")]).await;
    let allowed = browser.authorize(&app, &rp.authorization_path(&[]), PAT).await;
    let silent = browser.get(&app, &rp.authorization_path(&[("prompt", "none")])).await;
    let refused = browser.get(&app, &rp.authorization_path(&[("scope", "admin")])).await;
    let login_required = app.get(&rp.authorization_path(&[("prompt", "none")])).await;
    for location in [
        &cancelled,
        denied.location(),
        allowed.location(),
        silent.location(),
        refused.location(),
        login_required.location(),
    ] {
        assert_eq!(param(location, "iss").as_deref(), Some(ISSUER), "{location}");
        assert_eq!(location.matches("iss=").count(), 1, "{location}");
        assert_eq!(param(location, "state").as_deref(), Some("the-state"), "{location}");
    }
    let discovery = app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["issuer"], ISSUER);
    assert_eq!(discovery["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn security_17_pkce_is_required_and_only_s256_is_spoken() {
    let app = TestApp::start().await;
    app.web_client().await;
    app.native_client(&[CALLBACK]).await;
    let longer = format!("{VERIFIER}A");
    let (short, long) = ("A".repeat(42), "A".repeat(129));
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("none", &[("code_challenge", ""), ("code_challenge_method", "")]),
        ("a method alone", &[("code_challenge", "")]),
        ("plain", &[("code_challenge", VERIFIER), ("code_challenge_method", "plain")]),
        ("plain by default", &[("code_challenge_method", "")]),
        ("another case", &[("code_challenge_method", "s256")]),
        ("42 characters", &[("code_challenge", &short)]),
        ("44 characters", &[("code_challenge", &longer)]),
        ("129 characters", &[("code_challenge", &long)]),
        ("other characters", &[("code_challenge", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX=")]),
    ];
    for id in ["web", "native"] {
        let rp = RelyingParty::web(crate::support::ClientFixture { id: id.into(), secret: String::new() });
        for (what, more) in cases {
            let answer = app.get(&rp.authorization_path(more)).await;
            assert_refused_to(&answer, CALLBACK, "invalid_request", what);
        }
    }
    Operator(&app).change_client("web", |metadata| metadata.require_pkce = false).await;
    let rp = RelyingParty::web(crate::support::ClientFixture { id: "web".into(), secret: String::new() });
    assert!(
        app.get(&rp.authorization_path(cases[0].1)).await.location().starts_with("/login?"),
        "waived for this client"
    );
    assert_refused_to(&app.get(&rp.authorization_path(cases[2].1)).await, CALLBACK, "invalid_request", "plain even so");
}

#[tokio::test]
async fn security_73_only_the_response_type_code_in_known_modes_is_answered() {
    let app = TestApp::start().await;
    let rp = RelyingParty::web(app.web_client().await);
    for mode in ["fragment", "fragment.jwt", "web_message", "Query", "query ", "query form_post"] {
        let answer = app.get(&rp.authorization_path(&[("response_mode", mode)])).await;
        assert_refused_to(&answer, CALLBACK, "invalid_request", mode);
        assert!(!answer.location().contains('#'), "{mode}");
    }
    for kind in ["token", "id_token", "id_token token", "code id_token", "code token", "none", "Code", "code code"] {
        let answer = app.get(&rp.authorization_path(&[("response_type", kind)])).await;
        assert_refused_to(&answer, CALLBACK, "unsupported_response_type", kind);
    }
    for mode in ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"] {
        let answer = app.get(&rp.authorization_path(&[("response_mode", mode)])).await;
        assert!(answer.location().starts_with("/login?request="), "{mode}");
    }
    let discovery = app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["response_types_supported"], serde_json::json!(["code"]));
    assert!(!discovery["response_modes_supported"].to_string().contains("fragment"));
}

#[tokio::test]
async fn security_73_a_client_uses_only_the_grants_that_it_is_registered_for() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let machine = ClientMetadata { grant_types: vec![GrantType::ClientCredentials], ..web_metadata() };
    let machine = RelyingParty::web(app.client("machine", machine).await);
    let answer = app.get(&machine.authorization_path(&[])).await;
    assert_refused_to(&answer, CALLBACK, "unauthorized_client", "a code for a machine");

    let once = ClientMetadata { grant_types: vec![GrantType::AuthorizationCode], ..web_metadata() };
    let once = RelyingParty::web(app.client("once", once).await);
    let tokens = once.tokens(&app, &mut Browser::default(), PAT).await;
    assert!(tokens.0.get("refresh_token").is_none(), "a client that cannot refresh gets nothing to refresh with");

    let api = Scope::parse("openid api:read").unwrap();
    app.api().await;
    Operator(&app).change_client("once", |metadata| metadata.scope = api).await;
    for (rp, grant, more, error) in [
        (&machine, "authorization_code", ("code", "x"), "unauthorized_client"),
        (&machine, "refresh_token", ("refresh_token", "x"), "unauthorized_client"),
        (&once, "refresh_token", ("refresh_token", "x"), "unauthorized_client"),
        (&once, "client_credentials", ("scope", "api:read"), "unauthorized_client"),
        (&once, "password", ("username", PAT), "unsupported_grant_type"),
        (&once, "implicit", ("scope", "openid"), "unsupported_grant_type"),
        (&once, "urn:ietf:params:oauth:grant-type:device_code", ("device_code", "x"), "unauthorized_client"),
        (&once, "urn:ietf:params:oauth:grant-type:jwt-bearer", ("assertion", "x"), "unauthorized_client"),
    ] {
        let answer = rp.token(&app, &[("grant_type", grant), more]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, error), "{grant} as {}", rp.client.id);
    }
}

#[tokio::test]
async fn security_70_oversized_parameters_are_refused_at_once_and_never_cut() {
    let app = TestApp::start().await;
    let rp = RelyingParty::web(app.web_client().await);
    let of = |length: usize| "s".repeat(length);
    for (name, length) in
        [("state", 2049), ("nonce", 513), ("scope", 5000), ("code_challenge", 9000), ("id_token_hint", 9000)]
    {
        let answer = app.get(&rp.authorization_path(&[(name, &of(length))])).await;
        assert_eq!(answer.status, 303, "{name}");
        let error = param(answer.location(), "error").unwrap();
        assert!(error == "invalid_request" || error == "invalid_scope", "{name}: {error}");
    }
    let state = of(5000);
    let answer = app.get(&rp.authorization_path(&[("state", &state)])).await;
    assert_eq!(param(answer.location(), "state"), Some(state), "a client that is refused still knows for what");
    for (name, length) in [("client_id", 200), ("redirect_uri", 5000)] {
        assert_shown(&app.get(&rp.authorization_path(&[(name, &of(length))])).await, name);
    }
    let many: Vec<String> = (0..101).map(|i| format!("p{i}=1")).collect();
    assert_shown(&app.get(&format!("{}&{}", rp.authorization_path(&[]), many.join("&"))).await, "101 parameters");
    assert_eq!(app.get(&format!("/login?request={}", of(20_000))).await.status, 400);
}

#[tokio::test]
async fn security_70_whatever_is_accepted_fits_through_the_pages() {
    let app = TestApp::start().await;
    let rp = RelyingParty::web(app.web_client().await);
    for filling in ["s", "\"", "\u{1}", "é", "\\", "😀"] {
        let state = filling.repeat(2048 / filling.len());
        let nonce = filling.repeat(512 / filling.len());
        let mut browser = Browser::default();
        let asked = browser.get(&app, &rp.authorization_path(&[("state", &state), ("nonce", &nonce)])).await;
        if asked.location().starts_with(CALLBACK) {
            assert_eq!(param(asked.location(), "error").as_deref(), Some("invalid_request"), "{filling:?}");
        } else {
            assert!(asked.location().len() < 8192, "proxies take no longer address: {}", asked.location().len());
            assert!(browser.follow(&app, asked).await.shows("login-submit"), "{filling:?}");
        }
    }
}
