//! Logs and metrics: the writer of the log, and the names of all metrics in one place.
//!
//! Owns: names, labels (always from small fixed sets), the format of the log. Does not own: what is worth telling; callers decide.

mod log;
mod requests;

use std::sync::{LazyLock, OnceLock};

use metrics::{Counter, counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use log::{LogWriter, start_log};
pub use requests::{RequestMeter, request};

/// Buckets of the request histogram, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The metrics in Prometheus' text form. The first call installs the recorder.
#[must_use]
pub fn render_metrics() -> String {
    counter!("keystead_log_lines_dropped_total").absolute(log::dropped_lines());
    start_metrics().map(PrometheusHandle::render).unwrap_or_default()
}

/// Installs the recorder, once for each process.
pub fn start_metrics() -> Option<&'static PrometheusHandle> {
    let build = || {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS).ok()?;
        builder.install_recorder().ok()
    };
    RECORDER.get_or_init(build).as_ref()
}

/// Sorts the latest measurements into their histograms. Until this or a scrape happens each of them takes memory.
pub fn tidy_metrics() {
    if let Some(Some(recorder)) = RECORDER.get() {
        recorder.run_upkeep();
    }
}

/// Tokens were issued for a grant type.
pub fn token_issued(grant_type: &'static str) {
    counter!("keystead_tokens_issued_total", "grant_type" => grant_type).increment(1);
}

/// What became of a refresh token: `rotated`, `replayed`, `reuse` or `refused`.
pub fn refresh_outcome(outcome: &'static str) {
    counter!("keystead_refresh_total", "outcome" => outcome).increment(1);
}

/// What came of a sign-in: `accepted`, `refused`, `throttled` or `busy`.
pub fn sign_in(result: &'static str) {
    counter!("keystead_sign_ins_total", "result" => result).increment(1);
}

/// What became of a device authorization: `started`, `allowed`, `denied` or `redeemed`.
pub fn device_authorization(outcome: &'static str) {
    counter!("keystead_device_authorizations_total", "outcome" => outcome).increment(1);
}

/// A user code of a device led nowhere: `wrong` or `throttled`.
pub fn user_code(result: &'static str) {
    counter!("keystead_user_codes_refused_total", "result" => result).increment(1);
}

/// An introspection was answered.
pub fn introspection(active: bool) {
    // Looked up once: by name and labels it takes longer than the counting.
    static HANDLES: LazyLock<[Counter; 2]> =
        LazyLock::new(|| ["false", "true"].map(|active| counter!("keystead_introspections_total", "active" => active)));
    HANDLES[usize::from(active)].increment(1);
}

/// A DPoP proof was refused: `invalid_dpop_proof`, or `use_dpop_nonce`, which the client mends by itself.
pub fn dpop_proof_refused(error: &'static str) {
    counter!("keystead_dpop_proofs_refused_total", "error" => error).increment(1);
}

/// Password hashes that wait.
pub fn hash_queue(depth: usize) {
    gauge!("keystead_hash_queue_depth").set(u32::try_from(depth).unwrap_or(u32::MAX));
}

/// Connections of the pool: all, and those that nobody uses.
pub fn pool(size: u32, idle: usize) {
    gauge!("keystead_database_connections").set(size);
    gauge!("keystead_database_connections_idle").set(u32::try_from(idle).unwrap_or(u32::MAX));
}

/// Whether announcements of changes are being heard.
pub fn listener(connected: bool) {
    gauge!("keystead_listener_connected").set(u8::from(connected));
}

/// What came of telling a client that a session is over: `delivered`, `failed` or `given_up`.
pub fn logout_notice(outcome: &'static str) {
    counter!("keystead_logout_notices_total", "outcome" => outcome).increment(1);
}

/// Rows that housekeeping removed.
pub fn cleaned(table: &'static str, rows: u64) {
    counter!("keystead_cleaned_rows_total", "table" => table).increment(rows);
}
