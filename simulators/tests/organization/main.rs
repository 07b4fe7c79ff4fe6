//! The simulated organization over real HTTP, held against what is known of the real servers.
#![allow(clippy::unwrap_used)]

mod binary;
mod client;
mod conformance;
mod faults;
mod groups;
mod identity;
mod import;
mod limits;
mod members;
mod scale;
mod seats;
mod vaultwarden;
