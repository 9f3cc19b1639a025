//! How such clients are kept: whom an operator shuts out, how many there are, and on how many replicas.

use std::sync::Arc;

use keystead::domain::{ClientMetadata, ClientProtocol, RedirectUri};
use keystead::jobs;
use serde_json::json;
use time::Duration as Span;

use super::{Published, REDIRECT_URI, is_login, is_refused, open, open_with};
use crate::support::{AdminApi, Browser, EMAIL, Es256, Operator, TestApp, at_once, web_metadata};

#[tokio::test]
async fn security_46_an_operator_shuts_out_a_client_or_a_host_and_spares_nobody_a_question() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    let rp = client.relying_party();
    let tokens = rp.tokens(&app, &mut Browser::default(), EMAIL).await;
    let admin = AdminApi::open(&app).await;
    let greedy = admin.patch(&client.path(), json!({ "skip_consent": true })).await;
    assert_eq!(greedy.refused_members(), ["skip_consent"]);
    admin.change(&client.path(), json!({ "disabled": true })).await;
    assert!(is_refused(&client.visit(&app).await, "switched off"));
    assert_eq!(rp.refresh(&app, tokens.refresh()).await.error(), "invalid_client");
    for _ in 0..4 {
        app.wait(Span::days(40));
        jobs::remove_expired(&app.engine).await.unwrap();
    }
    assert!(is_refused(&client.visit(&app).await, "switched off"), "for good");
    let app = open_with(|policy| policy.registration.documents.denied_hosts = vec!["127.0.0.1".to_owned()]).await;
    let asked = client.asked();
    assert!(is_refused(&client.visit(&app).await, "no clients from the host"));
    let own = ClientProtocol { metadata_document: true, ..ClientProtocol::default() };
    let metadata = ClientMetadata { protocol: own, ..web_metadata() };
    app.client(&client.id, metadata).await;
    assert_eq!(rp.refresh(&app, "ksr_x").await.error(), "invalid_client", "nor those that were here before");
    assert_eq!(client.asked(), asked);
}

#[tokio::test]
async fn a_client_that_an_operator_registered_under_its_url_is_never_asked_for() {
    let app = TestApp::start().await;
    let client = Published::start().await;
    let mut metadata = web_metadata();
    metadata.redirect_uris = vec![RedirectUri::from_registered(REDIRECT_URI.to_owned())];
    app.client(&client.id, metadata).await;
    assert!(is_login(&client.visit(&app).await));
    let app = open().await;
    app.person(EMAIL).await;
    client.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
    Operator(&app).change_client(&client.id, |m| m.protocol.metadata_document = false).await;
    let asked = client.asked();
    app.wait(Span::days(1));
    assert!(is_login(&client.visit(&app).await), "taken over");
    assert_eq!(client.asked(), asked);
}

#[tokio::test]
async fn what_one_replica_knows_by_its_document_another_one_learns() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    let mut browser = Browser::default();
    let page = browser.open(&app, &client.relying_party().authorization_path(&[])).await;
    let closed = app.replica().await;
    assert!(is_refused(&browser.sign_in(&closed, &page, EMAIL).await, "not registered here"), "it reads no documents");
    let other = app.replica_with(|policy| policy.registration.documents.enabled = true).await;
    let page = browser.open(&app, &client.relying_party().authorization_path(&[])).await;
    let page = browser.sign_in(&other, &page, EMAIL).await;
    let end = browser.submit(&other, &page, "/consent", &[("decision", "allow")]).await;
    assert!(end.location().starts_with(REDIRECT_URI) && client.asked() == 2, "{}", end.body);
}

#[tokio::test]
async fn many_people_who_come_first_make_one_client() {
    let app = Arc::new(open().await);
    app.person(EMAIL).await;
    let rp = Arc::new(Published::start().await.relying_party());
    let pages = at_once(10, |_| {
        let (app, rp) = (Arc::clone(&app), Arc::clone(&rp));
        async move {
            let mut browser = Browser::default();
            let page = browser.open(&app, &rp.authorization_path(&[])).await;
            let page = browser.sign_in(&app, &page, EMAIL).await;
            (browser, page)
        }
    })
    .await;
    let pages = Arc::new(pages);
    let ends = at_once(10, |index| {
        let (app, pages) = (Arc::clone(&app), Arc::clone(&pages));
        async move {
            let (mut browser, page) = (pages[index].0.clone(), &pages[index].1);
            let end = browser.submit(&app, page, "/consent", &[("decision", "allow")]).await;
            (end.location().contains("code="), end.body)
        }
    })
    .await;
    assert!(ends.iter().all(|(done, _)| *done), "{ends:?}");
    assert_eq!((app.sql_count("client_registrations").await, app.events("client.registered").await), (1, 1));
}

#[tokio::test]
async fn places_of_clients_with_documents_are_counted_by_themselves() {
    let app = open_with(|policy| policy.registration.most_clients = 1).await;
    app.person(EMAIL).await;
    let (first, second) = (Published::start().await, Published::start().await);
    let mut browser = Browser::default();
    first.relying_party().tokens(&app, &mut browser, EMAIL).await;
    let answer = browser.authorize(&app, &second.relying_party().authorization_path(&[]), EMAIL).await;
    assert!(answer.location().contains("error=temporarily_unavailable"), "{}", answer.location());
    AdminApi::open(&app).await.remove(&first.path()).await;
    second.relying_party().tokens(&app, &mut browser, EMAIL).await;
}

#[tokio::test]
async fn security_69_a_document_that_the_database_writes_in_another_form_is_no_change() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    let mut jwks = Es256::foreign("k").jwks();
    jwks["keys"][0]["n"] = json!(1e18);
    client.publish("jwks", jwks);
    client.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
    app.engine.reload_all().await.unwrap();
    for _ in 0..3 {
        assert!(is_login(&client.visit(&app).await));
    }
    assert_eq!(app.events("client.updated").await, 0);
}

#[tokio::test]
async fn section_8_2_of_two_replicas_the_one_that_read_last_has_the_last_word() {
    let app = open().await;
    app.person(EMAIL).await;
    let client = Published::start().await;
    client.server.cache("max-age=3600");
    let older = app.replica_with(|policy| policy.registration.documents.enabled = true).await;
    assert!(is_login(&client.visit(&older).await), "it keeps the first document for an hour");
    client.server.cache("max-age=300");
    client.relying_party().tokens(&app, &mut Browser::default(), EMAIL).await;
    client.publish("client_name", json!("Second"));
    app.wait(Span::minutes(10));
    assert!(is_login(&client.visit(&app).await));
    older.engine.reload_all().await.unwrap();
    for replica in [&older, &app, &older] {
        assert!(is_login(&client.visit(replica).await));
    }
    assert_eq!(AdminApi::open(&app).await.show(&client.path()).await["client_name"], "Second");
    assert_eq!(app.events("client.updated").await, 1);
}
