//! What is known of who is in which of the organization's groups, without asking it each time.

mod bytes;
mod cache;

pub use cache::{FailedChanges, MembershipCache};
