//! Certificates of clients (RFC 8705), as far as they are compared.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{KeyThumbprint, Timestamp};

/// The certificates that a client showed on its connection, the client's own first. The client holds the key of that one; nothing else is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChain(Arc<[Vec<u8>]>);

impl CertificateChain {
    /// In DER. `None`: there is no certificate at all.
    #[must_use]
    pub fn new(certificates: Vec<Vec<u8>>) -> Option<Self> {
        (!certificates.is_empty()).then(|| Self(certificates.into()))
    }

    /// The client's own.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        self.0.first().map_or(&[], Vec::as_slice)
    }

    /// Those of its issuers, as far as the client sent them.
    pub fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().skip(1).map(Vec::as_slice)
    }
}

/// What a client's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is; none where the subject is empty or in a form that nobody registers.
    pub subject: Option<DistinguishedName>,
    /// Alternative names: hosts.
    pub dns_names: Vec<String>,
    /// Alternative names: URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// Alternative names: addresses.
    pub addresses: Vec<IpAddr>,
    /// Alternative names: mail.
    pub emails: Vec<String>,
    /// From when it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// The JWK thumbprint of its key (RFC 7638); none for kinds of keys that clients cannot register here.
    pub key: Option<KeyThumbprint>,
}

/// A distinguished name, comparable whatever its spelling. Values compare exactly, as upper and lower case may be different people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName(Vec<BTreeSet<(String, String)>>);

/// Names of attribute types (RFC 4514 §3, and those that certificate authorities use beside them).
const TYPES: [(&str, &str); 16] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("SN", "2.5.4.4"),
    ("GN", "2.5.4.42"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("TITLE", "2.5.4.12"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
];

impl DistinguishedName {
    /// From the pairs of type (its OID in dots) and value of a certificate, in the certificate's order. `None`: there are none.
    #[must_use]
    pub fn of_certificate(names: Vec<BTreeSet<(String, String)>>) -> Option<Self> {
        (!names.is_empty()).then(|| Self(names.into_iter().rev().collect()))
    }

    /// Reads the text form of RFC 4514, most specific name first; spaces around separators do not count. `None`: it is empty, or in a form
    /// that cannot be compared (quotes, hexadecimal values, unknown types).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = Vec::new();
        let mut name = BTreeSet::new();
        let mut rest = text;
        loop {
            let (kind, after) = rest.split_once('=')?;
            let (value, separator, after) = read_value(after)?;
            name.insert((type_id(kind.trim())?, value));
            if separator != Some('+') {
                names.push(std::mem::take(&mut name));
            }
            if separator.is_none() {
                return Some(Self(names));
            }
            rest = after;
        }
    }
}

fn type_id(name: &str) -> Option<String> {
    let known = TYPES.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    let is_oid = name.contains('.') && name.split('.').all(|part| part.parse::<u64>().is_ok());
    known.map(|(_, id)| (*id).to_owned()).or_else(|| is_oid.then(|| name.to_owned()))
}

/// A value with its escapes resolved, the separator behind it, and what comes after that.
fn read_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start_matches(' ');
    let mut bytes = Vec::new();
    // Spaces at the end do not count unless they are escaped.
    let mut kept = 0;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ',' | '+' => {
                bytes.truncate(kept);
                return Some((value(bytes)?, Some(letter), &text[at + 1..]));
            }
            '"' | ';' | '<' | '>' | '\0' => return None,
            '#' if at == 0 => return None,
            '\\' => {
                let (_, escaped) = letters.next()?;
                if let Some(high) = escaped.to_digit(16) {
                    let (_, low) = letters.next()?;
                    bytes.push(u8::try_from(high * 16 + low.to_digit(16)?).ok()?);
                } else if " \"#+,;<=>\\".contains(escaped) {
                    bytes.push(u8::try_from(escaped).ok()?);
                } else {
                    return None;
                }
                kept = bytes.len();
            }
            letter => {
                bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
                if letter != ' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    Some((value(bytes)?, None, ""))
}

fn value(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &str, value: &str) -> BTreeSet<(String, String)> {
        BTreeSet::from([(kind.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_name_compares_whatever_its_spelling() {
        let usual = DistinguishedName::parse("CN=Shop\\, Ltd,OU=a+L=b,C=DE").unwrap();
        for same in ["cn = Shop\\2C Ltd , L=b + OU=a, C=DE", "2.5.4.3=Shop\\, Ltd,OU=a+L=b,C=DE"] {
            assert_eq!(DistinguishedName::parse(same).as_ref(), Some(&usual), "{same}");
        }
        for other in ["CN=shop\\, Ltd,OU=a+L=b,C=DE", "C=DE,OU=a+L=b,CN=Shop\\, Ltd", "CN=Shop\\, Ltd,OU=a,L=b,C=DE"] {
            assert_ne!(DistinguishedName::parse(other).as_ref(), Some(&usual), "{other}");
        }
        let german = DistinguishedName::parse("CN=M\\C3\\BCller,C=DE");
        assert_eq!(german, DistinguishedName::of_certificate(vec![one("2.5.4.6", "DE"), one("2.5.4.3", "Müller")]));
    }

    #[test]
    fn what_cannot_be_compared_is_no_name() {
        for text in
            ["", " ", "CN", "CN=", "CN=a,", "X=a", "CN=#0401", "CN=\"a\"", "CN=a;O=b", "CN=a\\", "CN=\\zz", ",CN=a"]
        {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
        assert_eq!(DistinguishedName::of_certificate(Vec::new()), None);
    }
}
