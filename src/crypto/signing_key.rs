//! One signing key, parsed once: its private half signs, its public half verifies and is published.

use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::CryptoError;
use crate::domain::{Kid, SecretBytes, SigningAlgorithm};

/// A key that signs tokens, with everything parsed that signing and verification need.
pub struct SigningKey {
    kid: Kid,
    algorithm: SigningAlgorithm,
    pair: Pair,
    public: DecodingKey,
    jwk: String,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ed25519(Ed25519KeyPair),
}

/// The public half as JWK members (RFC 7518 §6, RFC 8037 §2).
type Members = Vec<(&'static str, String)>;

impl SigningKey {
    /// Parses PKCS#8.
    pub(super) fn parse(kid: Kid, algorithm: SigningAlgorithm, pkcs8: &SecretBytes) -> Result<Self, CryptoError> {
        let parsed = match algorithm {
            SigningAlgorithm::Es256 => parse_p256(pkcs8.expose()),
            SigningAlgorithm::Rs256 => parse_rsa(pkcs8.expose(), &RSA_PKCS1_SHA256),
            SigningAlgorithm::Ps256 => parse_rsa(pkcs8.expose(), &RSA_PSS_SHA256),
            SigningAlgorithm::EdDsa => parse_ed25519(pkcs8.expose()),
        };
        let (pair, public, members) =
            parsed.map_err(|_| CryptoError::MalformedKey { kid, algorithm: algorithm.as_str() })?;
        let mut jwk: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        jwk.insert("kid".into(), kid.to_string().into());
        jwk.insert("use".into(), "sig".into());
        jwk.insert("alg".into(), algorithm.as_str().into());
        Ok(Self { kid, algorithm, pair, public, jwk: Value::Object(jwk).to_string() })
    }

    /// The key's name in JOSE headers.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The algorithm, which no token can choose.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The public half as a JSON Web Key.
    pub(super) fn jwk(&self) -> &str {
        &self.jwk
    }

    /// The signature over a message, in the form that JWS wants.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        // aws-lc ignores the generator that it is handed here and uses its own.
        let ignored = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&ignored, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &ignored, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// Whether a base64url signature over a message is this key's, under this key's algorithm.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = match self.algorithm {
            SigningAlgorithm::Es256 => Algorithm::ES256,
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::Ps256 => Algorithm::PS256,
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        jsonwebtoken::crypto::verify(signature, message, &self.public, algorithm).unwrap_or(false)
    }
}

fn parse_p256(pkcs8: &[u8]) -> Result<(Pair, DecodingKey, Members), KeyRejected> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?;
    // The uncompressed point (SEC 1 §2.3.3): 4, then both coordinates of 32 bytes.
    let point = pair.public_key().as_ref();
    let public = DecodingKey::from_ec_der(point);
    let members = vec![
        ("kty", "EC".into()),
        ("crv", "P-256".into()),
        ("x", URL_SAFE_NO_PAD.encode(&point[1..33])),
        ("y", URL_SAFE_NO_PAD.encode(&point[33..65])),
    ];
    Ok((Pair::Ecdsa(pair), public, members))
}

fn parse_rsa(pkcs8: &[u8], encoding: &'static dyn RsaEncoding) -> Result<(Pair, DecodingKey, Members), KeyRejected> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8)?;
    let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
    let public = DecodingKey::from_rsa_raw_components(&n, &e);
    let members = vec![("kty", "RSA".into()), ("n", URL_SAFE_NO_PAD.encode(n)), ("e", URL_SAFE_NO_PAD.encode(e))];
    Ok((Pair::Rsa(pair, encoding), public, members))
}

fn parse_ed25519(pkcs8: &[u8]) -> Result<(Pair, DecodingKey, Members), KeyRejected> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8)?;
    let x = pair.public_key().as_ref();
    let public = DecodingKey::from_ed_der(x);
    let members = vec![("kty", "OKP".into()), ("crv", "Ed25519".into()), ("x", URL_SAFE_NO_PAD.encode(x))];
    Ok((Pair::Ed25519(pair), public, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn rfc_8037_appendix_a_4_ed25519_signature() {
        // PKCS#8 v1 (RFC 8410 §7): a fixed frame around the seed.
        let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        pkcs8.extend(decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
        let key = SigningKey::parse(Kid([1; 8]), SigningAlgorithm::EdDsa, &SecretBytes::new(pkcs8)).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(URL_SAFE_NO_PAD.encode(key.sign(message).unwrap()), signature);
        assert!(key.verifies(message, signature));
        assert!(key.jwk().contains(r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#), "{}", key.jwk());
    }

    #[test]
    fn rfc_7515_appendix_a_3_es256_signature() {
        let x = decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        let y = decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let d = decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let point = [vec![4], x, y].concat();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point).unwrap();
        let pkcs8 = SecretBytes::new(pair.to_pkcs8v1().unwrap().as_ref().to_vec());
        let key = SigningKey::parse(Kid([1; 8]), SigningAlgorithm::Es256, &pkcs8).unwrap();
        let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                        cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(key.verifies(message, signature));
        assert!(!key.verifies(&message[1..], signature));
        assert!(key.jwk().contains(r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU""#), "{}", key.jwk());
    }

    #[test]
    fn bytes_that_are_no_key_of_the_algorithm_are_an_error_that_names_it() {
        let garbage = SecretBytes::new(vec![7; 100]);
        for &algorithm in SigningAlgorithm::ALL {
            let error = SigningKey::parse(Kid([1; 8]), algorithm, &garbage).err().unwrap();
            assert_eq!(error, CryptoError::MalformedKey { kid: Kid([1; 8]), algorithm: algorithm.as_str() });
        }
    }
}
