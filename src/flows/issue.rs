//! Minting: access tokens, ID tokens, refresh tokens.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::Duration;

use crate::crypto::{self, Keyring, PositionKind};
use crate::domain::{Client, Grant, Position, ResourceServer, Scope, SigningAlgorithm, Timestamp};
use crate::protocol::audience::{self, Audience};
use crate::protocol::claims::{
    ACCESS_TOKEN_TYPE, AccessTokenClaims, Confirmation, ID_TOKEN_TYPE, IdTokenClaims, TokenType, claims_by_name,
    numeric_date, token_id,
};
use crate::protocol::token::TokenResponse;

use super::snapshot::ResourceServers;
use super::{Engine, FlowError, InternalError, subject};

/// For whom tokens of this scope are made.
///
/// # Errors
/// `invalid_target`, `invalid_scope`, or memory that is not confirmed.
pub fn audience(engine: &Engine, scope: &Scope, resources: &[String]) -> Result<Audience, FlowError> {
    let servers = engine.snapshots.resource_servers()?;
    let (by_scope, by_resource) = (servers.by_scope(scope), by_resource(&servers, resources));
    Ok(audience::judge(&engine.policy.issuer, scope, &by_scope, resources, &by_resource)?)
}

/// What of a granted scope a token for these resources carries.
///
/// # Errors
/// Memory that is not confirmed.
pub fn narrow(engine: &Engine, scope: &Scope, resources: &[String]) -> Result<Scope, InternalError> {
    let servers = engine.snapshots.resource_servers()?;
    Ok(audience::narrow(scope, &servers.by_scope(scope), resources))
}

/// Of the resources of a grant those that a narrower scope is still about.
///
/// # Errors
/// Memory that is not confirmed.
pub fn still_meant(engine: &Engine, scope: &Scope, resources: Vec<String>) -> Result<Vec<String>, InternalError> {
    let known = by_resource(&*engine.snapshots.resource_servers()?, &resources);
    Ok(audience::still_meant(scope, resources, &known))
}

fn by_resource(servers: &ResourceServers, resources: &[String]) -> Vec<Option<Arc<ResourceServer>>> {
    resources.iter().map(|resource| servers.by_audience(resource).map(Arc::clone)).collect()
}

/// What one answer of the token endpoint is made from.
pub struct Mint<'a> {
    /// The client that gets the tokens.
    pub client: &'a Client,
    /// The grant behind them; none for client credentials.
    pub grant: Option<&'a Grant>,
    /// What the access token allows.
    pub scope: &'a Scope,
    /// For whom it is.
    pub audience: Audience,
    /// What the access token is bound to.
    pub bound: Option<Confirmation>,
    /// The time.
    pub now: Timestamp,
}

impl Mint<'_> {
    /// Signs everything that belongs into the answer.
    ///
    /// # Errors
    /// A key is missing.
    pub fn response(&self, engine: &Engine) -> Result<TokenResponse, InternalError> {
        let keyring = engine.snapshots.keyring()?;
        let lifetime = self.access_token_lifetime(engine);
        let access_token = self.access_token(engine, &keyring, lifetime)?;
        let id_token = match self.grant.filter(|grant| grant.details.scope.contains("openid")) {
            Some(grant) => Some(self.id_token(engine, &keyring, grant, &access_token)?),
            None => None,
        };
        let refresh_token = match self.grant.filter(|_| self.client.may_use(crate::domain::GrantType::RefreshToken)) {
            Some(grant) => {
                let seconds = (grant.idle_expires_at - self.now).whole_seconds().max(0);
                Some((refresh_token(&keyring, grant)?, seconds))
            }
            None => None,
        };
        let (expires_in, scope) = (lifetime.whole_seconds(), self.scope.clone());
        let token_type = TokenType::of(self.bound);
        Ok(TokenResponse {
            access_token,
            token_type,
            expires_in,
            scope,
            refresh_token,
            id_token,
            issued_token_type: None,
        })
    }

    fn access_token_lifetime(&self, engine: &Engine) -> Duration {
        let client = self.client.metadata.access_token_lifetime.map(|s| Duration::seconds(s.into()));
        let asked = [client, self.audience.lifetime].into_iter().flatten().min();
        let lifetime = asked.unwrap_or(engine.policy.access_token_lifetime);
        // With its family an access token is over too, so it must not promise to live longer.
        self.grant.map_or(lifetime, |grant| lifetime.min(grant.details.expires_at - self.now))
    }

    fn access_token(&self, engine: &Engine, keyring: &Keyring, lifetime: Duration) -> Result<String, InternalError> {
        let authentication = self.grant.map(|grant| &grant.details.authentication);
        // The client can read its access tokens, so they too call the person as it does.
        let (sub, sid) = match self.grant {
            None => (self.client.id.as_str().to_owned(), None),
            Some(grant) => {
                let (sub, sid) = self.names(keyring, grant)?;
                (sub, Some(sid))
            }
        };
        let claims = AccessTokenClaims {
            iss: engine.policy.issuer.clone(),
            sub,
            aud: self.audience.values.clone(),
            exp: numeric_date(self.now + lifetime),
            iat: numeric_date(self.now),
            jti: token_id(self.grant.map(|grant| grant.id), engine.random.bytes()),
            client_id: self.client.id.as_str().to_owned(),
            scope: self.scope.clone(),
            auth_time: authentication.map(|a| numeric_date(a.auth_time)),
            acr: authentication.map(|a| a.acr.clone()),
            amr: authentication.map(|a| a.amr.clone()).unwrap_or_default(),
            sid,
            cnf: self.bound,
            act: None,
            exchanged_from: Vec::new(),
        };
        let key = signing_key(keyring, self.audience.algorithm, self.now)?;
        Ok(crypto::sign(key, ACCESS_TOKEN_TYPE, &claims)?)
    }

    /// What the client calls the person and the session behind a grant.
    fn names(&self, keyring: &Keyring, grant: &Grant) -> Result<(String, String), InternalError> {
        let person = subject::person_in(keyring, self.client, grant.details.user_id)?;
        Ok((person, subject::session_in(keyring, self.client, grant.details.session_id)?))
    }

    fn id_token(
        &self,
        engine: &Engine,
        keyring: &Keyring,
        grant: &Grant,
        access_token: &str,
    ) -> Result<String, InternalError> {
        let algorithm = self.client.metadata.id_token_signed_response_alg;
        let details = &grant.details;
        let (sub, sid) = self.names(keyring, grant)?;
        let claims = IdTokenClaims {
            iss: engine.policy.issuer.clone(),
            sub,
            aud: self.client.id.as_str().to_owned(),
            exp: numeric_date(self.now + engine.policy.id_token_lifetime),
            iat: numeric_date(self.now),
            auth_time: numeric_date(details.authentication.auth_time),
            acr: details.authentication.acr.clone(),
            amr: details.authentication.amr.clone(),
            sid,
            // A nonce ties an ID token to the authorization request (Core §3.1.2.1); a refreshed one is not the answer to it any more (§12.2).
            nonce: details.nonce.clone().filter(|_| grant.generation == 1),
            at_hash: Some(crypto::left_half_hash(access_token, algorithm)),
            person: self.named_claims(grant),
        };
        let key = signing_key(keyring, algorithm, self.now)?;
        Ok(crypto::sign(key, ID_TOKEN_TYPE, &claims)?)
    }

    /// What the client asked of ID tokens by name and is still registered for.
    fn named_claims(&self, grant: &Grant) -> Map<String, Value> {
        let Some(person) = &grant.person else { return Map::new() };
        claims_by_name(person, &grant.details.requested_claims.id_token.released_by(&self.client.metadata.scope))
    }
}

/// Signs any other statement of this server.
///
/// # Errors
/// No key of this algorithm is active.
pub fn sign(
    engine: &Engine,
    algorithm: SigningAlgorithm,
    typ: &'static str,
    claims: &impl serde::Serialize,
) -> Result<String, InternalError> {
    let keyring = engine.snapshots.keyring()?;
    Ok(crypto::sign(signing_key(&keyring, algorithm, engine.clock.now())?, typ, claims)?)
}

fn signing_key(
    keyring: &Keyring,
    algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<&crypto::SigningKey, InternalError> {
    keyring.signing_key(algorithm, now).ok_or(InternalError::NoKey(algorithm.as_str()))
}

/// The refresh token of a grant's current generation; the same one each time it is derived.
fn refresh_token(keyring: &Keyring, grant: &Grant) -> Result<String, InternalError> {
    let position = Position { grant: grant.id, generation: grant.generation };
    let token = crypto::derive(keyring, grant.mac_kid, PositionKind::RefreshToken, position);
    Ok(token.ok_or(InternalError::NoKey("HMAC-SHA256"))?.expose().to_owned())
}
