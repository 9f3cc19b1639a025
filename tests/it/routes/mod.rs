//! Mirrors the URLs.
