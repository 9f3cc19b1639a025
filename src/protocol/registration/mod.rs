//! What operators may register: clients (RFC 7591, OpenID Connect Registration), resource servers, accounts.
//!
//! Owns: which values and combinations are safe to hold; every problem names the member and the remedy. Does not own: what
//! depends on other rows, such as names that are taken.

mod accounts;
mod assertion_grant;
mod certificates;
mod clients;
mod dynamic;
mod front_channel;
mod profiles;
mod resource_servers;
mod sender;
mod subjects;
mod texts;
mod token_exchange;

pub use accounts::{AccountDraft, judge_account, judge_password};
pub use clients::{judge, judge_scope, redirect_uris};
pub use dynamic::{complete, judge_dynamic, judge_initiate_login_uri, refusal, refuse_software_statement};
pub use profiles::defaults;
pub use resource_servers::{ResourceServerDraft, judge_resource_server};
pub use subjects::{judge_sector_list, needs_sector_list};
