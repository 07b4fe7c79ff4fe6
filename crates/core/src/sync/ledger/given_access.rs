//! Which access to collections groups have from a run, by `access.collections`.
//!
//! Kept as 48 bits of a hash over group, collection and right: whoever changes it by hand makes it theirs.

use std::collections::HashSet;

use uuid::Uuid;

use super::Ledger;
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{AccessKey, Change, GroupAction, Plan, access_key};

/// So many times it is kept that a group has access to a collection from a run. What isn't is not taken back.
pub const GIVEN_ACCESS_MAX: usize = 5_000;

impl Ledger {
    /// Whether a run gave the group the access that it has now.
    pub(super) fn gave_access(&self, group: Uuid, access: CollectionAccess) -> bool {
        !self.given_access.is_empty()
            && self
                .given_access
                .binary_search(&access_key(group, access))
                .is_ok()
    }

    /// Forgets what groups don't have any more: whoever gives it again gives it by hand.
    pub(crate) fn keep_given_access(&mut self, plan: &Plan) {
        if let Some(now) = &plan.access {
            self.given_access.retain(|one| now.contains(one));
        }
    }

    /// Notes the access that a plan is about to give. What an undo gives is somebody's own word.
    pub(super) fn note_given_access(&mut self, plan: &Plan) {
        if plan.undoes.is_some() {
            return;
        }
        let known: HashSet<AccessKey> = self.given_access.iter().copied().collect();
        let given = plan.changes.iter().flat_map(given_by);
        let new: Vec<AccessKey> = given.filter(|one| !known.contains(one)).collect();
        let room = GIVEN_ACCESS_MAX.saturating_sub(known.len());
        self.given_access.extend(new.into_iter().take(room));
        self.given_access.sort_unstable();
    }

    /// Forgets what of it was refused, and what was taken back: whoever gives it again gives it by hand.
    pub(crate) fn end_given_access(&mut self, plan: &Plan, failed: &FailedChanges) {
        let ended = plan
            .changes
            .iter()
            .flat_map(|change| match failed.changes.has(change) {
                true => given_by(change),
                false => taken_by(change),
            });
        let ended: HashSet<AccessKey> = ended.collect();
        self.given_access.retain(|one| !ended.contains(one));
    }

    /// As much of it as may be kept.
    #[cfg(test)]
    pub(super) fn fill_given_access(&mut self) {
        let all = (0..GIVEN_ACCESS_MAX as u64).map(|one| {
            let bytes = one.to_be_bytes();
            [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
        });
        self.given_access = all.collect();
    }
}

fn given_by(change: &Change) -> Vec<AccessKey> {
    keys(change, |one| one.to)
}

fn taken_by(change: &Change) -> Vec<AccessKey> {
    keys(change, |one| one.from)
}

fn keys(
    change: &Change,
    which: impl Fn(&AccessChange) -> Option<CollectionAccess>,
) -> Vec<AccessKey> {
    let (Some(GroupAction::SetCollections(access)), Some(group)) =
        (change.group(), change.subject.id)
    else {
        return vec![];
    };
    let access = access.changes.iter().filter_map(which);
    access.map(|access| access_key(group, access)).collect()
}
