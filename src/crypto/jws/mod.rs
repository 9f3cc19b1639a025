//! Compact JWS (RFC 7515): signing tokens with kept key pairs, and verifying tokens that this server signed itself.
//!
//! Owns: signature, `typ`, issuer and times. Does not own: audience, subject, and whether a token was revoked.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::{CryptoError, Keyring, SigningKey};
use crate::domain::{Kid, Timestamp, is_same_media_type};

/// No token of ours comes near this; longer ones are refused before anything is decoded.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Signs claims. `typ` is the media type of the token without `application/`, such as `at+jwt`.
///
/// # Errors
/// Claims that have no JSON form; otherwise only when aws-lc fails.
pub fn sign(key: &SigningKey, typ: &'static str, claims: &impl Serialize) -> Result<String, CryptoError> {
    let header = format!(r#"{{"alg":"{}","typ":"{typ}","kid":"{}"}}"#, key.algorithm().as_str(), key.kid());
    let claims = serde_json::to_vec(claims).map_err(|error| CryptoError::Claims { reason: error.to_string() })?;
    // Room for an RSA signature too, so that the text never moves.
    let mut token = String::with_capacity((header.len() + claims.len()).div_ceil(3) * 4 + 360);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes()).map_err(|_| CryptoError::Library { operation: "sign a token" })?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// What to do about `exp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// An expired token is refused.
    Enforce,
    /// It is accepted: an `id_token_hint` may have expired (OpenID Connect RP-Initiated Logout §2).
    Ignore,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Too long, not three parts of base64url, not the JSON it must be, or a header parameter that must not be there.
    #[error("the token is malformed")]
    Malformed,
    /// Its `kid` is absent or names no key that is published now.
    #[error("the token names no known key")]
    UnknownKey,
    /// Its key was withdrawn in an emergency.
    #[error("the token's key was revoked")]
    RevokedKey,
    /// The signature is not that of the key under the key's own algorithm, or the header claims another algorithm.
    #[error("the token's signature does not match")]
    BadSignature,
    /// It is a token for another use.
    #[error("the token is of another type")]
    WrongType,
    /// Another issuer made it.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// Checks a token of our own, and gives the key that signed it and its claims. The caller judges the audience.
///
/// # Errors
/// The first reason to refuse it.
pub fn verify<T: DeserializeOwned>(
    ring: &Keyring,
    token: &str,
    typ: &[&str],
    issuer: &str,
    now: Timestamp,
    expiry: Expiry,
) -> Result<(Kid, T), TokenRefused> {
    let parts = Parts::split(token)?;
    let header_bytes = decode(parts.header)?;
    let header = Header::parse(&header_bytes)?;
    let kid = header.kid.and_then(Kid::parse).ok_or(TokenRefused::UnknownKey)?;
    let key = ring.verification_key(kid, now)?;
    // RFC 8725 §3.1: the key decides on the algorithm. One that the token could choose would make an HMAC key of our public key.
    if header.alg != key.algorithm().as_str() {
        return Err(TokenRefused::BadSignature);
    }
    // RFC 8725 §3.11: an ID token must not pass for an access token, nor the other way round.
    if !header.typ.is_some_and(|own| typ.iter().any(|wanted| is_same_media_type(own, wanted))) {
        return Err(TokenRefused::WrongType);
    }
    if !key.verifies(parts.signed.as_bytes(), parts.signature) {
        return Err(TokenRefused::BadSignature);
    }
    let claims = decode(parts.claims)?;
    Registered::parse(&claims)?.check(issuer, now, expiry)?;
    let claims = serde_json::from_slice(&claims).map_err(|_| TokenRefused::Malformed)?;
    Ok((kid, claims))
}

fn decode(part: &str) -> Result<Vec<u8>, TokenRefused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefused::Malformed)
}

/// The parts of a compact serialization (RFC 7515 §7.1).
struct Parts<'a> {
    signed: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenRefused> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenRefused::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefused::Malformed)?;
        // A further dot would end up in the claims, where it is no base64url.
        let (header, claims) = signed.split_once('.').ok_or(TokenRefused::Malformed)?;
        Ok(Self { signed, header, claims, signature })
    }
}

/// The header parameters that count. Keys inside a token, `jwk`, `jku`, `x5u` and `x5c`, are not even read (RFC 8725 §3.10).
#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: Option<&'a str>,
    typ: Option<&'a str>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, TokenRefused> {
        let header: Self = serde_json::from_slice(bytes).map_err(|_| TokenRefused::Malformed)?;
        // RFC 7515 §4.1.11: what is critical must be understood, and we understand no extension. RFC 7797 §3: `b64` changes
        // what is signed.
        if header.crit || header.b64 { Err(TokenRefused::Malformed) } else { Ok(header) }
    }
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The claims that every token of ours has (RFC 7519 §4.1); times in whole seconds, as we write them.
#[derive(Deserialize)]
struct Registered<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    exp: i64,
    nbf: Option<i64>,
}

impl<'a> Registered<'a> {
    fn parse(claims: &'a [u8]) -> Result<Self, TokenRefused> {
        serde_json::from_slice(claims).map_err(|_| TokenRefused::Malformed)
    }

    fn check(&self, issuer: &str, now: Timestamp, expiry: Expiry) -> Result<(), TokenRefused> {
        let now = now.unix_timestamp();
        if self.iss != issuer {
            Err(TokenRefused::WrongIssuer)
        } else if self.nbf.is_some_and(|nbf| now < nbf) {
            Err(TokenRefused::NotYetValid)
        } else if expiry == Expiry::Enforce && now >= self.exp {
            Err(TokenRefused::Expired)
        } else {
            Ok(())
        }
    }
}
