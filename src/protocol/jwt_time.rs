//! Times in JWTs that others signed, read in one way. How near they must be depends on what the JWT is for.

use serde_json::{Map, Value};

use crate::domain::Timestamp;

/// A claim that is there and is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} must be a number of seconds since 1970")]
pub struct NotATime(&'static str);

/// A `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction, to the millisecond. `None`: the claim is not there.
///
/// # Errors
/// It is no number, or lies thousands of years away.
pub fn read(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, NotATime> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // What is this near never leaves the range of times when an hour is added.
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e11).ok_or(NotATime(name))?;
    #[expect(clippy::cast_possible_truncation, reason = "it was just seen to be small enough")]
    let at = Timestamp::from_unix_timestamp_nanos((seconds * 1e3) as i128 * 1_000_000);
    at.map(Some).map_err(|_| NotATime(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rfc_7519_section_2_a_time_is_a_number_of_seconds_with_or_without_a_fraction() {
        let read = |value: Value| {
            let claims = json!({ "exp": value });
            read(claims.as_object().unwrap(), "exp").map(|at| at.unwrap().unix_timestamp_nanos() / 1_000_000)
        };
        for (value, milliseconds) in [
            (json!(1_800_000_000), 1_800_000_000_000),
            (json!(0.25), 250),
            (json!(-1.5), -1500),
            (json!(1e10), 10_000_000_000_000),
        ] {
            assert_eq!(read(value.clone()), Ok(milliseconds), "{value}");
        }
        for value in
            [json!("1800000000"), json!(null), json!(true), json!([1]), json!(1e300), json!(i64::MAX), json!(i64::MIN)]
        {
            assert_eq!(read(value.clone()), Err(NotATime("exp")), "{value}");
        }
        assert_eq!(super::read(&Map::new(), "exp"), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_number_is_a_time_or_refused(seconds: f64) {
            let _ = read(json!({ "exp": seconds }).as_object().unwrap(), "exp");
        }
    }
}
