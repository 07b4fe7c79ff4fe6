//! The commands without a cluster, as a person or a pipeline runs them: a real slapd on one side,
//! the simulated organization on the other.

#![allow(clippy::unwrap_used)]

#[path = "shared/command.rs"]
mod command;
#[path = "cli/lab.rs"]
mod lab;
#[path = "shared/manifests.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod manifests;
#[path = "shared/ran.rs"]
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
