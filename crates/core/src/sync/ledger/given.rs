//! Which members have their role from a run, by `access.roles`.
//!
//! What is taken back is only what a run gave. A member is kept with the role that they got: whoever has
//! another one by now has it from somebody else. See [`Origin`].

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hourly::{self, Hourly};
use super::origin::{Came, Origin};
use super::{KEPT, Key, Ledger, member_key};
use crate::organization::role::AccessRole;
use crate::sync::fingerprint::FingerprintSet;
use crate::sync::limits::WINDOW;
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Change, Plan, RoleChange};

/// So many members are kept whose role a run gave. Whoever isn't keeps their role.
pub const GIVEN_MAX: usize = 600;
/// So many gains and losses of a week are kept one by one of members whose role isn't kept as one that a run gave,
/// the latest ones. The others count by their number.
const COUNTED_MAX: usize = 200;
/// So many of these numbers are kept. The latest also stand for those before.
const NUMBERS_MAX: usize = 80;

/// A role that a run gave to a member, or took from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    at: i64,
    member: Key,
    role: AccessRole,
    origin: Origin,
    counts: Counts,
}

/// For which limit it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Counts {
    /// None: it was approved, or asked for by an undo.
    Nowhere,
    /// The member gained rights.
    Gained,
    /// The member lost rights.
    Lost,
    /// Both.
    Both,
}

/// How many members gained or lost rights, where who they are isn't kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoleNumber {
    at: i64,
    lost: bool,
    members: u32,
}

impl Hourly for RoleNumber {
    fn at(&self) -> i64 {
        self.at
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.lost == other.lost
    }

    fn take(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.members = self.members.saturating_add(other.members);
    }
}

impl Given {
    /// Whether it has to be known whose it is.
    fn is_kept(&self) -> bool {
        self.origin != Origin::Elsewhere
    }
}

impl Counts {
    fn of(gives: bool, takes: bool) -> Self {
        match (gives, takes) {
            (true, true) => Self::Both,
            (true, false) => Self::Gained,
            (false, true) => Self::Lost,
            (false, false) => Self::Nowhere,
        }
    }

    fn is_gain(self) -> bool {
        matches!(self, Self::Gained | Self::Both)
    }

    fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Both)
    }
}

/// How many members gained and lost rights within the last day without an approval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecentRoles {
    pub gained: usize,
    pub lost: usize,
}

impl Ledger {
    /// Whether a run gave the member the role that they have now.
    pub(super) fn gave(&self, member: Uuid, role: AccessRole) -> bool {
        self.has_given(member, role, Origin::is_run)
    }

    /// Whether a run may have given the member the role that they have now, or somebody by hand.
    pub(super) fn may_have_given(&self, member: Uuid, role: AccessRole) -> bool {
        self.has_given(member, role, Origin::is_unclear) && !self.gave(member, role)
    }

    /// Whether an undo gave the member back the role that they have now.
    pub(super) fn gave_back(&self, member: Uuid, role: AccessRole) -> bool {
        self.has_given(member, role, Origin::is_given_back) && !self.gave(member, role)
    }

    fn has_given(&self, member: Uuid, role: AccessRole, which: fn(Origin) -> bool) -> bool {
        let member = member_key(member);
        let mut given = self.given.iter();
        given.any(|one| which(one.origin) && one.member == member && one.role == role)
    }

    /// How many members have their role from a run, or may have.
    pub(super) fn given_count(&self) -> usize {
        self.given.iter().filter(|one| one.is_kept()).count()
    }

    /// Whether it isn't known any more which members have their role from a run.
    pub(super) fn lost_given(&self) -> bool {
        self.is_careful() && !self.adopted
    }

    /// How many members gained and lost rights within the last day, beside those of `changes`.
    pub(crate) fn recent_roles(&self, changes: &[&Change]) -> RecentRoles {
        let since = self.latest.saturating_sub(WINDOW.as_secs());
        let recent: Vec<&Given> = self.given.iter().filter(|one| one.at > since).collect();
        let uncounted = |lost: bool| -> usize {
            let numbers = self.role_numbers.iter();
            let numbers = numbers.filter(|one| one.at > since && one.lost == lost);
            numbers.map(|one| one.members as usize).sum()
        };
        let count = |which: fn(Counts) -> bool, now: fn(&RoleChange) -> bool| {
            let now = changes.iter().filter(|one| one.role().is_some_and(now));
            let now = now.filter_map(|one| one.subject.id.map(member_key));
            let now: HashSet<Key> = now.collect();
            let members = recent.iter().filter(|one| which(one.counts));
            let members: HashSet<Key> = members.map(|one| one.member).collect();
            members.difference(&now).count()
        };
        RecentRoles {
            gained: count(Counts::is_gain, RoleChange::gives) + uncounted(false),
            lost: count(Counts::is_loss, RoleChange::takes_away) + uncounted(true),
        }
    }

    /// Who gained rights of their role without an approval, and when.
    pub(super) fn gained_rights(&self) -> impl Iterator<Item = (Key, i64)> {
        let gained = self.given.iter().filter(|one| one.counts.is_gain());
        gained.map(|one| (one.member, one.at))
    }

    /// How many gained rights of whom it isn't kept who they are, and when.
    pub(super) fn gained_rights_numbers(&self) -> impl Iterator<Item = (i64, u32)> {
        let gained = self.role_numbers.iter().filter(|one| !one.lost);
        gained.map(|one| (one.at, one.members))
    }

    /// Has it count these numbers of members who gained rights, too: who they are isn't known.
    pub(super) fn count_gained_rights(&mut self, numbers: impl Iterator<Item = (i64, u32)>) {
        let numbers = numbers.filter(|(_, members)| *members > 0);
        self.role_numbers
            .extend(numbers.map(|(at, members)| RoleNumber {
                at,
                lost: false,
                members,
            }));
        self.bound_given();
    }

    /// Forgets that a run gave somebody a role who has another one by now: they have it from somebody else.
    pub(crate) fn keep_given(&mut self, plan: &Plan) {
        let Some(roles) = &plan.roles else { return };
        let latest = self.latest;
        self.role_numbers
            .retain(|one| one.at.saturating_add(KEPT) > latest);
        if self.given.is_empty() {
            return;
        }
        let roles: HashMap<Key, AccessRole> = roles
            .iter()
            .map(|(member, role)| (member_key(*member), *role))
            .collect();
        self.given.retain_mut(|one| {
            one.origin = one.origin.seen(roles.get(&one.member) == Some(&one.role));
            let counts = one.counts != Counts::Nowhere && one.at.saturating_add(KEPT) > latest;
            one.is_kept() || counts
        });
    }

    /// Notes the roles that a plan is about to give and take. What an undo gives is somebody's own word: no run takes
    /// it away, and it is told as long as no rule gives it.
    pub(super) fn note_given(&mut self, plan: &Plan, approved: &FingerprintSet) {
        let is_undo = plan.undoes.is_some();
        for change in &plan.changes {
            let (Some(role), Some(member)) = (change.role(), change.subject.id) else {
                continue;
            };
            let counts = match is_undo || approved.has(change) {
                true => Counts::Nowhere,
                false => Counts::of(role.gives(), role.takes_away()),
            };
            let (at, member) = (self.latest, member_key(member));
            let before = self.given.iter_mut().filter(|one| one.member == member);
            before.for_each(|one| one.origin = one.origin.taking());
            self.given.push(Given {
                at,
                member,
                role: role.to,
                origin: match is_undo {
                    _ if role.to == AccessRole::User => Origin::Elsewhere,
                    true => Origin::GivingBack,
                    false => Origin::Giving,
                },
                counts,
            });
        }
        self.bound_given();
    }

    /// Those that were given last aren't ours where there are too many. They count all the same, by their number
    /// where there are too many of these, too.
    fn bound_given(&mut self) {
        let mut ours = 0;
        for one in self.given.iter_mut().filter(|one| one.is_kept()) {
            ours += 1;
            if ours > GIVEN_MAX {
                one.origin = Origin::Elsewhere;
            }
        }
        self.given
            .retain(|one| one.is_kept() || one.counts != Counts::Nowhere);
        let surplus = self.given.iter().filter(|one| !one.is_kept()).count();
        let mut surplus = surplus.saturating_sub(COUNTED_MAX);
        let numbers = &mut self.role_numbers;
        self.given.retain(|one| {
            let is_surplus = surplus > 0 && !one.is_kept();
            if is_surplus {
                surplus -= 1;
                for (counts, lost) in [(one.counts.is_gain(), false), (one.counts.is_loss(), true)]
                {
                    numbers.extend(counts.then_some(RoleNumber {
                        at: one.at,
                        lost,
                        members: 1,
                    }));
                }
            }
            !is_surplus
        });
        numbers.retain(|one| one.members > 0);
        numbers.sort_by_key(|one| (one.lost, one.at));
        hourly::merge_to(numbers, NUMBERS_MAX);
    }

    /// Notes what came of it: who got another role has none of the earlier ones from us any more, and what was
    /// refused isn't ours. What became of changes in doubt the next run's read tells, as far as it can.
    pub(super) fn end_given(
        &mut self,
        plan: &Plan,
        approved: &FingerprintSet,
        failed: &FailedChanges,
    ) {
        let at = self.latest;
        for change in &plan.changes {
            let (Some(role), Some(member)) = (change.role(), change.subject.id) else {
                continue;
            };
            let Some(came) = Came::of(change, failed) else {
                continue;
            };
            let member = member_key(member);
            if came == Came::NotMade {
                let before = self.given.len();
                self.given
                    .retain(|one| one.at != at || one.member != member || one.role != role.to);
                let is_counted = plan.undoes.is_none() && !approved.has(change);
                if is_counted && self.given.len() == before {
                    let (gives, takes) = (role.gives(), role.takes_away());
                    let numbers = self.role_numbers.iter_mut().filter(|one| one.at == at);
                    numbers
                        .filter(|one| if one.lost { takes } else { gives })
                        .for_each(|one| one.members = one.members.saturating_sub(1));
                }
            }
            self.end_given_to(member, role, came);
        }
    }

    /// The same of a change of a run that ended early. It counts in any case.
    pub(super) fn end_given_by(&mut self, change: &Change, came: Came) {
        if let (Some(role), Some(member)) = (change.role(), change.subject.id) {
            self.end_given_to(member_key(member), role, came);
        }
    }

    fn end_given_to(&mut self, member: Key, role: &RoleChange, came: Came) {
        for one in self.given.iter_mut().filter(|one| one.member == member) {
            one.origin = match came {
                // Any other role they don't have any more.
                Came::Made if one.role != role.to => Origin::Elsewhere,
                came => one.origin.ended(came),
            };
        }
    }
}

#[cfg(test)]
impl Ledger {
    /// As many of them as may be kept, and as long as they may be.
    pub(super) fn fill_given(&mut self) {
        let all = crate::organization::role::Permissions::NAMES;
        let role = AccessRole::Custom(crate::organization::role::Permissions::of(all));
        for number in 0..2 * (GIVEN_MAX + COUNTED_MAX) as u64 {
            self.given.push(Given {
                at: self.latest,
                member: number.to_be_bytes(),
                role,
                origin: match number % 2 {
                    0 => Origin::Unclear,
                    _ => Origin::Elsewhere,
                },
                counts: Counts::Both,
            });
        }
        for hour in 0..2 * NUMBERS_MAX as i64 {
            for lost in [false, true] {
                self.role_numbers.push(RoleNumber {
                    at: self.latest + hour * 3600,
                    lost,
                    members: u32::MAX,
                });
            }
        }
        self.bound_given();
    }
}
