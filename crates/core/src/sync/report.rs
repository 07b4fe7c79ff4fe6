//! What a run did.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::problem::Problems;
use crate::sync::change_set::ChangeSet;
use crate::sync::guard::{Digest, GuardedPlan, Held};
use crate::sync::plan::{Change, Counts, Kind, OnboardingCounts};
use crate::sync::progress::Phase;

/// What a finished run saw and did.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whether changes were to be made, or only shown.
    pub mode: Mode,
    /// The plan, split in what went (or would go) ahead and what waits; `None` where neither side
    /// moved since a run that left nothing to do.
    pub guarded: Option<GuardedPlan>,
    /// Stands for everything the plan takes away: what an approval names.
    pub digest: Digest,
    /// Sizes of both sides, as read.
    pub counts: Counts,
    /// Where managed members stand on their way in, once the run is over.
    pub onboarding: OnboardingCounts,
    /// What imports of ours have made on a server that can't be read, once the run is over; `None` where it
    /// can be read.
    pub imported: Option<Imported>,
    /// Changes that went ahead and were seen to have taken effect, by kind. None in a preview.
    pub applied: ActionCounts,
    /// Changes of the plan that weren't made.
    pub failed: ChangeSet,
    /// Everything that needs manual action.
    pub problems: Problems,
    /// Whether every group's members were compared with what the server holds.
    pub memberships_verified: bool,
    /// Whether somebody else changed a group of the plan before it was written, so that it has to be
    /// planned again.
    pub changed_meanwhile: bool,
    /// How long each phase took.
    pub durations: Durations,
}

/// What imports made, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Accounts that aren't revoked.
    pub accounts: usize,
    /// Groups.
    pub groups: usize,
}

/// How long each phase of a run took, in the order they were gone through.
pub type Durations = Vec<(Phase, Duration)>;

/// Whether a run changes the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The run applies its changes.
    Apply,
    /// It shows what it would do.
    Preview,
}

impl Report {
    /// Removals that wait for approval.
    pub fn held(&self) -> Option<&Held> {
        self.guarded.as_ref()?.held.as_ref()
    }

    /// Changes that went ahead, or would in a preview.
    pub fn planned(&self) -> &[Change] {
        self.guarded
            .as_ref()
            .map_or(&[], |guarded| &guarded.approved.changes)
    }

    /// Whether the organization agreed with the directory from the start: nothing was to be done,
    /// nothing waits.
    pub fn in_sync(&self) -> bool {
        self.held().is_none() && self.planned().is_empty()
    }

    /// The report of both, of a run that was planned again after `earlier`.
    #[must_use]
    pub fn after(mut self, earlier: Self) -> Self {
        self.applied.merge(&earlier.applied);
        self.durations.splice(0..0, earlier.durations);
        self.memberships_verified |= earlier.memberships_verified;
        // Sizes are told as they were before the changes.
        self.counts = earlier.counts;
        self
    }
}

/// What was carried out.
#[derive(Debug, Default)]
pub struct Applied {
    /// Changes the server accepted, by kind.
    pub counts: ActionCounts,
    /// The changes that the server refused, as problems.
    pub problems: Problems,
    /// The changes that were refused, or weren't made for another reason; there is no use in looking for them.
    pub refused: ChangeSet,
    /// What took something away, gave access back, or changed a role or access to collections; while an approval is
    /// used all changes, and on a server that can't be read all of members.
    pub done: ChangeSet,
    /// Who was being revoked one by one, as long as no answer came.
    pub requested: HashSet<ExternalId>,
    /// The changes of roles and access of which it isn't known whether this run made them: no answer came, or
    /// it was so already when they were to be made.
    pub in_doubt: ChangeSet,
    /// Who was being given access back one by one, as long as no answer came.
    pub restoring: HashSet<ExternalId>,
    /// Whose invitations were sent again, or may have been: all that were requested.
    pub reinvited: HashSet<ExternalId>,
    /// Groups that held other members than the plan was made for; the next plan reads them.
    pub outdated: HashSet<ExternalId>,
    /// Whether somebody else changed a group of the plan between its two reads.
    pub changed_meanwhile: bool,
    /// What became of each change of the plan.
    pub outcomes: Outcomes,
}

/// What became of each change of a plan, by its place in it.
#[derive(Debug, Default)]
pub struct Outcomes(Vec<Sent>);

/// How far a change has come.
#[derive(Debug, Default)]
pub enum Sent {
    /// It wasn't sent.
    #[default]
    Not,
    /// It was sent, and wasn't answered yet.
    Waiting {
        /// Who comes into and leaves the group by it, where that is another thing than the plan says.
        membership: Option<Box<MembershipChange>>,
    },
    /// The server accepted it.
    Done {
        /// When.
        time: Timestamp,
        /// As of [`Sent::Waiting`].
        membership: Option<Box<MembershipChange>>,
    },
    /// The server refused it.
    Refused {
        /// When.
        time: Timestamp,
        /// With which words.
        answer: Box<str>,
    },
    /// The server accepted it, and it couldn't be seen afterwards.
    NotApplied {
        /// When it was accepted.
        time: Timestamp,
    },
}

/// Who came into and left a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MembershipChange {
    /// Those who came.
    pub added: Vec<ExternalId>,
    /// Those who left.
    pub removed: Vec<ExternalId>,
    /// Those who came and have no external id, by their ids in Bitwarden.
    pub unmanaged: Vec<Uuid>,
    /// The server refused the group the access to collections that it was to get.
    pub collections_refused: bool,
}

impl Outcomes {
    /// For a plan with so many changes, of which none was sent.
    pub fn new(changes: usize) -> Self {
        Self(
            std::iter::repeat_with(Sent::default)
                .take(changes)
                .collect(),
        )
    }

    /// What became of the change at this place.
    pub fn get(&self, at: usize) -> Option<&Sent> {
        self.0.get(at)
    }

    /// The change is about to be sent.
    pub fn sent(&mut self, at: usize, membership: Option<MembershipChange>) {
        if let Some(sent) = self.0.get_mut(at) {
            let membership = membership.map(Box::new);
            *sent = Sent::Waiting { membership };
        }
    }

    /// The server accepted it, and more of it is about to be sent.
    pub fn reopen(&mut self, at: usize) {
        if let Some(sent) = self.0.get_mut(at)
            && let Sent::Done { membership, .. } = sent
        {
            let membership = membership.take();
            *sent = Sent::Waiting { membership };
        }
    }

    /// All of it was accepted, if it was sent.
    pub fn close(&mut self, at: usize, time: Timestamp) {
        if matches!(self.0.get(at), Some(Sent::Waiting { .. })) {
            self.done(at, time);
        }
    }

    /// Members without an external id are about to be sent into the group, after those who have one.
    pub fn unmanaged_sent(&mut self, at: usize, members: Vec<Uuid>) {
        self.reopen(at);
        if matches!(self.0.get(at), Some(Sent::Not)) {
            self.sent(at, Some(MembershipChange::default()));
        }
        if let Some(Sent::Waiting { membership }) = self.0.get_mut(at) {
            membership.get_or_insert_default().unmanaged = members;
        }
    }

    /// The server refused them; what it accepted before stands.
    pub fn unmanaged_refused(&mut self, at: usize, time: Timestamp, answer: &str) {
        if let Some(Sent::Waiting {
            membership: Some(membership),
        }) = self.0.get_mut(at)
        {
            membership.unmanaged.clear();
            if **membership == MembershipChange::default() {
                self.refused(at, time, answer);
            }
        }
    }

    /// The server took the group, and refused it its access to collections.
    pub fn collections_refused(&mut self, at: usize) {
        if let Some(Sent::Waiting { membership }) = self.0.get_mut(at) {
            membership.get_or_insert_default().collections_refused = true;
        }
    }

    /// The server accepted it.
    pub fn done(&mut self, at: usize, time: Timestamp) {
        if let Some(sent) = self.0.get_mut(at) {
            let membership = match sent {
                Sent::Waiting { membership } => membership.take(),
                _ => None,
            };
            *sent = Sent::Done { time, membership };
        }
    }

    /// The server refused it.
    pub fn refused(&mut self, at: usize, time: Timestamp, answer: &str) {
        if let Some(sent) = self.0.get_mut(at) {
            *sent = Sent::Refused {
                time,
                answer: answer.into(),
            };
        }
    }

    /// It was accepted, and couldn't be seen afterwards.
    pub(crate) fn not_applied(&mut self, at: usize) {
        if let Some(sent) = self.0.get_mut(at)
            && let Sent::Done { time, .. } = *sent
        {
            *sent = Sent::NotApplied { time };
        }
    }
}

/// How many changes of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionCounts(BTreeMap<Kind, usize>);

/// `2 Revoke, 1 Invite`, or `none`.
impl fmt::Display for ActionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total() == 0 {
            return f.write_str("none");
        }
        for (place, (kind, count)) in self.iter().enumerate() {
            let before = if place == 0 { "" } else { ", " };
            write!(f, "{before}{count} {}", kind.name())?;
        }
        Ok(())
    }
}

impl ActionCounts {
    /// The counts of `changes`, by kind.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            counts.add(change.kind());
        }
        counts
    }

    /// Counts one more change of this kind.
    pub fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Adds those of another part of the run.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// Takes one back that turned out not to be there.
    pub fn take_back(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(&kind) {
            *count = count.saturating_sub(1);
        }
    }

    /// Each kind that occurs with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, usize)> {
        self.0
            .iter()
            .map(|(kind, count)| (*kind, *count))
            .filter(|(_, count)| *count > 0)
    }

    /// How many there are of one kind.
    pub fn get(&self, kind: Kind) -> usize {
        self.0.get(&kind).copied().unwrap_or_default()
    }

    /// How many changes there are of all kinds.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}
