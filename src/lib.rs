//! Keeps a Bitwarden organization's members and groups in sync with a company directory.
//!
//! Data flows one way: a [`source`] reads a [`directory`], [`sync`] resolves it, plans and guards
//! the difference to the [`organization`], applies it and reports.

#![deny(missing_docs)]

pub mod cli;
pub mod connect;
pub mod controller;
pub mod history;
pub mod plugin;
pub mod schedule;
pub mod sync;
pub mod telemetry;
pub mod validation;

pub use directory_sync_api as api;
pub use directory_sync_directory::{self as directory, complete, problem, text};
pub use directory_sync_http::{self as http, fault};
pub use directory_sync_organization as organization;
pub use directory_sync_source::{self as source, checks, references};
