//! JSON bodies: read strictly, so that a misspelt member is never silently ignored.

use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::problem::Problem;
use crate::domain::MetadataProblem;

/// A JSON body.
pub(super) struct JsonBody<T>(pub T);

/// A JSON body that may be left out or null.
pub(super) struct OptionalBody<T>(pub Option<T>);

/// A JSON merge patch (RFC 7396) of a document of which every member may be absent or null: what is absent stays, `null` goes
/// back to its default, everything else is set.
pub(super) struct MergePatch<T> {
    patch: Value,
    document: PhantomData<fn() -> T>,
}

impl<S: Send + Sync, T: Serialize + DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let accepted = is_type(request.headers(), &["application/json"]);
        let bytes = bytes(request, state).await?;
        if !accepted {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        let (_, body) = read(&bytes)?;
        Ok(Self(body))
    }
}

impl<S: Send + Sync, T: Serialize + DeserializeOwned> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let accepted = is_type(request.headers(), &["application/json"]);
        let bytes = bytes(request, state).await?;
        match (bytes.is_empty(), accepted) {
            (true, _) => Ok(Self(None)),
            (false, true) if bytes.trim_ascii() == b"null" => Ok(Self(None)),
            (false, true) => read(&bytes).map(|(_, body)| Self(Some(body))),
            (false, false) => Err(Problem::unsupported_media_type("application/json")),
        }
    }
}

impl<S: Send + Sync, T: Serialize + DeserializeOwned> FromRequest<S> for MergePatch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let accepted = is_type(request.headers(), &["application/json", "application/merge-patch+json"]);
        let bytes = bytes(request, state).await?;
        if !accepted {
            return Err(Problem::unsupported_media_type("application/merge-patch+json (or application/json)"));
        }
        Self::read(&bytes)
    }
}

impl<T: Serialize + DeserializeOwned> MergePatch<T> {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        // As a document of its own first: a merge would swallow a repeated member, and a `null` for one that does not exist.
        let (patch, _) = read::<T>(bytes)?;
        Ok(Self { patch, document: PhantomData })
    }

    /// Applies the patch.
    ///
    /// # Errors
    /// Patch and document together are no document.
    pub fn apply(&self, document: &T) -> Result<T, Vec<MetadataProblem>> {
        let mut merged = serde_json::to_value(document).unwrap_or_default();
        merge(&mut merged, &self.patch);
        serde_path_to_error::deserialize(merged).map_err(|error| vec![member_problem(&error)])
    }

    /// Whether the patch says anything about the member that this JSON pointer (RFC 6901) leads to.
    pub fn names(&self, pointer: &str) -> bool {
        self.patch.pointer(pointer).is_some()
    }
}

/// RFC 7396 §2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in members {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::invalid_request("The body did not arrive completely; send it again."),
    })
}

fn is_type(headers: &HeaderMap, accepted: &[&str]) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted))
}

/// Gives the body as it was sent and as it was understood.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(Value, T), Problem> {
    if bytes.is_empty() {
        return Err(Problem::malformed_json("The body is empty; send a JSON object."));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::malformed_json(format!("The body is not UTF-8 from byte {} on.", error.valid_up_to()))
    })?;
    let sent: Value =
        serde_json::from_str(text).map_err(|error| Problem::malformed_json(format!("It cannot be read: {error}.")))?;
    if !sent.is_object() {
        return Err(Problem::invalid_request("The body is JSON but not an object; send an object."));
    }
    // From the text, because `sent` has lost the members that were repeated.
    let mut text = serde_json::Deserializer::from_str(text);
    let document: T = serde_path_to_error::deserialize(&mut text)
        .map_err(|error| Problem::invalid_members(vec![member_problem(&error)]))?;
    match misread(&sent, &serde_json::to_value(&document).unwrap_or_default()) {
        None => Ok((sent, document)),
        Some((path, sentence)) => Err(Problem::invalid_member(path, sentence)),
    }
}

/// Where serde was kinder than anybody can mean: it takes an array for an object, by the order of the members, and an object with
/// one member for a name.
fn misread(sent: &Value, understood: &Value) -> Option<(String, &'static str)> {
    match (sent, understood) {
        (Value::Array(_), Value::Object(_)) => Some((String::new(), "is an array; send an object")),
        (Value::Object(_), Value::String(_)) => Some((String::new(), "is an object; send a string")),
        (Value::Object(sent), Value::Object(understood)) => sent.iter().find_map(|(name, sent)| {
            let (deeper, sentence) = misread(sent, understood.get(name)?)?;
            let dot = if deeper.is_empty() || deeper.starts_with('[') { "" } else { "." };
            Some((format!("{name}{dot}{deeper}"), sentence))
        }),
        (Value::Array(sent), Value::Array(understood)) => {
            sent.iter().zip(understood).enumerate().find_map(|(index, (sent, understood))| {
                let (deeper, sentence) = misread(sent, understood)?;
                Some((format!("[{index}]{deeper}"), sentence))
            })
        }
        _ => None,
    }
}

/// What serde says, with the member's path in front and the place in the text cut off.
pub(in crate::http) fn member_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> MetadataProblem {
    let said = error.inner().to_string();
    let sentence = match error.inner().classify() {
        Category::Data => without_value(said.rfind(" at line ").map_or(said.as_str(), |end| &said[..end])),
        // The text is JSON, so this is what serde_json says where a name is expected and something else stands.
        _ => "is of another type; send one of the known names as a string".to_owned(),
    };
    // A path ends before a repeated member, but serde says its name.
    let repeated = sentence.strip_prefix("duplicate field `").map(|rest| rest.trim_end_matches('`'));
    let field = match (error.path().to_string(), repeated) {
        (root, Some(name)) if root == "." => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path,
    };
    MetadataProblem { field, sentence }
}

/// SECURITY 71: serde repeats a value that does not fit. It may be a secret that was meant for another member, and who asks may log
/// the answer.
fn without_value(said: &str) -> String {
    match said.rsplit_once(", expected ") {
        Some((what, expected)) if !said.starts_with("unknown field ") => {
            let kind = what.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Document {
        name: Option<String>,
        uris: Option<Vec<String>>,
        inner: Option<Inner>,
        kinds: Option<Vec<Kind>>,
    }

    #[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        a: Option<i32>,
        b: Option<i32>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    enum Kind {
        Red,
    }

    fn refusal(body: &[u8]) -> Value {
        serde_json::to_value(read::<Document>(body).unwrap_err().document(None)).unwrap()
    }

    #[test]
    fn rfc_7396_appendix_a() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, result) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, result, "{patch}");
        }
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let before = Document {
            name: Some("n".into()),
            uris: Some(vec!["u".into()]),
            inner: Some(Inner { a: Some(1), b: Some(2), kind: Some(Kind::Red) }),
            kinds: None,
        };
        let patch = MergePatch::<Document>::read(br#"{"uris": null, "inner": {"a": 3}}"#).unwrap();
        let after = patch.apply(&before).unwrap();
        let inner = Inner { a: Some(3), ..before.inner.unwrap() };
        assert_eq!(after, Document { name: Some("n".into()), uris: None, inner: Some(inner), kinds: None });
        assert!(patch.names("/uris") && patch.names("/inner/a") && !patch.names("/name") && !patch.names("/inner/b"));
    }

    #[test]
    fn a_refused_member_is_named() {
        let cases = [
            (r#"{"nmae": "x"}"#, "nmae"),
            (r#"{"nmae": null}"#, "nmae"),
            (r#"{"name": 5}"#, "name"),
            (r#"{"uris": ["a", 5]}"#, "uris[1]"),
            (r#"{"inner": {"a": "x"}}"#, "inner.a"),
            (r#"{"inner": {"c": 1}}"#, "inner.c"),
            (r#"{"name": "a", "name": "b"}"#, "name"),
            (r#"{"inner": {"a": 1, "a": 1}}"#, "inner.a"),
            (r#"{"inner": []}"#, "inner"),
            (r#"{"inner": {"kind": {"Red": null}}}"#, "inner.kind"),
            (r#"{"inner": {"kind": 5}}"#, "inner.kind"),
            (r#"{"kinds": ["Red", {"Red": null}]}"#, "kinds[1]"),
        ];
        for (body, field) in cases {
            let shown = refusal(body.as_bytes());
            assert_eq!(shown["errors"][0]["field"], field, "{shown}");
        }
    }

    #[test]
    fn security_71_a_value_that_does_not_fit_is_not_repeated() {
        let cases = [
            (r#"{"name": 71717171}"#, "invalid type: integer, expected a string"),
            (r#"{"inner": {"a": "71717171, expected `x`"}}"#, "invalid type: string, expected i32"),
            (r#"{"inner": {"a": 7171717171}}"#, "invalid value: integer, expected i32"),
            (r#"{"kinds": ["71717171"]}"#, "unknown variant, expected `Red`"),
            (r#"{"inner": "71717171"}"#, "invalid type: string, expected struct Inner"),
        ];
        for (body, sentence) in cases {
            let shown = refusal(body.as_bytes());
            assert_eq!(shown["errors"][0]["detail"], sentence, "{shown}");
            assert!(!shown.to_string().contains("7171"), "{shown}");
        }
    }

    #[test]
    fn only_an_object_is_an_object() {
        for body in [r#"["x"]"#, "[]", "[{}]", "5", r#""x""#, "null", r#"{"inner": [1]}"#, r#"{"inner": []}"#] {
            let problem = refusal(body.as_bytes());
            assert!(problem.to_string().contains("send an object"), "{body}: {problem}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_so() {
        for body in [&b""[..], b"{", b"{} {}", b"\xff", b"nope"] {
            let problem = refusal(body);
            assert_eq!(problem["type"], "urn:keystead:problem:malformed-json", "{problem}");
        }
        let deep = "[".repeat(1000);
        assert!(read::<Value>(deep.as_bytes()).is_err());
    }
}
