//! DPoP (RFC 9449): whether a proof holds, and the nonces that it may have to repeat.
//!
//! Whoever takes proofs calls [`proven_key`] once, and gives [`nonce`] back with every answer to a request that had one.

use crate::crypto::{self, ForeignJwt, ForeignKeys, PositionKind};
use crate::domain::{Client, KeyThumbprint, Secret, SigningAlgorithm, Timestamp};
use crate::protocol::claims::Confirmation;
use crate::protocol::client_auth::Credentials;
use crate::protocol::dpop::{self, Expected, Nonce, Presented};
use crate::protocol::error::OAuthError;
use crate::protocol::token::PresentedGrant;
use crate::protocol::{code, device, refresh, sender};
use crate::store;
use crate::telemetry;

use super::{Engine, FlowError, InternalError};

const PURPOSE: &str = "DPoP nonce";
/// Seconds for which the same nonce is given. The one before and the one after are taken too, so a nonce lives for two to four minutes and the
/// replicas' clocks need not agree to the second.
const NONCE_WINDOW: i64 = 120;

/// Where a proof is presented.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The HTTP method of the request.
    pub method: &'a str,
    /// The path of the endpoint, after the issuer.
    pub path: &'a str,
    /// The access token that comes with it; none at endpoints that give tokens, and where requests are pushed.
    pub access_token: Option<&'a str>,
}

impl Occasion<'static> {
    /// A POST to an endpoint that takes no access token.
    #[must_use]
    pub fn post(path: &'static str) -> Self {
        Self { method: "POST", path, access_token: None }
    }
}

/// The key of a proof, once everything about the proof was found right. It cannot be used again after that, on no replica.
///
/// # Errors
/// `invalid_dpop_proof`, `use_dpop_nonce`, or the database.
pub async fn proven_key(engine: &Engine, proof: &str, occasion: Occasion<'_>) -> Result<KeyThumbprint, FlowError> {
    let outcome = judged_key(engine, proof, occasion).await;
    if let Err(FlowError::Refused(error)) = &outcome {
        telemetry::dpop_proof_refused(error.code.as_str());
    }
    outcome
}

async fn judged_key(engine: &Engine, proof: &str, occasion: Occasion<'_>) -> Result<KeyThumbprint, FlowError> {
    let now = engine.clock.now();
    let mut jwt = ForeignJwt::read(proof, dpop::ALGORITHMS).map_err(dpop::unreadable)?;
    // There is only the key that the proof brings, whatever it is called.
    jwt.kid = None;
    let certificates = engine.policy.certificates.as_ref();
    let alias = certificates.and_then(|policy| policy.url.as_ref()).map(|origin| format!("{origin}{}", occasion.path));
    let url = format!("{}{}", engine.policy.issuer, occasion.path);
    let hash = occasion.access_token.map(crypto::s256_challenge);
    let presented = Presented { typ: jwt.typ.as_deref(), claims: &jwt.claims };
    let at = |url| Expected { method: occasion.method, url, access_token_hash: hash.as_deref() };
    // RFC 8705 §5: a client that also shows a certificate reaches the same endpoint at another address.
    let judged = dpop::judge(presented, at(&url), now).or_else(|error| match &alias {
        Some(alias) => dpop::judge(presented, at(alias), now).map_err(|_| error),
        None => Err(error),
    })?;
    let key = verify(&jwt)?;
    dpop::judge_nonce(judge_nonce(engine, judged.nonce, now)?, engine.policy.dpop_nonce_required)?;
    // §11.1: whoever sees a proof on its way could send it again as long as it is fresh. Different keys may use the same jti.
    let name = crypto::sha256(&[b"DPoP\0", &key.0[..], judged.jti.as_bytes()].concat());
    if !store::proofs::use_once(engine.store.pool(), &name, judged.remembered_until).await? {
        return Err(dpop::replayed().into());
    }
    Ok(key)
}

/// §4.3 items 6 and 7: the proof is signed by the very key that it brings, which holds no private part.
fn verify(jwt: &ForeignJwt<'_>) -> Result<KeyThumbprint, OAuthError> {
    let jwk =
        jwt.jwk.as_ref().ok_or_else(|| dpop::unreadable("its header has no jwk, the public key of its signature"))?;
    let keys = ForeignKeys::of_one(jwk).map_err(dpop::unreadable)?;
    jwt.verify(&keys, SigningAlgorithm::ALL).map_err(dpop::unreadable)?;
    KeyThumbprint::parse(keys.thumbprint()).ok_or_else(|| dpop::unreadable("its key has no thumbprint"))
}

/// Phase 3 of the token endpoint: the key or certificate that the tokens of this request are bound to. A request without either costs nothing.
///
/// # Errors
/// Those of [`proven_key`], `invalid_grant` for a proof beside what was never given, `invalid_dpop_proof` where the client always needs a proof, and `invalid_request` where it needs a certificate.
pub async fn sender(
    engine: &Engine,
    credentials: &Credentials,
    client: &Client,
    grant: &PresentedGrant,
) -> Result<Option<Confirmation>, FlowError> {
    let shown = credentials.certificate.as_ref().map(crypto::certificate_thumbprint);
    if let Some(bound) = sender::certificate(client, shown, credentials.dpop.is_some())? {
        return Ok(Some(bound));
    }
    let key = match credentials.dpop.as_deref() {
        // Boxed, so that requests without a proof do not carry these futures.
        Some(proof) => {
            Box::pin(refuse_guess(engine, client, grant)).await?;
            Some(Box::pin(proven_key(engine, proof, Occasion::post("/oauth2/token"))).await?)
        }
        None => None,
    };
    sender::require(client, key)?;
    Ok(key.map(|jkt| Confirmation::Key { jkt }))
}

/// Refuses what was never given to anybody before its proof is remembered: else whoever knows the id of a public client could fill the
/// database with proofs. Whether what was given is still good, the grant's own phase says.
async fn refuse_guess(engine: &Engine, client: &Client, grant: &PresentedGrant) -> Result<(), FlowError> {
    let now = engine.clock.now();
    let opens = |kind, text: &Secret| -> Result<bool, InternalError> {
        Ok(crypto::open(&*engine.snapshots.keyring()?, kind, text.expose(), now).is_some())
    };
    match grant {
        PresentedGrant::AuthorizationCode { code, .. } if !opens(PositionKind::Code, code)? => {
            Err(code::unknown().into())
        }
        PresentedGrant::RefreshToken { refresh_token } if !opens(PositionKind::RefreshToken, refresh_token)? => {
            Err(refresh::unknown().into())
        }
        PresentedGrant::DeviceCode { device_code } => {
            let sha256 = crypto::sha256(device_code.expose().as_bytes());
            if store::device_authorizations::exists(engine.store.pool(), &sha256, &client.id).await? {
                return Ok(());
            }
            Err(device::unknown().into())
        }
        // The clients of the others have a secret or a key, and have shown that.
        _ => Ok(()),
    }
}

fn window(now: Timestamp) -> i64 {
    now.unix_timestamp().div_euclid(NONCE_WINDOW)
}

fn judge_nonce(engine: &Engine, nonce: Option<&str>, now: Timestamp) -> Result<Nonce, InternalError> {
    let Some(nonce) = nonce else { return Ok(Nonce::Absent) };
    let keyring = engine.snapshots.keyring()?;
    let of = |window: i64| crypto::check_tag(&keyring, PURPOSE, &[&window.to_be_bytes()], nonce, now);
    let near = [window(now), window(now) - 1, window(now) + 1];
    Ok(if near.into_iter().any(of) { Nonce::Known } else { Nonce::Unknown })
}

/// The nonce for the next proof (§8.2): a MAC over the time, so that every replica knows it and none has to remember it. Nothing where no
/// key can make one at the moment.
#[must_use]
pub fn nonce(engine: &Engine) -> Option<String> {
    let now = engine.clock.now();
    let keyring = engine.snapshots.keyring().ok()?;
    crypto::mac_tag(&keyring, PURPOSE, &[&window(now).to_be_bytes()], now)
}
