//! `/clients`: what may be registered. Each refusal names the member and what to do, and changes nothing.

use serde_json::{Value, json};

use super::clients::{service, web};
use crate::support::{AdminApi, TestApp};

/// `base` with other members.
fn with(mut base: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("{members} is no object") };
    base.as_object_mut().unwrap().extend(members);
    base
}

/// Sends each body; expects the member to be named and a part of the sentence about it.
async fn assert_refused(admin: &AdminApi<'_>, cases: Vec<(Value, &str, &str)>) {
    let before = admin.items("/clients").await;
    for (body, member, remedy) in cases {
        let answer = admin.post("/clients", body.clone()).await;
        assert_eq!(answer.refused_members(), [member], "{body}: {}", answer.body);
        let detail = answer.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(remedy), "{body}: {detail}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(member), "{}", answer.body);
    }
    assert_eq!(admin.items("/clients").await, before, "a refusal changes nothing");
}

#[tokio::test]
async fn security_03_dangerous_and_plain_http_redirect_uris_are_refused_at_registration() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let cases = [
        ("http://app.example/cb", "use https"),
        ("http://127.0.0.2/cb", "use https"),
        ("http://localhost.evil.example/cb", "use https"),
        ("javascript:alert(1)", "use https"),
        ("JavaScript:alert(1)", "use https"),
        ("data:text/html,x", "use https"),
        ("vbscript:x", "use https"),
        ("file:///etc/passwd", "use https"),
        ("com.example.app:", "add one"),
        ("com.example.app://", "add one"),
        ("https://app.example/cb#f", "remove it"),
        ("https://user@app.example/cb", "remove it"),
        ("https://*.app.example/cb", "in full"),
        ("https://app.example/a/%2E%2e/cb", "path that is meant"),
        ("/cb", "in full"),
        ("", "in full"),
        ("https://app.example/c b", "percent-encode"),
        ("https://app.example/\u{0}", "percent-encode"),
    ];
    for list in ["redirect_uris", "post_logout_redirect_uris"] {
        let body = |uri: &str| {
            let good = if list == "redirect_uris" { "https://ok.example/cb" } else { "https://ok.example/bye" };
            with(web("App"), json!({ "application_type": "native", list: [good, uri] }))
        };
        let member = format!("{list}[1]");
        let cases = cases.iter().map(|(uri, remedy)| (body(uri), member.as_str(), *remedy)).collect();
        assert_refused(&admin, cases).await;
    }
    for uri in ["http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://localhost:3000/cb", "https://app.example/cb?a=b"]
    {
        admin.create("/clients", with(web("App"), json!({ "redirect_uris": [uri] }))).await;
    }
}

#[tokio::test]
async fn security_04_a_private_use_scheme_needs_a_dot_and_a_native_client() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = |uri: &str, kind: &str| with(web("App"), json!({ "redirect_uris": [uri], "application_type": kind }));
    let cases = vec![
        (body("myapp:/cb", "native"), "redirect_uris[0]", "reverse domain"),
        (body("com.example.app:/cb", "web"), "redirect_uris[0]", "native"),
    ];
    assert_refused(&admin, cases).await;
    let created = admin.create("/clients", body("com.example.app:/cb", "native")).await;
    // The same URI would not be accepted of a web application, so the client cannot become one either.
    let path = format!("/clients/{}", created["client_id"].as_str().unwrap());
    let refused = admin.patch(&path, json!({ "application_type": "web" })).await;
    assert_eq!(refused.refused_members(), ["redirect_uris[0]"]);
}

#[tokio::test]
async fn security_73_grants_and_response_types_go_together_or_are_refused_at_registration() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let grants = |grants: Value| with(web("App"), json!({ "grant_types": grants }));
    let types = |base: Value, types: Value| with(base, json!({ "response_types": types }));
    let public = |members: Value| with(with(web("App"), json!({ "token_endpoint_auth_method": "none" })), members);
    let cases = vec![
        (grants(json!(["password"])), "grant_types[0]", "authorization_code"),
        (grants(json!(["authorization_code", "implicit"])), "grant_types[1]", "authorization_code"),
        (public(json!({ "grant_types": [], "redirect_uris": [] })), "grant_types", "add authorization_code"),
        (grants(json!(["refresh_token"])), "grant_types", "authorization_code"),
        (grants(json!(["client_credentials", "refresh_token"])), "grant_types", "authorization_code"),
        (grants(json!(["authorization_code", "authorization_code"])), "grant_types", "remove the second"),
        (types(web("App"), json!(["token"])), "response_types", "[\"code\"]"),
        (types(web("App"), json!(["code", "id_token"])), "response_types", "[\"code\"]"),
        (types(web("App"), json!([])), "response_types", "[\"code\"]"),
        (types(service("App"), json!(["code"])), "response_types", "an empty list"),
        (
            public(json!({ "grant_types": ["authorization_code", "client_credentials"] })),
            "grant_types",
            "no credentials",
        ),
        (public(json!({ "require_pkce": false })), "require_pkce", "set it to true"),
        (with(web("App"), json!({ "redirect_uris": [] })), "redirect_uris", "register at least one"),
        (json!({ "client_name": "App" }), "redirect_uris", "register at least one"),
        (
            with(web("App"), json!({ "token_endpoint_auth_method": "client_secret_jwt" })),
            "token_endpoint_auth_method",
            "none",
        ),
        (with(web("App"), json!({ "id_token_signed_response_alg": "none" })), "id_token_signed_response_alg", "RS256"),
        (with(web("App"), json!({ "id_token_signed_response_alg": "HS256" })), "id_token_signed_response_alg", "RS256"),
        (with(web("App"), json!({ "application_type": "spa" })), "application_type", "native"),
    ];
    assert_refused(&admin, cases).await;
    let created = admin.create("/clients", types(service("App"), json!([]))).await;
    assert_eq!(created["response_types"], json!([]));
}

#[tokio::test]
async fn security_73_a_client_uses_only_the_grants_that_it_is_registered_for() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let client = super::clients::credentials(&admin.create("/clients", web("App")).await);
    let ask = [("grant_type", "client_credentials")];
    let answer = app.post_as("/oauth2/token", client.pair(), &ask).await;
    assert_eq!(answer.error(), "unauthorized_client");
    let grants = json!({ "grant_types": ["authorization_code", "client_credentials"] });
    admin.change(&format!("/clients/{}", client.id), grants).await;
    assert_eq!(
        app.post_as("/oauth2/token", client.pair(), &ask).await.error(),
        "invalid_scope",
        "it may, but has no scope"
    );
    admin.change(&format!("/clients/{}", client.id), json!({ "grant_types": ["client_credentials"] })).await;
    let codes = [("grant_type", "authorization_code"), ("code", "x")];
    assert_eq!(app.post_as("/oauth2/token", client.pair(), &codes).await.error(), "unauthorized_client");
}

#[tokio::test]
async fn security_46_only_confidential_machine_clients_administer() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let method = "token_endpoint_auth_method";
    for scope in ["keystead:admin", "keystead:admin.read"] {
        let people = with(web("App"), json!({ "scope": scope }));
        let both = with(people.clone(), json!({ "grant_types": ["client_credentials", "authorization_code"] }));
        let cases = vec![
            (people.clone(), "grant_types", "exactly client_credentials"),
            (both, "grant_types", "exactly client_credentials"),
        ];
        assert_refused(&admin, cases).await;
        let public = admin.post("/clients", with(people, json!({ method: "none" }))).await;
        assert_eq!(public.refused_members(), [method, "grant_types"]);
        let machine = admin.create("/clients", with(service("App"), json!({ "scope": scope }))).await;
        let path = format!("/clients/{}", machine["client_id"].as_str().unwrap());
        let redirect = json!({ "grant_types": ["authorization_code"], "redirect_uris": ["https://rp.example/cb"] });
        assert_eq!(admin.patch(&path, redirect).await.refused_members(), ["grant_types"]);
        assert!(!admin.patch(&path, json!({ method: "none" })).await.refused_members().is_empty());
    }
    let web = admin.create("/clients", web("App")).await;
    let path = format!("/clients/{}", web["client_id"].as_str().unwrap());
    assert_eq!(
        admin.patch(&path, json!({ "scope": "openid keystead:admin" })).await.refused_members(),
        ["grant_types"]
    );
}

#[tokio::test]
async fn section_8_names_links_scopes_and_lifetimes_have_limits() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let app_with = |members: Value| with(web("App"), members);
    let many: Vec<String> = (0..51).map(|i| format!("https://rp.example/{i}")).collect();
    let tokens: Vec<String> = (0..65).map(|i| format!("s{i}")).collect();
    let cases = vec![
        (app_with(json!({ "client_name": null })), "client_name", "give it a value"),
        (app_with(json!({ "client_name": " " })), "client_name", "give it a value"),
        (app_with(json!({ "client_name": "a\u{0}b" })), "client_name", "remove them"),
        (app_with(json!({ "client_name": "x".repeat(201) })), "client_name", "at most 200"),
        (app_with(json!({ "client_uri": "http://app.example" })), "client_uri", "use https"),
        (app_with(json!({ "logo_uri": "javascript:alert(1)" })), "logo_uri", "use https"),
        (app_with(json!({ "policy_uri": "/policy" })), "policy_uri", "in full"),
        (app_with(json!({ "tos_uri": "https://u:p@app.example" })), "tos_uri", "remove it"),
        (app_with(json!({ "redirect_uris": many })), "redirect_uris", "at most 50"),
        (
            app_with(json!({ "redirect_uris": ["https://a.example/", "https://a.example/"] })),
            "redirect_uris",
            "remove the second",
        ),
        (app_with(json!({ "scope": "openid nobody:knows" })), "scope", "register it with one first"),
        (app_with(json!({ "scope": "a\"b" })), "scope", "printable ASCII"),
        (app_with(json!({ "scope": tokens.join(" ") })), "scope", "at most 64"),
        (app_with(json!({ "access_token_lifetime": 9 })), "access_token_lifetime", "10 to 86400"),
        (app_with(json!({ "access_token_lifetime": 86_401 })), "access_token_lifetime", "10 to 86400"),
        (app_with(json!({ "refresh_token_absolute_lifetime": 0 })), "refresh_token_absolute_lifetime", "at least 1"),
        (app_with(json!({ "refresh_token_idle_lifetime": -1 })), "refresh_token_idle_lifetime", "at least 1"),
        (app_with(json!({ "refresh_token_grace_period": 301 })), "refresh_token_grace_period", "0 to 300"),
        (app_with(json!({ "client_id": "a b" })), "client_id", "choose another"),
        (app_with(json!({ "client_id": "x".repeat(129) })), "client_id", "choose another"),
        (
            app_with(json!({ "refresh_token_absolute_lifetime": 60, "refresh_token_idle_lifetime": 61 })),
            "refresh_token_idle_lifetime",
            "shorten it",
        ),
    ];
    assert_refused(&admin, cases).await;
}

#[tokio::test]
async fn section_8_all_that_is_wrong_is_told_at_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = json!({ "client_name": "", "redirect_uris": ["https://rp.example/cb"], "logo_uri": "data:x",
                       "access_token_lifetime": 1, "scope": "nobody:knows" });
    let members = ["client_name", "logo_uri", "access_token_lifetime", "scope"];
    assert_eq!(admin.post("/clients", body).await.refused_members(), members);
    let body = json!({ "client_id": "a b", "client_name": "A", "redirect_uris": ["x:", "https://ok.example/", "y"],
                       "post_logout_redirect_uris": ["z"], "response_types": ["token"] });
    let members =
        ["client_id", "response_types", "redirect_uris[0]", "redirect_uris[2]", "post_logout_redirect_uris[0]"];
    assert_eq!(admin.post("/clients", body).await.refused_members(), members);
}

#[tokio::test]
async fn section_8_a_refused_patch_changes_nothing() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin.create("/clients", with(web("App"), json!({ "client_id": "a" }))).await;
    let before = admin.show("/clients/a").await;
    app.wait(time::Duration::seconds(1));
    for (patch, member) in [
        (json!({ "client_name": null }), "client_name"),
        (json!({ "client_name": "B", "redirect_uris": [] }), "redirect_uris"),
        (json!({ "client_name": "B", "redirect_uris": ["javascript:x"] }), "redirect_uris[0]"),
        (json!({ "client_name": "B", "scope": "nobody:knows" }), "scope"),
        (json!({ "client_name": "B", "client_secret": "kss_mine" }), "client_secret"),
        (json!({ "client_name": "B", "client_secrets": [] }), "client_secrets"),
        (json!({ "client_name": "B", "updated_at": null }), "updated_at"),
        (json!({ "client_name": "B", "disabled": "yes" }), "disabled"),
        (json!({ "client_name": "B", "redirect_uris": { "0": "https://rp.example/" } }), "redirect_uris"),
    ] {
        assert_eq!(admin.patch("/clients/a", patch.clone()).await.refused_members(), [member], "{patch}");
    }
    assert_eq!(admin.show("/clients/a").await, before);
    assert_eq!(admin.events("a").await.len(), 1);
}
