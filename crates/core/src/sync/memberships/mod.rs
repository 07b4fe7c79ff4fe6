//! What is known of who is in which of the organization's groups, without asking it each time.

mod bytes;
mod cache;

pub use bytes::CorruptCache;
pub use cache::{Failed, GroupState, MembershipCache};

use crate::directory::ExternalId;

/// What is known of one group's members without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// They are the wanted ones: an earlier run saw or made them so, and the same are wanted now.
    AsWanted,
    /// They are the wanted ones and those of its people whom the plan removes from the
    /// organization.
    WithLeavers,
    /// They are the wanted ones with these exceptions.
    Differs {
        /// Wanted, not in it.
        missing: Vec<ExternalId>,
        /// Not wanted, in it.
        extra: Vec<ExternalId>,
    },
}
