//! The documentation: its links lead somewhere, its commands run, its manifests are valid.

#![allow(clippy::unwrap_used, missing_docs)]

mod blocks;
mod links;
mod running;
mod scenes;
