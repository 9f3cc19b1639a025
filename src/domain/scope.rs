//! Scope: a set of scope tokens (RFC 6749 §3.3).

use std::fmt;

/// A set of scope tokens. The order in which they were sent does not matter, so it is not kept.
///
/// It is held as it is written: in alphabetical order, one space between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(String);

/// A scope parameter with a character that RFC 6749 §3.3 does not allow, or with too many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scope must be at most 64 tokens of printable ASCII, separated by single spaces")]
pub struct InvalidScope;

const MOST_TOKENS: usize = 64;

impl Scope {
    /// Reads the space-delimited form.
    ///
    /// # Errors
    /// A character outside `%x21 / %x23-5B / %x5D-7E`, or more than 64 tokens.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        Self::from_tokens(text.split(' ').filter(|token| !token.is_empty()))
    }

    /// Reads tokens that a database row or a registration holds; tokens of a wrong form are refused.
    ///
    /// # Errors
    /// As [`Scope::parse`].
    pub fn from_tokens<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, InvalidScope> {
        let tokens: Vec<T> = tokens.into_iter().collect();
        let scope = Self::of(tokens.iter().map(AsRef::as_ref).collect());
        if scope.tokens().count() > MOST_TOKENS || !tokens.iter().all(|token| is_token(token.as_ref())) {
            return Err(InvalidScope);
        }
        Ok(scope)
    }

    fn of(mut tokens: Vec<&str>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens.join(" "))
    }

    /// Whether `token` is in the set.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|own| own == token)
    }

    /// Whether every token of this set is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Scope) -> bool {
        self.tokens().all(|token| other.contains(token))
    }

    /// The tokens that both sets have.
    #[must_use]
    pub fn intersection(&self, other: &Scope) -> Scope {
        self.picked(other, true)
    }

    /// The tokens that either set has.
    #[must_use]
    pub fn union(&self, other: &Scope) -> Scope {
        Self::of(self.tokens().chain(other.tokens()).collect())
    }

    /// The tokens of this set that the other one does not have.
    #[must_use]
    pub fn without(&self, other: &Scope) -> Scope {
        self.picked(other, false)
    }

    /// The tokens that the other set has too, or those that it does not have. One walk along both, since both are in order.
    fn picked(&self, other: &Scope, shared: bool) -> Scope {
        let mut theirs = other.tokens().peekable();
        let mut picked = String::with_capacity(self.0.len());
        for token in self.tokens() {
            while theirs.next_if(|their| *their < token).is_some() {}
            if (theirs.peek() == Some(&token)) == shared {
                if !picked.is_empty() {
                    picked.push(' ');
                }
                picked.push_str(token);
            }
        }
        Self(picked)
    }

    /// The tokens in alphabetical order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }

    /// The tokens in alphabetical order, one space between two.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens as a database array wants them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.tokens().map(str::to_owned).collect()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.len() <= 128 && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(Scope::parse("b a  a").unwrap(), Scope::parse("a b").unwrap());
        assert_eq!(Scope::parse("b a").unwrap().to_string(), "a b");
        assert!(Scope::parse("").unwrap().is_empty());
    }

    #[test]
    fn sets_are_joined_and_cut_down() {
        let (ab, bc) = (Scope::parse("a b").unwrap(), Scope::parse("b c").unwrap());
        assert_eq!(ab.intersection(&bc).to_string(), "b");
        assert_eq!(ab.union(&bc).to_string(), "a b c");
        assert_eq!(ab.without(&bc).to_string(), "a");
    }

    proptest::proptest! {
        #[test]
        fn sets_are_cut_down_whatever_is_in_them(ours in "([a-c!~]{1,2} ){0,8}", theirs in "([a-c!~]{1,2} ){0,8}") {
            let (ours, theirs) = (Scope::parse(&ours).unwrap(), Scope::parse(&theirs).unwrap());
            let chosen = |shared| Scope::from_tokens(ours.tokens().filter(|token| theirs.contains(token) == shared)).unwrap();
            proptest::prop_assert_eq!(ours.intersection(&theirs), chosen(true));
            proptest::prop_assert_eq!(ours.without(&theirs), chosen(false));
        }
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "ä", "a\n"] {
            assert_eq!(Scope::parse(text), Err(InvalidScope), "{text:?}");
        }
    }

    #[test]
    fn security_70_a_scope_with_too_many_tokens_is_refused() {
        let many: Vec<String> = (0..65).map(|i| format!("s{i}")).collect();
        assert_eq!(Scope::parse(&many.join(" ")), Err(InvalidScope));
    }
}
