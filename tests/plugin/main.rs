//! `kubectl directorysync`, called by a real kubectl, on a real API server with an operator between
//! a real OpenLDAP and a simulated organization.

#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod adopting;
mod approving;
mod completing;
mod explaining;
mod history;
mod kubectl;
mod looking;
mod operator_logs;
mod page;
mod planning;
mod refusals;
mod screens;
mod suspending;
mod syncing;
mod undo_beside_leavers;
mod undoing;
