//! The core, and the run that carries it out: `apply` and `run` are here, what needs no I/O is in
//! `directory_sync_core`.

pub mod apply;
pub mod run;

pub use directory_sync_core::sync::*;
