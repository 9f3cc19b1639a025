//! The gate before every path of the admin API, also before those that do not exist.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;
use crate::domain::{Actor, Origin};
use crate::flows::SharedEngine;
use crate::flows::admin::{Access, Caller, authorize};

/// Lets a request pass whose token is live, for this API, and wide enough; handlers find the [`Caller`] among its extensions.
pub(super) async fn require_token(
    State(engine): State<SharedEngine>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let needed = match *request.method() {
        Method::GET | Method::HEAD => Access::Read,
        _ => Access::Write,
    };
    refuse_token_in_query(request.uri().query())?;
    let token = bearer_token(request.headers())?;
    let client_id = authorize(&engine, token, needed).await?;
    let origin = request.extensions().get::<Origin>().cloned().unwrap_or_default();
    request.extensions_mut().insert(Caller { actor: Actor::Client(client_id), origin });
    Ok(next.run(request).await)
}

/// RFC 6750 §2.3, RFC 9700 §4.3.2: addresses end up in logs and histories, and a token with them.
fn refuse_token_in_query(query: Option<&str>) -> Result<(), Problem> {
    let named = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "access_token");
    if named {
        return Err(Problem::misplaced_token(
            "An access token must not be part of the address; send it in the Authorization header.",
        ));
    }
    Ok(())
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(Problem::no_token)?;
    if values.next().is_some() {
        return Err(Problem::misplaced_token("The Authorization header occurs twice; send it once."));
    }
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
        return Err(Problem::no_token());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_token_comes_once_and_in_the_header() {
        assert_eq!(bearer_token(&headers(&["Bearer abc"])).unwrap(), "abc");
        assert_eq!(bearer_token(&headers(&["bearer abc"])).unwrap(), "abc");
        for wrong in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer a"]] {
            assert!(bearer_token(&headers(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn security_40_a_token_in_the_query_is_refused() {
        for query in ["access_token=a", "x=1&access_token=a", "acces%73_token=a"] {
            assert!(refuse_token_in_query(Some(query)).is_err(), "{query}");
        }
        assert!(refuse_token_in_query(Some("cursor=access_token")).is_ok());
    }
}
