//! One file for each specification; a test's name starts with its section.

mod form_post;
mod jarm;
mod jwt_bearer;
mod logout_channels;
mod oidc_core;
mod oidc_discovery;
mod rfc6749;
mod rfc6750;
mod rfc7009;
mod rfc7523;
mod rfc7591;
mod rfc7592;
mod rfc7662;
mod rfc8628;
mod rfc8693;
mod rfc8705;
mod rfc8707;
mod rfc9068;
mod rfc9101;
mod rfc9126;
mod rfc9449;
mod rfc9470;
mod rp_initiated_logout;
mod signed_answers;
