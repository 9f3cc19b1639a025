//! OpenID Connect Core 1.0: the authorization endpoint as relying parties meet it.

mod claims;
mod pairwise;
mod prompts;
mod requests;
mod responses;

use crate::support::{Answer, Browser, RelyingParty, TestApp, Tokens, param};

const PAT: &str = "pat@example.com";
const OTHER: &str = "other@example.com";

/// Two people, a web application, and a browser.
async fn scene() -> (TestApp, RelyingParty, Browser) {
    let app = TestApp::start().await;
    for email in [PAT, OTHER] {
        app.person(email).await;
    }
    let rp = RelyingParty::web(app.web_client().await);
    (app, rp, Browser::default())
}

/// The error that an answer carries to the application.
fn error(answer: &Answer) -> Option<String> {
    param(answer.location(), "error")
}

/// Redeems the code of an answer.
async fn redeem(app: &TestApp, rp: &RelyingParty, answer: &Answer) -> Tokens {
    let code = param(answer.location(), "code").unwrap_or_else(|| panic!("{} {}", answer.location(), answer.body));
    let answer = rp.redeem(app, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Tokens(answer.json())
}
