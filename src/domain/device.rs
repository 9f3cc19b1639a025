//! Device authorizations (RFC 8628): what a device without a browser asks for, and what became of it.

use super::{ClientId, GrantId, RequestId, Scope, Timestamp};

/// A device's request for which somebody may enter the user code: neither decided nor expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its name; the grant that answers it carries it.
    pub id: RequestId,
    /// Who asks.
    pub client_id: ClientId,
    /// For what.
    pub scope: Scope,
    /// For which resources (RFC 8707).
    pub resources: Vec<String>,
    /// Until when somebody may decide, and the device redeem its code.
    pub expires_at: Timestamp,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceDecision {
    /// Nothing yet.
    Pending,
    /// No.
    Denied,
    /// Yes: the grant waits for the device.
    Allowed(GrantId),
}

/// What a device that polls finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePoll {
    /// When the device code dies.
    pub expires_at: Timestamp,
    /// Seconds that must lie between two polls from now on.
    pub interval: i32,
    /// Whether this poll came too soon after the one before.
    pub too_soon: bool,
    /// What the person decided.
    pub decision: DeviceDecision,
}
