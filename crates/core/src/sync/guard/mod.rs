//! Holds back what looks dangerous until a person approves it.

mod fingerprint;

use std::collections::{HashMap, HashSet};

pub use fingerprint::{Digest, Fingerprint, FingerprintSet, NoFingerprints};

use crate::directory::ExternalId;
use crate::problem::Problem;
use crate::sync::plan::{
    Action, Change, GroupAction, MemberAction, Plan, Reason, Update, Withdrawal,
};
use crate::sync::policy::Policy;

/// A plan split in two: what goes ahead, and what waits for a person.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// What may be applied.
    pub approved: Approved<Plan>,
    /// What waits; `None` where nothing does.
    pub held: Option<Held>,
    /// The digest of everything the plan takes away, whether held or not.
    pub digest: Digest,
    /// What the digest stands for. Kept while the removals are held or being applied, it lets a
    /// later run finish what was approved ([`Approval::earlier`]).
    pub removals: FingerprintSet,
}

/// A value that passed the guard. Only the guard makes one.
#[derive(Debug, Clone)]
pub struct Approved<T>(T);

impl<T> std::ops::Deref for Approved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Approved<Plan> {
    /// Takes people who can't come in yet out of the plan: their invitations and restorations, and
    /// whoever isn't a member yet out of the groups too.
    pub(super) fn postpone(&mut self, people: &HashSet<ExternalId>, why: Problem) {
        let Self(plan) = self;
        let mut outside: HashSet<&ExternalId> = HashSet::new();
        plan.changes.retain(
            |change| match (change.member(), people.get(change.external_id())) {
                (Some(MemberAction::Invite { .. }), Some(id)) => {
                    outside.insert(id);
                    false
                }
                (Some(MemberAction::Restore), Some(_)) => false,
                _ => true,
            },
        );
        let mut missing: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
        plan.changes.retain_mut(|change| {
            let (add, is_update) = match &mut change.action {
                Action::Group(GroupAction::Create { add }) => (add, false),
                Action::Group(GroupAction::Update(update)) => (&mut update.add, true),
                _ => return true,
            };
            let late: Vec<ExternalId> = add.extract_if(.., |id| outside.contains(id)).collect();
            let nothing_left = is_update && add.is_empty() && !late.is_empty();
            if !late.is_empty() {
                missing.insert(change.subject.external_id.clone(), late);
            }
            !nothing_left || change.takes_away()
        });
        for state in &mut plan.groups {
            state
                .missing
                .extend(missing.remove(&state.external_id).unwrap_or_default());
        }
        plan.problems.add(why);
    }
}

/// Removals that wait for approval.
#[derive(Debug, Clone)]
pub struct Held {
    /// The removals, all of them.
    pub changes: Vec<Change>,
    /// Why they wait.
    pub why: HeldBecause,
}

/// Why removals wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBecause {
    /// More than the limit would lose something.
    OverLimit {
        /// Members who would lose something.
        members: usize,
        /// How many may.
        members_limit: usize,
        /// Groups that would be deleted.
        groups: usize,
        /// How many may.
        groups_limit: usize,
    },
    /// The server can't be read, and what was sent to it before isn't known any more.
    MembersUnknown {
        /// How many changes wait.
        changes: usize,
    },
    /// The directory named no one at all, and the organization has members of ours.
    EmptyDirectory {
        /// How many of ours there are.
        members: usize,
    },
}

/// A person's word that certain removals may go ahead.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The digest of the removals they saw.
    pub digest: Digest,
    /// What that digest stands for, where an earlier run kept it: a part of these removals is
    /// approved as well, so that a process that ended in the middle of them can go on.
    pub earlier: Option<FingerprintSet>,
}

impl Approval {
    fn covers(&self, digest: &Digest, removals: &FingerprintSet) -> bool {
        self.digest == *digest
            || self
                .earlier
                .as_ref()
                .is_some_and(|seen| seen.digest() == self.digest && removals.is_subset(seen))
    }
}

/// Splits a plan into what goes ahead and what waits.
///
/// Everything that takes something away waits together, or nothing does. It waits where more
/// members of ours would lose something (access, membership in the organization or in a group) or
/// more groups would be deleted than the policy's limit, each measured against how many of ours
/// there are; and always where the directory named no one at all. An [`Approval`] of exactly these
/// removals, or of more than these, lets them go ahead.
pub fn guard(plan: Plan, policy: &Policy, approval: Option<&Approval>) -> Guarded {
    let removals = FingerprintSet::of(&plan.changes);
    let digest = removals.digest();
    let approved = approval.is_some_and(|approval| approval.covers(&digest, &removals));
    match reason_to_hold(&plan, policy) {
        Some(why) if !approved && !removals.is_empty() => {
            let (plan, changes) = split(plan);
            let held = Some(Held { changes, why });
            Guarded {
                approved: Approved(plan),
                held,
                digest,
                removals,
            }
        }
        _ => Guarded {
            approved: Approved(plan),
            held: None,
            digest,
            removals,
        },
    }
}

fn reason_to_hold(plan: &Plan, policy: &Policy) -> Option<HeldBecause> {
    let counts = &plan.counts;
    if plan.directory_is_empty && counts.managed_members > 0 {
        return Some(HeldBecause::EmptyDirectory {
            members: counts.managed_members,
        });
    }
    let unknown = plan.changes.iter();
    let unknown = unknown.filter(|change| change.reason == Reason::MembersUnknown);
    let changes = unknown.count();
    if changes > 0 {
        return Some(HeldBecause::MembersUnknown { changes });
    }
    let (mut members, mut groups) = (HashSet::new(), 0);
    for change in &plan.changes {
        match &change.action {
            Action::Member(MemberAction::Revoke { .. } | MemberAction::Remove { .. }) => {
                members.insert(change.external_id());
            }
            Action::Group(GroupAction::Update(update)) => {
                members.extend(update.remove.iter().map(|w| &w.external_id));
            }
            Action::Group(GroupAction::Delete { .. }) => groups += 1,
            _ => {}
        }
    }
    let limit = policy.offboarding.limit;
    let (members, members_limit) = (members.len(), limit.of(counts.managed_members));
    let groups_limit = limit.of(counts.managed_groups);
    (members > members_limit || groups > groups_limit).then_some(HeldBecause::OverLimit {
        members,
        members_limit,
        groups,
        groups_limit,
    })
}

/// Takes everything out of the plan that takes something away.
fn split(mut plan: Plan) -> (Plan, Vec<Change>) {
    let mut held = vec![];
    let mut withheld: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    let changes = std::mem::take(&mut plan.changes);
    for change in changes {
        let Change {
            subject,
            reason,
            action,
        } = change;
        match action {
            Action::Group(GroupAction::Update(update)) if !update.remove.is_empty() => {
                let Update {
                    add,
                    remove,
                    keep,
                    unmanaged,
                } = update;
                let staying: Vec<ExternalId> = remove.iter().map(Withdrawal::id).collect();
                if !add.is_empty() {
                    let mut all = keep.clone();
                    all.extend(staying.iter().cloned());
                    all.sort_unstable();
                    plan.changes.push(Change {
                        subject: subject.clone(),
                        reason,
                        action: Action::Group(GroupAction::Update(Update {
                            add,
                            remove: vec![],
                            keep: all,
                            unmanaged: unmanaged.clone(),
                        })),
                    });
                }
                withheld.insert(subject.external_id.clone(), staying);
                held.push(Change {
                    subject,
                    reason,
                    action: Action::Group(GroupAction::Update(Update {
                        add: vec![],
                        remove,
                        keep,
                        unmanaged,
                    })),
                });
            }
            action => {
                let change = Change {
                    subject,
                    reason,
                    action,
                };
                if change.takes_away() {
                    held.push(change);
                } else {
                    plan.changes.push(change);
                }
            }
        }
    }
    for state in &mut plan.groups {
        state
            .extra
            .extend(withheld.remove(&state.external_id).unwrap_or_default());
    }
    if let Some(sent) = &plan.sent {
        // A new address is invited only once the old one is revoked.
        let held: HashSet<&ExternalId> = held.iter().map(Change::external_id).collect();
        let replaced = sent.replaced.iter();
        let waiting: HashSet<&ExternalId> = replaced
            .filter(|(former, _)| held.contains(former))
            .map(|(_, id)| id)
            .collect();
        plan.changes
            .retain(|change| change.group().is_some() || !waiting.contains(change.external_id()));
    }
    (plan, held)
}
