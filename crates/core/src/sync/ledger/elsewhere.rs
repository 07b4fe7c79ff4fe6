//! Losses that no run of this ledger caused: by hand, by another tool, by a run with another copy of
//! the ledger, or by runs after the backup that it comes from.
//!
//! A run notes which members had something to lose, by a part of their id: so whoever comes in by another
//! copy of the ledger hides almost nobody who is gone. Where the next run finds fewer than what this one did
//! itself explains, the difference counts as lost within the day. Of those whom a run invites only the number
//! is known at first.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EvidenceKind, Ledger, Uncounted, What, hourly};
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Kind, Plan};

/// Into so many parts members are divided. Two of one part hide each other: of a hundred who are gone
/// beside a hundred who came, some ten aren't seen.
const PARTS: usize = 1024;

/// How many members there are, in parts of their ids in Bitwarden.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally(Vec<u32>);

impl Tally {
    /// Of these members.
    pub(crate) fn of(members: impl Iterator<Item = Uuid>) -> Self {
        let mut parts = vec![0; PARTS];
        let mut any = false;
        for member in members {
            parts[part(member)] += 1;
            any = true;
        }
        Self(if any { parts } else { vec![] })
    }

    fn take_out(&mut self, member: Uuid) {
        if let Some(count) = self.0.get_mut(part(member)) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many of them `seen` lacks.
    fn missing_in(&self, seen: &Self) -> u32 {
        let seen = seen.0.iter().copied().chain(std::iter::repeat(0));
        let missing = self.0.iter().zip(seen);
        let missing = missing.map(|(expected, seen)| expected.saturating_sub(seen));
        missing.fold(0, u32::saturating_add)
    }
}

/// The part that a member's id is in. Whatever makes the ids, the multiplication spreads them.
fn part(member: Uuid) -> usize {
    let (high, low) = member.as_u64_pair();
    let mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The upper ten bits.
    (mixed >> 54) as usize % PARTS
}

/// Which members the next run has to find at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    /// With something to lose.
    members: u32,
    /// Of those, who had accepted an invitation.
    accepted: u32,
    /// Which ones had something to lose.
    tally: Tally,
}

impl Ledger {
    /// Compares the members that a plan was made for with what was seen and done before.
    pub(crate) fn notice(&mut self, plan: &Plan) {
        if plan.revoked.is_none() || plan.is_partial {
            // Nobody can look into this organization, or has.
            return;
        }
        self.notice_invitations(plan.invitations.as_ref(), plan.incremental.is_some());
        self.had_members |= plan.counts.managed_members > 0;
        let accepted = number(plan.counts.with_access);
        let seen = Expected {
            members: accepted.saturating_add(number(plan.counts.invited)),
            accepted,
            tally: plan.tally.clone(),
        };
        let missing = |expected: &Expected| {
            let members = expected.members.saturating_sub(seen.members);
            let accepted = expected.accepted.saturating_sub(seen.accepted);
            let known = expected.tally.missing_in(&seen.tally);
            members.max(accepted).max(known)
        };
        let losses = self.expected.as_ref().map_or(0, missing);
        // Whom a run invited is known once something else changes: an unchanged ledger isn't written.
        let is_known = |expected: &Expected| {
            let numbers = (expected.members, expected.accepted);
            numbers == (seen.members, seen.accepted) && losses == 0
        };
        if !self.expected.as_ref().is_some_and(is_known) {
            self.expected = Some(seen);
        }
        if losses > 0 {
            self.elsewhere.push(Uncounted {
                at: self.latest,
                ahead: self.ahead(),
                kind: EvidenceKind::Absent,
                losses,
            });
            hourly::merge_losses(&mut self.elsewhere);
        }
    }

    /// Whom a plan takes away aren't expected to be there, whether or not it comes that far.
    pub(super) fn expect_fewer(&mut self, plan: &Plan) {
        // Who was revoked before wasn't among them.
        let removed = plan.changes.iter().filter(|change| {
            matches!(change.kind(), Kind::Revoke | Kind::Remove | Kind::Unlink)
                && !plan.was_revoked(change.external_id())
        });
        let removed: Vec<Option<Uuid>> = removed.map(|change| change.subject.id).collect();
        // Whose invitation is replaced, which had not been accepted, is invited by the next run if this
        // one stops in between: nothing is lost.
        let replaced = plan.changes.iter().filter(|one| one.replaces_invitation());
        let replaced: Vec<Option<Uuid>> = replaced.map(|change| change.subject.id).collect();
        if let Some(expected) = &mut self.expected {
            for member in removed.iter().chain(&replaced).flatten() {
                expected.tally.take_out(*member);
            }
            let (removed, replaced) = (number(removed.len()), number(replaced.len()));
            let gone = removed.saturating_add(replaced);
            expected.members = expected.members.saturating_sub(gone);
            expected.accepted = expected.accepted.saturating_sub(removed);
        }
    }

    /// Whom a run added are, once it saw them there.
    pub(super) fn expect_more(&mut self, plan: &Plan, failed: &FailedChanges) {
        let added = plan.changes.iter().filter(|change| {
            matches!(change.kind(), Kind::Invite | Kind::Link | Kind::Restore)
                && !failed.changes.has(change)
        });
        let added = number(added.count());
        // Now, and not at the next run: one without a change leaves the record as it is.
        self.had_members |= added > 0;
        if let Some(expected) = &mut self.expected {
            expected.members = expected.members.saturating_add(added);
        }
    }

    /// How many people lost access elsewhere since then, as far as no other ledger of the same members
    /// tells who.
    pub(super) fn lost_elsewhere(&self, since: i64) -> usize {
        let lost = self.elsewhere.iter().filter(|one| one.at > since);
        let lost: usize = lost.map(|one| one.losses as usize).sum();
        let known = self.shared.losses.iter().filter(|loss| loss.at > since);
        let known = known.filter_map(|loss| match loss.what {
            What::Access { person } => Some(person),
            _ => None,
        });
        lost.saturating_sub(known.collect::<HashSet<_>>().len())
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
impl Expected {
    /// Of an organization with a million members, and some parts with many more than others.
    pub(super) fn of_a_million() -> Self {
        Self {
            members: 1_000_000,
            accepted: 1_000_000,
            tally: Tally(vec![2_000; PARTS]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_in_a_few_bits_are_in_different_parts() {
        // As a database makes them one after another: by time, or in order.
        let in_order = |n: u128| Uuid::from_u128(n);
        let by_time = |n: u128| Uuid::from_u128(0xaa55_0000_0000_4000_8000_0000_0000_0000 | n << 4);
        for ids in [&in_order as &dyn Fn(u128) -> Uuid, &by_time] {
            let tally = Tally::of((0..10_240).map(ids));
            let largest = tally.0.iter().max().copied();
            assert!(largest < Some(100), "{largest:?} of ten on average");
        }
        assert_eq!(Tally::of(std::iter::empty()), Tally::default());
    }

    #[test]
    fn whoever_comes_hides_almost_nobody_who_is_gone() {
        let ids = |from: u128, to: u128| Tally::of((from..to).map(Uuid::from_u128));
        let gone = ids(0, 5_000).missing_in(&ids(100, 5_100));
        assert!((60..=100).contains(&gone), "{gone} of a hundred");
        assert_eq!(ids(0, 50).missing_in(&ids(50, 50)), 50);
        assert_eq!(ids(0, 0).missing_in(&ids(0, 50)), 0);
    }
}
