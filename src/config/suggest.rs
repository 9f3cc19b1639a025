//! "Did you mean": the known key that a mistyped one is nearest to.

/// The nearest of `known`, when it is near enough to be worth saying.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let tolerance = (written.chars().count() / 4).max(2);
    known
        .into_iter()
        .map(|key| {
            // The right name in the wrong section is as near as one slip of the finger.
            let distance = if leaf(key) == leaf(written) { 1 } else { edits(written, key) };
            (distance, key)
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, key)| key)
}

/// Levenshtein distance: single-character insertions, deletions and replacements.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["issuer", "database.url", "tokens.access_token_lifetime", "public.listen"];

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        for (written, expected) in [
            ("isuer", "issuer"),
            ("databse.url", "database.url"),
            ("token.access_token_lifetime", "tokens.access_token_lifetime"),
            ("tokens.acess_token_livetime", "tokens.access_token_lifetime"),
            ("listen", "public.listen"),
        ] {
            assert_eq!(nearest(written, KNOWN), Some(expected), "{written}");
        }
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("smtp.server", KNOWN), None);
        assert_eq!(nearest("x", KNOWN), None);
    }
}
