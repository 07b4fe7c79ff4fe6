//! Reading LDAP directories, against a real slapd.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

mod changes;
mod checks;
mod content;
mod hostile;
mod incomplete;
mod leaver;
mod observed;
mod presets;
mod quirks;
mod reach;
mod watch;
