//! How many people gained access to collections within a day, by `access.collections`.
//!
//! Of a run that ended only the numbers are kept. Of one that was stopped it is kept who they were, so that the
//! next one doesn't count them twice.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::hourly::{self, Hourly};
use super::{Key, Ledger, key, member_key};
use crate::directory::ExternalId;
use crate::sync::fingerprint::FingerprintSet;
use crate::sync::limits::WINDOW;
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Change, CollectionsChange, GroupAction, Plan};

/// So many people are kept of a run that may have been stopped. Of more than these all are taken to have gained
/// access by it.
const PENDING_MAX: usize = 250;
/// So many numbers are kept, of any and of `Manage`: more than the hours of a day. The latest also stand for those
/// before.
const HOURS_MAX: usize = 80;

/// The people who gain access by a plan.
#[derive(Debug, Default)]
pub(crate) struct GainedAccess {
    /// Any access.
    pub any: HashSet<Key>,
    /// `Manage`.
    pub manage: HashSet<Key>,
}

/// How many people gained access within the last day without an approval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecentAccess {
    pub any: usize,
    pub manage: usize,
}

/// How many people a run gave access to collections, or several of the same hour did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gained {
    pub at: i64,
    pub ahead: i64,
    /// They gained `Manage`; else any access.
    manage: bool,
    people: u32,
    /// The run ended; before, they may have gained it.
    done: bool,
    /// Who they are as long as the run may have been stopped.
    pending: Vec<Key>,
}

impl GainedAccess {
    /// By these changes.
    pub fn of<'a>(changes: impl Iterator<Item = &'a Change>) -> Self {
        let mut gained = Self::default();
        for change in changes {
            let Some(GroupAction::SetCollections(access)) = change.group() else {
                continue;
            };
            let people = access.gaining_keys();
            if access.gives_manage() {
                gained.manage.extend(people.clone());
            }
            gained.any.extend(people);
        }
        gained
    }

    fn of_kind(&self, manage: bool) -> &HashSet<Key> {
        if manage { &self.manage } else { &self.any }
    }
}

impl CollectionsChange {
    /// Who gains something.
    pub(super) fn gaining_keys(&self) -> impl Iterator<Item = Key> + Clone {
        self.keys(&self.gaining, self.gives())
    }

    /// Who loses something.
    pub(super) fn losing_keys(&self) -> impl Iterator<Item = Key> + Clone {
        self.keys(&self.losing, self.takes_away())
    }

    fn keys<'a>(
        &'a self,
        ours: &'a [ExternalId],
        concerns_others: bool,
    ) -> impl Iterator<Item = Key> + Clone + 'a {
        let others = self.others.iter().filter(move |_| concerns_others);
        let others = others.map(|member| member_key(*member));
        ours.iter().map(key).chain(others)
    }
}

impl Gained {
    /// How many of them gained it, where `now` are about to: those hadn't.
    fn beside(&self, now: &HashSet<Key>) -> u32 {
        let again = self.pending.iter().filter(|one| now.contains(*one));
        self.people.saturating_sub(number(again.count()))
    }

    fn settle(&mut self, people: u32) {
        self.people = people;
        self.done = true;
        self.pending.clear();
    }
}

impl Hourly for Gained {
    fn at(&self) -> i64 {
        self.at
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.done && other.done && self.manage == other.manage
    }

    fn take(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.ahead = self.ahead.max(other.ahead);
        self.people = self.people.saturating_add(other.people);
    }
}

impl Ledger {
    /// How many people gained access within the last day, beside those of a plan.
    pub(crate) fn recent_access(&self, now: &GainedAccess) -> RecentAccess {
        let since = self.latest.saturating_sub(WINDOW.as_secs());
        let count = |manage: bool| {
            let recent = self.gained_access.iter();
            let recent = recent.filter(|one| one.at > since && one.manage == manage);
            let people = recent.map(|one| one.beside(now.of_kind(manage)) as usize);
            people.sum()
        };
        RecentAccess {
            any: count(false),
            manage: count(true),
        }
    }

    /// Notes who is about to gain access. What was approved, or is given back by an undo, isn't counted.
    pub(super) fn note_gained_access(&mut self, plan: &Plan, approved: &FingerprintSet) {
        let changes = plan.changes.iter();
        let all = GainedAccess::of(changes.clone());
        for one in self.gained_access.iter_mut().filter(|one| !one.done) {
            let people = one.beside(all.of_kind(one.manage));
            one.settle(people);
        }
        if plan.undoes.is_none() {
            let new = GainedAccess::of(changes.filter(|change| !approved.has(change)));
            let (at, ahead) = (self.latest, self.ahead());
            for manage in [false, true] {
                let people = new.of_kind(manage);
                let mut pending: Vec<Key> = people.iter().copied().collect();
                pending.sort_unstable();
                self.gained_access.push(Gained {
                    at,
                    ahead,
                    manage,
                    people: number(people.len()),
                    done: false,
                    pending: match pending.len() <= PENDING_MAX {
                        true => pending,
                        false => vec![],
                    },
                });
            }
        }
        self.bound_gained_access();
    }

    /// Notes that the run ended: what was refused nobody gained.
    pub(super) fn end_gained_access(
        &mut self,
        plan: &Plan,
        approved: &FingerprintSet,
        failed: &FailedChanges,
    ) {
        let made = plan.changes.iter().filter(|change| !approved.has(change));
        let made = made.filter(|change| !failed.changes.has(change));
        let made = GainedAccess::of(made);
        for one in self.gained_access.iter_mut().filter(|one| !one.done) {
            one.settle(number(made.of_kind(one.manage).len()));
        }
        self.bound_gained_access();
    }

    /// How many people gained access and when, until and how far ahead that may have been, and whether it was
    /// `Manage`.
    pub(super) fn gained_accesses(&self) -> impl Iterator<Item = (i64, i64, bool, u32)> {
        let gained = self.gained_access.iter();
        gained.map(|one| (one.at, one.ahead, one.manage, one.people))
    }

    /// Has it count these numbers of people, and no others of the same kind: who they are isn't known.
    pub(super) fn count_gained_access(&mut self, numbers: &[(i64, bool, u32)]) {
        let is_known = |one: &Gained| {
            let mut numbers = numbers.iter();
            numbers.any(|(_, manage, people)| *manage == one.manage && *people > 0)
        };
        self.gained_access.retain(|one| !is_known(one));
        self.gained_access
            .extend(numbers.iter().map(|&(at, manage, people)| Gained {
                at,
                ahead: 0,
                manage,
                people,
                done: true,
                pending: vec![],
            }));
        self.bound_gained_access();
    }

    fn bound_gained_access(&mut self) {
        self.gained_access
            .retain(|one| !one.done && !one.pending.is_empty() || one.people > 0);
        self.gained_access.sort_by_key(|one| (one.manage, one.at));
        hourly::merge_to(&mut self.gained_access, HOURS_MAX);
    }
}

/// What was kept in a record that isn't believed: it counts, and nothing is taken off it.
pub(super) fn doubted(mut gained: Vec<Gained>) -> Vec<Gained> {
    for one in &mut gained {
        let people = one.people;
        one.settle(people);
    }
    gained
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
impl Ledger {
    /// As much of it as may be kept.
    pub(super) fn fill_gained_access(&mut self) {
        for hour in 0..2 * HOURS_MAX as i64 {
            for manage in [false, true] {
                self.gained_access.push(Gained {
                    at: self.latest + hour * 3600,
                    ahead: self.latest,
                    manage,
                    people: u32::MAX,
                    done: true,
                    pending: vec![],
                });
            }
        }
        self.bound_gained_access();
        for manage in [false, true] {
            self.gained_access.push(Gained {
                at: self.latest,
                ahead: self.latest,
                manage,
                people: u32::MAX,
                done: false,
                pending: vec![[7; 8]; PENDING_MAX],
            });
        }
    }
}
