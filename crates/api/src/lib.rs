//! What a user writes and reads: the `DirectorySync` resource, its rules and its status.

#![deny(missing_docs)]

pub mod annotations;
pub mod conditions;
pub mod crd;
pub mod decode;
mod rules;
pub mod spec;
pub mod status;

pub use spec::{DirectorySync, DirectorySyncSpec};
pub use status::DirectorySyncStatus;

/// The API group of the resource, the first part of `apiVersion`.
pub const GROUP: &str = "directorysync.dev";
/// The version of the group.
pub const VERSION: &str = "v1alpha1";
