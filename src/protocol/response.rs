//! The authorization response: what it says, and by which mode it reaches the client (RFC 6749 §4.1.2, RFC 9207, Form Post Response Mode, JARM).

use serde_json::{Map, Value};
use time::Duration;

use crate::domain::{Client, ClientId, ResponseMode, Timestamp};

use super::authorize::{AuthorizationRequest, RedirectedError};
use super::claims::numeric_date;
use super::error::OAuthError;
use super::params::Params;
use super::redirect::VerifiedRedirectUri;

/// JOSE `typ` of a signed answer. It has no `sub`, so nothing takes it for an ID token.
pub const RESPONSE_TYPE: &str = "JWT";

/// How long a signed answer is good (JARM §2.1 recommends ten minutes at most). It only has to travel through one browser.
const SIGNED_LIFETIME: Duration = Duration::minutes(5);

/// What a client is told at the end of its authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// Where it goes.
    pub to: VerifiedRedirectUri,
    /// How it gets there.
    pub mode: ResponseMode,
    params: Vec<(&'static str, String)>,
}

impl AuthorizationResponse {
    /// A code.
    #[must_use]
    pub fn code(request: &AuthorizationRequest, code: &str) -> Self {
        let params = with_state(vec![("code", code.to_owned())], request.state.as_deref());
        Self { to: request.redirect_uri.clone(), mode: request.response_mode, params }
    }

    /// An error.
    #[must_use]
    pub fn error(redirected: &RedirectedError) -> Self {
        let RedirectedError { to, mode, state, error } = redirected;
        let params = vec![("error", error.code.as_str().to_owned()), ("error_description", error.description.clone())];
        Self { to: to.clone(), mode: *mode, params: with_state(params, state.as_deref()) }
    }

    /// The parameters of an answer that is not signed. RFC 9207: `iss` lets the client tell which server answered, so that answers of two
    /// servers cannot be mixed up.
    #[must_use]
    pub fn plain(&self, issuer: &str) -> Vec<(&'static str, String)> {
        let mut params = self.params.clone();
        params.push(("iss", issuer.to_owned()));
        params
    }

    /// The claims of a signed answer (JARM §2.1).
    #[must_use]
    pub fn claims(&self, issuer: &str, client: &ClientId, now: Timestamp) -> Map<String, Value> {
        let mut claims: Map<String, Value> =
            self.params.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        claims.insert("iss".into(), issuer.into());
        claims.insert("aud".into(), client.as_str().into());
        claims.insert("exp".into(), numeric_date(now + SIGNED_LIFETIME).into());
        claims
    }
}

fn with_state(mut params: Vec<(&'static str, String)>, state: Option<&str>) -> Vec<(&'static str, String)> {
    params.extend(state.map(|state| ("state", state.to_owned())));
    params
}

/// The mode that a request asks for.
///
/// # Errors
/// `invalid_request`: a mode that is unknown, not the client's, or that cannot reach the redirect URI.
pub fn judge_mode(client: &Client, to: &VerifiedRedirectUri, asked: Option<&str>) -> Result<ResponseMode, OAuthError> {
    let protocol = &client.metadata.protocol;
    let mode = match asked {
        None => protocol.usual_response_mode(),
        Some(text) => ResponseMode::of_request(text).ok_or_else(|| {
            OAuthError::invalid_request(
                "response_mode must be query, form_post, jwt, query.jwt or form_post.jwt, or be left out.",
            )
        })?,
    };
    if !protocol.allows(mode) {
        return Err(OAuthError::invalid_request(format!(
            "The response_mode {} is not among the response_modes that are registered for this client.",
            mode.as_str()
        )));
    }
    if mode.is_posted() && !to.is_web() {
        return Err(OAuthError::invalid_request(
            "A browser posts forms to http and https only; use the response_mode query or query.jwt for this redirect_uri.",
        ));
    }
    Ok(mode)
}

/// The mode of errors, which must reach the client also where the mode itself is wrong: the one that was asked for, if it can be used.
#[must_use]
pub fn mode_of_errors(client: &Client, to: &VerifiedRedirectUri, params: &Params) -> ResponseMode {
    let asked = params.one("response_mode").ok().flatten();
    judge_mode(client, to, asked).unwrap_or_else(|_| match client.metadata.protocol.usual_response_mode() {
        ResponseMode::FormPost if !to.is_web() => ResponseMode::Query,
        ResponseMode::FormPostJwt if !to.is_web() => ResponseMode::QueryJwt,
        usual => usual,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApplicationType, ClientMetadata, ClientProtocol, Clock, RedirectUri};

    fn client(uri: &str, response_modes: Option<Vec<ResponseMode>>) -> (Client, VerifiedRedirectUri) {
        let now = Clock::System.now();
        let client = Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata {
                redirect_uris: vec![RedirectUri::register(uri, ApplicationType::Native).unwrap()],
                protocol: ClientProtocol { response_modes, ..ClientProtocol::default() },
                ..ClientMetadata::default()
            },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        let to = VerifiedRedirectUri::match_registered(&client, uri).unwrap();
        (client, to)
    }

    #[test]
    fn a_mode_is_read_by_its_exact_name_and_jwt_means_query_jwt() {
        let (client, to) = client("https://rp.example/cb", None);
        let judged = |text| judge_mode(&client, &to, text).ok();
        for mode in ResponseMode::ALL {
            assert_eq!(judged(Some(mode.as_str())), Some(*mode));
        }
        assert_eq!(judged(None), Some(ResponseMode::Query));
        assert_eq!(judged(Some("jwt")), Some(ResponseMode::QueryJwt));
        for text in ["fragment", "fragment.jwt", "web_message", "Query", "query ", "form_post,query"] {
            assert_eq!(judged(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn security_73_a_client_is_answered_only_in_its_own_modes() {
        use ResponseMode::{FormPost, FormPostJwt, Query, QueryJwt};
        for (modes, usual) in [
            (vec![QueryJwt], QueryJwt),
            (vec![FormPostJwt, QueryJwt], FormPostJwt),
            (vec![FormPost, Query], Query),
            (vec![Query], Query),
        ] {
            let (client, to) = client("https://rp.example/cb", Some(modes.clone()));
            assert_eq!(judge_mode(&client, &to, None).unwrap(), usual);
            for mode in ResponseMode::ALL {
                let is_allowed = modes.contains(mode);
                assert_eq!(judge_mode(&client, &to, Some(mode.as_str())).is_ok(), is_allowed, "{modes:?} {mode:?}");
                let params = Params::parse(&[&format!("response_mode={}", mode.as_str())]).unwrap();
                let errors = mode_of_errors(&client, &to, &params);
                assert_eq!(errors, if is_allowed { *mode } else { usual }, "{modes:?} {mode:?}");
            }
        }
    }

    #[test]
    fn no_form_is_posted_to_an_application_that_only_listens_for_addresses() {
        for modes in [None, Some(vec![ResponseMode::FormPost, ResponseMode::FormPostJwt])] {
            let (client, to) = client("com.example.app:/cb", modes);
            for (mode, instead) in [("form_post", ResponseMode::Query), ("form_post.jwt", ResponseMode::Query)] {
                assert!(judge_mode(&client, &to, Some(mode)).is_err());
                let params = Params::parse(&[&format!("response_mode={mode}")]).unwrap();
                assert_eq!(mode_of_errors(&client, &to, &params), instead, "{mode}");
            }
        }
        let (loopback, to) = client("http://127.0.0.1/cb", None);
        assert!(judge_mode(&loopback, &to, Some("form_post")).is_ok());
    }

    #[test]
    fn protocol_63_a_signed_answer_names_issuer_audience_and_a_near_end() {
        let (client, to) = client("https://rp.example/cb", None);
        let now = Clock::System.now();
        let error = OAuthError::invalid_request("No.");
        let redirected = RedirectedError { to, mode: ResponseMode::QueryJwt, state: Some("s\"".into()), error };
        let answer = AuthorizationResponse::error(&redirected);
        let expected = serde_json::json!({
            "error": "invalid_request", "error_description": "No.", "state": "s\"",
            "iss": "https://id.example", "aud": "c", "exp": numeric_date(now) + 300,
        });
        assert_eq!(Value::Object(answer.claims("https://id.example", &client.id, now)), expected);
        assert_eq!(answer.plain("https://id.example").last(), Some(&("iss", "https://id.example".to_owned())));
    }
}
