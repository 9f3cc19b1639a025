//! What becomes of a refresh token that is not simply the current one (RFC 6749 §6, RFC 9700 §4.14.2).

use time::Duration;

use crate::domain::{Grant, GrantEnd, Scope, Timestamp};

use super::error::{ErrorCode, OAuthError};
use super::sender::{self, Presenter};

/// What a client presents.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// Who presents it.
    pub presenter: Presenter<'a>,
    /// The generation that the token names.
    pub generation: i32,
    /// The narrower scope asked for, if any.
    pub scope: Option<&'a Scope>,
    /// How long after its use a token gives the same successor again.
    pub grace_period: Duration,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the current one: rotate.
    Rotate,
    /// It is the predecessor and its answer may have been lost: give the same successor again.
    Replay,
    /// It is older than that: somebody holds a copy. End the family, then refuse.
    Reused,
    /// Refuse and leave all as it is.
    Refuse(OAuthError),
}

/// Judges a refresh token whose MAC was found right, against the locked grant.
#[must_use]
pub fn judge(grant: &Grant, presented: Presented<'_>, now: Timestamp) -> Verdict {
    // §10.4: a refresh token is only good for the client that it was given to. A stranger learns nothing and changes nothing.
    if grant.details.client_id != *presented.presenter.client_id {
        return Verdict::Refuse(unknown());
    }
    if let Some(refusal) = end_of(grant, now) {
        return Verdict::Refuse(refusal);
    }
    // RFC 9449 §5: whoever does not have the key holds a copy. It is of no use to them, so the family lives.
    if let Some(refusal) = sender::refusal(grant, presented.presenter) {
        return Verdict::Refuse(refusal);
    }
    if let Some(scope) = presented.scope.filter(|scope| !scope.is_within(&grant.details.scope)) {
        // §6: a refresh may narrow the scope, never widen it.
        let sentence = format!(
            "The scope {scope} was not all granted; ask for a part of what was granted, or start a new authorization."
        );
        return Verdict::Refuse(OAuthError::new(ErrorCode::InvalidScope, sentence));
    }
    match grant.generation - presented.generation {
        0 => Verdict::Rotate,
        // The successor is unused, for otherwise the counter would be further.
        1 if is_forgiven(grant, presented.grace_period, now) => Verdict::Replay,
        steps if steps > 0 => Verdict::Reused,
        // Ahead of the row: made by a primary whose last commits were lost. Nobody stole anything; nothing more can be said.
        _ => Verdict::Refuse(unknown()),
    }
}

/// Whether the predecessor of an unused token gets it again. Where the key was proven it cannot be a thief who asks, however late; a period
/// of zero is strict even so. A clock that jumped back makes the age negative.
fn is_forgiven(grant: &Grant, grace_period: Duration, now: Timestamp) -> bool {
    grace_period > Duration::ZERO && (grant.details.dpop_jkt.is_some() || now - grant.rotated_at <= grace_period)
}

/// The refusal for a token that tells its bearer nothing.
#[must_use]
pub fn unknown() -> OAuthError {
    OAuthError::invalid_grant("unknown", "The refresh token is not valid; start a new authorization.")
}

/// The refusal after reuse was found.
#[must_use]
pub fn reused() -> OAuthError {
    OAuthError::invalid_grant(
        "reused",
        "The refresh token was used before; all tokens of this authorization were revoked. Start a new authorization.",
    )
}

/// Why a grant no longer holds, if it does not.
#[must_use]
pub fn end_of(grant: &Grant, now: Timestamp) -> Option<OAuthError> {
    let ended = |reason, sentence: &str| Some(OAuthError::invalid_grant(reason, sentence));
    match grant.ended {
        Some((_, GrantEnd::RefreshTokenReused | GrantEnd::CodeReused)) => return Some(reused()),
        Some((_, GrantEnd::ConsentRevoked)) => {
            return ended("consent_revoked", "The person took back consent; start a new authorization.");
        }
        Some((_, GrantEnd::PasswordChanged)) => {
            return ended("password_changed", "The password was changed; start a new authorization.");
        }
        Some((_, GrantEnd::SignedOutEverywhere)) => {
            return ended("session_ended", "The person was signed out everywhere; start a new authorization.");
        }
        Some((_, GrantEnd::Revoked | GrantEnd::EndedByAdmin)) => {
            return ended("revoked", "The authorization was revoked; start a new one.");
        }
        None => {}
    }
    if grant.details.expires_at <= now || grant.idle_expires_at <= now {
        return ended("expired", "The refresh token has expired; start a new authorization.");
    }
    if grant.user_locked {
        return ended("user_locked", "The account is locked.");
    }
    if grant.session_over && !grant.is_offline() {
        return ended("session_ended", "The person has signed out; start a new authorization.");
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ClientId, KeyThumbprint};
    use crate::protocol::code::tests::grant as base;

    const GRACE: Duration = Duration::seconds(30);

    fn judge_at(grant: &Grant, generation: i32, after: Duration, grace_period: Duration) -> Verdict {
        let presenter = public(&grant.details.client_id);
        judge(grant, Presented { presenter, generation, scope: None, grace_period }, grant.rotated_at + after)
    }

    fn public(client_id: &ClientId) -> Presenter<'_> {
        Presenter { client_id, is_confidential: false, key: None }
    }

    fn reason(verdict: Verdict) -> Option<&'static str> {
        match verdict {
            Verdict::Refuse(error) => error.reason,
            _ => None,
        }
    }

    #[test]
    fn security_36_the_predecessor_gets_the_same_successor_within_the_grace_period_and_is_reuse_after_it() {
        let grant = Grant { generation: 5, ..base() };
        assert_eq!(judge_at(&grant, 5, Duration::ZERO, GRACE), Verdict::Rotate);
        assert_eq!(judge_at(&grant, 4, Duration::seconds(30), GRACE), Verdict::Replay);
        assert_eq!(judge_at(&grant, 4, Duration::seconds(31), GRACE), Verdict::Reused);
        assert_eq!(judge_at(&grant, 3, Duration::ZERO, GRACE), Verdict::Reused);
        assert_eq!(
            judge_at(&grant, 4, Duration::ZERO, Duration::ZERO),
            Verdict::Reused,
            "a grace period of zero is strict"
        );
    }

    #[test]
    fn security_35_a_bound_family_is_safe_from_copies_and_forgives_for_as_long_as_the_successor_is_unused() {
        let key = KeyThumbprint([1; 32]);
        let mut grant = Grant { generation: 5, ..base() };
        grant.details.dpop_jkt = Some(key);
        let judge = |generation, key, grace_period| {
            let presenter = Presenter { key, ..public(&grant.details.client_id) };
            let token = Presented { presenter, generation, scope: None, grace_period };
            judge(&grant, token, grant.rotated_at + Duration::hours(9))
        };
        assert_eq!(judge(5, Some(key), GRACE), Verdict::Rotate);
        assert_eq!(judge(4, Some(key), GRACE), Verdict::Replay);
        assert_eq!(judge(3, Some(key), GRACE), Verdict::Reused);
        assert_eq!(judge(4, Some(key), Duration::ZERO), Verdict::Reused);
        for generation in [3, 4, 5] {
            assert_eq!(reason(judge(generation, None, GRACE)), Some("dpop_proof_missing"));
            assert_eq!(reason(judge(generation, Some(KeyThumbprint([2; 32])), GRACE)), Some("dpop_key_mismatch"));
        }
    }

    #[test]
    fn a_token_from_lost_commits_is_refused_without_ending_the_family() {
        let grant = Grant { generation: 5, ..base() };
        assert_eq!(reason(judge_at(&grant, 6, Duration::ZERO, GRACE)), Some("unknown"));
    }

    #[test]
    fn protocol_30_another_clients_refresh_token_is_refused_and_nothing_happens() {
        let grant = Grant { generation: 5, ..base() };
        let other = ClientId::parse("other").unwrap();
        let presented = Presented { presenter: public(&other), generation: 1, scope: None, grace_period: GRACE };
        assert_eq!(reason(judge(&grant, presented, grant.rotated_at)), Some("unknown"));
    }

    #[test]
    fn security_33_a_refresh_cannot_widen_the_scope() {
        let grant = Grant { generation: 1, ..base() };
        let ask = |text: &str| {
            let scope = Scope::parse(text).unwrap();
            let presented = Presented {
                presenter: public(&grant.details.client_id),
                generation: 1,
                scope: Some(&scope),
                grace_period: GRACE,
            };
            judge(&grant, presented, grant.rotated_at)
        };
        assert_eq!(ask("openid"), Verdict::Rotate);
        assert!(matches!(ask("openid email"), Verdict::Refuse(error) if error.code == ErrorCode::InvalidScope));
    }

    #[test]
    fn security_37_a_family_ends_by_age_by_idleness_and_with_what_it_stands_on() {
        let grant = Grant { generation: 1, ..base() };
        let judge = |grant: &Grant, after| reason(judge_at(grant, 1, after, GRACE));
        assert_eq!(judge(&grant, Duration::days(2)), Some("expired"));
        assert_eq!(
            judge(&Grant { idle_expires_at: grant.details.expires_at, ..grant.clone() }, Duration::days(31)),
            Some("expired")
        );
        assert_eq!(judge(&Grant { user_locked: true, ..grant.clone() }, Duration::ZERO), Some("user_locked"));
        for (end, expected) in [
            (GrantEnd::ConsentRevoked, "consent_revoked"),
            (GrantEnd::PasswordChanged, "password_changed"),
            (GrantEnd::SignedOutEverywhere, "session_ended"),
            (GrantEnd::Revoked, "revoked"),
            (GrantEnd::RefreshTokenReused, "reused"),
        ] {
            assert_eq!(
                judge(&Grant { ended: Some((grant.rotated_at, end)), ..grant.clone() }, Duration::ZERO),
                Some(expected)
            );
        }
    }

    proptest! {
        /// Any order of clients that replay any of the last tokens leaves exactly one live chain or none.
        #[test]
        fn any_interleaving_leaves_one_live_chain_or_none(plays in prop::collection::vec((0_i32..4, 0_i64..40), 1..60)) {
            let mut grant = Grant { generation: 1, ..base() };
            let mut now = grant.rotated_at;
            let mut handed_out = vec![1];
            for (back, pause) in plays {
                now += Duration::seconds(pause);
                let generation = grant.generation - back;
                if generation < 1 {
                    continue;
                }
                let presented = Presented { presenter: public(&grant.details.client_id), generation, scope: None, grace_period: GRACE };
                match judge(&grant, presented, now) {
                    Verdict::Rotate => {
                        prop_assert_eq!(generation, grant.generation);
                        grant.generation += 1;
                        grant.rotated_at = now;
                        handed_out.push(grant.generation);
                    }
                    Verdict::Replay => prop_assert_eq!(handed_out.last(), Some(&(generation + 1)), "only the current token is given again"),
                    Verdict::Reused => grant.ended = Some((now, GrantEnd::RefreshTokenReused)),
                    Verdict::Refuse(_) => prop_assert!(grant.ended.is_some()),
                }
            }
            let live = handed_out.iter().filter(|generation| {
                let presented = Presented { presenter: public(&grant.details.client_id), generation: **generation, scope: None, grace_period: Duration::ZERO };
                judge(&grant, presented, now) == Verdict::Rotate
            });
            prop_assert_eq!(live.count(), usize::from(grant.ended.is_none()));
        }
    }
}
