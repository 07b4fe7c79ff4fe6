//! The operator on a real API server, between a real OpenLDAP and a simulated organization,
//! connected with the rights that `deploy/` gives it.

#![allow(clippy::unwrap_used, missing_docs)]

mod basics;
mod claims;
mod expiry;
mod fairness;
mod figures;
mod history;
mod identity;
mod onboarding;
mod plan_storage;
mod processes;
mod record;
mod recovery;
mod signals;
mod suspending;
mod waiting;
