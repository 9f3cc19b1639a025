//! Integration tests: the real router over a real PostgreSQL, a database for each test, a clock that the test holds.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::pedantic, reason = "in a story of forty lines, brevity is clearer")]

mod budget;
mod commands;
mod connections;
mod jobs;
mod matrix;
mod outage;
mod races;
mod replicas;
mod routes;
mod security;
mod spec;
mod strangers;
mod support;
