//! Reading Google Workspace, against a simulated customer, and against what Google wrote.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "shared/command.rs"]
mod command;
#[path = "google_workspace/harness.rs"]
mod harness;
#[path = "shared/manifests.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod manifests;
#[path = "shared/ran.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod ran;
#[path = "shared/sweep.rs"]
mod sweep;

#[path = "google_workspace/checks.rs"]
mod checks;
#[path = "google_workspace/content.rs"]
mod content;
#[path = "google_workspace/credentials.rs"]
mod credentials;
#[path = "google_workspace/incomplete.rs"]
mod incomplete;
#[path = "google_workspace/members.rs"]
mod members;
#[path = "google_workspace/quota.rs"]
mod quota;
#[path = "google_workspace/story.rs"]
mod story;
#[path = "google_workspace/vendor.rs"]
mod vendor;
