//! Mechanism 1: codes and refresh tokens are positions in a grant with a MAC, so garbage is refused before the database is
//! asked, and a copy of the database holds no token.
//!
//! The text is the prefix and 80 characters of base64url over 60 bytes: kid (8), grant id (16), generation (4, big-endian),
//! HMAC-SHA256 (32) over what comes before it, under a key that is derived for the kind of position.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Keyring;
use crate::domain::{GrantId, Kid, Position, Secret, Timestamp};

const BODY_LEN: usize = 8 + 16 + 4;
const LEN: usize = BODY_LEN + 32;
const TEXT_LEN: usize = LEN / 3 * 4;

/// The two kinds of text that name a position. One never opens as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionKind {
    /// An authorization code: generation 0.
    Code,
    /// A refresh token: generation 1 and up.
    RefreshToken,
}

impl PositionKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Code => "ksc_",
            Self::RefreshToken => "ksr_",
        }
    }

    fn fits(self, generation: i32) -> bool {
        match self {
            Self::Code => generation == 0,
            Self::RefreshToken => generation > 0,
        }
    }
}

/// The text of a position under the MAC key of this name; the same one every time. `None` when the keyring does not hold
/// that key or the kind cannot have this generation.
///
/// New grants and generations take [`Keyring::mac_kid`]. A successor that is derived again takes the key of the first time,
/// which may be retiring by now; whether a text is accepted is for [`open`] to say.
#[must_use]
pub fn derive(ring: &Keyring, mac_kid: Kid, kind: PositionKind, position: Position) -> Option<Secret> {
    let key = ring.mac_key(mac_kid).filter(|_| kind.fits(position.generation))?;
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&key.kid().0);
    bytes[8..24].copy_from_slice(position.grant.0.as_bytes());
    bytes[24..BODY_LEN].copy_from_slice(&position.generation.to_be_bytes());
    let tag = hmac::sign(key.for_positions(kind), &bytes[..BODY_LEN]);
    bytes[BODY_LEN..].copy_from_slice(tag.as_ref());
    let mut text = String::with_capacity(kind.prefix().len() + TEXT_LEN);
    text.push_str(kind.prefix());
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Some(Secret::new(text))
}

/// The position that a text names and the key that made it; `None` for anything but an unchanged text of this kind under a
/// MAC key that is active or retiring.
#[must_use]
pub fn open(ring: &Keyring, kind: PositionKind, text: &str, now: Timestamp) -> Option<(Position, Kid)> {
    let encoded = text.strip_prefix(kind.prefix()).filter(|encoded| encoded.len() == TEXT_LEN)?;
    let mut bytes = [0; LEN];
    URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok().filter(|&length| length == LEN)?;
    let (body, tag) = bytes.split_at(BODY_LEN);
    let (name, rest) = body.split_first_chunk::<8>()?;
    let (grant, rest) = rest.split_first_chunk::<16>()?;
    let generation = i32::from_be_bytes(*rest.first_chunk::<4>()?);
    let key = ring.accepted_mac_key(Kid(*name), now)?;
    hmac::verify(key.for_positions(kind), body, tag).ok()?;
    let position = Position { grant: GrantId(Uuid::from_bytes(*grant)), generation };
    kind.fits(generation).then_some((position, key.kid()))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use proptest::prelude::*;
    use time::Duration;

    use super::PositionKind::{Code, RefreshToken};
    use super::*;
    use crate::crypto::testing::{NOW, mac_record, ring, rotated};
    use crate::domain::KeyRecord;

    fn the_ring() -> &'static Keyring {
        static RING: OnceLock<Keyring> = OnceLock::new();
        RING.get_or_init(|| ring(&[mac_record()]))
    }

    fn the_kid() -> Kid {
        the_ring().mac_kid(NOW).unwrap()
    }

    fn text(kind: PositionKind, grant: u128, generation: i32) -> String {
        let position = Position { grant: GrantId(Uuid::from_u128(grant)), generation };
        derive(the_ring(), the_kid(), kind, position).unwrap().expose().to_owned()
    }

    fn opens(kind: PositionKind, text: &str) -> bool {
        open(the_ring(), kind, text, NOW).is_some()
    }

    #[test]
    fn a_position_has_one_text_of_84_characters() {
        let token = text(RefreshToken, 7, 1);
        assert!(token.starts_with("ksr_") && token.len() == 84, "{token}");
        assert_eq!(token, text(RefreshToken, 7, 1), "derived again it is the same");
        assert_ne!(token, text(RefreshToken, 7, 2));
        assert_ne!(token, text(RefreshToken, 8, 1));
        assert!(text(Code, 7, 0).starts_with("ksc_"));
    }

    #[test]
    fn a_code_is_generation_0_and_a_refresh_token_is_not() {
        let at = |kind, generation| {
            derive(the_ring(), the_kid(), kind, Position { grant: GrantId(Uuid::from_u128(1)), generation })
        };
        for (kind, generation) in
            [(Code, 1), (Code, -1), (RefreshToken, 0), (RefreshToken, -1), (RefreshToken, i32::MIN)]
        {
            assert!(at(kind, generation).is_none(), "{kind:?} {generation}");
        }
        assert!(at(RefreshToken, i32::MAX).is_some());
    }

    #[test]
    fn a_text_opens_from_the_making_of_its_key_until_it_is_retired() {
        let record = mac_record();
        let position = Position { grant: GrantId(Uuid::from_u128(1)), generation: 1 };
        let ring_of = |record: &KeyRecord| ring(std::slice::from_ref(record));
        let living = ring_of(&record);
        let token = derive(&living, record.kid, RefreshToken, position).unwrap();
        let opened = |ring: &Keyring, now| open(ring, RefreshToken, token.expose(), now);
        assert_eq!(opened(&living, NOW), Some((position, record.kid)));
        assert_eq!(opened(&living, NOW - Duration::SECOND), Some((position, record.kid)), "pending");
        let rotated = ring_of(&rotated(record.clone(), NOW));
        assert_eq!(opened(&rotated, NOW + Duration::hours(1)), Some((position, record.kid)), "retiring");
        let again = derive(&rotated, record.kid, RefreshToken, position).unwrap();
        assert_eq!(again.expose(), token.expose(), "derived again after the rotation");
        assert_eq!(opened(&rotated, NOW + Duration::days(1)), None, "retired");
        assert_eq!(opened(&ring_of(&KeyRecord { revoked_at: Some(NOW), ..record }), NOW), None, "revoked");
        assert_eq!(opened(&ring_of(&mac_record()), NOW), None, "another key");
        assert!(derive(&ring_of(&mac_record()), rotated.records()[0].kid, RefreshToken, position).is_none());
    }

    #[test]
    fn security_38_cut_padded_recased_and_spaced_tokens_do_not_open() {
        let token = text(RefreshToken, 7, 1);
        assert!(opens(RefreshToken, &token));
        let body = &token[4..];
        for altered in [
            format!("{token}="),
            format!("{token}A"),
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\n"),
            format!("KSR_{body}"),
            format!("ksr_ksr_{body}"),
            body.to_owned(),
            format!("ksr_{}", body.to_lowercase()),
            format!("ksr_{}", body.to_uppercase()),
            "ksr_".to_owned(),
            String::new(),
        ] {
            assert!(!opens(RefreshToken, &altered), "{altered:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_derived_opens_as_itself(grant: u128, generation in 1..=i32::MAX) {
            let opened = open(the_ring(), RefreshToken, &text(RefreshToken, grant, generation), NOW);
            let position = Position { grant: GrantId(Uuid::from_u128(grant)), generation };
            prop_assert_eq!(opened, Some((position, the_kid())));
        }

        #[test]
        fn codes_never_open_as_refresh_tokens_nor_the_other_way_round(grant: u128, generation in 1..=i32::MAX) {
            let (code, token) = (text(Code, grant, 0), text(RefreshToken, grant, generation));
            prop_assert!(opens(Code, &code) && !opens(RefreshToken, &code));
            prop_assert!(opens(RefreshToken, &token) && !opens(Code, &token));
            prop_assert!(!opens(RefreshToken, &code.replacen("ksc_", "ksr_", 1)));
            prop_assert!(!opens(Code, &token.replacen("ksr_", "ksc_", 1)));
        }

        #[test]
        fn security_38_any_changed_character_closes_it(grant: u128, at in 0..84_usize, to in "[A-Za-z0-9_=+/ ä-]") {
            let token = text(RefreshToken, grant, 1);
            prop_assume!(token[at..=at] != to);
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assert!(!opens(RefreshToken, &changed));
        }

        #[test]
        fn security_38_any_cut_or_extension_closes_it(grant: u128, length in 0..84_usize, more in "[A-Za-z0-9_-]{1,8}") {
            let token = text(RefreshToken, grant, 1);
            prop_assert!(!opens(RefreshToken, &token[..length]));
            prop_assert!(!opens(RefreshToken, &token[84 - length..]));
            let extended = format!("{token}{more}");
            prop_assert!(!opens(RefreshToken, &extended));
        }

        #[test]
        fn any_text_at_all_is_refused_without_a_panic(text in "(ksr_)?.{0,100}") {
            prop_assert!(!opens(RefreshToken, &text));
        }
    }
}
