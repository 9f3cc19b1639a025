//! Lists in parts: `?limit=&cursor=` gives `{"items": [...], "next_cursor": ...}`.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::paths::TextId;
use super::problem::Problem;
use crate::flows::admin::{Page, PageRequest};

const DEFAULT_LIMIT: u16 = 50;
const MOST: u16 = 200;

/// For the OpenAPI document: the parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only documents what `ListQuery` reads")]
pub(super) struct ListParameters {
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Give it as `cursor` to read on; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// Shows each item of a page; `key` names the last one for the next request.
    pub fn of<I>(page: Page<I>, key: impl Fn(&I) -> String, show: impl FnMut(I) -> T) -> Self {
        let last = page.items.last().filter(|_| page.more);
        let next_cursor = last.map(|item| URL_SAFE_NO_PAD.encode(key(item)));
        Self { items: page.items.into_iter().map(show).collect(), next_cursor }
    }
}

/// The query of a list, of which every parameter must be known and come once.
pub(super) struct ListQuery(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl ListQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // PostgreSQL refuses this one character in a text.
            if value.contains('\0') {
                return Err(Problem::invalid_member(name, "holds a NUL character, which nothing here does; remove it"));
            }
            if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Problem::invalid_member(name, "occurs twice; send it once"));
            }
        }
        Ok(Self(parameters))
    }

    /// Takes a parameter that narrows the list; an empty one counts as absent.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    /// Reads `limit` and `cursor` after all other known parameters were taken. `K` is what [`List::of`] put into the cursor.
    ///
    /// # Errors
    /// One of them is malformed, or something else is left.
    pub fn page<K: TextId>(mut self) -> Result<PageRequest<K>, Problem> {
        let limit = match self.take("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| Problem::invalid_member("limit", format!("is not a number from 1 to {MOST}")))?,
        };
        let after = match self.take("cursor") {
            None => None,
            Some(cursor) => Some(decode(&cursor).as_deref().and_then(K::read).ok_or_else(|| {
                Problem::invalid_member(
                    "cursor",
                    "is not a cursor of this list; start again without it, or send next_cursor unchanged",
                )
            })?),
        };
        if let Some(name) = self.0.keys().find(|name| !matches!(name.as_str(), "limit" | "cursor")) {
            return Err(Problem::invalid_member(name.as_str(), "is not a parameter of this list; remove it"));
        }
        Ok(PageRequest { after, limit })
    }
}

fn decode(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClientId;

    fn request(query: &str) -> Result<PageRequest<ClientId>, Problem> {
        ListQuery::parse(query)?.page()
    }

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    #[test]
    fn a_cursor_leads_to_the_next_part() {
        let page = Page { items: vec![client("a"), client("b")], more: true };
        let list = List::of(page, ToString::to_string, |item| item.as_str().len());
        assert_eq!(list.items, [1, 1]);
        let asked = request(&format!("limit=2&cursor={}", list.next_cursor.unwrap())).unwrap();
        assert_eq!((asked.after, asked.limit), (Some(client("b")), 2));
        let end = List::of(Page { items: vec![client("c")], more: false }, ToString::to_string, |item| item);
        assert_eq!(end.next_cursor, None);
    }

    #[test]
    fn without_parameters_a_list_begins_at_its_start() {
        let asked = request("").unwrap();
        assert_eq!((asked.after, asked.limit), (None, 50));
        assert_eq!(request("limit=&cursor=").unwrap().limit, 50);
    }

    #[test]
    fn malformed_unknown_and_repeated_parameters_are_refused() {
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "cursor=!",
            "cursor=YSBi",
            "cursor=_w",
            "page=2",
            "limit=1&limit=1",
            "email=a%00",
        ] {
            let problem = serde_json::to_value(request(query).unwrap_err().document(None)).unwrap();
            let name = query.split('=').next().unwrap();
            assert_eq!(problem["errors"][0]["field"], name, "{query}: {problem}");
        }
    }
}
