//! The operator: watches `DirectorySync` resources and keeps each in step.
//!
//! ```text
//! operator     waits for the API server and the lease, runs the rest until it is told to stop
//! watch        what happens to the objects, of all namespaces in one stream
//! reconcile    one look at one object: prepare → claims → due → run → publish
//! prepare      spec, Secrets and ConfigMaps → both sides ready to be used
//! due          whether it is time, and why (pure)
//! run          one run, watched over: stopped when the spec changes, told how far it is
//! outcome      what a run came to, for people (pure)
//! publish      status, events and condition metrics in step with each other
//! ```
//!
//! Deleting a resource leaves the organization alone: there is no finalizer.

mod backoff;
mod claims;
mod context;
mod due;
mod events;
mod lease;
mod memory;
mod objects;
mod operator;
mod outcome;
mod patience;
pub(crate) mod plan;
mod prepare;
mod publish;
mod reconcile;
mod references;
pub(crate) mod requests;
mod run;
mod settings;
mod status;
mod timing;
mod watch;

pub use operator::{OperatorError, run};
pub use settings::{LeaderElection, OperatorSettings};
pub use timing::Timing;

/// Who we are to the API server.
const FIELD_MANAGER: &str = "directory-sync";
