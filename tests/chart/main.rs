//! The chart and what is made from it: rendered by Helm, judged by an API server and by promtool.
//!
//! `UPDATE_GENERATED=1 cargo test --test chart` writes `rendered/` and `deploy/` anew.

#![allow(clippy::unwrap_used, missing_docs)]

mod admission;
mod alerts;
mod approvals;
mod cluster;
mod dashboard;
mod deploy;
mod helm;
mod lifecycle;
mod notes;
mod olm;
mod rbac;
mod refused;
mod rendered;
mod score;
mod values;
