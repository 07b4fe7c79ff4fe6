//! The commands without a cluster, as a person or a pipeline runs them: a real slapd on one side,
//! the simulated organization on the other.

#![allow(clippy::unwrap_used)]

mod lab;

mod access;
mod adopt;
mod adopt_stories;
mod adopting;
mod check;
mod collections;
mod explain;
mod help;
mod history;
mod onboarding;
mod plan;
mod record;
mod screens;
mod secrecy;
mod sync;
mod undo;
mod vaultwarden;
