//! Bitwarden's public API: what an organization holds, and how it is changed.
//!
//! [`OrganizationClient`] is the whole of it: [`read`](OrganizationClient::read) the organization,
//! [`import`](OrganizationClient::import) in bulk, and single calls on members and groups for what
//! an import can't do. Everything is paced to the server's limits and safe to repeat.

#![deny(missing_docs)]

mod check;
mod client;
mod collections;
mod error;
mod groups;
mod import;
mod limit;
mod made;
mod members;
mod read;
mod seats;
mod settings;
mod spec;
mod wire;

// The crates below, by the names of their rooms.
use directory_sync_api as api;
use directory_sync_directory::{self as directory, complete, problem, text};
use directory_sync_http::{self as http, fault};
use directory_sync_source::{checks, references};

pub use directory_sync_core::organization::{collection, model, role};

pub use client::OrganizationClient;
pub use collections::{CollectionWithGroups, EXTERNAL_ID_MAX as COLLECTION_EXTERNAL_ID_MAX};
pub use error::OrganizationError;
pub use import::{GroupRow, ImportReport, ImportRows, MemberRow, NoSeats, RefusedRow, RowKind};
pub use limit::cloud_rate_limiter;
pub use made::{Made, NotMade};
pub use settings::{ClientId, InvalidSettings, Region, Settings};
pub use spec::{ValidatedOrganization, validate};
