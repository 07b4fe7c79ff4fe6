//! The pure core: from a directory and an organization as they were read to what shall change.
//!
//! Nothing in here does I/O. A source fills a [`directory`]; [`sync`] resolves it, plans the
//! difference to the [`organization`] and guards it.

#![deny(missing_docs)]

pub mod organization;
pub mod sync;

pub use directory_sync_directory::{self as directory, complete, problem, text};
