//! `kubectl directorysync`, called by a real kubectl, on a real API server with an operator between
//! a real OpenLDAP and a simulated organization.

#![allow(clippy::unwrap_used, missing_docs)]

mod approving;
mod completing;
mod kubectl;
mod looking;
mod operator_logs;
mod planning;
#[path = "../shared/ran.rs"]
mod ran;
mod refusals;
mod suspending;
mod syncing;
#[path = "../controller/world.rs"]
#[allow(dead_code, reason = "its other tests use the rest")]
mod world;
