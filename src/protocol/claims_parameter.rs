//! The `claims` parameter of authorization requests (OpenID Connect Core §5.5): which claims a client wants by name, and where.

use serde_json::{Map, Value};

use crate::domain::{ClaimNames, RequestedClaims};

use super::authentication::RequestedAcr;
use super::error::OAuthError;
use super::json::read_strictly;

/// The longest parameter in bytes.
const LONGEST: usize = 4000;
/// Names in one place, and values of one claim.
const MOST: usize = 50;
/// The longest value that is compared with anything; longer than any `sub` or `acr` (§2).
const LONGEST_VALUE: usize = 255;

/// What the parameter asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimsParameter {
    /// Claims about the person.
    pub claims: RequestedClaims,
    /// `sub` with a value: the one whom the request is about, or any of these. `None`: whoever signs in.
    pub subjects: Option<Vec<String>>,
    /// `acr` with a value, asked for in the ID token.
    pub acr: Option<RequestedAcr>,
}

/// How one claim is asked for (§5.5.1).
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    essential: bool,
    /// `value`, or `values` where there is none.
    values: Option<Vec<String>>,
}

/// Reads the parameter. Claims that we do not know, and members that we do not understand, are ignored (§5.5, §5.5.1).
///
/// # Errors
/// `invalid_request`: too long, no JSON of the form that the section describes, or a member that occurs twice.
pub fn parse(text: Option<&str>) -> Result<ClaimsParameter, OAuthError> {
    let Some(text) = text else { return Ok(ClaimsParameter::default()) };
    if text.len() > LONGEST {
        return Err(refused(&format!("it is longer than {LONGEST} bytes")));
    }
    let read = read_strictly(text).map_err(|_| refused("it is not JSON, or a member occurs twice"))?;
    let Value::Object(places) = read else { return Err(refused("it must be a JSON object")) };
    let (userinfo, id_token) = (wishes(&places, "userinfo")?, wishes(&places, "id_token")?);
    let names = |wishes: &[(&str, Wish)]| ClaimNames::of(&wishes.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let claims = RequestedClaims { userinfo: names(&userinfo), id_token: names(&id_token) };
    let subjects = userinfo.iter().chain(&id_token).filter(|(name, _)| *name == "sub");
    let subjects = subjects.filter_map(|(_, wish)| wish.values.clone()).reduce(|mut all, other| {
        all.retain(|one| other.contains(one));
        all
    });
    let acr = id_token
        .iter()
        .find(|(name, _)| *name == "acr")
        .map(|(_, wish)| RequestedAcr { values: wish.values.clone().unwrap_or_default(), essential: wish.essential });
    Ok(ClaimsParameter { claims, subjects, acr: acr.filter(|acr| !acr.is_empty()) })
}

fn wishes<'a>(places: &'a Map<String, Value>, place: &str) -> Result<Vec<(&'a str, Wish)>, OAuthError> {
    match places.get(place) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(claims)) if claims.len() <= MOST => {
            claims.iter().map(|(name, how)| Ok((name.as_str(), wish(name, how)?))).collect()
        }
        Some(Value::Object(_)) => Err(refused(&format!("{place} names more than {MOST} claims"))),
        Some(_) => Err(refused(&format!("{place} must be an object whose members are claims"))),
    }
}

fn wish(name: &str, how: &Value) -> Result<Wish, OAuthError> {
    let how = match how {
        Value::Null => return Ok(Wish::default()),
        Value::Object(how) => how,
        _ => return Err(refused(&format!("the claim {} must be null or an object", shown(name)))),
    };
    let essential = match how.get("essential") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(refused(&format!("essential of {} must be true or false", shown(name)))),
    };
    // Only these two are compared with anything; the values of other claims may be of any type.
    if !matches!(name, "sub" | "acr") {
        return Ok(Wish { essential, values: None });
    }
    let values = match (how.get("value"), how.get("values")) {
        (Some(value), _) if !value.is_null() => Some(std::slice::from_ref(value)),
        (_, Some(Value::Array(values))) if (1..=MOST).contains(&values.len()) => Some(values.as_slice()),
        (_, None | Some(Value::Null)) => None,
        _ => return Err(refused(&format!("values of {name} must be a list of 1 to {MOST} texts"))),
    };
    let text = |value: &Value| value.as_str().filter(|text| text.len() <= LONGEST_VALUE).map(str::to_owned);
    let values = values.map(|values| values.iter().map(text).collect::<Option<Vec<_>>>());
    let sentence = || refused(&format!("the value of {name} must be a text of at most {LONGEST_VALUE} bytes"));
    Ok(Wish { essential, values: values.map(|values| values.ok_or_else(sentence)).transpose()? })
}

/// A name in a sentence: no longer than names are.
fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

fn refused(why: &str) -> OAuthError {
    OAuthError::invalid_request(format!("The parameter claims is refused: {why} (OpenID Connect Core 5.5)."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::error::ErrorCode;

    fn read(text: &str) -> ClaimsParameter {
        parse(Some(text)).unwrap()
    }

    #[test]
    fn section_5_5_claims_are_asked_for_by_place_and_what_is_unknown_is_ignored() {
        let text = r#"{
            "userinfo": { "given_name": {"essential": true}, "nickname": null, "email": {"value": 7, "purpose": {"x": 1}},
                          "http://example.info/claims/groups": null, "name#de": null },
            "id_token": { "auth_time": {"essential": true}, "birthdate": {"values": ["1", 2]}, "acr": null },
            "access_token": { "name": 1 }, "other": 3 }"#;
        let asked = read(text);
        assert_eq!(asked.claims.userinfo.to_vec(), ["given_name", "nickname", "email"]);
        assert_eq!(asked.claims.id_token.to_vec(), ["birthdate"]);
        assert_eq!((asked.subjects, asked.acr), (None, None));
        for nothing in ["{}", r#"{"userinfo":null,"id_token":{}}"#] {
            assert_eq!(read(nothing), ClaimsParameter::default(), "{nothing}");
        }
        assert_eq!(parse(None).unwrap(), ClaimsParameter::default());
    }

    #[test]
    fn section_5_5_1_sub_and_acr_are_read_with_their_values() {
        let asked = read(r#"{"id_token":{"sub":{"value":"a"},"acr":{"essential":true,"values":["1","2"]}}}"#);
        assert_eq!(asked.subjects, Some(vec!["a".to_owned()]));
        assert_eq!(asked.acr, Some(RequestedAcr { values: vec!["1".into(), "2".into()], essential: true }));
        let both = read(r#"{"id_token":{"sub":{"values":["a","b"]}},"userinfo":{"sub":{"value":"b"}}}"#);
        assert_eq!(both.subjects, Some(vec!["b".to_owned()]), "both must hold");
        let nobody = read(r#"{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}"#);
        assert_eq!(nobody.subjects, Some(Vec::new()));
        let any = read(
            r#"{"id_token":{"sub":{"essential":true},"acr":{"essential":true}},"userinfo":{"acr":{"value":"1"}}}"#,
        );
        assert_eq!((any.subjects, any.acr), (None, None));
    }

    #[test]
    fn section_5_5_what_has_another_form_is_refused_with_a_sentence() {
        let many: Vec<String> = (0..51).map(|i| format!("\"c{i}\":null")).collect();
        for text in [
            "",
            "{",
            "null",
            "[]",
            "\"\"",
            "[null,null]",
            "{}{}",
            r#"{"userinfo":[]}"#,
            r#"{"userinfo":"name"}"#,
            r#"{"userinfo":{"name":true}}"#,
            r#"{"userinfo":{"name":[true]}}"#,
            r#"{"userinfo":{"name":{"essential":"yes"}}}"#,
            r#"{"userinfo":{"name":null,"name":null}}"#,
            r#"{"userinfo":{},"userinfo":{"name":null}}"#,
            r#"{"id_token":{"sub":{"value":"a","value":"b"}}}"#,
            r#"{"id_token":{"sub":{"value":1}}}"#,
            r#"{"id_token":{"sub":{"values":"a"}}}"#,
            r#"{"id_token":{"acr":{"values":[]}}}"#,
            r#"{"id_token":{"acr":{"values":["a",null]}}}"#,
            &format!(r#"{{"id_token":{{"sub":{{"value":"{}"}}}}}}"#, "x".repeat(256)),
            &format!(r#"{{"userinfo":{{{}}}}}"#, many.join(",")),
            &format!(r#"{{"x":"{}"}}"#, "x".repeat(LONGEST)),
        ] {
            let refusal = parse(Some(text)).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidRequest, "{text}");
            assert!(refusal.description.starts_with("The parameter claims is refused"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse(Some(&text));
        }
    }
}
