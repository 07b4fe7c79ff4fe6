//! Reading Google Workspace, against a simulated customer, and against what Google wrote.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

mod checks;
mod content;
mod credentials;
mod incomplete;
mod members;
mod quota;
mod story;
mod vendor;
mod watch;
