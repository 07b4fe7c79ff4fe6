//! Reading Okta organizations, against a simulated one, and against what Okta and others wrote.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "shared/command.rs"]
mod command;
#[path = "okta/harness.rs"]
mod harness;
#[path = "shared/manifests.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod manifests;
#[path = "shared/ran.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod ran;
#[path = "shared/sweep.rs"]
mod sweep;

#[path = "okta/checks.rs"]
mod checks;
#[path = "okta/content.rs"]
mod content;
#[path = "okta/credentials.rs"]
mod credentials;
#[path = "okta/incomplete.rs"]
mod incomplete;
#[path = "okta/limits.rs"]
mod limits;
#[path = "okta/provider.rs"]
mod provider;
#[path = "okta/story.rs"]
mod story;
#[path = "okta/vendor.rs"]
mod vendor;
