//! Reading Entra ID tenants, against a simulated one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

mod changes;
mod content;
mod credentials;
mod expiry;
mod filters;
mod incomplete;
mod incremental;
mod permissions;
mod vendor;
mod watch;
