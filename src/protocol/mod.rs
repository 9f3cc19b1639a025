//! The rules: every MUST of the specifications, as pure functions that return a decision.
//!
//! Owns: judgements about requests, clients, codes, tokens. Does not own: storage, cryptography, HTTP, time or randomness; those arrive as arguments.

pub mod assertion_grant;
pub mod audience;
pub mod authentication;
pub mod authorize;
pub mod claims;
pub mod claims_parameter;
pub mod client_assertion;
pub mod client_auth;
pub mod client_certificate;
pub mod code;
pub mod device;
pub mod discovery;
pub mod dpop;
pub mod error;
pub mod interaction;
pub mod introspection;
pub mod json;
pub mod jwt_time;
pub mod logout;
pub mod params;
pub mod pkce;
pub mod redirect;
pub mod refresh;
pub mod registration;
pub mod request_object;
pub mod response;
pub mod sender;
pub mod sign_in;
pub mod token;
pub mod token_exchange;
