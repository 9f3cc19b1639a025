//! How a client wants the person to be signed in: `prompt`, `max_age`, `login_hint`, `acr_values` (OpenID Connect Core §3.1.2.1), and the
//! claim `acr` (§5.5.1.1), with which a client steps up (RFC 9470 §4).

use serde::{Deserialize, Serialize};

use super::discovery::ACR_PASSWORD;
use super::error::{ErrorCode, OAuthError};

/// Authentication context classes that a sign-in here can reach.
pub const ACR_VALUES: [&str; 1] = [ACR_PASSWORD];

/// The `prompt` parameter (OpenID Connect Core §3.1.2.1). Unknown values are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four independent flags of the specification")]
pub struct Prompt {
    /// Show no page at all.
    pub none: bool,
    /// Sign in again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
    /// Let the person choose an account.
    pub select_account: bool,
}

/// Reads `prompt`.
///
/// # Errors
/// `invalid_request`: `none` beside another value.
pub(super) fn parse_prompt(text: Option<&str>) -> Result<Prompt, OAuthError> {
    let mut prompt = Prompt::default();
    let values: Vec<&str> = text.unwrap_or_default().split(' ').filter(|value| !value.is_empty()).collect();
    for value in &values {
        match *value {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => {}
        }
    }
    if prompt.none && values.len() > 1 {
        return Err(OAuthError::invalid_request("prompt=none cannot be combined with other values."));
    }
    Ok(prompt)
}

/// Reads `max_age`.
///
/// # Errors
/// `invalid_request`: no whole number of seconds.
pub(super) fn parse_max_age(text: Option<&str>) -> Result<Option<i64>, OAuthError> {
    let parse = |text: &str| {
        text.parse::<u32>()
            .map(i64::from)
            .map_err(|_| OAuthError::invalid_request("max_age must be a number of seconds."))
    };
    text.map(parse).transpose()
}

/// A hint never causes an error (§3.1.2.1); one that nobody can be called by is not filled in.
pub(super) fn is_plausible_name(hint: &str) -> bool {
    hint.len() <= 254 && !hint.contains(char::is_control)
}

/// Which classes of authentication a client asks for, the most wanted first. Only classes that a sign-in here can reach are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedAcr {
    /// Any of these will do; where there is none, whatever comes.
    pub values: Vec<String>,
    /// Whether the client wants no answer rather than another class.
    pub essential: bool,
}

impl RequestedAcr {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a sign-in of this class will do.
    #[must_use]
    pub fn is_met_by(&self, acr: &str) -> bool {
        self.is_empty() || self.values.iter().any(|value| value == acr)
    }
}

/// Joins `acr_values` with what the claim `acr` says, which counts where both are there because it can be essential.
///
/// # Errors
/// `unmet_authentication_requirements`: no sign-in here reaches an essential class, so the person need not try (§5.5.1.1).
pub(super) fn requested_acr(
    acr_values: Option<&str>,
    claim: Option<&RequestedAcr>,
) -> Result<RequestedAcr, OAuthError> {
    let reachable = |values: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for value in values.filter(|value| ACR_VALUES.contains(value)) {
            if !kept.iter().any(|earlier| earlier == value) {
                kept.push(value.to_owned());
            }
        }
        kept
    };
    let Some(claim) = claim else {
        let values = reachable(&mut acr_values.unwrap_or_default().split(' '));
        return Ok(RequestedAcr { values, essential: false });
    };
    let values = reachable(&mut claim.values.iter().map(String::as_str));
    if claim.essential && values.is_empty() && !claim.values.is_empty() {
        return Err(unmet("No sign-in here reaches the asked acr; discovery lists acr_values_supported."));
    }
    let essential = claim.essential && !values.is_empty();
    Ok(RequestedAcr { values, essential })
}

/// The person cannot be signed in as the client wants it (OpenID Connect Core Unmet Authentication Requirements §2; RFC 9470 §5).
pub(super) fn unmet(sentence: &str) -> OAuthError {
    OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, sentence)
}

/// Whether the sign-in behind an access token is young enough for what is asked of it (RFC 9470 §3). `auth_time` and `now` are seconds since
/// the epoch; with no limit, and where no person is behind it, any age will do.
///
/// # Errors
/// `insufficient_user_authentication`, which tells the client with which `max_age` to ask again.
pub fn judge_age(auth_time: Option<i64>, most: Option<i32>, now: i64) -> Result<(), OAuthError> {
    let (Some(auth_time), Some(max_age)) = (auth_time, most) else { return Ok(()) };
    if now.saturating_sub(auth_time) <= i64::from(max_age) {
        return Ok(());
    }
    let sentence = "The person signed in too long ago; repeat the authorization request with this max_age.";
    Err(OAuthError::new(ErrorCode::InsufficientUserAuthentication { max_age }, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(values: &[&str], essential: bool) -> RequestedAcr {
        RequestedAcr { values: values.iter().map(|&value| value.to_owned()).collect(), essential }
    }

    #[test]
    fn protocol_13_acr_values_are_a_wish_and_only_reachable_ones_are_kept() {
        for (text, kept) in [
            (None, vec![]),
            (Some("urn:example:gold"), vec![]),
            (Some("\" 1  é"), vec![]),
            (Some("urn:example:gold urn:keystead:acr:password urn:keystead:acr:password"), vec![ACR_PASSWORD]),
        ] {
            let asked = requested_acr(text, None).unwrap();
            assert_eq!((asked.values, asked.essential), (kept.iter().map(|&v| v.to_owned()).collect(), false));
        }
    }

    #[test]
    fn rfc_9470_section_3_an_older_sign_in_is_told_which_age_would_do() {
        for (auth_time, most, holds) in [
            (Some(940), Some(60), true),
            (Some(939), Some(60), false),
            (Some(1001), Some(60), true),
            (Some(i64::MIN), Some(60), false),
            (Some(0), None, true),
            (None, Some(60), true),
        ] {
            let judged = judge_age(auth_time, most, 1000).map_err(|refusal| refusal.code);
            let expected = ErrorCode::InsufficientUserAuthentication { max_age: 60 };
            assert_eq!(judged, if holds { Ok(()) } else { Err(expected) }, "{auth_time:?}");
        }
    }

    #[test]
    fn section_5_5_1_1_an_essential_class_that_nobody_reaches_is_refused_and_a_voluntary_one_is_not() {
        let gold = claim(&["urn:example:gold"], true);
        let refusal = requested_acr(Some(ACR_PASSWORD), Some(&gold)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::UnmetAuthenticationRequirements);
        assert!(requested_acr(None, Some(&claim(&["urn:example:gold"], false))).unwrap().is_empty());
        assert!(requested_acr(None, Some(&claim(&[], true))).unwrap().is_empty(), "acr is always told");
        let either = requested_acr(None, Some(&claim(&["urn:example:gold", ACR_PASSWORD], true))).unwrap();
        assert!(either.essential && either.is_met_by(ACR_PASSWORD) && !either.is_met_by("urn:example:gold"));
    }
}
