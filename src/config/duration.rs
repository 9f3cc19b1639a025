//! Durations as people write them: a whole number and a unit, such as `30s`, `10m` or `90d`.

use std::time::Duration;

use super::problems::Wrong;

/// Units from small to large, each with its length in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

pub(super) const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

pub(super) const fn days(count: u64) -> Duration {
    hours(count * 24)
}

/// Reads `10m` and the like.
pub(super) fn parse(text: &str) -> Result<Duration, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = UNITS.iter().find(|(name, _)| *name == unit).and_then(|(_, length)| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(*length)
    });
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        Wrong::new(
            format!("is {text:?}, which is not a duration"),
            "write a whole number and a unit (ms, s, m, h or d), such as \"30s\", \"10m\" or \"90d\"",
        )
    })
}

/// Writes with the largest unit that loses nothing; [`parse`] reads it back.
pub(super) fn format(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let fits = |(_, length): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*length));
    let (unit, length) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
    format!("{}{unit}", milliseconds / u128::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("250ms", Duration::from_millis(250)),
            ("0s", seconds(0)),
            ("600s", minutes(10)),
            ("10m", minutes(10)),
            ("24h", days(1)),
            ("90d", days(90)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "10", "m", "10 m", "-1s", "1.5h", "10M", "1h30m", "99999999999999999999d", "10m\n"] {
            assert!(parse(text).is_err_and(|wrong| wrong.remedy.contains("\"10m\"")), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for duration in [Duration::ZERO, Duration::from_millis(1_500), seconds(90), minutes(10), hours(36), days(365)] {
            assert_eq!(parse(&format(duration)), Ok(duration));
        }
        assert_eq!(format(hours(24)), "1d");
        assert_eq!(format(seconds(90)), "90s");
    }
}
