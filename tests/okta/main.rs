//! Reading Okta organizations, against a simulated one, and against what Okta and others wrote.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

mod checks;
mod content;
mod credentials;
mod emulator;
mod incomplete;
mod limits;
mod memberships;
mod provider;
mod story;
mod vendor;
mod watch;
