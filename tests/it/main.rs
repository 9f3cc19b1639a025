//! Integration tests: the real router over a real PostgreSQL, a database for each test, a clock that the test holds.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod routes;
mod spec;
mod support;
