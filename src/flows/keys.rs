//! The life of keys: they are made, wait until everybody can know them, sign, retire. Times are in the rows, so all replicas agree.

use time::Duration;

use crate::crypto;
use crate::domain::{Actor, AuditEvent, KeyAlgorithm, KeyRecord, KeyState, Kid, Origin, Timestamp};
use crate::store::{self, Tx};

use super::{Engine, InternalError};

/// The longest access token lifetime that a client or resource server can register, in the schema's CHECK.
const LONGEST_ACCESS_TOKEN: Duration = Duration::days(1);
/// Clocks of replicas and resource servers may differ by this much.
const CLOCK_SKEW: Duration = Duration::minutes(5);

impl Engine {
    /// Makes keys that are missing, rotates those that are due, and wraps again those whose key-encryption key was replaced. Every
    /// replica calls this at start and now and then; a lock lets one at a time do it.
    ///
    /// # Errors
    /// The database, or a key that cannot be decrypted.
    pub async fn maintain_keys(&self) -> Result<(), InternalError> {
        let now = self.clock.now();
        let mut tx = self.store.begin("maintain keys").await?;
        store::keys::lock(tx.conn()).await?;
        let records = store::keys::all(tx.conn()).await?;
        for algorithm in KeyAlgorithm::ALL {
            self.let_one_sign(&mut tx, &records, algorithm).await?;
            match newest(&records, algorithm) {
                Some(key) if key.activates_at + self.policy.key_rotation_interval - self.pending_period() <= now => {
                    self.succeed(&mut tx, key, &Actor::System, &Origin::default()).await?;
                }
                _ => {}
            }
        }
        for record in records.iter().filter(|key| !matches!(key.state(now), KeyState::Retired | KeyState::Revoked)) {
            if let Some(rewrapped) = self.encryption_keys.rewrap(record, &self.random)? {
                store::keys::replace_wrapped(tx.conn(), record.kid, &rewrapped.wrapped, &rewrapped.encryption_key_id)
                    .await?;
            }
        }
        self.maintain_pairwise_key(&mut tx).await?;
        tx.commit().await?;
        self.reload_keys().await
    }

    /// Makes the key of pairwise names once and for all, and wraps it again where its key-encryption key was replaced.
    async fn maintain_pairwise_key(&self, tx: &mut Tx) -> Result<(), InternalError> {
        let now = self.clock.now();
        let Some(key) = store::pairwise_key::find(tx.conn()).await? else {
            let key = crypto::generate(KeyAlgorithm::PairwiseNames, now, now, &self.encryption_keys, &self.random)?;
            store::pairwise_key::insert(tx.conn(), &key).await?;
            return Ok(self.audit(tx, &event("key.created", &key, &Actor::System), &Origin::default()).await?);
        };
        if let Some(rewrapped) = self.encryption_keys.rewrap(&key, &self.random)? {
            let (wrapped, id) = (&rewrapped.wrapped, &rewrapped.encryption_key_id);
            store::pairwise_key::replace_wrapped(tx.conn(), key.kid, wrapped, id).await?;
        }
        Ok(())
    }

    /// Rotates by hand: makes the successor of one key, or of each. Where one is already waiting, nothing is made. Gives the successors.
    ///
    /// # Errors
    /// The database.
    pub async fn rotate_keys(
        &self,
        only: Option<KeyAlgorithm>,
        actor: &Actor,
        origin: &Origin,
    ) -> Result<Vec<KeyRecord>, InternalError> {
        let now = self.clock.now();
        let mut tx = self.store.begin("rotate keys").await?;
        store::keys::lock(tx.conn()).await?;
        let records = store::keys::all(tx.conn()).await?;
        for algorithm in KeyAlgorithm::ALL.into_iter().filter(|algorithm| only.is_none_or(|only| only == *algorithm)) {
            self.let_one_sign(&mut tx, &records, algorithm).await?;
            match newest(&records, algorithm) {
                Some(key) if key.state(now) == KeyState::Active => self.succeed(&mut tx, key, actor, origin).await?,
                _ => {}
            }
        }
        let after = store::keys::all(tx.conn()).await?;
        tx.commit().await?;
        self.reload_keys().await?;
        let is_successor =
            |key: &KeyRecord| key.state(now) == KeyState::Pending && only.is_none_or(|only| only == key.algorithm);
        Ok(after.into_iter().filter(is_successor).collect())
    }

    /// Withdraws a key at once: its tokens are refused from now on. Where it was signing, a successor signs immediately, although
    /// relying parties may still hold an older JWKS; where it was still waiting, the key before it signs on. False: there is no such key, or it was withdrawn before.
    ///
    /// # Errors
    /// The database.
    pub async fn revoke_key(&self, kid: Kid, actor: &Actor, origin: &Origin) -> Result<bool, InternalError> {
        let now = self.clock.now();
        let mut tx = self.store.begin("revoke key").await?;
        store::keys::lock(tx.conn()).await?;
        let records = store::keys::all(tx.conn()).await?;
        let Some(key) = records.iter().find(|key| key.kid == kid && key.revoked_at.is_none()) else { return Ok(false) };
        store::keys::revoke(tx.conn(), kid, now).await?;
        let others: Vec<KeyRecord> = records.iter().filter(|other| other.kid != kid).cloned().collect();
        let active =
            others.iter().find(|other| other.algorithm == key.algorithm && other.state(now) == KeyState::Active);
        match (newest(&others, key.algorithm), active) {
            (None, Some(active)) => {
                store::keys::cancel_retirement(tx.conn(), active.kid).await?;
            }
            (None, None) => self.insert_key(&mut tx, key.algorithm, at_once(now)).await?,
            (Some(waiting), None) => {
                store::keys::activate_now(tx.conn(), waiting.kid, at_once(now)).await?;
            }
            (Some(_), Some(_)) => {}
        }
        self.audit(&mut tx, &event("key.revoked", key, actor), origin).await?;
        tx.commit().await?;
        self.reload_keys().await?;
        Ok(true)
    }

    /// Makes the first key of an algorithm. Where keys exist and none is active, because the clock was set back behind their making, the one
    /// that has been published longest signs from now on.
    async fn let_one_sign(
        &self,
        tx: &mut Tx,
        records: &[KeyRecord],
        algorithm: KeyAlgorithm,
    ) -> Result<(), InternalError> {
        let now = self.clock.now();
        if newest(records, algorithm).is_none() {
            return self.insert_key(tx, algorithm, at_once(now)).await;
        }
        let in_state = |state| records.iter().filter(move |key| key.algorithm == algorithm && key.state(now) == state);
        let first = in_state(KeyState::Pending).min_by_key(|key| key.activates_at);
        if let (None, Some(waiting)) = (in_state(KeyState::Active).next(), first) {
            tracing::warn!(kid = %waiting.kid, "the clock is behind every key of this algorithm; this one signs from now on");
            store::keys::activate_now(tx.conn(), waiting.kid, at_once(now)).await?;
            let activated = KeyRecord { activates_at: at_once(now), ..waiting.clone() };
            self.audit(tx, &event("key.activated", &activated, &Actor::System), &Origin::default()).await?;
        }
        Ok(())
    }

    async fn insert_key(
        &self,
        tx: &mut Tx,
        algorithm: KeyAlgorithm,
        activates_at: Timestamp,
    ) -> Result<(), InternalError> {
        let key = crypto::generate(algorithm, self.clock.now(), activates_at, &self.encryption_keys, &self.random)?;
        store::keys::insert(tx.conn(), &key).await?;
        self.audit(tx, &event("key.created", &key, &Actor::System), &Origin::default()).await?;
        Ok(())
    }

    /// Plans the end of `key` and makes the key that follows it, in this order: only one key may be without a planned end.
    async fn succeed(&self, tx: &mut Tx, key: &KeyRecord, actor: &Actor, origin: &Origin) -> Result<(), InternalError> {
        let now = self.clock.now();
        let retires_at = (now + self.pending_period()).max(key.activates_at);
        store::keys::plan_retirement(
            tx.conn(),
            key.kid,
            retires_at,
            retires_at + self.verification_period(key.algorithm),
        )
        .await?;
        let successor = crypto::generate(key.algorithm, now, retires_at, &self.encryption_keys, &self.random)?;
        store::keys::insert(tx.conn(), &successor).await?;
        self.audit(tx, &event("key.rotated", &successor, actor), origin).await?;
        Ok(())
    }

    /// How long a new key is published before it signs: as long as a relying party may hold the JWKS without it.
    fn pending_period(&self) -> Duration {
        self.policy.jwks_max_age
    }

    /// How long tokens of a key that no longer signs may still be presented.
    fn verification_period(&self, algorithm: KeyAlgorithm) -> Duration {
        let longest = match algorithm {
            KeyAlgorithm::Signing(_) => self.policy.id_token_lifetime.max(LONGEST_ACCESS_TOKEN),
            // Names of people never end, so their key does not either.
            KeyAlgorithm::PairwiseNames => return Duration::MAX,
            KeyAlgorithm::HmacSha256 => self.longest_refresh_token(),
        };
        longest + CLOCK_SKEW
    }

    fn longest_refresh_token(&self) -> Duration {
        let clients = self.snapshots.longest(|client| client.refresh_policy(self.policy.refresh).idle_lifetime);
        clients.max(self.policy.refresh.idle_lifetime)
    }
}

/// The activation of a key that must sign now. A little in the past, so that it also does where the clock is a little behind.
fn at_once(now: Timestamp) -> Timestamp {
    now - CLOCK_SKEW
}

/// The one key of this algorithm whose end is not planned.
fn newest(records: &[KeyRecord], algorithm: KeyAlgorithm) -> Option<&KeyRecord> {
    records.iter().find(|key| key.algorithm == algorithm && key.retires_at.is_none() && key.revoked_at.is_none())
}

fn event(name: &'static str, key: &KeyRecord, actor: &Actor) -> AuditEvent {
    AuditEvent {
        name,
        actor: actor.clone(),
        subject: key.kid.to_string(),
        details: serde_json::json!({ "algorithm": key.algorithm.as_str(), "activates_at": key.activates_at.unix_timestamp() }),
    }
}
