//! What an organization holds; how it is read and changed is no part of the core.

pub mod collection;
pub mod model;
pub mod role;
