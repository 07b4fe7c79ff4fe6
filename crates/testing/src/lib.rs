//! What the tests share: the core's directories and organizations in memory, servers, manifests, and the
//! program itself.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

pub mod command;
pub mod company;
mod content;
pub mod documentation;
pub mod faults;
pub mod hostile;
mod http;
mod leaver_sweep;
pub mod manifests;
pub mod metrics;
pub mod ran;
pub mod screens;
mod seen;
mod setup;
mod source;
pub mod sweep;
mod told;
mod vendor_client;
pub mod world;

pub use content::{content, number};
pub use directory_sync_core_testing::*;
pub use http::{client, hurried};
pub use leaver_sweep::{sweep_leaver_check, sweep_watch};
pub use seen::Seen;
pub use setup::Setup;
pub use source::{Refusal, emails, group_names, looked_up, members, people, read_all};
pub use told::Told;
pub use vendor_client::VendorClient;
