//! Typed settings, read once.
//!
//! Owns: the TOML file, `KEYSTEAD__SECTION__KEY` variables, secrets by value or by `*_file`, defaults and bounds, and the report of
//! everything that is wrong, with a remedy for each. It is also the only room that reads the process's environment.
//! Does not own: what a setting does, command-line flags (`cli`), connections or keys made from settings (`app`).

mod duration;
mod environment;
mod layers;
mod load;
mod print;
mod problems;
mod public;
mod reader;
mod registration;
mod secret_source;
mod sections;
mod settings;
mod suggest;
mod values;

#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use load::{DevSettings, for_dev, load, load_database};
pub use print::print;
pub use problems::{Problem, Problems};
pub use settings::{
    ClientCertificates, DatabaseSettings, KeySettings, LimitSettings, ListenerSettings, LogFormat, PasswordSettings,
    PreviousEncryptionKey, PublicSettings, SessionSettings, Settings, ShutdownSettings, TelemetrySettings, TlsFiles,
    TokenSettings,
};
