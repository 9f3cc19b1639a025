//! stub
use crate::flows::SharedEngine;
pub fn router(_: SharedEngine) -> axum::Router {
    axum::Router::new()
}
