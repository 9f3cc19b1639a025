//! `keystead openapi`: the admin API's OpenAPI document.

use super::Failure;
use crate::http::admin;

/// Prints it.
///
/// # Errors
/// It has no JSON form: a defect.
pub fn run() -> Result<(), Failure> {
    super::say(&serde_json::to_string_pretty(&admin::openapi())?);
    Ok(())
}
