//! The operator: watches `DirectorySync` resources and keeps each in step.

mod settings;

pub use settings::{LeaderElection, OperatorSettings};
