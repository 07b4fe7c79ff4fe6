//! Reading Active Directory, against a real Samba domain controller.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod domain;

mod accounts;
mod certificates;
mod changes;
mod content;
mod forest;
mod incremental;
mod limits;
mod reach;
mod story;
mod watch;
