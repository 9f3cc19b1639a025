//! Request parameters, read once (RFC 6749 §3.1, §3.2 and Appendix B).

use super::error::OAuthError;

const MOST_PARAMETERS: usize = 100;

/// The parameters of one request. Empty values count as omitted; repetition is remembered and refused where the parameter is asked for.
#[derive(Debug, Default)]
pub struct Params {
    values: Vec<(String, String)>,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text: a query, a body, or both after each other.
    ///
    /// # Errors
    /// `invalid_request`: not UTF-8 after decoding, a NUL character, or more than 100 parameters.
    pub fn parse(parts: &[&str]) -> Result<Self, OAuthError> {
        let mut params = Self::default();
        for pair in parts.iter().flat_map(|part| part.split('&')).filter(|pair| !pair.is_empty()) {
            if is_plain(pair) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                params.push(name.to_owned(), value.to_owned())?;
            } else {
                for (name, value) in form_urlencoded::parse(pair.as_bytes()) {
                    params.push_decoded(&name, &value)?;
                }
            }
        }
        Ok(params)
    }

    /// Takes over pairs that were read from elsewhere.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn of_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, OAuthError> {
        let mut params = Self::default();
        for (name, value) in pairs {
            params.push_decoded(&name, &value)?;
        }
        Ok(params)
    }

    fn push_decoded(&mut self, name: &str, value: &str) -> Result<(), OAuthError> {
        // The decoder puts U+FFFD where bytes are no UTF-8; such a value could be another one after each decoding.
        if [name, value].iter().any(|text| text.contains(['\u{FFFD}', '\0'])) {
            return Err(OAuthError::invalid_request("A parameter is not valid UTF-8 or holds a NUL character."));
        }
        self.push(name.to_owned(), value.to_owned())
    }

    fn push(&mut self, name: String, value: String) -> Result<(), OAuthError> {
        if self.values.len() == MOST_PARAMETERS {
            return Err(OAuthError::invalid_request("The request has more than 100 parameters."));
        }
        self.values.push((name, value));
        Ok(())
    }

    /// The value of a parameter that may occur once.
    ///
    /// # Errors
    /// §3.1: `invalid_request` when it occurs twice; two readers of such a request would see two different requests.
    pub fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut found = self.values.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(OAuthError::invalid_request(format!("The parameter {name} occurs more than once."))),
            (Some(value), None) if !value.is_empty() => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request` when it is missing or occurs twice.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.one(name)?.ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing.")))
    }

    /// All values of the one parameter that may be repeated: `resource` (RFC 8707 §2).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(n, value)| n == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All of them, as they came.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Refuses a request in which any parameter but `resource` occurs twice, known to us or not.
    ///
    /// # Errors
    /// `invalid_request` that names the parameter.
    pub fn refuse_repetition(&self) -> Result<(), OAuthError> {
        for (i, (name, _)) in self.values.iter().enumerate() {
            if name != "resource" && self.values[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(OAuthError::invalid_request(format!("The parameter {name} occurs more than once.")));
            }
        }
        Ok(())
    }
}

/// Whether form-encoded text stands for itself, as tokens, codes and ids do. It is seen in one look, where decoding takes many; a look that
/// does not stop at the first odd byte takes sixteen bytes at a time.
pub(super) fn is_plain(text: &str) -> bool {
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'%' | b'+');
    text.bytes().fold(0, |odd, byte| odd | u8::from(is_odd(byte))) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn security_06_a_repeated_parameter_is_refused_also_across_query_and_body() {
        let params = Params::parse(&["scope=a&x=1", "scope=b"]).unwrap();
        assert!(params.one("scope").is_err());
        assert!(params.refuse_repetition().is_err());
        assert_eq!(params.one("x").unwrap(), Some("1"));
    }

    #[test]
    fn section_3_1_a_parameter_without_value_counts_as_omitted() {
        let params = Params::parse(&["scope=&state"]).unwrap();
        assert_eq!(params.one("scope").unwrap(), None);
        assert_eq!(params.one("state").unwrap(), None);
        assert!(params.required("state").is_err());
    }

    #[test]
    fn invalid_utf_8_and_nul_are_refused() {
        assert!(Params::parse(&["state=%ff%fe"]).is_err());
        assert!(Params::parse(&["state=a%00b"]).is_err());
    }

    #[test]
    fn security_70_more_than_100_parameters_are_refused() {
        let many: Vec<String> = (0..101).map(|i| format!("p{i}=1")).collect();
        assert!(Params::parse(&[&many.join("&")]).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_gives_back_what_was_encoded(name in "[a-z_]{1,12}", value in "[^\u{0}\u{FFFD}]{1,40}") {
            let body = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let params = Params::parse(&[&body]).unwrap();
            prop_assert_eq!(params.one(&name).unwrap(), Some(value.as_str()));
        }

        #[test]
        fn plain_pairs_are_read_as_the_url_standard_says(text in "[a&=%+2Bü~ ]{0,24}") {
            let expected: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
            let read = Params::parse(&[&text]);
            if expected.iter().any(|(name, value)| format!("{name}{value}").contains(['\u{FFFD}', '\0'])) {
                prop_assert!(read.is_err());
            } else {
                let read = read.unwrap();
                prop_assert!(read.pairs().into_iter().eq(expected.iter().map(|(name, value)| (&**name, &**value))), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in any::<String>()) {
            let _ = Params::parse(&[&text]);
        }
    }
}
