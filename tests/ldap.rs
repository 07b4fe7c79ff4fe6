//! Reading LDAP directories, against a real slapd.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "ldap/harness.rs"]
mod harness;

#[path = "ldap/checks.rs"]
mod checks;
#[path = "ldap/content.rs"]
mod content;
#[path = "ldap/incomplete.rs"]
mod incomplete;
#[path = "ldap/observed.rs"]
mod observed;
#[path = "ldap/reach.rs"]
mod reach;
