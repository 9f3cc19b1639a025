//! 3, 4: which redirect URIs an operator may register at all.

use serde_json::json;

use crate::support::{AdminApi, TestApp};

/// Registers through the admin API; gives the status and the answer's text.
async fn register(admin: &AdminApi<'_>, application_type: &str, member: &str, uri: &str) -> (u16, String) {
    let mut client = json!({
        "client_name": "An app",
        "application_type": application_type,
        "redirect_uris": ["https://rp.example/cb"],
        "scope": "openid",
    });
    client[member] = json!([uri]);
    let answer = admin.post("/clients", client).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn security_03_redirect_uris_that_leak_codes_or_run_scripts_cannot_be_registered() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for uri in [
        "http://rp.example/cb",
        "HTTP://rp.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://10.0.0.1/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "javascript://rp.example/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox",
        "file:///etc/passwd",
        "blob:https://rp.example/1",
        "about:blank",
        "https:",
        "https://",
        "com.example.app:",
        "com.example.app:/",
        "com.example.app://",
        "https://rp.example/cb#fragment",
        "https://user@rp.example/cb",
        "https://*.rp.example/cb",
        "https://rp.example/a/../cb",
        "https://rp.example/cb\r\nX: 1",
        "https://rp.example/\"><script>",
        "/cb",
        "",
    ] {
        for member in ["redirect_uris", "post_logout_redirect_uris"] {
            let (status, body) = register(&admin, "native", member, uri).await;
            assert_eq!(status, 400, "{member} {uri}: {body}");
            assert!(body.contains(&format!("{member}[0]")), "{member} {uri}: {body}");
        }
    }
}

#[tokio::test]
async fn security_03_a_host_that_no_page_policy_can_name_cannot_be_registered() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for uri in [
        "https://rp.example;script-src/cb",
        "https://rp.example,default-src/cb",
        "https://rp.example'/cb",
        "https://rp%2eexample/cb",
        "https://(rp).example/cb",
        "https://$/cb",
    ] {
        let (status, body) = register(&admin, "web", "redirect_uris", uri).await;
        assert_eq!(status, 400, "{uri}: {body}");
    }
    for uri in ["https://rp-1.example:8443/cb;a=b,c?d='e'", "https://xn--bcher-kva.example/cb", "http://[::1]:3000/cb"]
    {
        let (status, body) = register(&admin, "web", "redirect_uris", uri).await;
        assert_eq!(status, 201, "{uri}: {body}");
    }
}

#[tokio::test]
async fn security_04_a_private_use_scheme_is_a_reverse_domain_of_a_native_client() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for (application_type, uri, expected) in [
        ("native", "myapp:/cb", 400),
        ("native", "myapp://cb", 400),
        ("native", "com.example.app:/cb", 201),
        ("native", "com.example.app://cb", 201),
        ("native", "http://127.0.0.1/cb", 201),
        ("native", "http://[::1]:8000/cb", 201),
        ("native", "https://rp.example/cb", 201),
        ("web", "com.example.app:/cb", 400),
        ("web", "https://rp.example/cb?a=b", 201),
    ] {
        let (status, body) = register(&admin, application_type, "redirect_uris", uri).await;
        assert_eq!(status, expected, "{application_type} {uri}: {body}");
    }
}
