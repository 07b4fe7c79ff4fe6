//! A whole sync on real parts: OpenLDAP on one side, the simulated organization on the other.

#![expect(clippy::unwrap_used, reason = "a test that can't go on ends here")]

mod access_doubt;
mod access_failures;
mod approvals;
mod collections;
mod fast_lane;
mod fault_sweep;
mod history;
mod incremental;
mod incremental_entra;
mod onboarding;
mod profiles;
mod relinks;
mod roles;
mod scene;
mod story;
mod undo;
mod world;
