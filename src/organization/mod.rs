//! Bitwarden's public API: what an organization holds, and how it is changed.

pub mod model;
