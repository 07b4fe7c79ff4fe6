//! The commands without a cluster, as a person or a pipeline runs them: a real slapd on one side,
//! the simulated organization on the other.

#![allow(clippy::unwrap_used)]

#[path = "cli/lab.rs"]
mod lab;
#[path = "cli/ran.rs"]
mod ran;

#[path = "cli/check.rs"]
mod check;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/plan.rs"]
mod plan;
#[path = "cli/secrecy.rs"]
mod secrecy;
#[path = "cli/sync.rs"]
mod sync;
