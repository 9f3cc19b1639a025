//! What every test stands on.

mod admin;
mod app;
mod browser;
mod database;
mod fixtures;
mod gallery;
mod operator;
mod page;
mod relying_party;
mod wire;

pub use admin::{AdminApi, encode};
pub use app::{ISSUER, TestApp};
pub use browser::Browser;
pub use fixtures::{ClientFixture, PASSWORD, web_metadata};
pub use gallery::every_page;
pub use operator::operator;
pub use relying_party::{RelyingParty, Tokens, VERIFIER, param};
pub use wire::{Answer, basic, form};
