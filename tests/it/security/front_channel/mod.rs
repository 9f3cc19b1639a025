//! Requirements 1-17 and 73: redirects, parameters, pages, forms and consent, as a browser and an attacker meet them.

mod attacks;
mod consent;
mod forms;
mod pages;
mod parameters;
mod redirects;
mod registration;

use crate::support::Answer;

const PAT: &str = "pat@example.com";
const MALLORY: &str = "mallory@example.com";

/// The request ended on a page of ours; nothing was sent anywhere.
fn assert_shown(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.body);
    assert_eq!(answer.location(), "", "{what}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{what}");
}

/// The request was refused with this error, which went to `uri` and nowhere else.
fn assert_refused_to(answer: &Answer, uri: &str, error: &str, what: &str) {
    assert_eq!(answer.status, 303, "{what}: {}", answer.body);
    let start = format!("{uri}?error={error}&error_description=");
    assert!(answer.location().starts_with(&start), "{what}: {}", answer.location());
}
