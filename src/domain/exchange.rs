//! Token exchange (RFC 8693): what an exchanged access token came from.

use serde::{Deserialize, Serialize};

/// A token that was exchanged for another one, which is good only as long as this one would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its `jti`.
    pub jti: String,
    /// Its client.
    pub client_id: String,
}
