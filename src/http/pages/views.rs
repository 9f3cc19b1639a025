//! What each page shows: one struct a template, filled by the handlers and escaped by askama.
//!
//! Owns the fields of the pages and nothing else. It does not choose a page, word an error, set a
//! header or make a token; all text arrives ready for the reader's eyes. None of the structs has
//! `Debug`, because some carry a CSRF token or a sealed request.

use askama::Template;

/// The application that a person is signing in to, as its registration describes it.
///
/// Every URI must be `https` (or `http` on loopback): the pages put them into links as they are.
pub struct ClientView {
    /// Name for people, `client_name` of RFC 7591 §2. Never trusted: shown as text, isolated from
    /// the direction of the surrounding script.
    pub name: String,
    /// Home page of the application.
    pub uri: Option<String>,
    /// Logo. A letter stands in when there is none or when it cannot be loaded.
    pub logo_uri: Option<String>,
    /// How the application uses what it is told about a person.
    pub policy_uri: Option<String>,
    /// Terms of service.
    pub tos_uri: Option<String>,
}

impl ClientView {
    /// The letter that stands in for a logo, empty when the name has no letter or digit.
    #[must_use]
    pub fn initial(&self) -> String {
        self.name
            .chars()
            .find(|letter| letter.is_alphanumeric())
            .map(|letter| letter.to_uppercase().collect())
            .unwrap_or_default()
    }

    /// Whether the application has any link to show.
    #[must_use]
    pub fn has_links(&self) -> bool {
        self.uri.is_some() || self.policy_uri.is_some() || self.tos_uri.is_some()
    }
}

/// A way onwards from a page that is an end otherwise.
pub struct LinkView {
    /// Where it leads.
    pub href: String,
    /// What it says, for example "Back to Acme".
    pub label: String,
}

/// One thing that an application asks for, in plain words.
pub struct ScopeView {
    /// The scope value, for example `email`. Chooses the icon; not shown.
    pub name: String,
    /// What is shared, in a few words.
    pub title: String,
    /// What exactly that means, in a sentence.
    pub detail: String,
}

/// The sign-in page, `GET /login`. Its form posts `csrf_token`, `request`, `username` and
/// `password` to `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct Login {
    /// The application to continue to; none when signing in to Keystead itself.
    pub client: Option<ClientView>,
    /// CSRF token, sent back as `csrf_token`.
    pub csrf: String,
    /// The sealed authorization request, sent back as `request`.
    pub request: String,
    /// Prefilled user name, empty when nobody is known.
    pub username: String,
    /// What went wrong with the last attempt and what to do about it.
    pub error: Option<String>,
    /// Where to go without signing in: back to the application.
    pub back: Option<String>,
}

/// The consent page, `GET /consent`. Its form posts `csrf_token`, `request` and `decision`
/// (`allow` or `deny`) to `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// The application that asks.
    pub client: ClientView,
    /// Where its document is, if that is all that is known of it: host, and port where there is one.
    pub client_host: Option<String>,
    /// Who is signed in.
    pub username: String,
    /// What it asks for.
    pub scopes: Vec<ScopeView>,
    /// Host, and port where there is one, that the answer is sent to.
    pub redirect_host: String,
    /// Nothing assures who made this application, so the page warns.
    pub unverified: bool,
    /// Where somebody else can sign in instead.
    pub switch_href: String,
    /// CSRF token, sent back as `csrf_token`.
    pub csrf: String,
    /// The sealed authorization request, sent back as `request`.
    pub request: String,
}

/// Where a person enters the code that a device shows, `GET /device`. Its form posts `csrf_token` and `user_code` to `/device`.
#[derive(Template)]
#[template(path = "device.html")]
pub struct Device {
    /// What stands in the field; the person submits it, never the page.
    pub user_code: String,
    /// Why the last code led nowhere.
    pub error: Option<String>,
    /// CSRF token, sent back as `csrf_token`.
    pub csrf: String,
}

/// Who asks for what by a device. Its form posts `csrf_token`, `request` and `decision` (`allow` or `deny`) to `/device`.
#[derive(Template)]
#[template(path = "device_confirm.html")]
pub struct DeviceConfirm {
    /// The application on the device.
    pub client: ClientView,
    /// Who is signed in.
    pub username: String,
    /// What it asks for.
    pub scopes: Vec<ScopeView>,
    /// The code, to be compared with what the device shows.
    pub user_code: String,
    /// Whether nobody has looked at who the application is.
    pub unverified: bool,
    /// Whether the device loses its access when the person signs out in this browser.
    pub ends_with_session: bool,
    /// CSRF token, sent back as `csrf_token`.
    pub csrf: String,
    /// The sealed code, sent back as `request`.
    pub request: String,
}

/// The end of a device's request in the browser.
#[derive(Template)]
#[template(path = "device_done.html")]
pub struct DeviceDone {
    /// The application on the device.
    pub client_name: String,
    /// What was decided.
    pub allowed: bool,
}

/// The answer to an application that takes it as a form (Form Post Response Mode). It posts itself.
#[derive(Template)]
#[template(path = "form_post.html")]
pub struct FormPost {
    /// Host, and port where there is one, that the answer is sent to.
    pub host: String,
    /// The redirect URI.
    pub action: String,
    /// Names and values of the answer.
    pub fields: Vec<(&'static str, String)>,
    /// Names the page's script in its Content-Security-Policy.
    pub nonce: String,
}

/// A page that ends a request that cannot go on.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// A few words, used as heading and as title.
    pub title: String,
    /// What happened.
    pub sentence: String,
    /// What to do next.
    pub advice: String,
    /// The machine-readable code, for example `invalid_request`.
    pub code: String,
    /// The id under which the log knows this request.
    pub correlation_id: String,
    /// A way back, when one is known to be safe.
    pub back: Option<LinkView>,
}

/// Asks before somebody is signed out. Its form posts `csrf_token` and `request` to `/logout`.
#[derive(Template)]
#[template(path = "logout_confirm.html")]
pub struct LogoutConfirm {
    /// Who is signed in, when that is known.
    pub username: Option<String>,
    /// The application that asks for the logout, when it is known.
    pub client_name: Option<String>,
    /// CSRF token, sent back as `csrf_token`.
    pub csrf: String,
    /// The sealed logout request, sent back as `request`.
    pub request: String,
}

/// A logout that an application asked for and that was refused.
#[derive(Template)]
#[template(path = "logout_refused.html")]
pub struct LogoutRefused {
    /// Why.
    pub sentence: String,
    /// The machine-readable code, for example `invalid_request`.
    pub code: String,
    /// The id under which the log knows this request.
    pub correlation_id: String,
}

/// The end of a logout.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// Where the browser goes by itself once the frames are loaded.
    pub next: Option<LinkView>,
    /// Addresses that tell applications of it, loaded unseen.
    pub frames: Vec<String>,
}

/// Shown to somebody who signed in to Keystead itself, without an application.
#[derive(Template)]
#[template(path = "signed_in.html")]
pub struct SignedIn {
    /// Who is signed in.
    pub username: String,
}

/// The demo application of `keystead dev`, at `/demo` and `/demo/callback`.
#[derive(Template)]
#[template(path = "demo.html")]
pub struct Demo {
    /// Issuer that the page signs in with.
    pub issuer: String,
    /// Public client that the page signs in as.
    pub client_id: String,
}
