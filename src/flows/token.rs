//! The token endpoint: numbered phases that no grant can skip.

use time::Duration;

use crate::crypto::{self, PositionKind};
use crate::domain::{
    Actor, AuditEvent, Grant, GrantDetails, GrantEnd, GrantType, KeyThumbprint, Kid, Origin, Position,
    RefreshTokenRotation, Scope, Secret, Timestamp,
};
use crate::protocol::audience::{Audience, STANDARD_SCOPES};
use crate::protocol::claims::Confirmation;
use crate::protocol::client_auth::{AuthenticatedClient, Credentials};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::protocol::sender::{self, Presenter};
use crate::protocol::token::{PresentedGrant, TokenRequest, TokenResponse, parse};
use crate::protocol::{authorize, code, pkce, refresh};
use crate::store::{self, Redemption, RotationQuestion, grants::Successor};
use crate::telemetry;

use super::client_auth::authenticate;
use super::dpop;
use super::issue::{Mint, audience, narrow, still_meant};
use super::{Engine, FlowError, InternalError};

/// Answers a token request.
///
/// # Errors
/// Those of RFC 6749 §5.2.
pub async fn exchange(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
    origin: &Origin,
) -> Result<TokenResponse, FlowError> {
    let now = engine.clock.now();
    // 1. Who is calling?
    let client = authenticate(engine, credentials, params).await?;
    let request = parse(params)?;
    // 2. May it use this grant?
    let grant_type = request.grant.grant_type();
    if !client.client().may_use(grant_type) {
        let sentence = format!("This client is not registered for the {} grant.", grant_type.as_str());
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence).into());
    }
    // 3. Sender constraint: whatever the grant, what is given is bound to the key or certificate that was proven.
    let bound = dpop::sender(engine, credentials, client.client(), &request.grant).await?;
    // 4. The grant itself.
    let exchange = Exchange { engine, client: &client, bound, request: &request, origin, now };
    let (grant, target) = match &request.grant {
        PresentedGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
            // Boxed, so that the other grants do not carry these large futures from place to place.
            Box::pin(exchange.redeem(code, redirect_uri.as_deref(), code_verifier.as_ref())).await?
        }
        PresentedGrant::RefreshToken { refresh_token } => Box::pin(exchange.refresh(refresh_token)).await?,
        PresentedGrant::ClientCredentials => (None, exchange.api_target("no person is behind client_credentials")?),
        PresentedGrant::DeviceCode { device_code } => Box::pin(exchange.redeem_device_code(device_code)).await?,
        PresentedGrant::TokenExchange(presented) => {
            // It mints by itself: what it gives has no grant of its own, but what the presented token has.
            let response = Box::pin(exchange.exchange_token(presented)).await?;
            telemetry::token_issued(grant_type.as_str());
            return Ok(response);
        }
        PresentedGrant::JwtBearer { assertion } => {
            // So does this: nobody signed in, so there is nothing more to give than an access token.
            let response = Box::pin(exchange.redeem_assertion(assertion)).await?;
            telemetry::token_issued(grant_type.as_str());
            return Ok(response);
        }
    };
    // 5. Mint.
    let Target { scope, audience } = target;
    let mint = Mint { client: client.client(), grant: grant.as_ref(), scope: &scope, audience, bound, now };
    let response = mint.response(engine)?;
    telemetry::token_issued(grant_type.as_str());
    Ok(response)
}

/// RFC 8707 §2.2: a token request may ask for fewer resources than were granted, never for others.
fn narrowed_resources(request: &TokenRequest, granted: &[String]) -> Result<Vec<String>, OAuthError> {
    if request.resources.is_empty() {
        return Ok(granted.to_vec());
    }
    if !granted.is_empty() && !request.resources.iter().all(|resource| granted.contains(resource)) {
        return Err(OAuthError::new(
            ErrorCode::InvalidTarget,
            "The resource is not among those of the authorization request.",
        ));
    }
    Ok(request.resources.clone())
}

/// One request that passed the first phases.
pub(super) struct Exchange<'a> {
    pub(super) engine: &'a Engine,
    pub(super) client: &'a AuthenticatedClient,
    /// The key or certificate that was proven.
    pub(super) bound: Option<Confirmation>,
    pub(super) request: &'a TokenRequest,
    pub(super) origin: &'a Origin,
    pub(super) now: Timestamp,
}

/// A grant was taken from generation 0 to 1.
pub(super) struct FirstUse(Redemption);

impl FirstUse {
    /// The grant as it is now.
    pub(super) fn of(self, grant: Grant) -> Grant {
        let Redemption { successor: Successor { mac_kid, idle_lifetime }, key, expires_at, now, .. } = self.0;
        let idle_expires_at = (now + idle_lifetime).min(expires_at);
        let details = GrantDetails { expires_at, dpop_jkt: grant.details.dpop_jkt.or(key), ..grant.details };
        Grant { generation: 1, mac_kid, rotated_at: now, idle_expires_at, details, ..grant }
    }
}

/// What the access token allows, and for whom it is.
pub(super) struct Target {
    pub(super) scope: Scope,
    pub(super) audience: Audience,
}

pub(super) type Granted = (Option<Grant>, Target);

impl Exchange<'_> {
    /// What a grant remembers of the key or certificate.
    pub(super) fn key(&self) -> Option<KeyThumbprint> {
        self.bound.map(Confirmation::thumbprint)
    }

    /// What a token is for that comes without a sign-in: APIs only. `why` ends the sentence of a refusal.
    pub(super) fn api_target(&self, why: &str) -> Result<Target, FlowError> {
        let asked = self.request.scope.as_deref();
        let mut scope = authorize::requested_scope(self.client.client(), asked)?;
        if asked.is_none() {
            // A client that may also act for people leaves out what is about them.
            let standard = Scope::from_tokens(STANDARD_SCOPES).unwrap_or_default();
            scope = narrow(self.engine, &scope.without(&standard), &self.request.resources)?;
        }
        if let Some(token) = scope.tokens().find(|token| authorize::is_standard_scope(token)) {
            let sentence = format!("The scope {token} is about a person; {why}.");
            return Err(OAuthError::new(ErrorCode::InvalidScope, sentence).into());
        }
        self.aim(scope, &self.request.resources)
    }

    /// What a grant allows of what was asked. What an operator took from the client since then is not in it any more.
    pub(super) fn target(&self, grant: &Grant, asked: Option<&Scope>) -> Result<Target, FlowError> {
        let mut resources = narrowed_resources(self.request, &grant.details.resources)?;
        let scope = if let Some(asked) = asked {
            asked.clone()
        } else {
            let registered = &self.client.client().metadata.scope;
            narrow(self.engine, &grant.details.scope.intersection(registered), &resources)?
        };
        if self.request.resources.is_empty() {
            resources = still_meant(self.engine, &scope, resources)?;
        }
        self.aim(scope, &resources)
    }

    pub(super) fn aim(&self, scope: Scope, resources: &[String]) -> Result<Target, FlowError> {
        let audience = audience(self.engine, &scope, resources)?;
        if scope.is_empty() {
            let sentence = "The scope is empty, or nothing of it is left that this client is registered for.";
            return Err(OAuthError::new(ErrorCode::InvalidScope, sentence).into());
        }
        Ok(Target { scope, audience })
    }

    async fn redeem(
        &self,
        code: &Secret,
        redirect_uri: Option<&str>,
        verifier: Option<&Secret>,
    ) -> Result<Granted, FlowError> {
        let keyring = self.engine.snapshots.keyring()?;
        let (position, _) =
            crypto::open(&keyring, PositionKind::Code, code.expose(), self.now).ok_or_else(code::unknown)?;
        let grant = self.engine.store.grant(position.grant, self.now).await?.ok_or_else(code::unknown)?;
        let well_formed = verifier.filter(|verifier| pkce::is_verifier(verifier.expose()));
        let hashed = well_formed.map(|verifier| crypto::s256_challenge(verifier.expose()));
        let presented = code::Presented {
            presenter: self.presenter(),
            redirect_uri,
            verifier_sent: verifier.is_some(),
            hashed_verifier: hashed.as_deref(),
        };
        match code::judge(&grant, presented, self.now) {
            code::Verdict::Redeem => {}
            code::Verdict::Reused => return Err(self.end_family(&grant, GrantEnd::CodeReused).await?.into()),
            code::Verdict::Refuse(error) => return Err(error.into()),
        }
        // The target is judged before anything is written, so that a refused request does not use the code up.
        let target = self.target(&grant, None)?;
        let Some(first) = self.use_first(&keyring, &grant).await? else {
            // Somebody else redeemed it between our look and our write; that is a second use like any other.
            return Err(self.end_family(&grant, GrantEnd::CodeReused).await?.into());
        };
        Ok((Some(first.of(grant)), target))
    }

    /// Takes a grant from generation 0, which waits, to 1, which has tokens. `None`: somebody else did at this moment.
    pub(super) async fn use_first(
        &self,
        keyring: &crypto::Keyring,
        grant: &Grant,
    ) -> Result<Option<FirstUse>, InternalError> {
        let (successor, expires_at) = self.first_generation(keyring)?;
        let redemption = Redemption { grant: grant.id, successor, key: self.key(), expires_at, now: self.now };
        Ok(self.engine.store.redeem(redemption).await?.then_some(FirstUse(redemption)))
    }

    /// How long a family lives from its first token on. Without refresh tokens it only has to outlive its access token.
    fn first_generation(&self, keyring: &crypto::Keyring) -> Result<(Successor, Timestamp), InternalError> {
        let policy = self.client.client().refresh_policy(self.engine.policy.refresh);
        let lifetime = if self.client.client().may_use(GrantType::RefreshToken) {
            policy.absolute_lifetime
        } else {
            Duration::days(1)
        };
        Ok((Successor { mac_kid: self.mac_kid(keyring)?, idle_lifetime: policy.idle_lifetime }, self.now + lifetime))
    }

    pub(super) fn mac_kid(&self, keyring: &crypto::Keyring) -> Result<Kid, InternalError> {
        keyring.mac_kid(self.now).ok_or(InternalError::NoKey("HMAC-SHA256"))
    }

    /// Mechanism 1: one guarded statement decides; only when it hits no row is the grant locked and judged.
    async fn refresh(&self, token: &Secret) -> Result<Granted, FlowError> {
        let keyring = self.engine.snapshots.keyring()?;
        let opened = crypto::open(&keyring, PositionKind::RefreshToken, token.expose(), self.now);
        let (position, _) = opened.ok_or_else(refresh::unknown)?;
        let asked = self.request.scope.as_deref().map(Scope::parse).transpose();
        let asked = asked.map_err(|e| OAuthError::new(ErrorCode::InvalidScope, e.to_string()))?;
        Box::pin(self.check_target(position, asked.as_ref())).await?;
        let policy = self.client.client().refresh_policy(self.engine.policy.refresh);
        let successor = Successor { mac_kid: self.mac_kid(&keyring)?, idle_lifetime: policy.idle_lifetime };
        let question = RotationQuestion {
            position,
            client_id: self.client.id().clone(),
            key: self.key(),
            any_key: self.presenter().is_confidential,
            scope: asked.as_ref().map(Scope::to_vec).unwrap_or_default(),
            step: i32::from(!self.keeps_refresh_token()),
            successor,
            now: self.now,
        };
        let mut grant = if let Some(grant) = self.engine.store.rotate(question).await? {
            telemetry::refresh_outcome("rotated");
            grant
        } else {
            let grant = Box::pin(self.judge_refresh(position, asked.as_ref(), policy.grace_period)).await?;
            // The key that made the successor was withdrawn in an emergency, and the successor died with it.
            let next = Position { generation: grant.generation, ..position };
            crypto::derive(&keyring, grant.mac_kid, PositionKind::RefreshToken, next).ok_or_else(refresh::unknown)?;
            grant
        };
        // An ID token that comes with a refresh is not the answer to the authorization request any more (Core §12.2).
        grant.details.nonce = None;
        let target = self.target(&grant, asked.as_ref())?;
        Ok((Some(grant), target))
    }

    /// Whether this client's refresh tokens stay, which its registration allows only where they are bound.
    fn keeps_refresh_token(&self) -> bool {
        self.client.client().metadata.protocol.refresh_token_rotation == RefreshTokenRotation::Static
    }

    fn presenter(&self) -> Presenter<'_> {
        Presenter { client_id: self.client.id(), is_confidential: !self.client.client().is_public(), key: self.key() }
    }

    /// Refuses an impossible target before the token is rotated, so that the client can mend its request and keep its token. Only a
    /// request that names a scope or a resource has to look at the grant for that.
    async fn check_target(&self, position: Position, asked: Option<&Scope>) -> Result<(), FlowError> {
        if asked.is_none() && self.request.resources.is_empty() {
            return Ok(());
        }
        let beyond = asked.map(|asked| asked.without(&self.client.client().metadata.scope)).unwrap_or_default();
        if let Some(token) = beyond.tokens().next() {
            let sentence = format!("The scope {token} is not registered for this client.");
            return Err(OAuthError::new(ErrorCode::InvalidScope, sentence).into());
        }
        let grant = self.engine.store.grant(position.grant, self.now).await?;
        // What another client's token or a dead one is answered with, the guarded statement and its judge know.
        let holds = |grant: &Grant| {
            grant.details.client_id == *self.client.id()
                && refresh::end_of(grant, self.now).is_none()
                && sender::refusal(grant, self.presenter()).is_none()
        };
        if let Some(grant) = grant.filter(holds) {
            self.target(&grant, asked)?;
        }
        Ok(())
    }

    async fn judge_refresh(
        &self,
        position: Position,
        asked: Option<&Scope>,
        grace_period: Duration,
    ) -> Result<Grant, FlowError> {
        let mut tx = self.engine.store.begin("judge refresh").await?;
        store::grants::lock(tx.conn(), position.grant).await?;
        let found = store::grants::find(tx.conn(), position.grant, self.now).await?;
        let Some(grant) = found else {
            telemetry::refresh_outcome("refused");
            return Err(refresh::unknown().into());
        };
        let presented = refresh::Presented {
            presenter: self.presenter(),
            generation: position.generation,
            scope: asked,
            grace_period,
        };
        match refresh::judge(&grant, presented, self.now) {
            refresh::Verdict::Replay => {
                if let Some(key) = self.key().filter(|_| grant.details.dpop_jkt.is_none()) {
                    // §5: a refresh token that comes with a proof is bound, also one that was made before.
                    store::grants::bind(tx.conn(), grant.id, key).await?;
                    tx.commit().await?;
                }
                telemetry::refresh_outcome("replayed");
                Ok(grant)
            }
            // Where nothing rotates, another request may have kept the family alive at this very moment.
            refresh::Verdict::Rotate if self.keeps_refresh_token() => {
                telemetry::refresh_outcome("replayed");
                Ok(grant)
            }
            refresh::Verdict::Reused => {
                drop(tx);
                telemetry::refresh_outcome("reuse");
                Err(self.end_family(&grant, GrantEnd::RefreshTokenReused).await?.into())
            }
            refresh::Verdict::Refuse(error) => {
                telemetry::refresh_outcome("refused");
                Err(error.into())
            }
            // The guard found something that was mended meanwhile, such as an account that was unlocked just now.
            refresh::Verdict::Rotate => {
                Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "Send the request again.").into())
            }
        }
    }

    /// Ends a family and keeps that, then gives the refusal. The commit comes first: no error may undo a revocation.
    async fn end_family(&self, grant: &Grant, reason: GrantEnd) -> Result<OAuthError, InternalError> {
        let mut tx = self.engine.store.begin("end family").await?;
        if store::grants::end(tx.conn(), grant.id, reason, self.now).await? {
            let event = AuditEvent {
                name: match reason {
                    GrantEnd::CodeReused => "grant.code_reused",
                    _ => "grant.refresh_token_reused",
                },
                actor: Actor::Client(self.client.id().clone()),
                subject: grant.id.to_string(),
                details: serde_json::json!({ "client_id": self.client.id(), "user_id": grant.details.user_id, "generation": grant.generation }),
            };
            self.engine.audit(&mut tx, &event, self.origin).await?;
        }
        tx.commit().await?;
        Ok(match reason {
            GrantEnd::CodeReused => {
                let sentence = "The authorization code was used before; all tokens of this authorization were revoked. Start a new authorization.";
                OAuthError::invalid_grant("reused", sentence)
            }
            _ => refresh::reused(),
        })
    }
}
