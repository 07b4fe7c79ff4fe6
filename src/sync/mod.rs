//! The core: from what was read to what shall change (pure), and the run that carries it out.

pub mod apply;
pub mod guard;
pub mod memberships;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod report;
pub mod resolve;
pub mod roster;
pub mod run;
pub mod seats;
pub mod verify;
