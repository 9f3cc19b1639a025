//! RFC 8628: the device authorization grant.

use std::collections::HashSet;

use keystead::domain::{ClientAuthMethod, ClientMetadata, ClientProfile, KeyAlgorithm};
use keystead::jobs;
use time::Duration as Span;

use crate::support::device::{DEVICE_CODE, Television, device_metadata};
use crate::support::{Browser, Operator, ProofKey, Tokens, at_once, form, send, web_metadata};

#[tokio::test]
async fn section_3_2_a_device_gets_two_codes_and_says_where_to_enter_one() {
    let tv = Television::start().await;
    let answer = tv.ask(&[("scope", "openid email")]).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let user_code = body["user_code"].as_str().unwrap();
    assert!(body["device_code"].as_str().unwrap().starts_with("ksd_"));
    assert_eq!(body["device_code"].as_str().unwrap().len(), 4 + 43, "256 bits");
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");
    assert_eq!(body["verification_uri"], "https://id.example/device");
    assert_eq!(body["verification_uri_complete"], format!("https://id.example/device?user_code={user_code}"));
    assert_eq!((&body["expires_in"], &body["interval"]), (&600.into(), &5.into()));
    let discovered = tv.app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovered["device_authorization_endpoint"], "https://id.example/oauth2/device_authorization");
    assert!(discovered["grant_types_supported"].as_array().unwrap().contains(&DEVICE_CODE.into()));
}

#[tokio::test]
async fn section_3_3_a_person_enters_the_code_signs_in_and_the_device_gets_its_tokens() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email offline_access").await;
    assert_eq!(tv.poll(&codes).await.error(), "authorization_pending");
    let page = tv.enter(&codes.user().to_lowercase().replace('-', " ")).await;
    for shown in ["The tv app", codes.user(), "you started it yourself", "pat@example.com", "See your e-mail address"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let done = tv.browser.submit(&tv.app, &page, "/device", &[("decision", "allow")]).await;
    assert!(done.shows("device-allowed"), "{}", done.body);
    tv.app.wait(Span::seconds(5));
    let tokens = Tokens::of(&tv.poll(&codes).await);
    assert_eq!(tokens.claims("id_token")["sub"], tv.user.to_string());
    assert_eq!(tokens.text("scope"), "email offline_access openid");
    assert!(tv.works(&tokens).await);
    let refreshed = Tokens::of(&tv.rp.refresh(&tv.app, tokens.refresh()).await);
    assert!(tv.works(&refreshed).await);
    assert_eq!(tv.app.events("device.allowed").await, 1);
}

#[tokio::test]
async fn section_3_1_scope_is_bounded_by_the_registration_and_the_client_by_its_grants() {
    let tv = Television::start().await;
    assert_eq!(tv.ask(&[("scope", "openid api:read")]).await.error(), "invalid_scope");
    assert_eq!(tv.ask(&[("resource", "https://unknown.example")]).await.error(), "invalid_target");
    let twice = [("scope", "openid"), ("scope", "email")];
    assert_eq!(tv.ask(&twice).await.error(), "invalid_request");
    let method = ClientAuthMethod::None;
    let other = ClientMetadata { token_endpoint_auth_method: method, ..web_metadata() };
    let other = tv.app.client("other", other).await;
    let answer = tv.app.post("/oauth2/device_authorization", &[("client_id", &other.id)]).await;
    assert_eq!(answer.error(), "unauthorized_client");
    let poll = [("grant_type", DEVICE_CODE), ("client_id", "other"), ("device_code", "ksd_x")];
    assert_eq!(tv.app.post("/oauth2/token", &poll).await.error(), "unauthorized_client");
    assert_eq!(tv.app.sql_count("device_authorizations").await, 0);
}

#[tokio::test]
async fn a_device_of_profile_mcp_names_the_server_that_its_token_is_for() {
    let tv = Television::start().await;
    Operator(&tv.app).change_client(&tv.rp.client.id, |m| m.protocol.profile = ClientProfile::Mcp).await;
    let answer = tv.ask(&[("scope", "openid")]).await;
    assert_eq!(answer.error(), "invalid_target", "{}", answer.body);
    assert_eq!(tv.app.sql_count("device_authorizations").await, 0);
}

#[tokio::test]
async fn the_page_warns_of_a_device_whose_client_registered_openly() {
    let mut tv = Television::start().await;
    const WARNING: &str = "We cannot verify who made this app.";
    for openly in [false, true] {
        Operator(&tv.app).change_client(&tv.rp.client.id, |m| m.protocol.registered_openly = openly).await;
        let codes = tv.codes("openid").await;
        let page = tv.enter(codes.user()).await;
        assert_eq!(page.body.contains(WARNING), openly, "{}", page.body);
    }
}

#[tokio::test]
async fn security_26_a_confidential_device_client_must_authenticate() {
    let tv = Television::with(ClientMetadata {
        token_endpoint_auth_method: ClientAuthMethod::ClientSecretBasic,
        ..device_metadata()
    })
    .await;
    for params in
        [vec![("client_id", "tv")], vec![("client_id", "tv"), ("client_secret", &tv.rp.client.secret)], vec![]]
    {
        let answer = tv.app.post("/oauth2/device_authorization", &params).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{params:?}");
    }
    assert_eq!(tv.ask(&[]).await.status, 200);
}

#[tokio::test]
async fn section_3_5_a_device_that_asks_too_often_is_slowed_down() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid").await;
    let asked = async |seconds: i64, expected: &str| {
        tv.app.wait(Span::seconds(seconds));
        assert_eq!(tv.poll(&codes).await.error(), expected, "after {seconds} s");
    };
    asked(0, "authorization_pending").await;
    asked(5, "authorization_pending").await;
    asked(3, "slow_down").await;
    asked(5, "slow_down").await;
    asked(10, "slow_down").await;
    asked(20, "authorization_pending").await;
    asked(4, "slow_down").await;
    tv.decide(&codes, "allow").await;
    assert_eq!(tv.poll(&codes).await.error(), "slow_down", "not even once it is allowed");
    tv.app.wait(Span::seconds(30));
    assert_eq!(tv.poll(&codes).await.status, 200);
}

#[tokio::test]
async fn section_3_5_a_refusal_and_an_expiry_are_told() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid").await;
    let done = tv.decide(&codes, "deny").await;
    assert!(done.shows("device-denied"), "{}", done.body);
    assert_eq!(tv.poll(&codes).await.error(), "access_denied");
    assert_eq!(tv.app.sql_count("grants").await, 0);
    let late = tv.codes("openid").await;
    let allowed = tv.codes("openid").await;
    tv.decide(&allowed, "allow").await;
    tv.app.wait(Span::minutes(10));
    assert_eq!(tv.poll(&late).await.error(), "expired_token");
    assert_eq!(tv.poll(&allowed).await.error(), "expired_token", "an answer lives no longer than the question");
    assert!(tv.enter(late.user()).await.shows("user-code-error"));
}

#[tokio::test]
async fn security_21_of_50_polls_at_once_one_gets_tokens_and_a_used_code_gets_none() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    tv.decide(&codes, "allow").await;
    let params = [("grant_type", DEVICE_CODE), ("client_id", "tv"), ("device_code", codes.device())];
    let answers = at_once(50, |_| {
        let (router, request) = (tv.app.public.clone(), form("/oauth2/token", &params));
        async move { send(&router, request).await }
    })
    .await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1);
    tv.app.wait(Span::minutes(9));
    let again = tv.poll(&codes).await;
    assert_eq!((again.error().as_str(), again.json()["error_reason"].as_str()), ("invalid_grant", Some("used")));
    assert!(tv.works(&Tokens::of(won[0])).await, "a device whose answer was lost is not a thief");
}

#[tokio::test]
async fn security_21_of_50_polls_at_once_one_redeems_even_where_nobody_minds_the_interval() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    tv.decide(&codes, "allow").await;
    // The first guard gone, the second one is left.
    let lift = "ALTER TABLE device_authorizations DROP CONSTRAINT device_authorizations_poll_interval_check;
                UPDATE device_authorizations SET poll_interval = -3600";
    sqlx::raw_sql(lift).execute(tv.app.engine.store.pool()).await.unwrap();
    let params = [("grant_type", DEVICE_CODE), ("client_id", "tv"), ("device_code", codes.device())];
    let answers = at_once(50, |_| {
        let (router, request) = (tv.app.public.clone(), form("/oauth2/token", &params));
        async move { send(&router, request).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.error() == "invalid_grant").count(), 49);
}

#[tokio::test]
async fn security_44_another_client_gets_nothing_and_disturbs_nothing() {
    let mut tv = Television::start().await;
    tv.app.client("thief", device_metadata()).await;
    let codes = tv.codes("openid email").await;
    let steal = [("grant_type", DEVICE_CODE), ("client_id", "thief"), ("device_code", codes.device())];
    let unknown = [("grant_type", DEVICE_CODE), ("client_id", "thief"), ("device_code", "ksd_unknown")];
    let nothing = tv.app.post("/oauth2/token", &unknown).await;
    for _ in 0..3 {
        let refused = tv.app.post("/oauth2/token", &steal).await;
        assert_eq!((refused.error().as_str(), &refused.body), ("invalid_grant", &nothing.body));
    }
    tv.decide(&codes, "allow").await;
    assert_eq!(tv.app.post("/oauth2/token", &steal).await.error(), "invalid_grant");
    assert_eq!(tv.poll(&codes).await.status, 200, "and its own client is not slowed down by it");
}

#[tokio::test]
async fn security_44_the_complete_address_fills_in_and_takes_no_step() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    tv.enter(codes.user()).await;
    let link = codes.0["verification_uri_complete"].as_str().unwrap().to_owned();
    let page = tv.browser.open(&tv.app, &link).await;
    assert_eq!(page.attribute("user-code", "value"), codes.user());
    assert!(!page.shows("consent-allow") && !page.body.contains("The tv app"), "{}", page.body);
    let unknown = tv.browser.open(&tv.app, "/device?user_code=BBBB-BBBB").await;
    assert_eq!(unknown.status, page.status, "it is not even looked up");
    // The address of the next page, opened in another browser, only fills in as well.
    let entered = tv.browser.filled_in(&page, "/device", &[("user_code", codes.user())]);
    let next = tv.browser.send(&tv.app, entered).await.location().to_owned();
    assert!(tv.browser.get(&tv.app, &next).await.shows("consent-allow"));
    let victim = Browser::default().open(&tv.app, &next).await;
    assert!(victim.shows("user-code") && !victim.shows("login-submit"), "{}", victim.body);
    assert_eq!(tv.poll(&codes).await.error(), "authorization_pending");
}

#[tokio::test]
async fn security_13_no_form_of_the_device_pages_works_without_its_token() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    let page = tv.enter(codes.user()).await;
    let request = page.hidden("request");
    let field = tv.browser.get(&tv.app, "/device").await;
    let code_token = field.hidden("csrf_token");
    for token in ["", "x", &code_token] {
        let forged = [("csrf_token", token), ("request", &request), ("decision", "allow")];
        assert_eq!(tv.browser.post(&tv.app, "/device", &forged).await.status, 403, "{token}");
    }
    let forged = [("csrf_token", page.hidden("csrf_token")), ("user_code", codes.user().to_owned())];
    let forged = forged.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(tv.browser.post(&tv.app, "/device", &forged).await.status, 403);
    let right = [("csrf_token", page.hidden("csrf_token")), ("request", request), ("decision", "allow".to_owned())];
    let right = right.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(tv.browser.post_from_elsewhere(&tv.app, "/device", &right).await.status, 403);
    assert_eq!(tv.poll(&codes).await.error(), "authorization_pending");
}

#[tokio::test]
async fn security_44_after_20_wrong_user_codes_even_the_right_one_waits() {
    for signed_in in [false, true] {
        let mut tv = Television::start().await;
        let codes = tv.codes("openid email").await;
        if signed_in {
            assert!(tv.enter(codes.user()).await.shows("consent-allow"));
        }
        for n in 0..20 {
            let wrong = tv.enter("BBBB-BBBB").await;
            assert_eq!((wrong.status.as_u16(), wrong.shows("user-code-error")), (400, true), "{n}");
        }
        let blocked = tv.enter(codes.user()).await;
        assert_eq!(blocked.status, 429, "{}", blocked.body);
        assert!(blocked.body.contains("Too many wrong codes") && !blocked.header("retry-after").is_empty());
        tv.app.wait(Span::minutes(9));
        assert_eq!(tv.enter(codes.user()).await.status, 429);
        tv.app.wait(Span::minutes(2));
        let fresh = tv.codes("openid email").await;
        assert!(tv.enter(fresh.user()).await.shows("consent-allow"), "for a while, not for ever");
    }
}

#[tokio::test]
async fn security_44_an_account_cannot_guess_from_many_addresses_or_replicas() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    tv.enter(codes.user()).await;
    let field = tv.browser.get(&tv.app, "/device").await;
    for n in 0..21 {
        let mut guess = tv.browser.filled_in(&field, "/device", &[("user_code", "BBBB-BBBB")]);
        let peer: std::net::SocketAddr = format!("198.51.100.{n}:1").parse().unwrap();
        guess.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        assert_eq!(tv.browser.send(&tv.app, guess).await.status, if n < 20 { 400 } else { 429 }, "{n}");
    }
    let replica = tv.app.replica().await;
    assert_eq!(tv.browser.submit(&replica, &field, "/device", &[("user_code", codes.user())]).await.status, 429);
}

#[tokio::test]
async fn security_44_what_ends_before_the_device_comes_ends_its_code() {
    for end in ["lock", "sign-out", "disable", "browser"] {
        let mut tv = Television::start().await;
        let codes = tv.codes("openid email").await;
        tv.decide(&codes, "allow").await;
        match end {
            "lock" => Operator(&tv.app).lock(tv.user).await,
            "sign-out" => Operator(&tv.app).sign_out_everywhere(tv.user).await,
            "disable" => {
                Operator(&tv.app).disable_client("tv", true).await;
                assert_eq!(tv.poll(&codes).await.error(), "invalid_client");
                Operator(&tv.app).disable_client("tv", false).await;
            }
            _ => {
                let page = tv.browser.get(&tv.app, "/logout").await;
                tv.browser.submit(&tv.app, &page, "/logout", &[]).await;
            }
        }
        assert_eq!(tv.poll(&codes).await.error(), "invalid_grant", "{end}");
    }
}

#[tokio::test]
async fn security_44_the_tokens_of_a_device_end_as_all_others_do() {
    let mut tv = Television::start().await;
    let tied = tv.tokens("openid email").await;
    let lasting = tv.tokens("openid email offline_access").await;
    let page = tv.browser.get(&tv.app, "/logout").await;
    tv.browser.submit(&tv.app, &page, "/logout", &[]).await;
    assert!(!tv.works(&tied).await, "without offline_access it goes with the browser session");
    assert!(tv.works(&lasting).await);
    tv.app.post("/oauth2/revoke", &[("client_id", "tv"), ("token", lasting.refresh())]).await;
    assert!(!tv.works(&lasting).await);
}

#[tokio::test]
async fn security_38_codes_of_devices_are_not_in_the_database_and_rows_do_not_stay() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    let other = tv.codes("openid").await;
    tv.decide(&codes, "allow").await;
    let dump = tv.app.dump().await;
    assert!(dump.contains("device_authorizations "));
    let bare = codes.user().replace('-', "");
    let hash = keystead::crypto::sha256(bare.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
    for secret in [codes.device(), &codes.device()[4..], codes.user(), &bare, &hash] {
        assert!(!dump.contains(secret), "{secret}");
    }
    let distinct: HashSet<&str> = [codes.user(), other.user(), codes.device(), other.device()].into();
    assert_eq!(distinct.len(), 4);
    tv.app.wait(Span::minutes(26));
    jobs::remove_expired(&tv.app.engine).await.unwrap();
    assert_eq!(tv.app.sql_count("device_authorizations").await, 0);
}

#[tokio::test]
async fn a_user_code_outlives_a_rotation_of_the_mac_key() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email").await;
    tv.app.wait(Span::seconds(1));
    Operator(&tv.app).rotate(KeyAlgorithm::HmacSha256).await;
    tv.app.wait(Span::minutes(6));
    tv.decide(&codes, "allow").await;
    assert_eq!(tv.poll(&codes).await.status, 200);
}

#[tokio::test]
async fn security_34_a_device_that_proves_a_key_gets_tokens_that_are_bound_to_it() {
    let mut tv = Television::start().await;
    let codes = tv.codes("openid email offline_access").await;
    tv.decide(&codes, "allow").await;
    let (key, other) = (ProofKey::generate(), ProofKey::generate());
    let poll = [("grant_type", DEVICE_CODE), ("device_code", codes.device())];
    let answer = tv.rp.token_with(&tv.app, &[&key.proof(&tv.app)], &poll).await;
    let tokens = Tokens::of(&answer);
    assert_eq!(tokens.text("token_type"), "DPoP");
    assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], key.jkt());
    assert!(!tv.works(&tokens).await, "it is no bearer token");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
    let stolen = tv.rp.token_with(&tv.app, &[&other.proof(&tv.app)], &refresh).await;
    assert_eq!(stolen.status, 400, "{}", stolen.body);
    assert_eq!(tv.rp.token_with(&tv.app, &[&key.proof(&tv.app)], &refresh).await.status, 200);
}
