//! Short texts that browsers carry for us: sealed (secret and authentic) or tagged (authentic only).
//!
//! Each is made for a purpose and means nothing for another one. A text says by itself which MAC key made it, and is good
//! while that key is active or retiring; what else limits its life belongs into the text.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::kek::TAG_LEN;
use super::mac_key::MacKey;
use super::{CryptoError, Keyring, Random, digest};
use crate::domain::{KeyAlgorithm, Kid, Timestamp};

/// Half of it goes into the key and half into AES-GCM, as in XAES-256-GCM: anybody can have as many texts sealed as they
/// like, and the 96 random bits that AES-GCM takes would repeat one day.
const LONG_NONCE_LEN: usize = 24;
const HEAD_LEN: usize = 8 + LONG_NONCE_LEN;
const LONGEST_TEXT: usize = 16 * 1024;
/// Characters of base64url over kid and HMAC-SHA256.
const TAG_TEXT_LEN: usize = ((8 + 32) * 4_usize).div_ceil(3);
const FAILED: CryptoError = CryptoError::Library { operation: "seal a text" };

/// Encrypts bytes for one purpose: base64url of kid, nonce, ciphertext and tag.
///
/// # Errors
/// No active MAC key; otherwise only when aws-lc fails.
pub fn seal(
    ring: &Keyring,
    purpose: &'static str,
    plain: &[u8],
    now: Timestamp,
    random: &Random,
) -> Result<String, CryptoError> {
    let key =
        ring.active_mac_key(now).ok_or(CryptoError::NoActiveKey { algorithm: KeyAlgorithm::HmacSha256.as_str() })?;
    let long_nonce: [u8; LONG_NONCE_LEN] = random.bytes();
    let mut bytes = Vec::with_capacity(HEAD_LEN + plain.len() + TAG_LEN);
    bytes.extend_from_slice(&key.kid().0);
    bytes.extend_from_slice(&long_nonce);
    bytes.extend_from_slice(plain);
    let (cipher, nonce) = cipher(key, purpose, &long_nonce).ok_or(FAILED)?;
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::empty(), &mut bytes[HEAD_LEN..]).map_err(|_| FAILED)?;
    bytes.extend_from_slice(tag.as_ref());
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What was sealed for this purpose; `None` for anything but an unchanged text under a key that is active or retiring.
#[must_use]
pub fn unseal(ring: &Keyring, purpose: &'static str, text: &str, now: Timestamp) -> Option<Vec<u8>> {
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (kid, rest) = bytes.split_first_chunk::<8>()?;
    let (long_nonce, sealed) = rest.split_first_chunk::<LONG_NONCE_LEN>()?;
    let (cipher, nonce) = cipher(ring.accepted_mac_key(Kid(*kid), now)?, purpose, long_nonce)?;
    let mut plain = sealed.to_vec();
    let length = cipher.open_in_place(nonce, Aad::empty(), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn cipher(key: &MacKey, purpose: &'static str, long_nonce: &[u8; LONG_NONCE_LEN]) -> Option<(LessSafeKey, Nonce)> {
    let (salt, nonce) = long_nonce.split_at(LONG_NONCE_LEN - NONCE_LEN);
    let bytes = key.for_sealing(purpose, salt).ok()?;
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.expose()).ok()?);
    Some((cipher, Nonce::try_assume_unique_for_key(nonce).ok()?))
}

/// A tag over the parts for one purpose: base64url of kid and HMAC-SHA256. `None` without an active MAC key.
#[must_use]
pub fn mac_tag(ring: &Keyring, purpose: &'static str, parts: &[&[u8]], now: Timestamp) -> Option<String> {
    tag_under(ring.active_mac_key(now)?, purpose, parts)
}

fn tag_under(key: &MacKey, purpose: &'static str, parts: &[&[u8]]) -> Option<String> {
    let tag = over(key, purpose, parts)?.sign();
    Some(URL_SAFE_NO_PAD.encode([key.kid().0.as_slice(), tag.as_ref()].concat()))
}

/// The tags over the parts for one purpose under every key that is accepted, each as [`mac_tag`] writes it: to find a row whose tag was
/// made before a rotation.
#[must_use]
pub fn mac_tags(ring: &Keyring, purpose: &'static str, parts: &[&[u8]], now: Timestamp) -> Vec<String> {
    ring.accepted_mac_keys(now).filter_map(|key| tag_under(key, purpose, parts)).collect()
}

/// Whether the tag was made over these very parts for this purpose, under a key that is active or retiring.
#[must_use]
pub fn check_tag(ring: &Keyring, purpose: &'static str, parts: &[&[u8]], tag: &str, now: Timestamp) -> bool {
    let Some((kid, tag)) = read_tag(tag) else { return false };
    let expected = ring.accepted_mac_key(kid, now).and_then(|key| over(key, purpose, parts)).map(hmac::Context::sign);
    expected.is_some_and(|expected| digest::equal(expected.as_ref(), &tag))
}

fn read_tag(text: &str) -> Option<(Kid, [u8; 32])> {
    if text.len() != TAG_TEXT_LEN {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (kid, tag) = bytes.split_first_chunk::<8>()?;
    Some((Kid(*kid), tag.try_into().ok()?))
}

/// Each part goes in with its length before it, so that no other list of parts gives the same input.
fn over(key: &MacKey, purpose: &'static str, parts: &[&[u8]]) -> Option<hmac::Context> {
    let mut context = hmac::Context::with_key(&key.for_tags(purpose).ok()?);
    for part in parts {
        context.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
        context.update(part);
    }
    Some(context)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use proptest::prelude::*;
    use time::Duration;

    use super::*;
    use crate::crypto::testing::{NOW, mac_record, ring, rotated};

    fn the_ring() -> &'static Keyring {
        static RING: OnceLock<Keyring> = OnceLock::new();
        RING.get_or_init(|| ring(&[mac_record()]))
    }

    fn sealed(plain: &[u8]) -> String {
        seal(the_ring(), "request", plain, NOW, &Random::system()).unwrap()
    }

    fn opened(text: &str) -> Option<Vec<u8>> {
        unseal(the_ring(), "request", text, NOW)
    }

    fn tag(parts: &[&[u8]]) -> String {
        mac_tag(the_ring(), "csrf", parts, NOW).unwrap()
    }

    fn checks(parts: &[&[u8]], tag: &str) -> bool {
        check_tag(the_ring(), "csrf", parts, tag, NOW)
    }

    #[test]
    fn what_was_sealed_for_one_purpose_means_nothing_for_another() {
        let text = sealed(b"state");
        assert_eq!(opened(&text).unwrap(), b"state");
        assert_eq!(unseal(the_ring(), "cookie", &text, NOW), None);
        let tag = tag(&[b"browser"]);
        assert!(checks(&[b"browser"], &tag));
        assert!(!check_tag(the_ring(), "device", &[b"browser"], &tag, NOW));
        assert_eq!(opened(&tag), None);
        assert!(!checks(&[b"browser"], &text));
    }

    #[test]
    fn one_plain_text_is_never_sealed_twice_alike() {
        let random = Random::seeded(1);
        let text = || seal(the_ring(), "request", b"state", NOW, &random).unwrap();
        let (first, second) = (text(), text());
        assert_ne!(first, second);
        assert!(!first.contains(&URL_SAFE_NO_PAD.encode("state")));
    }

    #[test]
    fn texts_outlive_a_rotation_but_not_their_key() {
        let record = mac_record();
        let living = ring(std::slice::from_ref(&record));
        let text = seal(&living, "request", b"state", NOW, &Random::system()).unwrap();
        let tag = mac_tag(&living, "csrf", &[b"a"], NOW).unwrap();
        let rotated = ring(&[rotated(record, NOW), mac_record()]);
        let (retiring, retired) = (NOW + Duration::hours(1), NOW + Duration::days(1));
        let found = |now| mac_tags(&rotated, "csrf", &[b"a"], now).contains(&tag);
        assert!(found(retiring) && !found(retired));
        assert_eq!(mac_tags(&rotated, "csrf", &[b"a"], retiring).len(), 2);
        assert!(unseal(&rotated, "request", &text, retiring).is_some());
        assert!(check_tag(&rotated, "csrf", &[b"a"], &tag, retiring));
        assert!(unseal(&rotated, "request", &text, retired).is_none());
        assert!(!check_tag(&rotated, "csrf", &[b"a"], &tag, retired));
    }

    #[test]
    fn without_an_active_key_nothing_is_sealed_and_the_error_says_so() {
        let error = seal(&Keyring::empty(), "request", b"state", NOW, &Random::system()).unwrap_err();
        assert!(error.to_string().contains("keystead keys rotate"), "{error}");
        assert_eq!(mac_tag(&Keyring::empty(), "csrf", &[b"a"], NOW), None);
    }

    #[test]
    fn security_70_an_oversized_text_is_refused_before_it_is_read() {
        assert_eq!(opened(&sealed(&[0; LONGEST_TEXT])), None);
        assert!(!checks(&[b"a"], &"A".repeat(1 << 20)));
    }

    #[test]
    fn security_13_parts_cannot_be_shifted_into_one_another() {
        let expected = tag(&[b"ab", b"c"]);
        let others: [&[&[u8]]; 6] =
            [&[b"a", b"bc"], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"], &[], &[b"c", b"ab"]];
        for parts in others {
            assert!(!checks(parts, &expected), "{parts:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_sealed_comes_back(plain: Vec<u8>) {
            prop_assert_eq!(opened(&sealed(&plain)), Some(plain));
        }

        #[test]
        fn a_sealed_text_with_any_character_changed_does_not_open(at in 0..400_usize, to in "[A-Za-z0-9_=+/ ä-]") {
            let text = sealed(b"an authorization request");
            let at = at % text.len();
            prop_assume!(text[at..=at] != to);
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(opened(&changed), None);
        }

        #[test]
        fn a_sealed_text_cut_or_extended_does_not_open(cut in 0..96_usize, more in "[A-Za-z0-9_-]{1,8}") {
            let text = sealed(b"an authorization request");
            prop_assert_eq!(opened(&text[..cut]), None);
            prop_assert_eq!(opened(&text[text.len() - cut..]), None);
            let extended = format!("{text}{more}");
            prop_assert_eq!(opened(&extended), None);
        }

        #[test]
        fn a_tag_with_any_character_changed_is_refused(at in 0..54_usize, to in "[A-Za-z0-9_=+/ ä-]") {
            let tag = tag(&[b"browser", b"request"]);
            prop_assume!(tag[at..=at] != to);
            let changed = format!("{}{to}{}", &tag[..at], &tag[at + 1..]);
            prop_assert!(!checks(&[b"browser", b"request"], &changed));
            prop_assert!(!checks(&[b"browser", b"request"], &tag[..at]));
        }
    }
}
