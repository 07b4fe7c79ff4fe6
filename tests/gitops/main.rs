//! What GitOps tools make of the resource: Argo CD's health and actions, Flux's kstatus, and no
//! difference after an apply.

#![allow(clippy::unwrap_used, missing_docs)]

mod argo_cd;
mod examples;
mod krew;
mod states;
mod testdata;
