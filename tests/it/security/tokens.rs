//! Client authentication, access tokens, refresh tokens, introspection, revocation, keys: SECURITY 6, 12, 26, 28 to 33, 36 to 43, 47
//! and 70 at the endpoints that programs call.

mod access;
mod dump;
mod endings;
mod endpoints;
mod forgery;
mod garbage;
mod keys;
mod refresh;
mod reuse;
mod scope;
mod timing;
mod visibility;
