//! Keeps a Bitwarden organization's members and groups in sync with a company directory.
//!
//! Data flows one way: a [`source`] reads a [`directory`], [`sync`] resolves it, plans and guards
//! the difference to the [`organization`], applies it and reports.

#![deny(missing_docs)]

pub mod api;
pub mod checks;
pub mod cli;
pub mod connect;
pub mod controller;
pub mod organization;
pub mod plugin;
pub mod references;
pub mod schedule;
pub mod source;
pub mod sync;
pub mod telemetry;
pub mod validation;

pub use directory_sync_core::{complete, directory, problem, text};
pub use directory_sync_http::{self as http, fault};
