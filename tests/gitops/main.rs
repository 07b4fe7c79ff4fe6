//! What GitOps tools make of the resource: Argo CD's health and actions, Flux's kstatus, and no
//! difference after an apply.

#![allow(clippy::unwrap_used, missing_docs)]

mod argo_cd;
mod examples;
mod krew;
mod standing;
mod testdata;
#[path = "../controller/world.rs"]
#[allow(dead_code, reason = "its other tests use the rest")]
mod world;
