//! A run in two phases with a value between them: [`run::plan`] makes a [`planned::Planned`], which
//! [`apply`](planned::Planned::apply)s itself. What needs no I/O is in `directory_sync_core`.

pub mod access_outcome;
pub mod answer;
pub mod apply;
pub mod audit;
pub mod checkpoint;
pub mod exposure;
pub mod planned;
pub mod run;
pub mod run_fast_lane;
pub mod run_undo;

pub use directory_sync_core::sync::*;
