//! What every test stands on.

mod admin;
mod app;
mod browser;
mod database;
mod fixtures;
mod relying_party;
mod wire;

pub use admin::{AdminApi, encode};
pub use app::{ISSUER, TestApp};
pub use browser::Browser;
pub use fixtures::{ClientFixture, PASSWORD};
pub use relying_party::{RelyingParty, Tokens};
pub use wire::{Answer, basic, form};
