//! The device flow (RFC 8628): user codes, what a device that polls is told, and whether its grant holds.

use serde::Serialize;

use crate::domain::{ClientId, DeviceDecision, DevicePoll, Grant, GrantId, Timestamp};

use super::error::{ErrorCode, OAuthError};

/// Seconds between two polls (§3.2) until the device asks too often.
pub const POLL_INTERVAL: i32 = 5;

/// Letters of user codes (§6.1): no vowels, so that no words come out, and nothing that is taken for a digit. Eight of them are 34.5 bits.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// The answer of the device authorization endpoint (§3.2).
#[derive(Serialize)]
pub struct DeviceAuthorization {
    /// For the device alone.
    pub device_code: String,
    /// For the person, as it is shown.
    pub user_code: String,
    /// Where the person enters it.
    pub verification_uri: String,
    /// The same with the code filled in, for a QR code.
    pub verification_uri_complete: String,
    /// Seconds that both codes live.
    pub expires_in: i64,
    /// Seconds between two polls.
    pub interval: i32,
}

/// A user code, each letter equally likely. `None`: too many of the random bytes had to be left out; draw again.
#[must_use]
pub fn user_code(random: &[u8]) -> Option<String> {
    // 240 is the largest multiple of 20 below 256; beyond it the first letters would come more often.
    let letters = random.iter().filter(|byte| **byte < 240).map(|byte| ALPHABET[usize::from(byte % 20)]);
    let code: String = letters.take(LENGTH).map(char::from).collect();
    (code.len() == LENGTH).then_some(code)
}

/// A user code as people read it: `WDJB-MJHT`.
#[must_use]
pub fn shown(user_code: &str) -> String {
    match user_code.split_at_checked(LENGTH / 2) {
        Some((left, right)) => format!("{left}-{right}"),
        None => user_code.to_owned(),
    }
}

/// The code that a person means: case, spaces and punctuation do not count (§6.1). `None`: it can be none of ours.
#[must_use]
pub fn read_user_code(typed: &str) -> Option<String> {
    if typed.len() > 100 {
        return None;
    }
    let letters = typed.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_uppercase());
    let code: String = letters.collect();
    (code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte))).then_some(code)
}

/// What a device that polls is told, or the grant that waits for it. `None`: no such code of this client; whether it is another's is not told.
///
/// # Errors
/// §3.5: `invalid_grant`, `expired_token`, `access_denied`, `slow_down`, `authorization_pending`.
pub fn judge_poll(poll: Option<DevicePoll>, now: Timestamp) -> Result<GrantId, OAuthError> {
    let poll = poll.ok_or_else(unknown)?;
    if poll.expires_at <= now {
        let sentence = "The device code has expired; ask for a new one and show its user code.";
        return Err(OAuthError::new(ErrorCode::ExpiredToken, sentence));
    }
    if poll.decision == DeviceDecision::Denied {
        return Err(OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it."));
    }
    if poll.too_soon {
        let sentence = format!("You ask too often; wait {} seconds between two requests from now on.", poll.interval);
        return Err(OAuthError::new(ErrorCode::SlowDown, sentence));
    }
    match poll.decision {
        DeviceDecision::Allowed(grant) => Ok(grant),
        DeviceDecision::Pending | DeviceDecision::Denied => {
            let sentence = "The person has not decided yet; ask again after the interval.";
            Err(OAuthError::new(ErrorCode::AuthorizationPending, sentence))
        }
    }
}

/// The refusal of a device code that this client was not given.
#[must_use]
pub fn unknown() -> OAuthError {
    OAuthError::invalid_grant("unknown", "The device code is not valid.")
}

/// Whether the grant that a person gave to a device still holds when the device comes for it.
///
/// # Errors
/// `invalid_grant`: it was taken before, or ended in between.
pub fn judge_grant(grant: &Grant, client_id: &ClientId, now: Timestamp) -> Result<(), OAuthError> {
    let refuse = |reason, sentence: &str| Err(OAuthError::invalid_grant(reason, sentence));
    if grant.details.client_id != *client_id {
        return Err(unknown());
    }
    if grant.generation > 0 {
        return Err(used());
    }
    if grant.ended.is_some() {
        return refuse("revoked", "The authorization was revoked; ask for a new device code.");
    }
    if grant.details.code_expires_at <= now {
        return refuse("expired", "The device code has expired; ask for a new one.");
    }
    if grant.user_locked {
        return refuse("user_locked", "The account is locked.");
    }
    if grant.session_over && !grant.is_offline() {
        return refuse("session_ended", "The person has signed out; ask for a new device code.");
    }
    Ok(())
}

/// The refusal of a second use. Its tokens live on: a device whose answer was lost asks again, and is not a thief.
#[must_use]
pub fn used() -> OAuthError {
    OAuthError::invalid_grant("used", "The device code was used before; ask for a new device code.")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use time::Duration;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Clock, GrantEnd};
    use crate::protocol::code::tests::grant;

    #[test]
    fn section_6_1_every_letter_is_equally_likely_and_there_are_at_least_34_bits() {
        let mut counts = [0; 20];
        for byte in 0..240_u8 {
            let code = user_code(&[byte; 8]).unwrap();
            counts[ALPHABET.iter().position(|letter| *letter == code.as_bytes()[0]).unwrap()] += 1;
        }
        assert_eq!(counts, [12; 20]);
        assert_eq!(user_code(&[240; 100]), None);
        assert_eq!(ALPHABET.iter().collect::<HashSet<_>>().len(), 20);
        assert!(20_u64.pow(8) > 1 << 34);
    }

    #[test]
    fn section_6_1_entry_ignores_case_spaces_and_hyphens() {
        for typed in ["WDJB-MJHT", "wdjb-mjht", " WDJB MJHT ", "w d-j b m.j-h t", "WDJBMJHT", "WDJB\u{2013}MJHT"] {
            assert_eq!(read_user_code(typed).as_deref(), Some("WDJBMJHT"), "{typed}");
        }
        for typed in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "WDJB-MJHÄ", &"B".repeat(200)] {
            assert_eq!(read_user_code(typed), None, "{typed}");
        }
        assert_eq!(shown("WDJBMJHT"), "WDJB-MJHT");
    }

    #[test]
    fn section_3_5_a_poll_is_answered_by_what_is_known() {
        let now = Clock::System.now();
        let grant = GrantId(Uuid::max());
        let poll =
            |decision| DevicePoll { expires_at: now + Duration::SECOND, interval: 10, too_soon: false, decision };
        let pending = poll(DeviceDecision::Pending);
        let allowed = poll(DeviceDecision::Allowed(grant));
        let late = |poll: DevicePoll| DevicePoll { expires_at: now, ..poll };
        let hasty = |poll: DevicePoll| DevicePoll { too_soon: true, ..poll };
        let denied = poll(DeviceDecision::Denied);
        let cases = [
            (None, ErrorCode::InvalidGrant),
            (Some(pending), ErrorCode::AuthorizationPending),
            (Some(hasty(pending)), ErrorCode::SlowDown),
            (Some(hasty(allowed)), ErrorCode::SlowDown),
            (Some(denied), ErrorCode::AccessDenied),
            (Some(hasty(denied)), ErrorCode::AccessDenied),
            (Some(late(pending)), ErrorCode::ExpiredToken),
            (Some(late(allowed)), ErrorCode::ExpiredToken),
        ];
        for (poll, expected) in cases {
            assert_eq!(judge_poll(poll, now).unwrap_err().code, expected, "{poll:?}");
        }
        assert_eq!(judge_poll(Some(allowed), now), Ok(grant));
    }

    #[test]
    fn security_44_a_grant_that_ended_before_its_device_came_is_refused() {
        let now = Clock::System.now();
        let fresh = || Grant { generation: 0, ..grant() };
        let client = fresh().details.client_id;
        let with = |change: fn(&mut Grant)| {
            let mut grant = fresh();
            change(&mut grant);
            judge_grant(&grant, &client, now).err().and_then(|error| error.reason)
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|grant| grant.generation = 1), Some("used"));
        assert_eq!(with(|grant| grant.ended = Some((grant.rotated_at, GrantEnd::EndedByAdmin))), Some("revoked"));
        assert_eq!(with(|grant| grant.user_locked = true), Some("user_locked"));
        assert_eq!(with(|grant| grant.session_over = true), None, "offline_access outlives the browser session");
        let online = |grant: &mut Grant| {
            grant.session_over = true;
            grant.details.scope = crate::domain::Scope::parse("openid").unwrap();
        };
        assert_eq!(with(online), Some("session_ended"));
        assert_eq!(with(|grant| grant.details.code_expires_at -= Duration::days(1)), Some("expired"));
        let other = ClientId::parse("other").unwrap();
        assert_eq!(judge_grant(&fresh(), &other, now).unwrap_err().reason, Some("unknown"));
    }

    proptest! {
        #[test]
        fn a_code_survives_being_shown_and_typed(random in any::<[u8; 32]>()) {
            prop_assume!(user_code(&random).is_some());
            let code = user_code(&random).unwrap();
            prop_assert_eq!(read_user_code(&shown(&code)), Some(code));
        }

        #[test]
        fn whatever_is_typed_is_read_or_refused(text in any::<String>()) {
            let _ = read_user_code(&text);
        }
    }
}
