//! Mirrors the URLs.

mod admin;
mod health;
mod pages;
