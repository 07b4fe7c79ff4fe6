//! Reading Active Directory, against a real Samba domain controller.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "shared/command.rs"]
mod command;
#[path = "active_directory/domain.rs"]
mod domain;
#[path = "shared/manifests.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod manifests;
#[path = "shared/ran.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod ran;

#[path = "active_directory/accounts.rs"]
mod accounts;
#[path = "active_directory/certificates.rs"]
mod certificates;
#[path = "active_directory/changes.rs"]
mod changes;
#[path = "active_directory/content.rs"]
mod content;
#[path = "active_directory/forest.rs"]
mod forest;
#[path = "active_directory/limits.rs"]
mod limits;
#[path = "active_directory/reach.rs"]
mod reach;
#[path = "active_directory/story.rs"]
mod story;
