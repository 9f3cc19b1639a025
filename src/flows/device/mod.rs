//! The device flow (RFC 8628): a device asks, a person decides in a browser (`page`), the device polls.

mod guesses;
pub mod page;

use crate::crypto;
use crate::domain::{ClientId, DeviceRequest, GrantType, RequestId, Secret};
use crate::protocol::authorize::{requested_resources, requested_scope};
use crate::protocol::client_auth::Credentials;
use crate::protocol::device::{self, DeviceAuthorization, POLL_INTERVAL};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::params::Params;
use crate::store;
use crate::telemetry;

use super::client_auth::authenticate;
use super::issue::audience;
use super::token::{Exchange, Granted};
use super::{Engine, FlowError, InternalError};

pub use guesses::Guesses;

/// The purpose of the MAC under which user codes are kept and found.
const USER_CODE: &str = "device user code";
/// How often a user code is drawn again because another device has it at the moment.
const MOST_DRAWS: usize = 5;

/// Answers a device that asks for a pair of codes (§3.1).
///
/// # Errors
/// `invalid_client`, `invalid_request`, `unauthorized_client`, `invalid_scope`, `invalid_target`.
pub async fn begin(
    engine: &Engine,
    credentials: &Credentials,
    params: &Params,
) -> Result<DeviceAuthorization, FlowError> {
    let client = authenticate(engine, credentials, params).await?;
    let client = client.client();
    if !client.may_use(GrantType::DeviceCode) {
        let sentence = "This client is not registered for the device code grant.";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, sentence).into());
    }
    let (scope, resources) = (requested_scope(client, params.one("scope")?)?, requested_resources(client, params)?);
    // An impossible audience is told now rather than after a person has typed the code.
    audience(engine, &scope, &resources)?;
    let now = engine.clock.now();
    let request = DeviceRequest {
        id: RequestId(engine.random.uuid_v7(now)),
        client_id: client.id.clone(),
        scope,
        resources,
        expires_at: now + engine.policy.device_code_lifetime,
    };
    let device_code = engine.random.token("ksd_");
    let user_code = device::shown(&keep(engine, &request, &device_code).await?);
    telemetry::device_authorization("started");
    let verification_uri = format!("{}/device", engine.policy.issuer);
    Ok(DeviceAuthorization {
        device_code: device_code.expose().to_owned(),
        verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
        verification_uri,
        user_code,
        expires_in: engine.policy.device_code_lifetime.whole_seconds(),
        interval: POLL_INTERVAL,
    })
}

/// Keeps the request under a user code that no other device has.
async fn keep(engine: &Engine, request: &DeviceRequest, device_code: &Secret) -> Result<String, InternalError> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring()?;
    let device_code_sha256 = crypto::sha256(device_code.expose().as_bytes());
    let mut draws = 0;
    loop {
        let Some(user_code) = device::user_code(&engine.random.bytes::<32>()) else { continue };
        let tag = crypto::mac_tag(&keyring, USER_CODE, &[user_code.as_bytes()], now);
        let user_code_tag = tag.ok_or(InternalError::NoKey("HMAC-SHA256"))?;
        let codes = store::device_authorizations::KeptCodes {
            device_code_sha256: &device_code_sha256,
            user_code_tag: &user_code_tag,
        };
        draws += 1;
        match store::device_authorizations::insert(engine.store.pool(), request, codes, POLL_INTERVAL, now).await {
            Ok(()) => return Ok(user_code),
            Err(taken) if taken.is_constraint("device_authorizations_user_code_tag_key") && draws < MOST_DRAWS => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Exchange<'_> {
    /// A device comes for its tokens (§3.4). What the person allowed is a grant like any other, whose code nobody holds; the guarded
    /// statement that redeems codes lets one of many requests have it.
    pub(super) async fn redeem_device_code(&self, device_code: &Secret) -> Result<Granted, FlowError> {
        let gone = || OAuthError::invalid_grant("revoked", "The authorization was revoked; ask for a new device code.");
        let client_id: &ClientId = self.client.id();
        let sha256 = crypto::sha256(device_code.expose().as_bytes());
        let pool = self.engine.store.pool();
        let found = store::device_authorizations::poll(pool, &sha256, client_id, self.now).await?;
        let id = device::judge_poll(found, self.now)?;
        let grant = self.engine.store.grant(id, self.now).await?.ok_or_else(gone)?;
        device::judge_grant(&grant, client_id, self.now)?;
        let target = self.target(&grant, None)?;
        let keyring = self.engine.snapshots.keyring()?;
        let first = self.use_first(&keyring, &grant).await?.ok_or_else(device::used)?;
        telemetry::device_authorization("redeemed");
        Ok((Some(first.of(grant)), target))
    }
}
