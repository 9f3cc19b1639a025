//! The JWT bearer grant (RFC 7523 §2.1): a client acts for a person for whom a trusted issuer vouches.

use time::Duration;

use crate::crypto::{self, ForeignJwt};
use crate::domain::{Actor, AssertionIssuer, AuditEvent, GrantId, Scope, Secret, Timestamp, UserId};
use crate::protocol::assertion_grant::{self, Accepted, Person, refused};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims, TokenType, numeric_date, token_id};
use crate::protocol::client_assertion::Audiences;
use crate::protocol::token::TokenResponse;
use crate::store;
use crate::store::assertion_grants::{self, AssertionGrant, FoundBy};

use super::token::{Exchange, Target};
use super::{FlowError, client_auth, client_keys, issue, subject};

impl Exchange<'_> {
    /// Judges the assertion and what is asked for, uses the assertion up, and signs one access token. What it gives hangs on a grant of its own,
    /// so that it ends when the account is locked or the person signed out everywhere.
    pub(super) async fn redeem_assertion(&self, assertion: &Secret) -> Result<TokenResponse, FlowError> {
        let issuer = assertion_grant::trusted_issuer(self.client.client())?;
        let accepted = self.judge_assertion(issuer, assertion).await?;
        let target = self.api_target("nobody signs in with an assertion")?;
        let own = self.client.client().metadata.access_token_lifetime.map(|s| Duration::seconds(s.into()));
        let shortest = [own, target.audience.lifetime].into_iter().flatten().min();
        let expires_at = self.now + shortest.unwrap_or(self.engine.policy.access_token_lifetime);
        let id = GrantId(self.engine.random.uuid_v7(self.now));
        // Nobody's browser is behind it, so no session may end it.
        let scope = target.scope.union(&Scope::from_tokens(["offline_access"]).unwrap_or_default());
        let keyring = self.engine.snapshots.keyring()?;
        let grant = AssertionGrant {
            id,
            client_id: self.client.id(),
            scope: &scope,
            resources: &self.request.resources,
            key: self.key(),
            mac_kid: self.mac_kid(&keyring)?,
            expires_at,
        };
        let person = self.use_up(issuer, &accepted, grant).await?;
        self.sign_for(person, id, expires_at, target)
    }

    /// RFC 7523 §3: what it says, then whose signature it has: keys that must be fetched are fetched for nothing less.
    async fn judge_assertion(&self, issuer: &AssertionIssuer, assertion: &Secret) -> Result<Accepted, FlowError> {
        let client = self.client.client();
        let algorithms = assertion_grant::algorithms(client);
        let unproven = |error: &dyn std::fmt::Display| refused("signature", error);
        let jwt = ForeignJwt::read(assertion.expose(), algorithms).map_err(|error| unproven(&error))?;
        let (token_endpoint, alias) = client_auth::token_endpoints(self.engine);
        let audiences =
            Audiences { issuer: &self.engine.policy.issuer, token_endpoint: &token_endpoint, alias: alias.as_deref() };
        let accepted = assertion_grant::judge(client, issuer, jwt.typ.as_deref(), &jwt.claims, audiences, self.now)?;
        let keys = client_keys::of_issuer(self.engine, issuer, jwt.kid.as_deref()).await;
        jwt.verify(&*keys.map_err(|error| unproven(&error))?, algorithms).map_err(|error| unproven(&error))?;
        Ok(accepted)
    }

    /// Takes the assertion out of use, whether or not it means somebody, and keeps the grant.
    async fn use_up(
        &self,
        issuer: &AssertionIssuer,
        accepted: &Accepted,
        grant: AssertionGrant<'_>,
    ) -> Result<UserId, FlowError> {
        let name = crypto::sha256(format!("grant assertion {}\0{}", issuer.issuer, accepted.jti).as_bytes());
        let mut tx = self.engine.store.begin("redeem assertion").await?;
        if !store::proofs::use_once(tx.conn(), &name, accepted.expires_at).await? {
            return Err(assertion_grant::used().into());
        }
        let found_by = match &accepted.person {
            Person::Id(id) => FoundBy::Id(*id),
            Person::Email(email) => FoundBy::Email(email),
        };
        let person = assertion_grants::insert(tx.conn(), found_by, grant, self.now).await?;
        if let Some(user_id) = person {
            let event = AuditEvent {
                name: "grant.by_assertion",
                actor: Actor::Client(self.client.id().clone()),
                subject: grant.id.to_string(),
                details: serde_json::json!({ "client_id": self.client.id(), "user_id": user_id, "issuer": issuer.issuer }),
            };
            self.engine.audit(&mut tx, &event, self.origin).await?;
        }
        tx.commit().await?;
        Ok(person.ok_or_else(assertion_grant::nobody)?)
    }

    /// RFC 7521 §4.1: an access token alone. It says nothing of a sign-in, since there was none.
    fn sign_for(
        &self,
        person: UserId,
        grant: GrantId,
        expires_at: Timestamp,
        target: Target,
    ) -> Result<TokenResponse, FlowError> {
        let Target { scope, audience } = target;
        let (iat, exp) = (numeric_date(self.now), numeric_date(expires_at));
        let claims = AccessTokenClaims {
            iss: self.engine.policy.issuer.clone(),
            sub: subject::of_person(self.engine, self.client.client(), person)?,
            aud: audience.values,
            exp,
            iat,
            jti: token_id(Some(grant), self.engine.random.bytes()),
            client_id: self.client.id().as_str().to_owned(),
            scope: scope.clone(),
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            sid: None,
            cnf: self.bound,
            act: None,
            exchanged_from: Vec::new(),
        };
        Ok(TokenResponse {
            access_token: issue::sign(self.engine, audience.algorithm, ACCESS_TOKEN_TYPE, &claims)?,
            token_type: TokenType::of(self.bound),
            expires_in: exp - iat,
            scope,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        })
    }
}
