//! Reading Entra ID tenants, against a simulated one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "entra_id/harness.rs"]
mod harness;
#[path = "shared/sweep.rs"]
mod sweep;

#[path = "entra_id/changes.rs"]
mod changes;
#[path = "entra_id/content.rs"]
mod content;
#[path = "entra_id/credentials.rs"]
mod credentials;
#[path = "entra_id/filters.rs"]
mod filters;
#[path = "entra_id/incomplete.rs"]
mod incomplete;
#[path = "entra_id/permissions.rs"]
mod permissions;
