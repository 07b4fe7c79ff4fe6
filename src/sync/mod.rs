//! The pure core: from what was read to what shall change.

pub mod guard;
pub mod memberships;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod resolve;
pub mod roster;
pub mod seats;
