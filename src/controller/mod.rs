//! The operator: watches `DirectorySync` resources and keeps each in step.

mod backoff;
mod claims;
mod due;
mod events;
mod lease;
mod memory;
mod objects;
mod patience;
mod requests;
mod settings;
mod status;
mod watch;

pub use settings::{LeaderElection, OperatorSettings};

/// Who we are to the API server.
const FIELD_MANAGER: &str = "directory-sync";
