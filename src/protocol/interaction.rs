//! The one dispatcher of a sign-in: which step comes next (OpenID Connect Core §3.1.2.3, §3.1.2.4).

use time::Duration;

use crate::domain::{Client, Consent, Session, Timestamp};

use super::authentication::unmet;
use super::authorize::AuthorizationRequest;
use super::error::{ErrorCode, OAuthError};

/// The next step of an authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Show the sign-in page.
    Login,
    /// Show the consent page.
    Consent,
    /// Answer with a code.
    Issue,
    /// Answer with an error.
    Refuse(OAuthError),
}

/// What is known when the step is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The browser's live session.
    pub session: Option<&'a Session>,
    /// What the client calls the person of that session.
    pub subject: Option<&'a str>,
    /// What the person allowed this client before.
    pub remembered: &'a Consent,
    /// Whether the person has just allowed this very request.
    pub allowed_now: bool,
    /// The time.
    pub now: Timestamp,
}

/// Chooses the next step. Every page records one fact and comes back here; adding a step is one arm and one page.
#[must_use]
pub fn next_step(request: &AuthorizationRequest, client: &Client, facts: Facts<'_>) -> Step {
    let Some(session) = facts.session.filter(|session| signed_in_recently_enough(request, session, facts.now)) else {
        return login(request);
    };
    if !is_expected(request, facts.subject) {
        // §3.1.2.1 id_token_hint, §5.5.1 sub: somebody else is signed in. Ask for the right person once, then give up rather than go round.
        return if is_fresh(request, session) { Step::Refuse(somebody_else()) } else { login(request) };
    }
    if !request.acr.is_met_by(&session.authentication.acr)
        && let Some(step) = step_up(request, session)
    {
        return step;
    }
    if needs_consent(request, client, facts) {
        return if request.prompt.none {
            let sentence = "The person must consent first; repeat the request without prompt=none.";
            Step::Refuse(OAuthError::new(ErrorCode::ConsentRequired, sentence))
        } else {
            Step::Consent
        };
    }
    Step::Issue
}

fn login(request: &AuthorizationRequest) -> Step {
    if request.prompt.none { Step::Refuse(login_required()) } else { Step::Login }
}

fn login_required() -> OAuthError {
    OAuthError::new(ErrorCode::LoginRequired, "The person must sign in first; repeat the request without prompt=none.")
}

fn somebody_else() -> OAuthError {
    OAuthError::new(ErrorCode::LoginRequired, "Another person is signed in than the one whom the request names.")
}

/// Whether the request is about whoever is signed in. No answer may be about another person than the client expects (§3.1.2.2).
fn is_expected(request: &AuthorizationRequest, subject: Option<&str>) -> bool {
    let is = |name: &String| Some(name.as_str()) == subject;
    request.expected_user.as_ref().is_none_or(is)
        && request.subjects.as_ref().is_none_or(|subjects| subjects.iter().any(is))
}

/// The step after a sign-in of another class than the client asks for: once more, and then an error only where the class is essential
/// (§5.5.1.1). A wish is no reason to disturb a silent request.
fn step_up(request: &AuthorizationRequest, session: &Session) -> Option<Step> {
    let essential = request.acr.essential;
    if is_fresh(request, session) {
        return essential.then(|| Step::Refuse(unmet("The sign-in did not reach the acr that the request needs.")));
    }
    (essential || !request.prompt.none).then(|| login(request))
}

/// Whether the person signed in as an answer to this very request.
fn is_fresh(request: &AuthorizationRequest, session: &Session) -> bool {
    session.authentication.auth_time >= request.received_at
}

fn signed_in_recently_enough(request: &AuthorizationRequest, session: &Session, now: Timestamp) -> bool {
    if is_fresh(request, session) {
        return true;
    }
    let again = request.prompt.login || request.prompt.select_account;
    // A clock that jumped back makes a sign-in lie in the future; it is then young enough. Fractions count, so that 0 always asks.
    let age = now - session.authentication.auth_time;
    !again && request.max_age.is_none_or(|most| age <= Duration::seconds(most))
}

fn needs_consent(request: &AuthorizationRequest, client: &Client, facts: Facts<'_>) -> bool {
    if facts.allowed_now {
        return false;
    }
    if request.prompt.consent {
        return true;
    }
    // Not even an operator's word that an application is first-party tells who listens on a loopback port.
    !identity_is_assured(request, client)
        || !(client.metadata.skip_consent || request.consent().is_within(facts.remembered))
}

/// Whether the party that receives the code is known to be the registered client. If it is not, an earlier consent may have been given
/// to somebody else, so it does not count (RFC 8252 §8.6; RFC 9700 §4.13; ASVS 10.7.1).
#[must_use]
pub fn identity_is_assured(request: &AuthorizationRequest, client: &Client) -> bool {
    !client.is_public() || request.redirect_uri.to_redirect_uri().assures_identity()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        ApplicationType, Authentication, ClaimNames, ClientAuthMethod, ClientId, ClientMetadata, Clock, RedirectUri,
        RequestId, RequestedClaims, ResponseMode, Scope, SessionId, UserId,
    };
    use crate::protocol::authentication::RequestedAcr;
    use crate::protocol::authorize::Prompt;
    use crate::protocol::redirect::VerifiedRedirectUri;

    struct Scene {
        request: AuthorizationRequest,
        client: Client,
        session: Option<Session>,
        remembered: Consent,
        allowed_now: bool,
        now: Timestamp,
    }

    impl Scene {
        /// A person signed in a minute ago and allowed all of it before.
        fn quiet() -> Self {
            let now = Clock::System.now();
            let scope = Scope::parse("openid email").unwrap();
            let uri = "https://rp.example/cb";
            let client = Client {
                id: ClientId::parse("c").unwrap(),
                metadata: ClientMetadata {
                    redirect_uris: vec![RedirectUri::register(uri, ApplicationType::Web).unwrap()],
                    ..ClientMetadata::default()
                },
                secrets: Vec::new(),
                disabled_at: None,
                created_at: now,
                updated_at: now,
            };
            let request = AuthorizationRequest {
                id: RequestId(Uuid::nil()),
                received_at: now,
                client_id: "c".into(),
                redirect_uri: VerifiedRedirectUri::match_registered(&client, uri).unwrap(),
                response_mode: ResponseMode::Query,
                state: None,
                nonce: None,
                scope: scope.clone(),
                resources: Vec::new(),
                code_challenge: None,
                dpop_jkt: None,
                prompt: Prompt::default(),
                max_age: None,
                acr: RequestedAcr::default(),
                claims: RequestedClaims::default(),
                subjects: None,
                login_hint: None,
                expected_user: None,
                pushed: false,
            };
            let remembered = Consent { scope, ..Consent::default() };
            let mut scene = Self { request, client, session: None, remembered, allowed_now: false, now };
            scene.sign_in(now - Duration::minutes(1));
            scene
        }

        fn sign_in(&mut self, at: Timestamp) {
            self.session = Some(Session {
                id: SessionId(Uuid::nil()),
                user_id: UserId(Uuid::nil()),
                email: "p@example.com".into(),
                authentication: Authentication { auth_time: at, acr: "aal1".into(), amr: vec!["pwd".into()] },
                created_at: at,
                last_seen_at: at,
                expires_at: at + Duration::days(1),
            });
        }

        fn step(&self) -> Step {
            let facts = Facts {
                session: self.session.as_ref(),
                subject: self.session.as_ref().map(|_| "pat"),
                remembered: &self.remembered,
                allowed_now: self.allowed_now,
                now: self.now,
            };
            next_step(&self.request, &self.client, facts)
        }

        fn refusal(&self) -> Option<ErrorCode> {
            match self.step() {
                Step::Refuse(error) => Some(error.code),
                _ => None,
            }
        }
    }

    #[test]
    fn protocol_09_prompt_none_without_a_session_is_login_required() {
        let mut scene = Scene::quiet();
        scene.session = None;
        assert_eq!(scene.step(), Step::Login);
        scene.request.prompt.none = true;
        assert_eq!(scene.refusal(), Some(ErrorCode::LoginRequired));
    }

    #[test]
    fn protocol_10_prompt_none_with_a_session_and_consent_is_silent() {
        let mut scene = Scene::quiet();
        scene.request.prompt.none = true;
        assert_eq!(scene.step(), Step::Issue);
    }

    #[test]
    fn protocol_11_prompt_login_asks_again_until_the_sign_in_is_newer_than_the_request() {
        let mut scene = Scene::quiet();
        scene.request.prompt.login = true;
        assert_eq!(scene.step(), Step::Login);
        scene.sign_in(scene.now + Duration::seconds(1));
        assert_eq!(scene.step(), Step::Issue);
    }

    #[test]
    fn protocol_12_max_age_asks_again_when_the_sign_in_is_older() {
        let mut scene = Scene::quiet();
        scene.request.max_age = Some(10_000);
        assert_eq!(scene.step(), Step::Issue);
        scene.request.max_age = Some(59);
        assert_eq!(scene.step(), Step::Login);
        scene.request.max_age = Some(0);
        scene.sign_in(scene.now + Duration::seconds(1));
        scene.now += Duration::seconds(30);
        assert_eq!(scene.step(), Step::Issue, "a person who was slow on the consent page is not sent round in circles");
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_make_a_session_old() {
        let mut scene = Scene::quiet();
        scene.request.max_age = Some(5);
        scene.now -= Duration::hours(1);
        scene.request.received_at = scene.now;
        assert_eq!(scene.step(), Step::Issue);
    }

    #[test]
    fn an_id_token_hint_for_somebody_else_asks_once_and_then_refuses() {
        let mut scene = Scene::quiet();
        scene.request.expected_user = Some("somebody else".into());
        assert_eq!(scene.step(), Step::Login);
        scene.sign_in(scene.now + Duration::seconds(1));
        assert_eq!(scene.refusal(), Some(ErrorCode::LoginRequired));
    }

    #[test]
    fn security_15_new_scopes_ask_for_consent_again() {
        let mut scene = Scene::quiet();
        scene.request.scope = Scope::parse("openid email phone").unwrap();
        assert_eq!(scene.step(), Step::Consent);
        scene.allowed_now = true;
        assert_eq!(scene.step(), Step::Issue);
    }

    #[test]
    fn security_15_claims_by_name_ask_for_consent_unless_a_scope_covers_them() {
        let mut scene = Scene::quiet();
        scene.request.claims.userinfo = ClaimNames::of(&["email_verified"]);
        assert_eq!(scene.step(), Step::Issue);
        scene.request.claims.id_token = ClaimNames::of(&["birthdate"]);
        assert_eq!(scene.step(), Step::Consent);
        scene.remembered.claims = ClaimNames::of(&["birthdate"]);
        assert_eq!(scene.step(), Step::Issue);
    }

    #[test]
    fn section_5_5_1_a_sub_of_somebody_else_asks_once_and_then_refuses() {
        let mut scene = Scene::quiet();
        scene.request.subjects = Some(vec!["x".into(), "pat".into()]);
        assert_eq!(scene.step(), Step::Issue);
        for nobody_here in [vec![], vec![Uuid::max().to_string()], vec![String::new()]] {
            scene.request.subjects = Some(nobody_here);
            scene.sign_in(scene.now - Duration::minutes(1));
            assert_eq!(scene.step(), Step::Login);
            scene.sign_in(scene.now + Duration::seconds(1));
            assert_eq!(scene.refusal(), Some(ErrorCode::LoginRequired));
        }
    }

    #[test]
    fn section_5_5_1_1_another_class_asks_once_and_is_refused_only_where_it_is_essential() {
        for (essential, none, first, second) in [
            (false, false, Step::Login, Step::Issue),
            (false, true, Step::Issue, Step::Issue),
            (
                true,
                false,
                Step::Login,
                Step::Refuse(unmet("The sign-in did not reach the acr that the request needs.")),
            ),
        ] {
            let mut scene = Scene::quiet();
            scene.request.acr = RequestedAcr { values: vec!["aal2".into()], essential };
            scene.request.prompt.none = none;
            assert_eq!(scene.step(), first, "{essential} {none}");
            scene.sign_in(scene.now + Duration::seconds(1));
            assert_eq!(scene.step(), second, "{essential} {none}");
            scene.request.acr.values.push("aal1".into());
            assert_eq!(scene.step(), Step::Issue);
        }
    }

    #[test]
    fn security_15_a_public_client_without_an_https_redirect_is_asked_every_time() {
        let mut scene = Scene::quiet();
        let uri = RedirectUri::register("http://127.0.0.1/cb", ApplicationType::Native).unwrap();
        scene.client.metadata.redirect_uris = vec![uri];
        scene.request.redirect_uri =
            VerifiedRedirectUri::match_registered(&scene.client, "http://127.0.0.1/cb").unwrap();
        assert_eq!(scene.step(), Step::Issue, "a confidential client proves itself when it redeems the code");
        scene.client.metadata.token_endpoint_auth_method = ClientAuthMethod::None;
        assert_eq!(scene.step(), Step::Consent);
        scene.request.prompt.none = true;
        assert_eq!(scene.refusal(), Some(ErrorCode::ConsentRequired));
    }

    #[test]
    fn first_party_clients_skip_consent_unless_they_ask_for_it() {
        let mut scene = Scene::quiet();
        scene.remembered = Consent::default();
        scene.client.metadata.skip_consent = true;
        assert_eq!(scene.step(), Step::Issue);
        scene.request.prompt.consent = true;
        assert_eq!(scene.step(), Step::Consent);
    }
}
