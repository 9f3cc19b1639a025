//! JWTs that others signed: client assertions, request objects, DPoP proofs, assertions of trusted issuers.
//!
//! Owns: form, algorithm, key, signature. Does not own: what the claims must say, and which keys may be used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::digest::sha256;
use crate::domain::{KeyThumbprint, SigningAlgorithm};

/// Longer ones are refused before anything is decoded.
const LONGEST: usize = 16 * 1024;
/// Keys of one set; more are refused.
const MOST_KEYS: usize = 16;
/// Keys that are tried for a JWT that names none.
const MOST_TRIES: usize = 4;
const LONGEST_KID: usize = 256;
const LEAST_RSA_BYTES: usize = 256;
const MOST_RSA_BYTES: usize = 512;

/// Why a foreign JWT or key is refused. Safe to show to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignRefused {
    /// Too long, not three parts of base64url, or not JSON objects.
    #[error("it is not a signed JWT in compact form")]
    Malformed,
    /// A critical extension, which we do not understand (RFC 7515 §4.1.11), or a changed payload encoding.
    #[error("it has a header parameter that is not supported (crit or b64)")]
    Extension,
    /// `none`, a symmetric algorithm, or one that is not allowed here.
    #[error("its algorithm is not allowed here")]
    Algorithm,
    /// No key of the sender fits its `kid` and algorithm.
    #[error("none of the registered keys fits its kid and alg")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("its signature does not match")]
    BadSignature,
    /// A key that holds a private part, is too small, or of a kind that does not sign here.
    #[error(
        "its key is not a public RSA key of 2048 to 4096 bits, P-256 or Ed25519 key, or there are more than 16, or a kid is longer than 256 bytes"
    )]
    Key,
}

/// A JWT that was read but not believed.
#[derive(Debug, Clone)]
pub struct ForeignJwt<'a> {
    /// The media type in its header, as it is written.
    pub typ: Option<String>,
    /// Which key it names.
    pub kid: Option<String>,
    /// The key that it brings, for DPoP proofs only (RFC 9449 §4.2).
    pub jwk: Option<Value>,
    /// What it says.
    pub claims: Map<String, Value>,
    algorithm: SigningAlgorithm,
    signed: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    jwk: Option<Value>,
    crit: Option<Value>,
    b64: Option<Value>,
}

impl<'a> ForeignJwt<'a> {
    /// Reads a JWT whose algorithm is one of `allowed`, which may be all of ours as long as it is not known who sent it. Nothing in it is
    /// believed before [`ForeignJwt::verify`].
    ///
    /// # Errors
    /// Its form or algorithm.
    pub fn read(token: &'a str, allowed: &[SigningAlgorithm]) -> Result<Self, ForeignRefused> {
        if token.len() > LONGEST {
            return Err(ForeignRefused::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(ForeignRefused::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(ForeignRefused::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| ForeignRefused::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| ForeignRefused::Malformed)?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(ForeignRefused::Extension);
        }
        // RFC 8725 §3.1: what is registered decides on the algorithm; the header may only choose among that.
        let algorithm = algorithm(&header.alg).filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or(ForeignRefused::Algorithm)?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| ForeignRefused::Malformed)?;
        Ok(Self { typ: header.typ, kid: header.kid, jwk: header.jwk, claims, algorithm, signed, signature })
    }

    /// Whether one of the keys signed it, with one of the algorithms that its sender may use. A `kid` in the header must name the key; without one every key that fits the algorithm is tried.
    ///
    /// # Errors
    /// The algorithm, no key that fits, or the signature is another's.
    pub fn verify(&self, keys: &ForeignKeys, allowed: &[SigningAlgorithm]) -> Result<(), ForeignRefused> {
        if !allowed.contains(&self.algorithm) {
            return Err(ForeignRefused::Algorithm);
        }
        let fits = |key: &&ForeignKey| {
            self.kid.as_ref().is_none_or(|kid| key.kid.as_ref() == Some(kid)) && key.serves(self.algorithm)
        };
        let mut found = keys.0.iter().filter(fits).peekable();
        if found.peek().is_none() {
            return Err(ForeignRefused::UnknownKey);
        }
        let is_signed = |key: &ForeignKey| {
            let algorithm = match self.algorithm {
                SigningAlgorithm::Es256 => Algorithm::ES256,
                SigningAlgorithm::Rs256 => Algorithm::RS256,
                SigningAlgorithm::Ps256 => Algorithm::PS256,
                SigningAlgorithm::EdDsa => Algorithm::EdDSA,
            };
            jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &key.public, algorithm)
                .unwrap_or(false)
        };
        if found.take(MOST_TRIES).any(is_signed) { Ok(()) } else { Err(ForeignRefused::BadSignature) }
    }
}

/// An algorithm by its name. RFC 9864 gives the one kind of `EdDSA` that is ours a second name, which newer libraries write.
fn algorithm(name: &str) -> Option<SigningAlgorithm> {
    if name == "Ed25519" { Some(SigningAlgorithm::EdDsa) } else { SigningAlgorithm::parse(name) }
}

/// Public keys of somebody else.
pub struct ForeignKeys(Vec<ForeignKey>);

struct ForeignKey {
    kid: Option<String>,
    /// The algorithm that the key is meant for, where it says.
    meant: Option<SigningAlgorithm>,
    kind: Kind,
    public: DecodingKey,
    thumbprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ec,
    Rsa,
    Ed25519,
}

impl ForeignKeys {
    /// Reads a JWK set. Keys for encryption and of kinds that we do not know are passed over (RFC 7517 §5).
    ///
    /// # Errors
    /// It is no JWK set, has too many keys, one of its keys holds a private part or is too small, or no key is of use.
    pub fn of_set(set: &Value) -> Result<Self, ForeignRefused> {
        let keys = set.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= MOST_KEYS);
        let mut read = Vec::new();
        for key in keys.ok_or(ForeignRefused::Key)? {
            read.extend(ForeignKey::read(key)?);
        }
        if read.is_empty() { Err(ForeignRefused::Key) } else { Ok(Self(read)) }
    }

    /// The part of a JWK set that is of use here: only this is worth keeping, whatever else somebody put into it.
    ///
    /// # Errors
    /// As [`ForeignKeys::of_set`].
    pub fn tidy_set(set: &Value) -> Result<Value, ForeignRefused> {
        const KEPT: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
        Self::of_set(set)?;
        let keys = set.get("keys").and_then(Value::as_array).into_iter().flatten();
        let tidy = |key: &Value| {
            // All of them are texts; a number may come back from the database in another form, and would then be a change.
            let text = |name: &str| key.get(name).filter(|value| value.is_string());
            let members = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?.clone())));
            Value::Object(members.collect())
        };
        let usable = keys.filter(|key| matches!(ForeignKey::read(key), Ok(Some(_))));
        Ok(serde_json::json!({ "keys": usable.map(tidy).collect::<Vec<_>>() }))
    }

    /// The one key that a DPoP proof brings.
    ///
    /// # Errors
    /// It holds a private part, is too small, or of a kind that does not sign here.
    pub fn of_one(key: &Value) -> Result<Self, ForeignRefused> {
        let mut key = ForeignKey::read(key)?.ok_or(ForeignRefused::Key)?;
        // The proof is the key's own; a kid in the one and not in the other means nothing.
        key.kid = None;
        Ok(Self(vec![key]))
    }

    /// The SHA-256 thumbprint (RFC 7638) of the first key.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        self.0.first().map_or("", |key| &key.thumbprint)
    }

    /// Whether the key of this thumbprint is among them.
    #[must_use]
    pub fn holds(&self, key: KeyThumbprint) -> bool {
        let thumbprint = key.to_string();
        self.0.iter().any(|key| key.thumbprint == thumbprint)
    }

    /// Whether a key of this name is among them.
    #[must_use]
    pub fn names(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

impl ForeignKey {
    /// `None`: a key that is of no use here.
    fn read(value: &Value) -> Result<Option<Self>, ForeignRefused> {
        const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
        // A private key that was published by mistake is known to others; whoever registers one must be told.
        if value.as_object().is_none_or(|members| PRIVATE.iter().any(|name| members.contains_key(*name))) {
            return Err(ForeignRefused::Key);
        }
        let Ok(jwk) = serde_json::from_value::<Jwk>(value.clone()) else { return Ok(None) };
        if jwk.common.key_id.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(ForeignRefused::Key);
        }
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return Ok(None);
        }
        let meant = match value.get("alg").and_then(Value::as_str).map(algorithm) {
            Some(None) => return Ok(None),
            Some(meant) => meant,
            None => None,
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, canonical) = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Kind::Ec, format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y")))
            }
            AlgorithmParameters::RSA(_) => {
                let length = URL_SAFE_NO_PAD.decode(text("n")).map_or(0, |n| n.len());
                if !(LEAST_RSA_BYTES..=MOST_RSA_BYTES).contains(&length) {
                    return Err(ForeignRefused::Key);
                }
                (Kind::Rsa, format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text("e"), text("n")))
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Kind::Ed25519, format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")))
            }
            _ => return Ok(None),
        };
        let public = DecodingKey::from_jwk(&jwk).map_err(|_| ForeignRefused::Key)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()));
        Ok(Some(Self { kid: jwk.common.key_id, meant, kind, public, thumbprint }))
    }

    fn serves(&self, algorithm: SigningAlgorithm) -> bool {
        let kind = match algorithm {
            SigningAlgorithm::Es256 => Kind::Ec,
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => Kind::Rsa,
            SigningAlgorithm::EdDsa => Kind::Ed25519,
        };
        kind == self.kind && self.meant.is_none_or(|meant| meant == algorithm)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn rfc_7638_thumbprint_of_the_example() {
        let key = json!({ "kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(ForeignKeys::of_one(&key).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn security_59_keys_with_a_private_part_or_too_small_are_refused() {
        for key in [
            json!({ "kty": "RSA", "n": N, "e": "AQAB", "d": "AQAB" }),
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            json!({ "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbU", "e": "AQAB" }),
            json!("text"),
        ] {
            assert_eq!(ForeignKeys::of_one(&key).err(), Some(ForeignRefused::Key), "{key}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_passed_over_but_an_empty_set_is_refused() {
        let other = json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" });
        let encryption = json!({ "kty": "RSA", "n": N, "e": "AQAB", "use": "enc" });
        let usable = json!({ "kty": "RSA", "n": N, "e": "AQAB", "kid": "a" });
        let set = ForeignKeys::of_set(&json!({ "keys": [other, encryption, usable] })).unwrap();
        assert!(set.0.len() == 1 && set.names("a"));
        assert!(ForeignKeys::of_set(&json!({ "keys": [other] })).is_err());
        assert!(ForeignKeys::of_set(&json!({})).is_err());
    }

    #[test]
    fn security_29_the_header_cannot_choose_another_algorithm() {
        let token = |header: Value| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.c2ln", part(&header), part(&json!({})))
        };
        let read = |header: Value| ForeignJwt::read(&token(header), &[SigningAlgorithm::Es256]).err();
        for alg in ["none", "HS256", "RS256", "es256", ""] {
            assert_eq!(read(json!({ "alg": alg })), Some(ForeignRefused::Algorithm), "{alg}");
        }
        assert_eq!(read(json!({ "alg": "ES256", "crit": ["exp"] })), Some(ForeignRefused::Extension));
        assert_eq!(read(json!({ "alg": "ES256" })), None);
        assert_eq!(algorithm("Ed25519"), Some(SigningAlgorithm::EdDsa));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(token in "[A-Za-z0-9_.-]{0,200}") {
            let _ = ForeignJwt::read(&token, SigningAlgorithm::ALL);
        }
    }
}
