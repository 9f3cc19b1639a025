//! What every test stands on.

mod app;
mod browser;
pub mod database;
mod fixtures;
mod gallery;
mod operator;
mod page;
mod people;
pub mod process;
mod relying_party;
pub mod tcp;
mod wire;

pub use app::{ENCRYPTION_KEY, ISSUER, TestApp, send};
pub use browser::Browser;
pub use fixtures::{ClientFixture, PASSWORD, web_metadata};
pub use gallery::every_page;
pub use operator::operator;
pub use relying_party::{RelyingParty, Tokens, VERIFIER, param};
pub use wire::{Answer, basic, form};
