//! RFC 6749: the OAuth 2.0 framework.

use crate::support::{Browser, RelyingParty, TestApp, Tokens};

#[tokio::test]
async fn section_4_1_a_person_signs_in_and_the_client_gets_tokens() {
    let app = TestApp::start().await;
    let user = app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let tokens = rp.tokens(&app, &mut browser, "pat@example.com").await;
    assert_eq!(tokens.claims("id_token")["sub"], user.to_string());
    assert_eq!(tokens.claims("id_token")["nonce"], "the-nonce");
    assert_eq!(tokens.jose("access_token")["typ"], "at+jwt");
    assert!(rp.is_active(&app, tokens.access()).await);
    let info = app.get_as("/oauth2/userinfo", &format!("Bearer {}", tokens.access())).await;
    assert_eq!(info.json()["email"], "pat@example.com");
}

#[tokio::test]
async fn section_6_a_refresh_rotates_and_the_old_token_dies_once_its_successor_was_used() {
    let app = TestApp::start().await;
    app.person("pat@example.com").await;
    let rp = RelyingParty::web(app.web_client().await);
    let first = rp.tokens(&app, &mut Browser::default(), "pat@example.com").await;
    let second = Tokens(rp.refresh(&app, first.refresh()).await.json());
    let again = Tokens(rp.refresh(&app, first.refresh()).await.json());
    assert_eq!(second.refresh(), again.refresh(), "a lost answer is given again");
    let third = Tokens(rp.refresh(&app, second.refresh()).await.json());
    let theft = rp.refresh(&app, first.refresh()).await;
    assert_eq!((theft.error().as_str(), theft.reason().as_str()), ("invalid_grant", "reused"));
    assert_eq!(rp.refresh(&app, third.refresh()).await.error(), "invalid_grant");
    assert!(!rp.is_active(&app, third.access()).await);
}
