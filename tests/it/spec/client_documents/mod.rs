//! Clients whose id is the URL of a document about them: draft-ietf-oauth-client-id-metadata-document-02.

mod kept;

use std::sync::Arc;
use std::time::Duration;

use keystead::flows::Policy;
use serde_json::{Value, json};
use time::Duration as Span;

use crate::support::{
    ASSERTION_TYPE, AdminApi, Answer, Browser, ClientFixture, EMAIL, Es256, Publisher, RelyingParty, TestApp, at_once,
    encode, jwt_part,
};

const REDIRECT_URI: &str = "http://127.0.0.1:7777/cb";

/// A server that takes clients with documents.
async fn open() -> TestApp {
    open_with(|_| {}).await
}

async fn open_with(change: impl FnOnce(&mut Policy)) -> TestApp {
    TestApp::start_with(|policy| {
        policy.registration.documents.enabled = true;
        change(policy);
    })
    .await
}

/// A client and the web server that has its document.
struct Published {
    id: String,
    server: Publisher,
}

impl Published {
    /// An application on the person's device.
    async fn start() -> Self {
        let this = Self::at(Publisher::of("").await);
        this.publish("client_name", json!("Published App"));
        this
    }

    fn at(server: Publisher) -> Self {
        Self { id: server.url("/client.json"), server }
    }

    fn document(&self) -> Value {
        json!({ "client_id": self.id, "client_name": "Published App", "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none" })
    }

    /// The usual document with another value of one member.
    fn publish(&self, member: &str, value: Value) {
        let mut document = self.document();
        document[member] = value;
        self.server.publish(document);
    }

    /// A confidential one that proves itself with this key.
    fn publish_key(&self, key: &Es256) {
        let mut document = self.document();
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks"] = key.jwks();
        self.server.publish(document);
    }

    fn relying_party(&self) -> RelyingParty {
        RelyingParty {
            public: true,
            redirect_uri: REDIRECT_URI.to_owned(),
            scope: "openid profile offline_access".to_owned(),
            ..RelyingParty::web(ClientFixture { id: self.id.clone(), secret: String::new() })
        }
    }

    /// Goes to the client as a browser that nobody has signed in with.
    async fn visit(&self, app: &TestApp) -> Answer {
        Browser::default().open(app, &self.relying_party().authorization_path(&[])).await
    }

    /// How often its server was asked.
    fn asked(&self) -> usize {
        self.server.received().len()
    }

    /// Its path in the admin API.
    fn path(&self) -> String {
        format!("/clients/{}", encode(&self.id))
    }
}

fn is_login(answer: &Answer) -> bool {
    answer.status == 200 && answer.body.contains("id=\"login-submit\"")
}

/// A page of an error, whose sentence holds this, and no way to the client.
fn is_refused(answer: &Answer, sentence: &str) -> bool {
    answer.status == 400 && answer.location().is_empty() && answer.body.contains(sentence)
}

#[tokio::test]
async fn section_5_a_client_describes_itself_by_a_document_and_people_sign_in_to_it() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    let rp = client.relying_party();
    let mut browser = Browser::default();
    let page = browser.open(&app, &rp.authorization_path(&[])).await;
    assert_eq!(app.sql_count("client_registrations").await, 0, "nobody has signed in");
    let page = browser.sign_in(&app, &page, EMAIL).await;
    let host = client.id.strip_prefix("http://").unwrap().strip_suffix("/client.json").unwrap();
    assert!(page.body.contains("Published App") && page.body.contains("id=\"consent-warning\""), "{}", page.body);
    assert!(page.body.contains("id=\"consent-client-host\"") && page.body.contains(host), "whose app it is");
    let tokens = rp.tokens(&app, &mut browser, EMAIL).await;
    assert_eq!(jwt_part(tokens.access(), 1)["client_id"], client.id.as_str());
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.status, 200);
    assert_eq!(client.asked(), 1, "once for all of it");
    let without_pkce = rp.authorization_path(&[("code_challenge", ""), ("code_challenge_method", "")]);
    assert!(browser.open(&app, &without_pkce).await.location().contains("error=invalid_request"), "PKCE is on");
    let admin = AdminApi::open(&app).await;
    assert_eq!(admin.event(&client.id, "client.registered").await["details"]["metadata_document"], true);
    let seen = admin.show(&client.path()).await;
    assert_eq!((&seen["metadata_document"], &seen["registered_openly"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn section_6_discovery_says_whether_documents_are_read_and_a_closed_server_asks_nobody() {
    let name = "client_id_metadata_document_supported";
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        assert_eq!(open().await.get(path).await.json()[name], true);
        assert_eq!(TestApp::start().await.get(path).await.json().get(name), None);
    }
    let (app, client) = (TestApp::start().await, Published::start().await);
    assert!(is_refused(&client.visit(&app).await, "not registered here"));
    assert_eq!(client.asked(), 0);
}

#[tokio::test]
async fn security_69_what_strangers_do_leaves_no_row_behind() {
    let app = open().await;
    let before = app.sql_count("clients").await;
    let client = Published::start().await;
    assert!(is_login(&client.visit(&app).await));
    assert_eq!(client.relying_party().push(&app, &[]).await.status, 201);
    let token = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client.id.as_str())];
    assert_eq!(app.post("/oauth2/token", &token).await.error(), "invalid_grant");
    assert_eq!((app.sql_count("clients").await, client.asked()), (before, 1));
    let (confidential, key) = (Published::at(Publisher::of("").await), Es256::foreign("k"));
    confidential.publish_key(&key);
    assert!(is_login(&confidential.visit(&app).await));
    let assertion = key.assertion(&app, &confidential.id);
    let token =
        [("grant_type", "refresh_token"), ("refresh_token", "x"), ASSERTION_TYPE, ("client_assertion", &assertion)];
    assert_eq!(app.post("/oauth2/token", &token).await.error(), "invalid_grant");
    assert_eq!(app.sql_count("used_proofs").await, 0);
    let unknown = Published::start().await;
    let token = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", unknown.id.as_str())];
    assert_eq!(app.post("/oauth2/token", &token).await.error(), "invalid_client");
    assert_eq!(unknown.asked(), 0, "only who goes to sign in makes this server ask");
}

#[tokio::test]
async fn security_46_section_4_a_document_that_is_not_safe_is_refused_and_nothing_of_it_is_told() {
    let app = open().await;
    let client = Published::start().await;
    let secret = "marker-4711";
    let texts = |uri: &str| json!([format!("{uri}{secret}")]);
    for (member, value) in [
        ("client_id", json!(format!("https://other.example/{secret}"))),
        ("client_secret", json!(secret)),
        ("redirect_uris", texts("https://evil.example/")),
        ("redirect_uris", texts("http://evil.example/")),
        ("redirect_uris", texts("javascript:")),
        ("redirect_uris", json!(secret)),
        ("post_logout_redirect_uris", texts("https://evil.example/")),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", json!(secret)),
        ("application_type", json!(secret)),
        ("client_name", json!({ secret: secret })),
        ("client_name", json!(format!("{secret}\n"))),
        ("grant_types", json!([secret])),
        ("jwks", json!({ "keys": [{ "kty": secret, "kid": secret, "k": secret }] })),
        ("jwks_uri", json!(format!("https://169.254.169.254/{secret}"))),
        ("backchannel_logout_uri", json!(format!("https://10.0.0.1/{secret}"))),
        ("frontchannel_logout_uri", json!(format!("https://evil.example/{secret}"))),
        ("dpop_bound_access_tokens", json!(secret)),
    ] {
        client.publish(member, value);
        let page = client.visit(&app).await;
        assert!(is_refused(&page, "The document at the client_id cannot be used"), "{member}: {}", page.body);
        assert!(page.body.contains(member) && !page.body.contains(secret), "{member}: {}", page.body);
        app.wait(Span::seconds(16));
    }
    client.server.publish(secret);
    assert!(!client.visit(&app).await.body.contains(secret));
}

#[tokio::test]
async fn security_69_section_5_only_a_small_json_answer_of_200_counts() {
    let app = open().await;
    let client = Published::start().await;
    client.server.claim("text/plain");
    assert!(is_refused(&client.visit(&app).await, "Content-Type"));
    client.server.claim("application/ld+json; charset=utf-8");
    app.wait(Span::seconds(16));
    assert!(is_login(&client.visit(&app).await));
    for status in [201, 302, 404, 500] {
        let client = Published::start().await;
        client.server.fail_with(status);
        assert!(is_refused(&client.visit(&app).await, &format!("status {status}")));
    }
    let large = Published::start().await;
    large.publish("tos_uri", json!("x".repeat(5 * 1024)));
    assert!(is_refused(&large.visit(&app).await, "larger than 5120 bytes"));
    for id in ["https://127.0.0.2:1/c", "https://10.0.0.1/c", "https://[::ffff:a00:1]/c", "https://169.254.1.1/c"] {
        let client = Published { id: id.to_owned(), server: large.server.clone() };
        assert!(is_refused(&client.visit(&app).await, "cannot be used"), "{id}");
    }
    for id in ["https://a.example/../c", "https://a.example/c?q", "https://a.example/c#f", "https://u@a.example/c"] {
        let client = Published { id: id.to_owned(), server: large.server.clone() };
        assert!(is_refused(&client.visit(&app).await, "cannot lead to a document"), "{id}");
    }
}

#[tokio::test]
async fn security_69_many_at_once_make_one_request_and_one_source_makes_few() {
    let app = Arc::new(open().await.with_http(|http| http.registrations_per_source_per_hour = 3));
    let client = Arc::new(Published::start().await);
    client.server.take(Duration::from_millis(200));
    let answers = at_once(20, |_| {
        let (app, client) = (Arc::clone(&app), Arc::clone(&client));
        async move { is_login(&client.visit(&app).await) }
    })
    .await;
    assert!(answers.into_iter().all(|fine| fine) && client.asked() == 1);
    for known in [true, true, false, false] {
        let other = Published::start().await;
        let page = other.visit(&app).await;
        assert_eq!((is_login(&page), other.asked()), (known, usize::from(known)));
        assert!(known || is_refused(&page, "Too many clients"), "{}", page.body);
    }
    assert!(is_login(&client.visit(&app).await), "what is known costs nothing");
}

#[tokio::test]
async fn section_5_2_a_document_is_kept_within_bounds_and_a_failure_hardly() {
    let app = open().await;
    let client = Published::start().await;
    for (cache_control, kept) in [("no-store", 300), ("max-age=1", 300), ("private", 600), ("max-age=999999", 3600)] {
        client.server.cache(cache_control);
        app.wait(Span::hours(1));
        let before = client.asked();
        for (later, asked) in [(0, 1), (kept - 1, 1), (1, 2)] {
            app.wait(Span::seconds(later));
            assert!(is_login(&client.visit(&app).await));
            assert_eq!(client.asked() - before, asked, "{cache_control} {later}");
        }
    }
    let broken = Published::start().await;
    broken.publish("client_name", json!(5));
    for (later, asked) in [(0, 1), (14, 1), (1, 2)] {
        app.wait(Span::seconds(later));
        assert!(is_refused(&broken.visit(&app).await, "client_name"));
        assert_eq!(broken.asked(), asked);
    }
    broken.publish("client_name", json!("Mended"));
    app.wait(Span::seconds(15));
    assert!(is_login(&broken.visit(&app).await));
}

#[tokio::test]
async fn section_8_2_what_changes_in_the_document_changes_here_once_it_is_read_again() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    let rp = client.relying_party();
    let tokens = rp.tokens(&app, &mut Browser::default(), EMAIL).await;
    let admin = AdminApi::open(&app).await;
    admin.change(&client.path(), json!({ "access_token_lifetime": 60, "client_name": "Renamed" })).await;
    client.publish("redirect_uris", json!(["http://127.0.0.1:7777/other"]));
    assert!(is_login(&client.visit(&app).await), "what was read is still fresh");
    app.wait(Span::minutes(10));
    assert!(is_refused(&client.visit(&app).await, "redirect_uri"), "the removed one is of no use");
    let admin = AdminApi { token: app.machine_token(&admin.client, "keystead:admin").await, ..admin };
    let seen = admin.show(&client.path()).await;
    assert_eq!(seen["redirect_uris"], json!(["http://127.0.0.1:7777/other"]));
    assert_eq!((&seen["access_token_lifetime"], &seen["client_name"]), (&json!(60), &json!("Published App")));
    let events = admin.events(&client.id).await;
    assert_eq!((&events[0]["name"], &events[0]["actor_id"]), (&json!("client.updated"), &json!(client.id)));
    assert_eq!(events[0]["details"]["changed"], json!(["redirect_uris"]));
    client.server.fail_with(404);
    app.wait(Span::minutes(10));
    assert!(is_refused(&client.visit(&app).await, "status 404"), "nobody new goes to a client that is gone");
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.status, 200, "who was there stays");
}

#[tokio::test]
async fn section_8_2_keys_of_the_document_are_exchanged_without_anybody_signing_in() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::at(Publisher::of("").await);
    let (old, new) = (Es256::foreign("k1"), Es256::foreign("k2"));
    client.publish_key(&old);
    let rp = client.relying_party();
    let code = rp.code(&app, &mut Browser::default(), EMAIL).await;
    let redeem = async |key: &Es256, code: &str| {
        let assertion = key.assertion(&app, &client.id);
        let own = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
        let proof = [("code_verifier", crate::support::VERIFIER), ASSERTION_TYPE, ("client_assertion", &assertion)];
        app.post("/oauth2/token", &[&own[..], &proof[..]].concat()).await
    };
    assert_eq!(redeem(&new, &code).await.error(), "invalid_client");
    assert_eq!(redeem(&old, &code).await.status, 200);
    client.publish_key(&new);
    app.wait(Span::minutes(10));
    assert_eq!(redeem(&old, "ksc_x").await.error(), "invalid_client", "the old key is out");
    assert_eq!(redeem(&new, "ksc_x").await.error(), "invalid_grant");
    client.server.fail_with(503);
    for (later, error) in [(10, "invalid_grant"), (59, "invalid_grant"), (1, "invalid_client")] {
        app.wait(Span::minutes(later));
        assert_eq!(redeem(&new, "ksc_x").await.error(), error, "an outage there is none here, for an hour");
    }
}
