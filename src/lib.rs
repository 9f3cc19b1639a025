//! Keystead: an OAuth 2.0 and OpenID Connect authorization server.
//!
//! The map of the house, from the top down; every arrow points down (`tests/architecture.rs` enforces it):
//!
//! - `cli` commands → `app` composition → `http` translation, `jobs`
//! - `http` → `flows` use cases → `protocol` rules, `crypto`, `store` SQL, `outbound` guarded requests to others
//! - `config` settings, `telemetry` logs and metrics, `domain` nouns
//!
//! `docs/architecture.md` tells why.

pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod flows;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod protocol;
pub mod store;
pub mod telemetry;
