//! The list of redirect URIs by which a sector says which clients are its own (OpenID Connect Registration §5).

use crate::domain::{ClientMetadata, MetadataProblem};
use crate::outbound::Whose;
use crate::protocol::registration::{judge_sector_list, needs_sector_list};

use super::Engine;

/// The largest list in bytes.
const LARGEST: usize = 64 * 1024;

/// Reads the list of a client that names one, unless what it `held` answers for it. Takes as long as the other side: call it while
/// no connection to the database is held.
pub(super) async fn judge(
    engine: &Engine,
    metadata: &ClientMetadata,
    held: Option<&ClientMetadata>,
    whose: Whose,
) -> Vec<MetadataProblem> {
    let Some(uri) = needs_sector_list(metadata, held) else { return Vec::new() };
    let fetched = engine.outbound.get(whose, uri, LARGEST).await;
    let fetched = fetched.map_err(|error| error.as_told().to_string());
    let fetched = fetched.and_then(|fetched| fetched.require_json().map(|()| fetched.bytes));
    judge_sector_list(metadata, fetched.as_deref().map_err(Clone::clone)).into_iter().collect()
}
