//! What is known of a group before the plan, and what the plan makes of it.

use uuid::Uuid;

use crate::directory::ExternalId;
use crate::sync::plan::DesiredGroup;
use crate::sync::sent::SentState;

/// What a plan does to one group in scope, as far as the next run has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub(crate) external_id: ExternalId,
    /// Identifies those who are wanted in it.
    pub(crate) digest: [u8; 16],
    /// Who is in it until they are removed from the organization, by this plan.
    pub(crate) leaving: Vec<ExternalId>,
    /// Its id in Bitwarden, where somebody is `leaving`.
    pub(crate) id: Option<Uuid>,
    /// Its name, where somebody is `leaving`.
    pub(crate) name: Box<str>,
    /// How many are in it and stay, where somebody is `leaving`.
    pub(crate) stays: usize,
    /// Who is wanted in it and won't come in this run.
    pub(crate) missing: Vec<ExternalId>,
    /// Who isn't wanted in it and won't go in this run.
    pub(crate) extra: Vec<ExternalId>,
    /// Where there are members in it who aren't ours to move: how many of them have one of our external
    /// ids. They are part of what `groups.limit` is a share of.
    pub(crate) unmanaged: Option<u32>,
}

impl GroupState {
    /// A group that will hold exactly those who are wanted in it.
    pub(crate) fn wanted(external_id: ExternalId, digest: [u8; 16]) -> Self {
        Self {
            external_id,
            digest,
            leaving: vec![],
            id: None,
            name: Box::default(),
            stays: 0,
            missing: vec![],
            extra: vec![],
            unmanaged: None,
        }
    }
}

/// What is known of one group's members without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CachedMembers {
    /// They are the wanted ones: an earlier run saw or made them so, and the same are wanted now.
    AsDesired,
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

/// What earlier runs cached of the organization's groups.
pub(crate) trait GroupCache {
    /// The members of a group that wasn't read; `None` where they aren't known.
    fn members(&self, id: &ExternalId, wanted: &DesiredGroup) -> Option<CachedMembers>;
    /// As [`GroupState::unmanaged`], when the group was read.
    fn unmanaged(&self, id: &ExternalId) -> Option<u32>;
    /// What was sent to a server that can't be read.
    fn sent(&self) -> &SentState;
}
