//! Every page that the server can show, for tests of what they have in common.

use axum::body::Body;
use axum::http::{Request, header};
use time::Duration;

use super::device::device_metadata;
use super::{Answer, Browser, RelyingParty, TestApp};

const PAT: &str = "pat@example.com";

type Pages = Vec<(&'static str, Answer)>;

/// A name and the answer for each page.
pub async fn every_page(app: &TestApp) -> Pages {
    app.person(PAT).await;
    let rp = RelyingParty::web(app.web_client().await);
    let mut browser = Browser::default();
    let mut pages = sign_in_pages(app, &rp, &mut browser).await;
    pages.extend(device_pages(app, &mut browser).await);
    pages.extend(logout_pages(app, &mut browser).await);
    pages.extend(error_pages(app, &rp).await);
    pages
}

async fn sign_in_pages(app: &TestApp, rp: &RelyingParty, browser: &mut Browser) -> Pages {
    let wrong = [("username", PAT), ("password", "wrong")];
    let login = browser.open(app, &rp.authorization_path(&[])).await;
    let rejected = browser.submit(app, &login, "/login", &wrong).await;
    let consent = browser.sign_in(app, &login, PAT).await;
    let stale = Browser::default().submit(app, &consent, "/consent", &[("decision", "allow")]).await;
    let elsewhere = browser.post_from_elsewhere(app, "/consent", &[("decision", "allow")]).await;
    browser.submit(app, &consent, "/consent", &[("decision", "allow")]).await;
    let answered = browser.submit(app, &consent, "/consent", &[("decision", "allow")]).await;
    let form_post = browser.open(app, &rp.authorization_path(&[("response_mode", "form_post")])).await;
    let signed_in = browser.get(app, "/login").await;
    let mut stranger = Browser::default();
    let alone = stranger.get(app, "/login").await;
    for _ in 0..10 {
        stranger.submit(app, &alone, "/login", &[("username", "nobody"), ("password", "wrong")]).await;
    }
    let throttled = stranger.submit(app, &alone, "/login", &[("username", "nobody"), ("password", "wrong")]).await;
    vec![
        ("sign-in", login),
        ("sign-in rejected", rejected),
        ("sign-in throttled", throttled),
        ("sign-in without application", alone),
        ("consent", consent),
        ("out of date", stale),
        ("from another site", elsewhere),
        ("answered before", answered),
        ("form_post", form_post),
        ("signed in", signed_in),
    ]
}

async fn device_pages(app: &TestApp, browser: &mut Browser) -> Pages {
    app.client("tv", device_metadata()).await;
    let mut pages = Vec::new();
    for (decision, name) in [("allow", "device connected"), ("deny", "device not connected")] {
        let ask = [("client_id", "tv"), ("scope", "openid email")];
        let codes = app.post("/oauth2/device_authorization", &ask).await.json();
        let typed = [("user_code", codes["user_code"].as_str().unwrap())];
        let field = browser.get(app, "/device").await;
        let wrong = browser.submit(app, &field, "/device", &[("user_code", "x")]).await;
        let confirm = browser.submit(app, &field, "/device", &typed).await;
        let done = browser.submit(app, &confirm, "/device", &[("decision", decision)]).await;
        pages.extend([("device", field), ("device code wrong", wrong), ("device confirmation", confirm), (name, done)]);
    }
    pages
}

async fn logout_pages(app: &TestApp, browser: &mut Browser) -> Pages {
    let confirm = browser.get(app, "/logout").await;
    let refused = browser.get(app, "/oauth2/end_session?post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F").await;
    let signed_out = browser.submit(app, &confirm, "/logout", &[]).await;
    vec![("sign out?", confirm), ("logout refused", refused), ("signed out", signed_out)]
}

async fn error_pages(app: &TestApp, rp: &RelyingParty) -> Pages {
    let mut browser = Browser::default();
    let waiting = browser.get(app, &rp.authorization_path(&[])).await;
    app.wait(Duration::minutes(31));
    let expired = browser.open(app, waiting.location()).await;
    let put = Request::put("/login").body(Body::empty()).unwrap();
    let json = Request::post("/login").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    let long = "x".repeat(70_000);
    vec![
        ("expired", expired),
        ("unknown client", browser.get(app, &rp.authorization_path(&[("client_id", "nobody")])).await),
        (
            "other redirect_uri",
            browser.get(app, &rp.authorization_path(&[("redirect_uri", "https://evil.example")])).await,
        ),
        ("damaged", browser.get(app, "/consent?request=damaged").await),
        ("not found", browser.get(app, "/nowhere").await),
        ("other method", browser.send(app, put).await),
        ("other content type", browser.send(app, json).await),
        ("too large", browser.post(app, "/login", &[("username", &long)]).await),
        ("demo", browser.get(app, "/demo").await),
    ]
}
