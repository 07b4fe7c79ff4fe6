//! Which access to collections groups have from a run, by `access.collections`.
//!
//! Kept as 48 bits of a hash over group, collection and right: whoever changes it by hand makes it theirs. See
//! [`Origin`].

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Ledger;
use super::origin::{Came, Origin};
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{AccessKey, Change, GroupAction, Plan, access_key};

/// So many times it is kept that a group has access to a collection from a run. What isn't is not taken back.
pub const GIVEN_ACCESS_MAX: usize = 5_000;

/// An access of a group to a collection that a run gave, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GivenAccess {
    key: AccessKey,
    origin: Origin,
}

impl Ledger {
    /// Whether a run gave the group the access that it has now.
    pub(super) fn gave_access(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.has_given_access_key(group, access, Origin::is_run)
    }

    /// Whether a run may have given the group the access that it has now, or somebody by hand.
    pub(super) fn may_have_given_access_key(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.has_given_access_key(group, access, Origin::is_unclear)
    }

    /// Whether an undo gave the group back the access that it has now.
    pub(super) fn gave_back_access_key(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.has_given_access_key(group, access, Origin::is_given_back)
    }

    fn has_given_access_key(
        &self,
        group: Uuid,
        access: CollectionAccess,
        which: fn(Origin) -> bool,
    ) -> bool {
        if self.given_access.is_empty() {
            return false;
        }
        let found = self.place_of(&access_key(group, access));
        found.is_some_and(|at| which(self.given_access[at].origin))
    }

    fn place_of(&self, key: &AccessKey) -> Option<usize> {
        let found = self.given_access.binary_search_by_key(key, |one| one.key);
        found.ok()
    }

    /// Forgets what groups don't have any more: whoever gives it again gives it by hand.
    pub(crate) fn keep_given_access(&mut self, plan: &Plan) {
        if let Some(now) = &plan.access {
            self.given_access.retain_mut(|one| {
                one.origin = one.origin.seen(now.contains(&one.key));
                one.origin != Origin::Elsewhere
            });
        }
    }

    /// Notes the access that a plan is about to give and to take back. What an undo gives is somebody's own word: no
    /// run takes it away, and it is told as long as no rule gives it.
    pub(super) fn note_given_access(&mut self, plan: &Plan) {
        for key in plan.changes.iter().flat_map(taken_by) {
            if let Some(at) = self.place_of(&key) {
                let origin = &mut self.given_access[at].origin;
                *origin = origin.taking();
            }
        }
        let origin = match plan.undoes {
            Some(_) => Origin::GivingBack,
            None => Origin::Giving,
        };
        let known: HashSet<AccessKey> = self.given_access.iter().map(|one| one.key).collect();
        let given = plan.changes.iter().flat_map(given_by);
        let new: HashSet<AccessKey> = given.filter(|one| !known.contains(one)).collect();
        let mut new: Vec<AccessKey> = new.into_iter().collect();
        new.sort_unstable();
        let room = GIVEN_ACCESS_MAX.saturating_sub(known.len());
        let new = new.into_iter().take(room);
        self.given_access
            .extend(new.map(|key| GivenAccess { key, origin }));
        self.given_access.sort_unstable_by_key(|one| one.key);
    }

    /// Notes what came of it: what was taken back, or refused, whoever gives it again gives by hand. What became of
    /// changes in doubt the next run's read tells, as far as it can.
    pub(crate) fn end_given_access(&mut self, plan: &Plan, failed: &FailedChanges) {
        for change in &plan.changes {
            if let Some(came) = Came::of(change, failed) {
                self.end_given_access_by(change, came);
            }
        }
        self.forget_given_access();
    }

    /// The same of one change, also of a run that ended early.
    pub(super) fn end_given_access_by(&mut self, change: &Change, came: Came) {
        for key in given_by(change).into_iter().chain(taken_by(change)) {
            if let Some(at) = self.place_of(&key) {
                let origin = &mut self.given_access[at].origin;
                *origin = origin.ended(came);
            }
        }
    }

    pub(super) fn forget_given_access(&mut self) {
        self.given_access
            .retain(|one| one.origin != Origin::Elsewhere);
    }

    /// As much of it as may be kept.
    #[cfg(test)]
    pub(super) fn fill_given_access(&mut self) {
        let all = (0..GIVEN_ACCESS_MAX as u64).map(|one| {
            let bytes = one.to_be_bytes();
            GivenAccess {
                key: [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]],
                origin: Origin::Unclear,
            }
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
