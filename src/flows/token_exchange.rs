//! Token exchange (RFC 8693): a live access token for a narrower one, which dies with it.

use time::Duration;

use crate::crypto::{self, Expiry};
use crate::domain::{Client, Secret};
use crate::protocol::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims, TokenType, grant_of, numeric_date, token_id};
use crate::protocol::introspection::may_learn;
use crate::protocol::token::TokenResponse;
use crate::protocol::token_exchange::{
    self, PresentedClaims, PresentedTokens, chain, judge_actor, judge_client, judge_scope, judge_targets, unacceptable,
};

use super::FlowError;
use super::introspect::{check_bearer_token, verified};
use super::issue::{self, narrow};
use super::token::{Exchange, Target};

impl Exchange<'_> {
    /// Judges client, tokens, targets and scope, in this order, and signs.
    pub(super) async fn exchange_token(&self, presented: &PresentedTokens) -> Result<TokenResponse, FlowError> {
        let client = self.client.client();
        judge_client(client, presented.actor_token.is_some())?;
        let subject = self.presented("subject_token", &presented.subject_token).await?;
        if let Some(token) = &presented.actor_token {
            judge_actor(client, &self.presented("actor_token", token).await?)?;
        }
        let mut asked = self.request.resources.clone();
        asked.extend(presented.audience.iter().filter(|audience| !self.request.resources.contains(audience)).cloned());
        let targets = judge_targets(client, &subject, &asked)?;
        let mut scope = judge_scope(client, &subject, self.request.scope.as_deref())?;
        if self.request.scope.is_none() {
            scope = narrow(self.engine, &scope, &targets)?;
        }
        let target = self.aim(scope, &targets)?;
        self.sign(&subject, presented.actor_token.as_ref().map(|_| client), target)
    }

    /// The claims of a token that is live and this client's business: its own, or made for an API that it speaks for.
    async fn presented(&self, name: &str, token: &Secret) -> Result<AccessTokenClaims, FlowError> {
        let refuse = || unacceptable(name);
        let ours = verified(self.engine, token.expose())?.ok_or_else(refuse)?;
        let servers = self.engine.snapshots.resource_servers()?;
        let audience: Vec<_> =
            ours.audience.iter().filter_map(|audience| servers.by_audience(audience)).map(AsRef::as_ref).collect();
        if !may_learn(self.client.id(), &ours.client_id, &audience) {
            return Err(refuse().into());
        }
        let keyring = self.engine.snapshots.keyring()?;
        let (issuer, types) = (&self.engine.policy.issuer, [ACCESS_TOKEN_TYPE]);
        let read = crypto::verify(&keyring, token.expose(), &types, issuer, self.now, Expiry::Enforce);
        let (_, claims): (_, PresentedClaims) = read.map_err(|_| refuse())?;
        token_exchange::refuse_bound(name, &claims)?;
        check_bearer_token(self.engine, token.expose()).await?.ok_or_else(refuse)?;
        Ok(claims.token)
    }

    fn sign(
        &self,
        subject: &AccessTokenClaims,
        actor: Option<&Client>,
        target: Target,
    ) -> Result<TokenResponse, FlowError> {
        let Target { scope, audience } = target;
        let own = self.client.client().metadata.access_token_lifetime.map(|s| Duration::seconds(s.into()));
        let shortest = [own, audience.lifetime].into_iter().flatten().min();
        let lifetime = shortest.unwrap_or(self.engine.policy.access_token_lifetime);
        let iat = numeric_date(self.now);
        let exp = numeric_date(self.now + lifetime).min(subject.exp);
        let claims = AccessTokenClaims {
            aud: audience.values,
            exp,
            iat,
            // With the grant's id inside, everything that ends the grant ends this token too.
            jti: token_id(grant_of(&subject.jti), self.engine.random.bytes()),
            client_id: self.client.id().as_str().to_owned(),
            scope: scope.clone(),
            cnf: self.bound,
            act: chain(subject.act.clone(), actor),
            exchanged_from: token_exchange::ancestors(subject)?,
            ..subject.clone()
        };
        let access_token = issue::sign(self.engine, audience.algorithm, ACCESS_TOKEN_TYPE, &claims)?;
        let issued_token_type = Some(token_exchange::ACCESS_TOKEN_TYPE);
        Ok(TokenResponse {
            access_token,
            expires_in: exp - iat,
            scope,
            refresh_token: None,
            id_token: None,
            issued_token_type,
            token_type: TokenType::of(self.bound),
        })
    }
}
