//! JWTs as relying parties read them and as attackers make them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use keystead::domain::{KeyAlgorithm, KeyState, SigningAlgorithm};
use serde_json::Value;

use super::{ISSUER, TestApp};

/// One part of a compact JWT, decoded but not verified: 0 is the header, 1 the claims.
pub fn jwt_part(jwt: &str, part: usize) -> Value {
    let text = jwt.split('.').nth(part).unwrap_or_default();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap_or_default()
}

/// A compact JWT with whatever signature.
pub fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// What goes with every client assertion (RFC 7521 §4.2).
pub const ASSERTION_TYPE: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// An ES256 key with which anything can be signed.
pub struct Es256 {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl Es256 {
    /// The server's own key that signs now, taken out of the database.
    pub fn of(app: &TestApp) -> Self {
        let keyring = app.engine.snapshots.keyring().unwrap();
        let now = app.clock.now();
        let wanted = KeyAlgorithm::Signing(SigningAlgorithm::Es256);
        let is_it = |key: &&keystead::domain::KeyRecord| key.algorithm == wanted && key.state(now) == KeyState::Active;
        let record = keyring.records().iter().find(is_it).unwrap();
        let pkcs8 = app.engine.encryption_keys.unwrap(record).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose()).unwrap();
        Self { kid: record.kid.to_string(), pair }
    }

    /// An attacker's key that claims the name of another.
    pub fn foreign(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    /// Its public half as a JWK.
    pub fn jwk(&self) -> Value {
        use aws_lc_rs::signature::KeyPair as _;
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        serde_json::json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.kid, "x": x, "y": y })
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        compact(header, claims, |text| self.pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec())
    }

    /// Its public half as a JWK set of one.
    pub fn jwks(&self) -> Value {
        serde_json::json!({ "keys": [self.jwk()] })
    }

    /// A fresh assertion of a client (RFC 7523 §3).
    pub fn assertion(&self, app: &TestApp, client_id: &str) -> String {
        self.assertion_with(app, client_id, serde_json::json!({}))
    }

    /// The same with other claims.
    pub fn assertion_with(&self, app: &TestApp, client_id: &str, more: Value) -> String {
        let now = app.clock.now().unix_timestamp();
        let jti = app.engine.random.token("").expose().to_owned();
        let mut claims = serde_json::json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": jti });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.sign(&serde_json::json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid }), &claims)
    }

    /// Signs claims as a request object (RFC 9101).
    pub fn request_object(&self, claims: &Value) -> String {
        self.sign(&serde_json::json!({ "alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": self.kid }), claims)
    }

    /// Signs claims as an access token.
    pub fn access_token(&self, claims: &Value) -> String {
        self.sign(&serde_json::json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.kid }), claims)
    }
}

/// The published keys as a library reads them.
pub async fn jwks(app: &TestApp) -> JwkSet {
    serde_json::from_str(&app.get("/oauth2/jwks").await.body).unwrap()
}

/// Verifies a token as a relying party or resource server does that knows the JWKS and its own name, and gives the claims.
/// Times are left out, because the library would take them from the machine.
pub fn verify(keys: &JwkSet, jwt: &str, audience: &str) -> Result<Value, String> {
    verify_with(keys, jwt, audience, &["exp", "iss", "aud", "sub"])
}

/// The same with other claims that must be there.
pub fn verify_with(keys: &JwkSet, jwt: &str, audience: &str, required: &[&str]) -> Result<Value, String> {
    let header = decode_header(jwt).map_err(|e| e.to_string())?;
    let jwk = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("no key of this kid")?;
    let algorithm = jwk.common.key_algorithm.ok_or("the key names no algorithm")?.to_string().parse();
    let mut validation = Validation::new(algorithm.map_err(|_| "an unknown algorithm")?);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(required);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
    Ok(decode::<Value>(jwt, &key, &validation).map_err(|e| e.to_string())?.claims)
}
