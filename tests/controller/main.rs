//! The operator on a real API server, between a real OpenLDAP and a simulated organization,
//! connected with the rights that `deploy/` gives it.

#![allow(clippy::unwrap_used, missing_docs)]

mod basics;
mod braking;
mod claims;
mod identity;
mod mending;
mod processes;
mod record;
mod waiting;
