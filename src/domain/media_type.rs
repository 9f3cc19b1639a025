//! Media types in JOSE headers.

/// Whether two `typ` say the same (RFC 7515 §4.1.9): they compare without regard to case, and `application/` may be left out.
#[must_use]
pub fn is_same_media_type(a: &str, b: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = |text: &'_ str| match text.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => PREFIX.len(),
        _ => 0,
    };
    a[short(a)..].eq_ignore_ascii_case(&b[short(b)..])
}
