//! What every test stands on.

mod admin_api;
mod app;
mod browser;
pub mod database;
mod dpop;
mod fixtures;
mod gallery;
pub mod http2;
mod jwt;
pub mod line;
mod operator;
mod page;
mod people;
pub mod process;
pub mod proxy;
mod publisher;
mod race;
mod relying_party;
mod scene;
pub mod secrets;
mod sql;
pub mod tcp;
mod wire;

pub use admin_api::{AdminApi, encode};
pub use app::{ENCRYPTION_KEY, ISSUER, TestApp, send};
pub use browser::Browser;
pub use dpop::ProofKey;
pub use fixtures::{ClientFixture, PASSWORD, web_metadata};
pub use gallery::every_page;
pub use jwt::{ASSERTION_TYPE, Es256, compact, jwks, jwt_part, verify};
pub use operator::{Operator, caller};
pub use publisher::Publisher;
pub use race::at_once;
pub use relying_party::{RelyingParty, Tokens, VERIFIER, param};
pub use scene::{EMAIL, Scene};
pub use wire::{Answer, basic, form};
