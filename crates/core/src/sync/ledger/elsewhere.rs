//! Losses that no run of this ledger caused: by hand, by another tool, by a run with another copy of
//! the ledger, or by runs after the backup that it comes from.
//!
//! A run notes how many members had something to lose, and how many of them had accepted. Where the
//! next one finds fewer than what it did itself explains, the difference counts as lost within the
//! day. Only the number is known: members whom somebody else added, or who accepted, hide as many.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{EvidenceKind, Ledger, Uncounted, What, hourly};
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Kind, Plan};

/// How many members the next run has to find at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    /// With something to lose.
    members: u32,
    /// Of those, who had accepted an invitation.
    accepted: u32,
}

impl Ledger {
    /// Compares the members that a plan was made for with what was seen and done before.
    pub(crate) fn notice(&mut self, plan: &Plan) {
        if plan.revoked.is_none() {
            // Nobody can look into this organization.
            return;
        }
        self.had_members |= plan.counts.managed_members > 0;
        let accepted = number(plan.counts.with_access);
        let seen = Expected {
            members: accepted.saturating_add(number(plan.counts.invited)),
            accepted,
        };
        let expected = self.expected.replace(seen).unwrap_or(seen);
        let members = expected.members.saturating_sub(seen.members);
        let losses = members.max(expected.accepted.saturating_sub(accepted));
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
            matches!(change.kind(), Kind::Revoke | Kind::Remove)
                && !plan.was_revoked(change.external_id())
        });
        let removed = number(removed.count());
        // Whose invitation is replaced, which had not been accepted, is invited by the next run if this
        // one stops in between: nothing is lost.
        let replaced = plan.changes.iter().filter(|one| one.replaces_invitation());
        let replaced = number(replaced.count());
        if let Some(expected) = &mut self.expected {
            let gone = removed.saturating_add(replaced);
            expected.members = expected.members.saturating_sub(gone);
            expected.accepted = expected.accepted.saturating_sub(removed);
        }
    }

    /// Whom a run added are, once it saw them there.
    pub(super) fn expect_more(&mut self, plan: &Plan, failed: &FailedChanges) {
        let added = plan.changes.iter().filter(|change| {
            matches!(change.kind(), Kind::Invite | Kind::Link | Kind::Restore)
                && !failed.people.contains(change.external_id())
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
