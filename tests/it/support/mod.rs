//! What every test stands on.

mod app;
mod browser;
pub mod database;
mod fixtures;
mod people;
pub mod process;
mod relying_party;
pub mod tcp;
mod wire;

pub use app::{ENCRYPTION_KEY, ISSUER, TestApp, send};
pub use browser::{Browser, hidden_fields};
pub use fixtures::{ClientFixture, PASSWORD};
pub use relying_party::{RelyingParty, Tokens};
pub use wire::{Answer, basic, form};
