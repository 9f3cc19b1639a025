//! JSON that cannot be read in two ways.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a text in which no object has a member twice: of two readers one would take the first, the other the last.
///
/// # Errors
/// What is wrong, for the log of a developer; it may repeat a part of the text.
pub fn read_strictly(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn security_06_a_member_that_occurs_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":null,"b":true}}"#, r#"[{"a":1,"\u0061":2}]"#] {
            assert!(read_strictly(text).is_err(), "{text}");
        }
    }

    #[test]
    fn security_70_what_is_nested_too_deeply_is_refused() {
        assert!(read_strictly(&"[".repeat(200)).is_err());
        assert!(read_strictly(&format!("{}{}", "{\"a\":".repeat(2000), "}".repeat(2000))).is_err());
    }

    proptest! {
        #[test]
        fn it_reads_what_any_reader_reads(text in r#"[\[\]{}:,"a0-9.e\-ntrufls \\]{0,40}"#) {
            let usual = serde_json::from_str::<Value>(&text).ok();
            if let Ok(read) = read_strictly(&text) {
                prop_assert_eq!(Some(read), usual);
            }
        }
    }
}
