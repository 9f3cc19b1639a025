//! Whole requests to the public listener: any method, odd headers, damaged bodies. Never a breakdown, always an answer of a known form.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use keystead::domain::{ClientMetadata, GrantType, RegistrationMode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::json;
use tokio::runtime::Runtime;

use super::hostile;
use crate::support::{Answer, Browser, ISSUER, ProofKey, RelyingParty, Scene, TestApp, VERIFIER, basic, web_metadata};

const PATHS: [&str; 26] = [
    "/oauth2/token",
    "/oauth2/token",
    "/oauth2/token",
    "/oauth2/authorize",
    "/oauth2/authorize",
    "/oauth2/par",
    "/oauth2/par",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/userinfo",
    "/oauth2/device_authorization",
    "/oauth2/register",
    "/oauth2/register/web",
    "/oauth2/end_session",
    "/oauth2/jwks",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/login",
    "/consent",
    "/device",
    "/logout",
    "/account",
    "/demo",
    "/health/live",
    "/",
    "/oauth2/../admin/v1/clients",
];
const METHODS: [&str; 9] = ["POST", "POST", "POST", "GET", "GET", "PUT", "DELETE", "OPTIONS", "FOO"];
const HEADERS: [&str; 12] = [
    "authorization",
    "dpop",
    "cookie",
    "accept",
    "origin",
    "sec-fetch-site",
    "x-forwarded-for",
    "x-ssl-client-cert",
    "content-encoding",
    "accept-language",
    "transfer-encoding",
    "x-http-method-override",
];
const TYPES: [&str; 6] = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded; charset=utf-16",
];

/// A request as it is about to be sent.
#[derive(Debug, Clone)]
struct Sent {
    method: &'static str,
    address: String,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// A server where everybody may register, and things that were good a moment ago.
struct Prey {
    app: TestApp,
    headers: Vec<String>,
    /// Bodies and where they belong.
    fitting: Vec<(&'static str, String)>,
}

async fn prey() -> Prey {
    let app = TestApp::start_with(|policy| policy.registration.mode = RegistrationMode::Open).await;
    let grants = vec![
        GrantType::AuthorizationCode,
        GrantType::RefreshToken,
        GrantType::ClientCredentials,
        GrantType::DeviceCode,
        GrantType::TokenExchange,
    ];
    let mut scene = Scene::over(app, |metadata| ClientMetadata { grant_types: grants, ..metadata }).await;
    let (tokens, code) = (scene.tokens().await, scene.code().await);
    let pushed = scene.rp.push(&scene.app, &[]).await.json();
    let (id, secret) = scene.rp.client.pair();
    let form = |pairs: &[(&str, &str)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let authorization = RelyingParty::web(scene.rp.client.clone()).authorization_path(&[]);
    let (request, token_exchange) =
        (authorization.split_once('?').unwrap().1, "urn:ietf:params:oauth:grant-type:token-exchange");
    let access_token = ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token");
    let fitting = vec![
        (
            "/oauth2/token",
            form(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", "https://rp.example/cb"),
                ("code_verifier", VERIFIER),
            ]),
        ),
        (
            "/oauth2/token",
            form(&[("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("scope", "openid email")]),
        ),
        ("/oauth2/token", form(&[("grant_type", "client_credentials"), ("resource", "https://a.example")])),
        ("/oauth2/token", form(&[("grant_type", token_exchange), ("subject_token", tokens.access()), access_token])),
        ("/oauth2/introspect", form(&[("token", tokens.access()), ("token_type_hint", "access_token")])),
        ("/oauth2/introspect", form(&[("token", tokens.refresh())])),
        ("/oauth2/revoke", form(&[("token", "ksr_x")])),
        ("/oauth2/device_authorization", form(&[("scope", "openid")])),
        ("/oauth2/authorize", request.to_owned()),
        ("/oauth2/par", request.to_owned()),
        ("/oauth2/authorize", form(&[("client_id", id), ("request_uri", pushed["request_uri"].as_str().unwrap())])),
        ("/oauth2/userinfo", form(&[("access_token", tokens.access())])),
        (
            "/oauth2/end_session",
            form(&[("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", "https://rp.example/bye")]),
        ),
        ("/login", form(&[("csrf_token", "x"), ("request", "x"), ("username", "pat"), ("password", "x")])),
        ("/device", form(&[("csrf_token", "x"), ("user_code", "WDJB-MJHT")])),
        ("/oauth2/register", registration()),
    ];
    let proof = ProofKey::generate().proof(&scene.app);
    let cookies = scene.browser.cookies.iter().map(|(name, value)| format!("{name}={value}"));
    let headers = vec![
        basic(id, secret),
        format!("Bearer {}", tokens.access()),
        format!("DPoP {}", tokens.access()),
        proof,
        cookies.collect::<Vec<_>>().join("; "),
        "text/html".into(),
        ISSUER.into(),
        "cross-site".into(),
        "1.2.3.4, 10.0.0.1".into(),
        "application/token-introspection+jwt".into(),
        "gzip".into(),
    ];
    Prey { app: scene.app, headers, fitting }
}

fn registration() -> String {
    let metadata = json!({
        "client_name": "An app", "redirect_uris": ["https://new.example/cb"], "grant_types": ["authorization_code"],
        "response_types": ["code"], "token_endpoint_auth_method": "none", "scope": "openid email", "contacts": ["a@b.example"],
        "logo_uri": "https://new.example/logo.png", "application_type": "web",
    });
    metadata.to_string()
}

fn texts(all: &[String]) -> impl Strategy<Value = String> + use<> {
    prop_oneof![select(all.to_vec()), hostile(&all.iter().map(String::as_str).collect::<Vec<_>>())]
}

/// Anything to anywhere.
fn any_request(prey: &Prey) -> impl Strategy<Value = Sent> + use<> {
    let bodies: Vec<String> = prey.fitting.iter().map(|(_, body)| body.clone()).collect();
    let header = (select(&HEADERS[..]), texts(&prey.headers));
    let more = prop::option::weighted(0.1, hostile(&["/x", "//", ";a=b", "%2e%2e/"]));
    let address = (select(&PATHS[..]), more, any::<bool>(), texts(&bodies)).prop_map(|(path, more, asks, query)| {
        let query = if asks { format!("?{query}") } else { String::new() };
        escaped(&format!("{path}{}{query}", more.unwrap_or_default()))
    });
    let request = (select(&METHODS[..]), address, select(&TYPES[..]), vec(header, 0..3), texts(&bodies));
    request.prop_map(|(method, address, content_type, headers, body)| Sent {
        method,
        address,
        content_type,
        headers,
        body,
    })
}

/// A request that was good before its body, or a header that it needs not, was touched.
fn nearly_good(prey: &Prey) -> impl Strategy<Value = Sent> + use<> {
    let basic = prey.headers[0].clone();
    let body = |(path, body): (&'static str, String)| (Just(path), texts(&[body]));
    let header = (select(&HEADERS[..]), texts(&prey.headers));
    let request = (select(prey.fitting.clone()).prop_flat_map(body), prop::option::weighted(0.2, header));
    request.prop_map(move |((path, body), header)| Sent {
        method: "POST",
        address: path.to_owned(),
        content_type: if path.ends_with("register") { "application/json" } else { TYPES[0] },
        headers: if is_of_a_client(path) {
            header.into_iter().chain([("authorization", basic.clone())]).collect()
        } else {
            header.into_iter().collect()
        },
        body,
    })
}

/// Where a client has to say who it is.
fn is_of_a_client(path: &str) -> bool {
    ["token", "introspect", "revoke", "par", "device_authorization"].iter().any(|end| path == format!("/oauth2/{end}"))
}

fn escaped(address: &str) -> String {
    let escape = |c: char| match c {
        '!'..='~' if !"\"<>\\^`{|}#".contains(c) => c.to_string(),
        other => form_urlencoded::byte_serialize(other.to_string().as_bytes()).collect(),
    };
    address.chars().map(escape).collect()
}

/// Nothing where no HTTP client could send it.
fn request(sent: &Sent) -> Option<Request<Body>> {
    let method = Method::from_bytes(sent.method.as_bytes()).unwrap();
    let mut request = Request::builder().method(method).uri(&sent.address).header("content-type", sent.content_type);
    for (name, value) in &sent.headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).ok();
        request =
            value.into_iter().fold(request, |request, value| request.header(HeaderName::from_static(name), value));
    }
    request.body(Body::from(sent.body.clone())).ok()
}

fn judge(answer: &Answer) -> TestCaseResult {
    prop_assert!(answer.status.as_u16() < 500, "{} {}", answer.status, answer.body);
    prop_assert!(!answer.header("x-correlation-id").is_empty());
    let media_type = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
    match media_type.as_str() {
        "text/html" => prop_assert!(answer.body.starts_with("<!doctype html>") && answer.body.contains("</html>")),
        "application/json" | "application/jwk-set+json" | "application/problem+json" => {
            let json: Result<serde_json::Value, _> = serde_json::from_str(&answer.body);
            prop_assert!(json.is_ok(), "{}", answer.body);
        }
        "application/jwt" | "application/token-introspection+jwt" => prop_assert_eq!(answer.body.split('.').count(), 3),
        "text/plain" => prop_assert!(answer.body.len() < 100),
        _ => prop_assert!(answer.body.is_empty(), "{}: {}", media_type, answer.body),
    }
    if (300..400).contains(&answer.status.as_u16()) {
        let to = answer.location();
        let ours = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
        prop_assert!(ours || to.starts_with("https://rp.example/"), "a stranger leads people away: {}", to);
    }
    Ok(())
}

#[test]
fn whatever_strangers_send_gets_an_answer_of_a_known_form() {
    let runtime = Runtime::new().unwrap();
    let prey = runtime.block_on(prey());
    let usual = ProptestConfig::default();
    let mut runner = TestRunner::new(ProptestConfig { cases: usual.cases.saturating_mul(12), ..usual });
    let outcome = runner.run(&prop_oneof![any_request(&prey), nearly_good(&prey)], |sent| {
        let Some(request) = request(&sent) else { return Ok(()) };
        judge(&runtime.block_on(prey.app.send(request)))
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        let (app, email) = (&prey.app, "later@example.com");
        app.person(email).await;
        let rp =
            RelyingParty { scope: "openid".into(), ..RelyingParty::web(app.client("later", web_metadata()).await) };
        assert!(
            rp.tokens(app, &mut Browser::default(), email).await.claims("id_token")["sub"].is_string(),
            "it works on"
        );
    });
}
