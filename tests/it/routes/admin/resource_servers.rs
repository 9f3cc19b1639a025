//! `/resource-servers`: audience, scopes, signing algorithm, token lifetime, who may introspect.

use serde_json::{Value, json};

use super::clients::{credentials, service, web};
use crate::support::{AdminApi, Browser, ISSUER, RelyingParty, TestApp, Tokens};

fn orders() -> Value {
    json!({ "audience": "https://orders.example", "name": "Orders", "scopes": ["orders:write", "orders:read"] })
}

fn with(members: Value) -> Value {
    let mut body = orders();
    let Value::Object(members) = members else { panic!("{members} is no object") };
    body.as_object_mut().unwrap().extend(members);
    body
}

fn path(server: &Value) -> String {
    format!("/resource-servers/{}", server["id"].as_str().unwrap())
}

/// A machine client for the orders' scope.
async fn buyer(admin: &AdminApi<'_>) -> crate::support::ClientFixture {
    let mut body = service("Buyer");
    body["scope"] = json!("orders:read");
    credentials(&admin.create("/clients", body).await)
}

async fn token(app: &TestApp, client: &crate::support::ClientFixture) -> Tokens {
    Tokens(app.post_as("/oauth2/token", client.pair(), &[("grant_type", "client_credentials")]).await.json())
}

#[tokio::test]
async fn section_8_a_resource_server_is_made_shown_changed_and_removed() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let answer = admin.post("/resource-servers", orders()).await;
    let created = answer.json();
    assert_eq!((answer.status.as_u16(), answer.location()), (201, format!("/admin/v1{}", path(&created)).as_str()));
    let expected = json!({
        "id": created["id"], "audience": "https://orders.example", "name": "Orders",
        "scopes": ["orders:read", "orders:write"], "signing_algorithm": "ES256", "introspection_clients": [],
        "created_at": "2027-01-15T08:00:00Z", "updated_at": "2027-01-15T08:00:00Z",
    });
    assert_eq!(created, expected);
    assert_eq!(admin.show(&path(&created)).await, created);
    app.wait(time::Duration::seconds(1));
    let patch = json!({ "scopes": ["orders:read"], "access_token_lifetime": 60, "name": "All orders" });
    let changed = admin.change(&path(&created), patch).await;
    let rest = ["scopes", "access_token_lifetime", "name", "audience", "updated_at"].map(|name| changed[name].clone());
    let wanted = [
        json!(["orders:read"]),
        json!(60),
        json!("All orders"),
        json!("https://orders.example"),
        json!("2027-01-15T08:00:01Z"),
    ];
    assert_eq!(rest, wanted);
    let cleared = admin.change(&path(&created), json!({ "scopes": null, "access_token_lifetime": null })).await;
    assert_eq!((&cleared["scopes"], cleared.get("access_token_lifetime")), (&json!([]), None));
    assert_eq!(admin.show(&path(&created)).await, cleared);
    admin.remove(&path(&created)).await;
    admin.get(&path(&created)).await.problem(404, "not-found");
    admin.delete(&path(&created)).await.problem(404, "not-found");
    admin.patch(&path(&created), json!({})).await.problem(404, "not-found");
}

/// What is wrong, the member that is named, and a part of the remedy.
fn wrong_members() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!({ "audience": null }), "audience", "https://api.example.com"),
        (json!({ "audience": "orders" }), "audience", "https://api.example.com"),
        (json!({ "audience": "HTTPS://orders.example" }), "audience", "lower case"),
        (json!({ "audience": "https://orders.example/#a" }), "audience", "remove it"),
        (json!({ "audience": "https://orders.example/\u{0}" }), "audience", "percent-encode"),
        (json!({ "audience": ISSUER }), "audience", "choose another"),
        (json!({ "audience": format!("{ISSUER}/") }), "audience", "choose another"),
        (json!({ "audience": "urn:keystead:admin" }), "audience", "reserved"),
        (json!({ "audience": "urn:keystead:other" }), "audience", "reserved"),
        (json!({ "name": null }), "name", "give it a value"),
        (json!({ "name": "x".repeat(201) }), "name", "at most 200"),
        (json!({ "scopes": ["openid"] }), "scopes", "choose another"),
        (json!({ "scopes": ["offline_access"] }), "scopes", "choose another"),
        (json!({ "scopes": ["keystead:admin"] }), "scopes", "choose another"),
        (json!({ "scopes": ["keystead:anything"] }), "scopes", "choose another"),
        (json!({ "scopes": ["a b"] }), "scopes", "printable ASCII"),
        (json!({ "scopes": [""] }), "scopes", "printable ASCII"),
        (json!({ "scopes": "orders:read" }), "scopes", "sequence"),
        (json!({ "signing_algorithm": "HS256" }), "signing_algorithm", "ES256"),
        (json!({ "access_token_lifetime": 9 }), "access_token_lifetime", "10 to 86400"),
        (json!({ "access_token_lifetime": 86_401 }), "access_token_lifetime", "10 to 86400"),
        (json!({ "introspection_clients": ["nobody"] }), "introspection_clients[0]", "register the client first"),
        (json!({ "introspection_clients": ["api", "a b"] }), "introspection_clients[1]", "register the client first"),
        (json!({ "introspection_clients": ["api", "spa"] }), "introspection_clients[1]", "confidential"),
        (json!({ "introspection_clients": ["api", "api"] }), "introspection_clients", "remove the second"),
        (json!({ "scope": "orders:read" }), "scope", "unknown field"),
    ]
}

#[tokio::test]
async fn section_8_each_wrong_member_of_a_resource_server_is_named_with_its_remedy() {
    let app = TestApp::start().await;
    app.api().await;
    let admin = AdminApi::open(&app).await;
    admin
        .create(
            "/clients",
            json!({ "client_id": "spa", "client_name": "A", "redirect_uris": ["https://rp.example/cb"],
                                     "token_endpoint_auth_method": "none" }),
        )
        .await;
    let before = admin.items("/resource-servers").await;
    for (members, member, remedy) in wrong_members() {
        let refused = admin.post("/resource-servers", with(members.clone())).await;
        assert_eq!(refused.refused_members(), [member], "{members}: {}", refused.body);
        let detail = refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(remedy), "{members}: {detail}");
    }
    assert_eq!(admin.items("/resource-servers").await, before);
}

#[tokio::test]
async fn section_8_an_audience_and_a_scope_belong_to_one_resource_server() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin.create("/resource-servers", orders()).await;
    let other = json!({ "audience": "https://stock.example", "name": "Stock", "scopes": ["stock:read"] });
    let other = path(&admin.create("/resource-servers", other).await);
    for (members, word) in [
        (json!({ "scopes": [] }), "audience"),
        (json!({ "audience": "https://third.example", "scopes": ["third:read", "orders:read"] }), "scope"),
    ] {
        let body = with(members);
        for answer in [admin.post("/resource-servers", body.clone()).await, admin.patch(&other, body).await] {
            let detail = answer.problem(409, "conflict")["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(word), "{detail}");
        }
    }
    let shown = admin.show(&other).await;
    assert_eq!((&shown["audience"], &shown["scopes"]), (&json!("https://stock.example"), &json!(["stock:read"])));
}

#[tokio::test]
async fn security_73_the_servers_own_resource_server_is_protected() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let servers = admin.items("/resource-servers").await;
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0]["audience"], "urn:keystead:admin");
    assert_eq!(servers[0]["scopes"], json!(["keystead:admin", "keystead:admin.read"]));
    let own = path(&servers[0]);
    for patch in [
        json!({ "audience": "https://mine.example" }),
        json!({ "scopes": [] }),
        json!({ "signing_algorithm": "RS256" }),
        json!({ "access_token_lifetime": 86_400 }),
        json!({ "introspection_clients": [admin.client.id] }),
        json!({}),
    ] {
        let detail = admin.patch(&own, patch.clone()).await.problem(409, "conflict")["detail"].to_string();
        assert!(detail.contains("urn:keystead:admin"), "{patch}: {detail}");
    }
    admin.delete(&own).await.problem(409, "conflict");
    assert_eq!(admin.items("/resource-servers").await, servers);
}

#[tokio::test]
async fn section_8_algorithm_lifetime_and_audience_count_from_the_next_token() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let server = path(&admin.create("/resource-servers", orders()).await);
    let client = buyer(&admin).await;
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        admin.change(&server, json!({ "signing_algorithm": algorithm })).await;
        assert_eq!(token(&app, &client).await.jose("access_token")["alg"], algorithm);
    }
    admin.change(&server, json!({ "access_token_lifetime": 77, "audience": "urn:example:orders" })).await;
    let given = token(&app, &client).await;
    assert_eq!(
        (&given.0["expires_in"], &given.claims("access_token")["aud"]),
        (&json!(77), &json!(["urn:example:orders"]))
    );
}

#[tokio::test]
async fn security_41_the_right_to_introspect_is_given_and_taken_at_once() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let server = path(&admin.create("/resource-servers", orders()).await);
    let asker = credentials(&admin.create("/clients", service("Orders API")).await);
    let access = token(&app, &buyer(&admin).await).await;
    let active = async || app.post_as("/oauth2/introspect", asker.pair(), &[("token", access.access())]).await.json();
    assert_eq!(active().await, json!({ "active": false }));
    admin.change(&server, json!({ "introspection_clients": [asker.id] })).await;
    assert_eq!(active().await["active"], true);
    admin.change(&server, json!({ "introspection_clients": [] })).await;
    assert_eq!(active().await, json!({ "active": false }));
    admin.change(&server, json!({ "introspection_clients": [asker.id] })).await;
    admin.remove(&format!("/clients/{}", asker.id)).await;
    assert_eq!(admin.show(&server).await["introspection_clients"], json!([]), "who is deleted is not named any more");
}

#[tokio::test]
async fn security_33_a_scope_that_clients_hold_cannot_be_taken_from_under_them() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let server = path(&admin.create("/resource-servers", orders()).await);
    let client = buyer(&admin).await;
    for answer in [
        admin.delete(&server).await,
        admin.patch(&server, json!({ "scopes": ["orders:write"] })).await,
        admin.patch(&server, json!({ "scopes": null })).await,
    ] {
        let detail = answer.problem(409, "conflict")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&client.id) && detail.contains("take them from the clients"), "{detail}");
    }
    admin.change(&server, json!({ "scopes": ["orders:read"] })).await;
    admin.change(&format!("/clients/{}", client.id), json!({ "scope": null })).await;
    admin.remove(&server).await;
    let refused = admin.patch(&format!("/clients/{}", client.id), json!({ "scope": "orders:read" })).await;
    assert_eq!(refused.refused_members(), ["scope"], "a scope that nobody knows any more");
}

#[tokio::test]
async fn security_33_a_scope_that_moves_to_another_api_takes_no_old_authorization_along() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    app.person("pat@example.com").await;
    let server = path(&admin.create("/resource-servers", orders()).await);
    let mut body = web("Shop");
    body["scope"] = json!("openid offline_access orders:read");
    body["grant_types"] = json!(["authorization_code", "refresh_token"]);
    let client = credentials(&admin.create("/clients", body).await);
    let shop = format!("/clients/{}", client.id);
    let scope = "openid offline_access orders:read".to_owned();
    let rp = RelyingParty { scope, ..RelyingParty::web(client) };
    let tokens = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    admin.change(&shop, json!({ "scope": "openid offline_access" })).await;
    admin.remove(&server).await;
    let bank = json!({ "audience": "https://bank.example", "name": "Bank", "scopes": ["orders:read"] });
    admin.create("/resource-servers", bank).await;
    let refreshed = Tokens(rp.refresh(&app, tokens.refresh()).await.json());
    let claims = refreshed.claims("access_token");
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!([ISSUER]), &json!("offline_access openid")));
}

#[tokio::test]
async fn security_21_a_client_and_the_end_of_its_scope_at_the_same_moment_cannot_both_be() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    for _ in 0..10 {
        let server = path(&admin.create("/resource-servers", orders()).await);
        let mut body = service("Buyer");
        body["scope"] = json!("orders:read");
        let (made, removed) = tokio::join!(admin.post("/clients", body), admin.delete(&server));
        match (made.status.as_u16(), removed.status.as_u16()) {
            (201, 409) => {
                admin.remove(&format!("/clients/{}", made.json()["client_id"].as_str().unwrap())).await;
                admin.remove(&server).await;
            }
            (400, 204) => assert_eq!(made.refused_members(), ["scope"]),
            other => panic!("{other:?}: {} {}", made.body, removed.body),
        }
    }
}
