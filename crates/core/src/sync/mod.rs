//! From what was read to what shall change: resolve, plan, guard, and what was seen to have happened.

pub mod change_set;
pub mod explain;
pub mod fast_lane;
mod fingerprint;
pub mod guard;
mod hash;
pub mod history;
pub mod identities;
pub mod incremental;
pub mod ledger;
pub mod limits;
pub mod memberships;
mod patterns;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod render;
pub mod report;
pub mod resolve;
pub mod roster;
pub mod seats;
pub mod sent;
pub mod stored;
pub mod undo;
pub mod verify;
