//! Tokens: claims, signatures by kept keys, and the HMAC of refresh tokens and codes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rand};
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::database::Grant;
use crate::failure::Failure;

const ISSUER: &str = "http://127.0.0.1:8080";
const AUDIENCE: &str = "https://es256.bench.example";
const CLIENT: &str = "bench-web-plain";

/// Whether a refresh or a code brings an ID token, and how it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdToken {
    None,
    Es256,
    Rs256,
}

/// The two kinds of text that name a position in a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionKind {
    Code,
    RefreshToken,
}

impl PositionKind {
    /// The generation of a grant in which the first of its kind is good.
    pub fn first_generation(self) -> i32 {
        i32::from(self == Self::RefreshToken)
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Code => "ksc_",
            Self::RefreshToken => "ksr_",
        }
    }
}

/// An access token whose signature was verified.
#[derive(Clone)]
pub struct Verified {
    /// Of which it is.
    pub grant: Uuid,
    /// Its name.
    pub jti: Arc<str>,
    /// The answer to an introspection.
    pub answer: Bytes,
}

/// RFC 9068 §2.2.
#[derive(Serialize, Deserialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(borrow)]
    aud: Vec<&'a str>,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<PersonClaims<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PersonClaims<'a> {
    auth_time: u64,
    acr: &'a str,
    #[serde(borrow)]
    amr: Vec<&'a str>,
    sid: &'a str,
}

/// OpenID Connect Core §2.
#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    person: PersonClaims<'a>,
    at_hash: &'a str,
}

/// RFC 6749 §5.1.
#[derive(Serialize)]
struct Response<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u32,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
}

enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// The keys.
pub struct Mint {
    es256: Key,
    eddsa: Key,
    rs256: Key,
    public: ParsedPublicKey,
    mac: hmac::Key,
}

impl Mint {
    /// New keys.
    pub fn new() -> Result<Self, Failure> {
        let es256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, es256.public_key())?;
        Ok(Self {
            es256: Key::Es256(es256),
            eddsa: Key::EdDsa(Ed25519KeyPair::generate()?),
            rs256: Key::Rs256(RsaKeyPair::generate(KeySize::Rsa2048)?),
            public,
            mac: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
        })
    }

    /// A token for a service, and the answer with it.
    pub fn client_credentials(&self, algorithm: &str) -> Option<Vec<u8>> {
        let key = match algorithm {
            "es256" => &self.es256,
            "eddsa" => &self.eddsa,
            _ => &self.rs256,
        };
        let now = now();
        let claims = AccessTokenClaims {
            iss: ISSUER,
            sub: "bench-service",
            aud: vec![AUDIENCE],
            exp: now + 600,
            iat: now,
            jti: &random(),
            client_id: "bench-service",
            scope: "bench:es256",
            person: None,
        };
        let access_token = sign(key, "at+jwt", &claims)?;
        let response = Response {
            access_token: &access_token,
            token_type: "Bearer",
            expires_in: 600,
            scope: "bench:es256",
            refresh_token: None,
            refresh_token_expires_in: None,
            id_token: None,
        };
        serde_json::to_vec(&response).ok()
    }

    /// An access token of a person; its `jti` names the grant.
    pub fn access_token(&self, grant: &Grant) -> String {
        let (now, session) = (now(), grant.session_id.to_string());
        let claims = AccessTokenClaims {
            iss: ISSUER,
            sub: &grant.user_id.to_string(),
            aud: vec![ISSUER, AUDIENCE],
            exp: now + 600,
            iat: now,
            jti: &format!("{}.{}", grant.id.simple(), random()),
            client_id: CLIENT,
            scope: &grant.scope,
            person: Some(person(&session, now)),
        };
        sign(&self.es256, "at+jwt", &claims).unwrap_or_default()
    }

    /// Everything that a refresh or a code brings.
    pub fn response(&self, grant: &Grant, id_token: IdToken) -> Vec<u8> {
        let access_token = self.access_token(grant);
        let refresh_token = self.position(PositionKind::RefreshToken, grant.id, grant.generation);
        let id_token = match id_token {
            IdToken::None => None,
            IdToken::Es256 => id_token_by(&self.es256, grant, &access_token),
            IdToken::Rs256 => id_token_by(&self.rs256, grant, &access_token),
        };
        let response = Response {
            access_token: &access_token,
            token_type: "Bearer",
            expires_in: 600,
            scope: &grant.scope,
            refresh_token: Some(&refresh_token),
            refresh_token_expires_in: Some(2_592_000),
            id_token: id_token.as_deref(),
        };
        serde_json::to_vec(&response).unwrap_or_default()
    }

    /// Verifies an access token.
    pub fn verify(&self, token: &str) -> Option<Verified> {
        let (message, signature) = token.rsplit_once('.')?;
        self.public.verify_sig(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
        let claims: AccessTokenClaims<'_> = serde_json::from_slice(&payload).ok()?;
        let grant = Uuid::try_parse(claims.jti.split_once('.')?.0).ok()?;
        // The claims are the rest of the answer as they are.
        let answer = [br#"{"active":true,"token_type":"Bearer","#, &payload[1..]].concat();
        (claims.exp > now()).then(|| Verified { grant, jti: claims.jti.into(), answer: Bytes::from(answer) })
    }

    /// The text of a position.
    pub fn position(&self, kind: PositionKind, grant: Uuid, generation: i32) -> String {
        let mut bytes = [0; 60];
        bytes[8..24].copy_from_slice(grant.as_bytes());
        bytes[24..28].copy_from_slice(&generation.to_be_bytes());
        let tag = hmac::sign(&self.mac, &bytes[..28]);
        bytes[28..].copy_from_slice(tag.as_ref());
        format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position of a text.
    pub fn open(&self, kind: PositionKind, text: &str) -> Option<(Uuid, i32)> {
        let bytes: [u8; 60] = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?.try_into().ok()?;
        hmac::verify(&self.mac, &bytes[..28], &bytes[28..]).ok()?;
        let grant = Uuid::from_slice(&bytes[8..24]).ok()?;
        Some((grant, i32::from_be_bytes(bytes[24..28].try_into().ok()?)))
    }
}

fn id_token_by(key: &Key, grant: &Grant, access_token: &str) -> Option<String> {
    let (now, session) = (now(), grant.session_id.to_string());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, access_token.as_bytes());
    let claims = IdTokenClaims {
        iss: ISSUER,
        sub: &grant.user_id.to_string(),
        aud: CLIENT,
        exp: now + 3600,
        iat: now,
        person: person(&session, now),
        at_hash: &URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
    };
    sign(key, "JWT", &claims)
}

fn person(session: &str, now: u64) -> PersonClaims<'_> {
    PersonClaims { auth_time: now, acr: "urn:keystead:password", amr: vec!["pwd"], sid: session }
}

/// RFC 7515 §7.1.
fn sign(key: &Key, typ: &str, claims: &impl Serialize) -> Option<String> {
    let alg = match key {
        Key::Es256(_) => "ES256",
        Key::EdDsa(_) => "EdDSA",
        Key::Rs256(_) => "RS256",
    };
    let mut token = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"{typ}","alg":"{alg}","kid":"0123456789a"}}"#));
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).ok()?, &mut token);
    let random = SystemRandom::new();
    let signature = match key {
        Key::Es256(pair) => pair.sign(&random, token.as_bytes()).ok()?.as_ref().to_vec(),
        Key::EdDsa(pair) => pair.sign(token.as_bytes()).as_ref().to_vec(),
        Key::Rs256(pair) => {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).ok()?;
            signature
        }
    };
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Some(token)
}

/// 128 random bits.
pub fn random() -> String {
    let mut bytes = [0; 16];
    // It fails only where the system has no randomness at all.
    let _ = rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the reference has no clock that a test could hold")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_leads_to_its_grant_and_a_changed_one_to_nothing() {
        let mint = Mint::new().unwrap();
        let [id, user_id, session_id] = [1, 2, 3].map(Uuid::from_u128);
        let token = mint.access_token(&Grant { id, user_id, session_id, scope: "a".to_owned(), generation: 1 });
        let Verified { grant, jti, answer } = mint.verify(&token).unwrap();
        assert!(grant == id && jti.starts_with(&id.simple().to_string()));
        assert!(answer.starts_with(br#"{"active":true,"token_type":"Bearer","iss":"#));
        assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
        assert!(mint.verify(&token.replace('e', "f")).is_none());
    }

    #[test]
    fn a_position_opens_as_its_own_kind_only() {
        let mint = Mint::new().unwrap();
        let text = mint.position(PositionKind::RefreshToken, Uuid::from_u128(7), 9);
        assert_eq!(mint.open(PositionKind::RefreshToken, &text), Some((Uuid::from_u128(7), 9)));
        assert_eq!(mint.open(PositionKind::Code, &text), None);
        assert_eq!(mint.open(PositionKind::RefreshToken, &text.replace('A', "B")), None);
    }
}
