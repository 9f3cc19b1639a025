//! `/admin/v1`.

mod access;
mod audit;
mod bootstrap;
mod client_registration;
mod client_secrets;
mod client_state;
mod clients;
mod keys;
mod lists;
mod openapi;
mod paths;
mod problems;
mod resource_servers;
mod sessions_and_grants;
mod user_state;
mod users;
