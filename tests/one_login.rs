//! Reading OneLogin accounts, against a simulated one that OneLogin's own client reads, too.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "shared/command.rs"]
mod command;
#[path = "one_login/harness.rs"]
mod harness;
#[path = "shared/manifests.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod manifests;
#[path = "shared/ran.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod ran;
#[path = "shared/sweep.rs"]
mod sweep;

#[path = "one_login/attributes.rs"]
mod attributes;
#[path = "one_login/checks.rs"]
mod checks;
#[path = "one_login/content.rs"]
mod content;
#[path = "one_login/credentials.rs"]
mod credentials;
#[path = "one_login/incomplete.rs"]
mod incomplete;
#[path = "one_login/limits.rs"]
mod limits;
#[path = "one_login/regions.rs"]
mod regions;
#[path = "one_login/story.rs"]
mod story;
#[path = "one_login/vendor.rs"]
mod vendor;
