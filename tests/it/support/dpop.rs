//! Clients that prove a key (RFC 9449).

use axum::http::header;
use keystead::crypto::ForeignKeys;
use serde_json::{Value, json};

use super::{Answer, Es256, ISSUER, RelyingParty, TestApp, basic, form};

/// A client's key pair.
pub struct ProofKey(pub Es256);

impl ProofKey {
    pub fn generate() -> Self {
        Self(Es256::foreign("of the client"))
    }

    /// Its thumbprint.
    pub fn jkt(&self) -> String {
        ForeignKeys::of_one(&self.0.jwk()).unwrap().thumbprint().to_owned()
    }

    /// What a proof for this request says when nothing is wrong with it.
    pub fn claims(app: &TestApp, method: &str, path: &str) -> Value {
        let now = app.clock.now();
        let jti = app.engine.random.uuid_v7(now);
        json!({ "jti": jti, "htm": method, "htu": format!("{ISSUER}{path}"), "iat": now.unix_timestamp() })
    }

    /// The header of its proofs.
    pub fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.0.jwk() })
    }

    /// A new proof for the token endpoint.
    pub fn proof(&self, app: &TestApp) -> String {
        self.0.sign(&self.header(), &Self::claims(app, "POST", "/oauth2/token"))
    }

    /// The same with a nonce.
    pub fn proof_with_nonce(&self, app: &TestApp, nonce: &str) -> String {
        let mut claims = Self::claims(app, "POST", "/oauth2/token");
        claims["nonce"] = json!(nonce);
        self.0.sign(&self.header(), &claims)
    }

    /// A new proof for userinfo by GET with this token.
    pub fn proof_beside(&self, app: &TestApp, access_token: &str) -> String {
        let mut claims = Self::claims(app, "GET", "/oauth2/userinfo");
        claims["ath"] = json!(keystead::crypto::s256_challenge(access_token));
        self.0.sign(&self.header(), &claims)
    }
}

impl TestApp {
    /// Asks userinfo with whatever headers.
    pub async fn userinfo_with(&self, authorization: &str, proofs: &[&str]) -> Answer {
        let mut request = axum::http::Request::get("/oauth2/userinfo").header(header::AUTHORIZATION, authorization);
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        self.send(request.body(axum::body::Body::empty()).unwrap()).await
    }
}

impl RelyingParty {
    /// Posts to the token endpoint as this client, with these proofs.
    pub async fn token_with(&self, app: &TestApp, proofs: &[&str], params: &[(&str, &str)]) -> Answer {
        let mut params = params.to_vec();
        if self.public {
            params.push(("client_id", &self.client.id));
        }
        let mut request = form("/oauth2/token", &params);
        if !self.public {
            let (id, secret) = self.client.pair();
            request.headers_mut().insert(header::AUTHORIZATION, basic(id, secret).parse().unwrap());
        }
        for proof in proofs {
            request.headers_mut().append("dpop", proof.parse().unwrap());
        }
        app.send(request).await
    }

    /// Redeems a code with these proofs.
    pub async fn redeem_with(&self, app: &TestApp, proofs: &[&str], code: &str) -> Answer {
        let params = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", super::VERIFIER),
        ];
        self.token_with(app, proofs, &params).await
    }

    /// Refreshes with these proofs.
    pub async fn refresh_with(&self, app: &TestApp, proofs: &[&str], refresh_token: &str) -> Answer {
        self.token_with(app, proofs, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }
}
