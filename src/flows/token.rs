//! The token endpoint: numbered phases that no grant can skip.

use time::Duration;

use crate::crypto::{self, PositionKind};
use crate::domain::{Actor, AuditEvent, Grant, GrantEnd, GrantType, Kid, Origin, Position, Scope, Secret, Timestamp};
use crate::protocol::client_auth::AuthenticatedClient;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::protocol::token::{PresentedGrant, TokenRequest, TokenResponse, parse};
use crate::protocol::{authorize, code, pkce, refresh};
use crate::store::{self, RotationQuestion, grants::Successor};
use crate::telemetry;

use super::client_auth::authenticate;
use super::issue::{Mint, audience};
use super::{Engine, FlowError, InternalError};

/// Answers a token request.
///
/// # Errors
/// Those of RFC 6749 §5.2.
pub async fn exchange(
    engine: &Engine,
    authorization: Option<&str>,
    params: &Params,
    origin: &Origin,
) -> Result<TokenResponse, FlowError> {
    let now = engine.clock.now();
    // 1. Who is calling?
    let client = authenticate(engine, authorization, params)?;
    let request = parse(params)?;
    // 2. May it use this grant?
    let grant_type = request.grant.grant_type();
    if !client.client().may_use(grant_type) {
        let sentence = format!("This client is not registered for the {} grant.", grant_type.as_str());
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence).into());
    }
    // 3. Sender constraint: tokens are bearer tokens.
    // 4. The grant itself.
    let exchange = Exchange { engine, client: &client, request: &request, origin, now };
    let (grant, scope) = match &request.grant {
        PresentedGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
            exchange.redeem(code, redirect_uri.as_deref(), code_verifier.as_ref()).await?
        }
        PresentedGrant::RefreshToken { refresh_token } => exchange.refresh(refresh_token).await?,
        PresentedGrant::ClientCredentials => exchange.client_credentials()?,
    };
    // 5. Mint.
    let resources = narrowed_resources(&request, grant.as_ref())?;
    let audience = audience(engine, &scope, &resources)?;
    let response =
        Mint { client: client.client(), grant: grant.as_ref(), scope: &scope, audience, now }.response(engine)?;
    telemetry::token_issued(grant_type.as_str());
    Ok(response)
}

/// RFC 8707 §2.2: a token request may ask for fewer resources than were granted, never for others.
fn narrowed_resources(request: &TokenRequest, grant: Option<&Grant>) -> Result<Vec<String>, OAuthError> {
    let granted = grant.map(|grant| grant.details.resources.as_slice()).unwrap_or_default();
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

struct Exchange<'a> {
    engine: &'a Engine,
    client: &'a AuthenticatedClient,
    request: &'a TokenRequest,
    origin: &'a Origin,
    now: Timestamp,
}

type Granted = (Option<Grant>, Scope);

impl Exchange<'_> {
    fn client_credentials(&self) -> Result<Granted, FlowError> {
        let client = self.client.client();
        let scope = authorize::requested_scope(client, self.request.scope.as_deref())?;
        if let Some(token) = scope.tokens().find(|token| authorize::is_standard_scope(token)) {
            let sentence = format!("The scope {token} is about a person; no person is behind client_credentials.");
            return Err(OAuthError::new(ErrorCode::InvalidScope, sentence).into());
        }
        Ok((None, scope))
    }

    async fn redeem(
        &self,
        code: &Secret,
        redirect_uri: Option<&str>,
        verifier: Option<&Secret>,
    ) -> Result<Granted, FlowError> {
        let unknown = || OAuthError::invalid_grant("unknown", "The authorization code is not valid.");
        let keyring = self.engine.snapshots.keyring()?;
        let (position, _) = crypto::open(&keyring, PositionKind::Code, code.expose(), self.now).ok_or_else(unknown)?;
        let db = self.engine.store.pool();
        let grant = store::grants::find(db, position.grant, self.now).await?.ok_or_else(unknown)?;
        let well_formed = verifier.filter(|verifier| pkce::is_verifier(verifier.expose()));
        let hashed = well_formed.map(|verifier| crypto::s256_challenge(verifier.expose()));
        let presented = code::Presented {
            client_id: self.client.id(),
            redirect_uri,
            verifier_sent: verifier.is_some(),
            hashed_verifier: hashed.as_deref(),
        };
        match code::judge(&grant, presented, self.now) {
            code::Verdict::Redeem => {}
            code::Verdict::Reused => return Err(self.end_family(&grant, GrantEnd::CodeReused).await?.into()),
            code::Verdict::Refuse(error) => return Err(error.into()),
        }
        // The audience is judged before anything is written, so that a refused request does not use the code up.
        audience(self.engine, &grant.details.scope, &narrowed_resources(self.request, Some(&grant))?)?;
        let (successor, expires_at) = self.first_generation(&keyring)?;
        if !store::grants::redeem(db, grant.id, successor, expires_at, self.now).await? {
            // Somebody else redeemed it between our look and our write; that is a second use like any other.
            return Err(self.end_family(&grant, GrantEnd::CodeReused).await?.into());
        }
        let idle_expires_at = (self.now + successor.idle_lifetime).min(expires_at);
        let scope = grant.details.scope.clone();
        Ok((
            Some(Grant { generation: 1, mac_kid: successor.mac_kid, rotated_at: self.now, idle_expires_at, ..grant }),
            scope,
        ))
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

    fn mac_kid(&self, keyring: &crypto::Keyring) -> Result<Kid, InternalError> {
        keyring.mac_kid(self.now).ok_or(InternalError::NoKey("HMAC-SHA256"))
    }

    /// Mechanism 1: one guarded statement decides; only when it hits no row is the grant locked and judged.
    async fn refresh(&self, token: &Secret) -> Result<Granted, FlowError> {
        let keyring = self.engine.snapshots.keyring()?;
        let opened = crypto::open(&keyring, PositionKind::RefreshToken, token.expose(), self.now);
        let (position, _) = opened.ok_or_else(refresh::unknown)?;
        let asked = self.request.scope.as_deref().map(Scope::parse).transpose();
        let asked = asked.map_err(|e| OAuthError::new(ErrorCode::InvalidScope, e.to_string()))?;
        self.check_refresh_target(asked.as_ref())?;
        let policy = self.client.client().refresh_policy(self.engine.policy.refresh);
        let successor = Successor { mac_kid: self.mac_kid(&keyring)?, idle_lifetime: policy.idle_lifetime };
        let question = RotationQuestion {
            position,
            client_id: self.client.id().clone(),
            scope: asked.as_ref().map(Scope::to_vec).unwrap_or_default(),
            successor,
            now: self.now,
        };
        let rotated = self.engine.store.rotate(question).await?;
        let grant = match rotated {
            Some(grant) => {
                telemetry::refresh_outcome("rotated");
                grant
            }
            None => self.judge_refresh(position, asked.as_ref(), policy.grace_period).await?,
        };
        let scope = asked.unwrap_or_else(|| grant.details.scope.clone());
        Ok((Some(grant), scope))
    }

    /// Refuses an impossible target before the token is rotated, so that the client can mend its request and keep its token.
    fn check_refresh_target(&self, asked: Option<&Scope>) -> Result<(), FlowError> {
        if !self.request.resources.is_empty() {
            audience(self.engine, asked.unwrap_or(&Scope::default()), &self.request.resources)?;
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
            client_id: self.client.id(),
            generation: position.generation,
            scope: asked,
            grace_period,
        };
        match refresh::judge(&grant, presented, self.now) {
            refresh::Verdict::Replay => {
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
