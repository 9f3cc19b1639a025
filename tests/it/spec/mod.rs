//! One file for each specification; a test's name starts with its section.

mod rfc6749;
