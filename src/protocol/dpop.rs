//! DPoP proofs (RFC 9449): what one must say. Who needs one is in [`sender`](super::sender).

use serde_json::{Map, Value};
use time::Duration;
use url::Url;

use crate::domain::{SigningAlgorithm, Timestamp, is_same_media_type};

use super::error::{ErrorCode, OAuthError};
use super::jwt_time;

/// The media type of a proof (§4.2), so that no other JWT that its key signed is taken for one.
pub const PROOF_TYPE: &str = "dpop+jwt";
/// Algorithms of proofs. All are asymmetric (§4.3); whoever checks a proof must not be able to make one.
pub const ALGORITHMS: &[SigningAlgorithm] = SigningAlgorithm::ALL;
/// Their names. That of `EdDSA` is told in both forms (RFC 9864).
pub fn algorithm_names() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.iter().map(|algorithm| algorithm.as_str()).chain(["Ed25519"])
}

/// How far a proof's `iat` may be from our time, either way (§11.1). It covers the way and a clock that is a little off.
pub const TOLERANCE: Duration = Duration::seconds(60);
/// How long a proof that was used is remembered after its `iat`: longer than any replica takes it, even one whose clock is behind.
pub const REMEMBERED: Duration = Duration::seconds(180);
/// The longest `jti` in bytes.
const LONGEST_JTI: usize = 256;

/// A proof whose form was read; its signature is not our business here.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The media type in its header.
    pub typ: Option<&'a str>,
    /// What it says.
    pub claims: &'a Map<String, Value>,
}

/// What a proof must be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The HTTP method of the request.
    pub method: &'a str,
    /// The public address of the endpoint: the issuer and a path, never what a `Host` header says.
    pub url: &'a str,
    /// The SHA-256 of the access token that comes with it, in base64url; none at endpoints that give tokens.
    pub access_token_hash: Option<&'a str>,
}

/// What of a proof that holds is needed further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'a> {
    /// Its name; with its key it may be used once.
    pub jti: &'a str,
    /// The server's nonce that it repeats.
    pub nonce: Option<&'a str>,
    /// Until when it must be remembered.
    pub remembered_until: Timestamp,
}

/// How a proof stands to the nonces that this server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// It has none.
    Absent,
    /// It has one that we gave of late.
    Known,
    /// It has another or an old one.
    Unknown,
}

/// A refusal with what is wrong, without a full stop.
pub(super) fn invalid(sentence: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidDpopProof, format!("The DPoP proof is refused: {}.", sentence.into()))
}

/// The refusal of a proof whose form, algorithm, key or signature is wrong.
#[must_use]
pub fn unreadable(why: impl std::fmt::Display) -> OAuthError {
    invalid(why.to_string())
}

/// The refusal of a proof that was used before (§11.1).
#[must_use]
pub fn replayed() -> OAuthError {
    invalid("its jti was used before; make a new proof for each request")
}

/// The refusal of a request that needs a proof and has none.
#[must_use]
pub fn missing(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidDpopProof, format!("A DPoP proof is missing: {why}."))
}

/// The refusal of a second `DPoP` header (§4.3 item 1): two readers of such a request could judge two different proofs.
#[must_use]
pub fn repeated() -> OAuthError {
    invalid("the DPoP header occurs more than once")
}

/// Judges what a proof says (§4.3). Where it came from and how often are checked elsewhere.
///
/// # Errors
/// `invalid_dpop_proof`.
pub fn judge<'a>(proof: Presented<'a>, expected: Expected<'_>, now: Timestamp) -> Result<Judged<'a>, OAuthError> {
    if !proof.typ.is_some_and(|typ| is_same_media_type(typ, PROOF_TYPE)) {
        return Err(invalid("the typ of its header must be dpop+jwt"));
    }
    let text = |name: &str| proof.claims.get(name).and_then(Value::as_str);
    let jti = text("jti").filter(|jti| (1..=LONGEST_JTI).contains(&jti.len()));
    let jti = jti.ok_or_else(|| invalid("jti must be a text of 1 to 256 bytes, another for each request"))?;
    if text("htm") != Some(expected.method) {
        return Err(invalid(format!("htm must be the method of the request, {}", expected.method)));
    }
    if !text("htu").is_some_and(|htu| is_same_place(htu, expected.url)) {
        return Err(invalid(format!("htu must be the address of the request without query, {}", expected.url)));
    }
    let issued_at = judge_times(proof.claims, now)?;
    if let Some(expected) = expected.access_token_hash
        && text("ath") != Some(expected)
    {
        // §7: without it, who sees one proof could use it with another token of the same key.
        return Err(invalid("ath must be the base64url of the SHA-256 of the access token"));
    }
    let nonce = match proof.claims.get("nonce") {
        None => None,
        Some(nonce) => Some(nonce.as_str().ok_or_else(|| invalid("nonce must be a text"))?),
    };
    Ok(Judged { jti, nonce, remembered_until: issued_at + REMEMBERED })
}

/// `iat` must be now, more or less; `exp` and `nbf` need not be there, but what they say holds.
fn judge_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, OAuthError> {
    let time = |name| jwt_time::read(claims, name).map_err(|error| invalid(error.to_string()));
    let issued_at = time("iat")?.ok_or_else(|| invalid("iat is missing"))?;
    if (issued_at - now).abs() > TOLERANCE {
        let sentence = format!("iat is more than {} seconds away from the server's time", TOLERANCE.whole_seconds());
        return Err(invalid(sentence));
    }
    if time("exp")?.is_some_and(|at| at <= now - TOLERANCE) {
        return Err(invalid("it has expired"));
    }
    if time("nbf")?.is_some_and(|at| at > now + TOLERANCE) {
        return Err(invalid("its nbf lies ahead"));
    }
    Ok(issued_at)
}

/// §4.3 item 9: query and fragment do not count, nor do the spellings that RFC 3986 §6.2.2 and §6.2.3 call equal.
fn is_same_place(htu: &str, expected: &str) -> bool {
    let place = |text: &str| {
        let mut url = Url::parse(text).ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_graphic()))?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    let expected = place(expected);
    expected.is_some() && place(htu) == expected
}

/// Judges the nonce of a proof whose signature was found right (§8). A nonce that is not ours is refused even where none is needed: the client
/// meant to prove that the proof is fresh, and can mend it at once.
///
/// # Errors
/// `use_dpop_nonce`.
pub fn judge_nonce(nonce: Nonce, required: bool) -> Result<(), OAuthError> {
    match nonce {
        Nonce::Known => Ok(()),
        Nonce::Absent if !required => Ok(()),
        Nonce::Absent | Nonce::Unknown => Err(OAuthError::new(
            ErrorCode::UseDpopNonce,
            "The DPoP proof needs the nonce of the DPoP-Nonce header of this answer; make a new proof with it.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://id.example/oauth2/token";
    const ATH: &str = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

    fn now() -> Timestamp {
        Timestamp::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn claims() -> Value {
        json!({ "jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": URL, "iat": 1_800_000_000 })
    }

    fn judged(typ: Option<&str>, claims: &Value, access_token_hash: Option<&str>) -> Result<(), OAuthError> {
        let expected = Expected { method: "POST", url: URL, access_token_hash };
        let proof = Presented { typ, claims: claims.as_object().unwrap() };
        judge(proof, expected, now()).map(drop)
    }

    /// Claims with one member changed, or taken out by null.
    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        claims
    }

    #[test]
    fn protocol_59_each_flaw_of_a_proof_is_refused() {
        let table = [
            ("jti", json!(null)),
            ("jti", json!("")),
            ("jti", json!(7)),
            ("jti", json!("x".repeat(257))),
            ("htm", json!(null)),
            ("htm", json!("GET")),
            ("htm", json!("post")),
            ("htu", json!(null)),
            ("htu", json!("https://id.example/oauth2/userinfo")),
            ("htu", json!("https://id.example/oauth2/token/")),
            ("htu", json!("http://id.example/oauth2/token")),
            ("htu", json!("https://id.example:8443/oauth2/token")),
            ("htu", json!("https://user@id.example/oauth2/token")),
            ("htu", json!("https://id.example.evil.example/oauth2/token")),
            ("htu", json!(" https://id.example/oauth2/token")),
            ("htu", json!("/oauth2/token")),
            ("iat", json!(null)),
            ("iat", json!("1800000000")),
            ("iat", json!(1_800_000_000 - 3600)),
            ("iat", json!(1_800_000_000 + 3600)),
            ("iat", json!(1_800_000_000 - 61)),
            ("iat", json!(1_800_000_000 + 61)),
            ("iat", json!(1e300)),
            ("exp", json!(1_800_000_000 - 61)),
            ("exp", json!("soon")),
            ("nbf", json!(1_800_000_000 + 61)),
            ("nonce", json!(7)),
        ];
        for (name, value) in table {
            let flawed = with(name, value.clone());
            let refused = judged(Some(PROOF_TYPE), &flawed, None).expect_err(&flawed.to_string());
            assert_eq!(refused.code, ErrorCode::InvalidDpopProof);
            assert!(refused.description.contains(name) || name == "exp", "{name}: {}", refused.description);
        }
        for typ in [None, Some("JWT"), Some("at+jwt"), Some("dpop"), Some("")] {
            assert!(judged(typ, &claims(), None).is_err(), "{typ:?}");
        }
    }

    #[test]
    fn protocol_59_what_may_differ_is_accepted() {
        let table = [
            ("htu", json!("https://id.example/oauth2/token?a=b#c")),
            ("htu", json!("HTTPS://ID.Example/oauth2/token")),
            ("htu", json!("https://id.example:443/oauth2/token")),
            ("iat", json!(1_800_000_000 - 10)),
            ("iat", json!(1_800_000_000 + 10)),
            ("iat", json!(1_800_000_000.5)),
            ("exp", json!(1_800_000_300)),
            ("nbf", json!(1_800_000_008)),
            ("ath", json!("ignored where no token is shown")),
            ("other", json!({})),
        ];
        for (name, value) in table {
            assert_eq!(judged(Some(PROOF_TYPE), &with(name, value.clone()), None), Ok(()), "{name} {value}");
        }
        assert_eq!(judged(Some("DPoP+JWT"), &claims(), None), Ok(()));
    }

    #[test]
    fn security_34_beside_an_access_token_the_proof_names_it() {
        assert_eq!(judged(Some(PROOF_TYPE), &with("ath", json!(ATH)), Some(ATH)), Ok(()));
        for ath in [json!(null), json!(""), json!(ATH.to_lowercase()), json!(format!("{ATH}="))] {
            assert!(judged(Some(PROOF_TYPE), &with("ath", ath.clone()), Some(ATH)).is_err(), "{ath}");
        }
    }

    #[test]
    fn section_8_a_nonce_is_needed_where_it_is_demanded_and_right_wherever_it_is_sent() {
        let code = |nonce, required| judge_nonce(nonce, required).err().map(|error| error.code);
        assert_eq!(code(Nonce::Absent, false), None);
        for (nonce, required) in [(Nonce::Absent, true), (Nonce::Unknown, true), (Nonce::Unknown, false)] {
            assert_eq!(code(nonce, required), Some(ErrorCode::UseDpopNonce));
        }
        assert_eq!((code(Nonce::Known, true), code(Nonce::Known, false)), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_htu_is_judged(htu in "\\PC{0,60}") {
            let _ = is_same_place(&htu, URL);
        }
    }
}
