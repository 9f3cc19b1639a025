//! 8, 9, 10, 11, 12: how pages and redirects are sent, and what they show of a stranger's text.

use axum::body::Body;
use axum::http::{Method, Request};
use keystead::domain::{ClientMetadata, RedirectUri, Scope, SigningAlgorithm};

use super::PAT;
use crate::support::{Answer, Browser, Operator, PASSWORD, RelyingParty, TestApp, every_page, web_metadata};

#[tokio::test]
async fn security_08_a_posted_form_is_answered_with_303_only() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    let (request, csrf) = (login.hidden("request"), login.hidden("csrf_token"));
    let form = [("request", request.as_str()), ("csrf_token", &csrf), ("username", PAT), ("password", PASSWORD)];
    let signed_in = browser.post(&app, "/login", &form).await;
    let consent = browser.get(&app, signed_in.location()).await;
    let (request, csrf) = (consent.hidden("request"), consent.hidden("csrf_token"));
    let form = [("request", request.as_str()), ("csrf_token", &csrf), ("decision", "allow")];
    let allowed = browser.post(&app, "/consent", &form).await;
    let posted = browser.post(&app, &rp.authorization_path(&[]), &[]).await;
    for (what, answer) in [("login", &signed_in), ("consent", &allowed), ("authorize", &posted)] {
        assert_eq!(answer.status, 303, "{what}");
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
        assert_eq!(answer.body, "", "{what}");
    }
}

#[tokio::test]
async fn security_09_no_page_can_be_framed() {
    let app = TestApp::start().await;
    for (what, page) in every_page(&app).await {
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{what}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{what}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what}");
    }
}

#[tokio::test]
async fn security_10_every_page_has_a_strict_policy_and_keeps_its_address_to_itself() {
    let app = TestApp::start().await;
    for (what, page) in every_page(&app).await {
        let policy = page.header("content-security-policy");
        for directive in
            ["default-src 'none'", "base-uri 'none'", script(what), "style-src 'self'", "form-action 'self'"]
        {
            assert!(policy.split("; ").any(|found| found.starts_with(directive)), "{what}: {policy}");
        }
        for loose in ["unsafe", "*", "http:", "blob:", "strict-dynamic"] {
            assert!(!policy.contains(loose), "{what}: {policy}");
        }
        assert_eq!(page.headers.get_all("content-security-policy").iter().count(), 1, "{what}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{what}");
        assert!(page.header("access-control-allow-origin").is_empty(), "{what}");
        for inline in [
            "<script>",
            "<style",
            " style=",
            " onclick=",
            " onload=",
            "javascript:",
            "src=\"http",
            "<iframe",
            "@import",
        ] {
            assert!(!page.body.contains(inline), "{what} holds {inline}");
        }
    }
}

/// The page that posts itself runs its own script only.
fn script(what: &str) -> &'static str {
    if what == "form_post" { "script-src 'nonce-" } else { "script-src 'self'" }
}

const HOSTILE: &str = "\"><svg/onload=alert(1)>'&{{7*7}}";
const ESCAPED: &str = "&#34;&#62;&#60;svg/onload=alert(1)&#62;&#39;&#38;{{7*7}}";

/// The page holds the hostile text only as text, and if it must show it, then all of it.
fn assert_escaped(page: &Answer, shown: bool, what: &str) {
    assert!(!page.body.contains("<svg/onload"), "{what}: {}", page.body);
    assert_eq!(page.body.contains(ESCAPED), shown, "{what}: {}", page.body);
}

#[tokio::test]
async fn security_11_text_of_strangers_in_a_request_appears_only_escaped() {
    let app = TestApp::start().await;
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let with = |more: &[(&str, &str)]| rp.authorization_path(more);
    for name in ["client_id", "redirect_uri"] {
        assert_escaped(&browser.get(&app, &with(&[(name, HOSTILE)])).await, false, name);
    }
    assert_escaped(&browser.open(&app, &with(&[("login_hint", HOSTILE)])).await, true, "login_hint");
    let page = browser
        .open(&app, &with(&[("state", HOSTILE), ("nonce", HOSTILE), ("ui_locales", HOSTILE), (HOSTILE, HOSTILE)]))
        .await;
    assert_escaped(&page, false, "state");
    assert!(page.attribute("login-cancel", "href").contains("state=%22%3E%3Csvg"), "the way back carries it encoded");
    let page = browser.submit(&app, &page, "/login", &[("username", HOSTILE), ("password", HOSTILE)]).await;
    assert_escaped(&page, true, "username");
    let page = browser.post(&app, "/login", &[("request", HOSTILE), ("csrf_token", HOSTILE), ("username", PAT)]).await;
    assert_escaped(&page, true, "a form that is not ours");
    for path in
        ["/login", "/consent", "/logout", "/oauth2/end_session", "/oauth2/authorize", "/demo/callback", "/nowhere/"]
    {
        for name in
            ["request", "error", "error_description", "state", "post_logout_redirect_uri", "id_token_hint", HOSTILE]
        {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair(name, HOSTILE)
                .append_pair(name, "x")
                .finish();
            assert_escaped(&browser.get(&app, &format!("{path}?{query}")).await, false, path);
        }
    }
}

#[tokio::test]
async fn security_11_text_of_clients_and_people_appears_only_escaped() {
    let app = TestApp::start().await;
    let scope = "'><svg/onload=alert(1)>";
    app.client("api", ClientMetadata { grant_types: Vec::new(), ..ClientMetadata::default() }).await;
    app.resource_server("https://api.example", scope, SigningAlgorithm::Es256, &["api"]).await;
    let email = "\"><svg/onload=alert(1)>'&{{7*7}}@example.com";
    app.person(email).await;
    let uri = "https://rp.example/cb?a='%22%3E%3Csvg/onload=alert(1)%3E&b={{7*7}}";
    let metadata = ClientMetadata {
        redirect_uris: vec![RedirectUri::from_registered(uri.into())],
        scope: Scope::parse(&format!("openid email {scope}")).unwrap(),
        policy_uri: Some("https://rp.example/'privacy'".into()),
        ..web_metadata()
    };
    let client = app.client("evil", metadata).await;
    Operator(&app).change_client("evil", |metadata| metadata.client_name = HOSTILE.into()).await;
    let rp =
        RelyingParty { redirect_uri: uri.into(), scope: format!("openid email {scope}"), ..RelyingParty::web(client) };
    let mut browser = Browser::default();
    let login = browser.open(&app, &rp.authorization_path(&[])).await;
    assert_escaped(&login, true, "client_name on the sign-in page");
    assert!(login.attribute("login-cancel", "href").starts_with(uri));
    let consent = browser.sign_in(&app, &login, email).await;
    assert_escaped(&consent, true, "client_name, e-mail address and scope on the consent page");
    assert!(consent.body.contains("&#39;&#62;&#60;svg/onload=alert(1)&#62;</strong>"), "the scope: {}", consent.body);
    assert!(consent.body.contains("https://rp.example/&#39;privacy&#39;"));
    assert_escaped(&browser.get(&app, "/login").await, true, "the signed-in page");
    let tokens = rp.tokens(&app, &mut browser, email).await;
    let hint = tokens.text("id_token");
    assert_escaped(&browser.get(&app, "/logout").await, true, "the logout page");
    let mut other = Browser::default();
    app.person(PAT).await;
    let page = other.get(&app, "/login").await;
    other.sign_in(&app, &page, PAT).await;
    let asked = other.get(&app, &format!("/oauth2/end_session?id_token_hint={hint}")).await;
    assert!(asked.shows("logout-confirm"));
    assert_escaped(&asked, true, "the name of a client that asks for a logout");
}

#[tokio::test]
async fn security_12_scripts_of_other_origins_may_call_only_what_takes_no_cookie() {
    let app = TestApp::start().await;
    let request = |method: &Method, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("origin", "https://x.example")
            .header("access-control-request-method", "POST")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::empty())
            .unwrap()
    };
    for path in ["/oauth2/authorize", "/login", "/consent", "/logout", "/oauth2/end_session", "/demo", "/nowhere"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = app.send(request(&method, path)).await;
            let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(cors, None, "{method} {path}");
        }
    }
    for (method, path) in [
        (Method::GET, "/.well-known/openid-configuration"),
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/oauth2/jwks"),
        (Method::GET, "/oauth2/userinfo"),
        (Method::POST, "/oauth2/userinfo"),
        (Method::POST, "/oauth2/token"),
        (Method::POST, "/oauth2/introspect"),
        (Method::POST, "/oauth2/revoke"),
    ] {
        for method in [method, Method::OPTIONS] {
            let answer = app.send(request(&method, path)).await;
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {path}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{method} {path}");
        }
    }
}
