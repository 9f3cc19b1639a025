//! What every test stands on.

mod app;
mod browser;
mod database;
mod fixtures;
mod jwt;
mod operator;
mod race;
mod relying_party;
mod scene;
mod sql;
mod wire;

pub use app::{ISSUER, TestApp};
pub use browser::Browser;
pub use fixtures::{ClientFixture, PASSWORD, web_metadata};
pub use jwt::{Es256, compact, jwks, jwt_part, verify};
pub use operator::Operator;
pub use race::at_once;
pub use relying_party::{RelyingParty, Tokens, VERIFIER, param};
pub use scene::{EMAIL, Scene};
pub use wire::{Answer, basic, form};
