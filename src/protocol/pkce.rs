//! Proof Key for Code Exchange (RFC 7636), S256 only.

use super::error::OAuthError;

/// Reads `code_challenge` and `code_challenge_method` of an authorization request.
///
/// # Errors
/// `invalid_request`: a method other than S256, or a challenge that no SHA-256 can be.
pub fn parse_challenge(challenge: Option<&str>, method: Option<&str>) -> Result<Option<String>, OAuthError> {
    let Some(challenge) = challenge else {
        return match method {
            None => Ok(None),
            Some(_) => Err(OAuthError::invalid_request("code_challenge_method was sent without code_challenge.")),
        };
    };
    // RFC 9700 §2.1.1: with `plain`, whoever sees the request can redeem the code. An absent method means `plain` (§4.3).
    if method != Some("S256") {
        return Err(OAuthError::invalid_request("code_challenge_method must be S256."));
    }
    let is_sha256 =
        challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !is_sha256 {
        return Err(OAuthError::invalid_request(
            "code_challenge must be 43 base64url characters: BASE64URL(SHA256(code_verifier)).",
        ));
    }
    Ok(Some(challenge.to_owned()))
}

/// Whether a verifier has the form of §4.1: 43 to 128 unreserved characters.
#[must_use]
pub fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// Whether the verifier of a token request fits the challenge of the authorization request. `hashed` is the S256 transform of the
/// verifier, or nothing when none of a proper form was sent.
///
/// §4.6 both ways: a challenge needs its verifier, and a verifier needs a challenge. Without the second, an attacker could strip the
/// challenge from the request and a client would never notice (RFC 9700 §4.8.2).
#[must_use]
pub fn verifier_fits(challenge: Option<&str>, verifier_sent: bool, hashed: Option<&str>) -> bool {
    match (challenge, verifier_sent) {
        (Some(challenge), true) => hashed == Some(challenge),
        (None, false) => true,
        (Some(_), false) | (None, true) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn security_17_plain_pkce_is_refused() {
        for method in [None, Some("plain"), Some("s256"), Some("S512")] {
            assert!(parse_challenge(Some(CHALLENGE), method).is_err(), "{method:?}");
        }
        assert_eq!(parse_challenge(Some(CHALLENGE), Some("S256")).unwrap().as_deref(), Some(CHALLENGE));
        assert!(parse_challenge(None, Some("S256")).is_err());
    }

    #[test]
    fn security_17_challenges_of_other_lengths_are_refused() {
        for length in [1, 42, 44, 128, 129] {
            assert!(parse_challenge(Some(&"a".repeat(length)), Some("S256")).is_err(), "{length}");
        }
    }

    #[test]
    fn security_18_19_challenge_and_verifier_need_each_other() {
        assert!(verifier_fits(Some(CHALLENGE), true, Some(CHALLENGE)));
        assert!(verifier_fits(None, false, None));
        assert!(!verifier_fits(Some(CHALLENGE), false, None));
        assert!(!verifier_fits(Some(CHALLENGE), true, None));
        assert!(!verifier_fits(Some(CHALLENGE), true, Some(&CHALLENGE.to_lowercase())));
        assert!(!verifier_fits(None, true, Some(CHALLENGE)));
    }

    proptest! {
        #[test]
        fn only_the_exact_challenge_fits(a in "[A-Za-z0-9_-]{43}", b in "[A-Za-z0-9_-]{43}") {
            prop_assert_eq!(verifier_fits(Some(&a), true, Some(&b)), a == b);
        }

        #[test]
        fn a_verifier_is_43_to_128_unreserved_characters(text in "[A-Za-z0-9._~-]{0,140}") {
            prop_assert_eq!(is_verifier(&text), (43..=128).contains(&text.len()));
        }
    }
}
