//! Reading OneLogin accounts, against a simulated one that OneLogin's own client reads, too.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

mod attributes;
mod checks;
mod content;
mod credentials;
mod incomplete;
mod limits;
mod regions;
mod story;
mod vendor;
mod watch;
