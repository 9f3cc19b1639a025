//! The numbered security requirements; a test is named after its number.

mod accounts;
mod codes;
mod deployment;
mod front_channel;
mod logs;
mod sessions;
mod tls;
mod tokens;
