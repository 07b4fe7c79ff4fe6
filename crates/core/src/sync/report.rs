//! What a run did.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::directory::ExternalId;
use crate::problem::Problems;
use crate::sync::guard::{Digest, GuardedPlan, Held};
use crate::sync::plan::{Change, Counts, Kind};
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
    /// What imports of ours have made on a server that can't be read, once the run is over; `None` where it
    /// can be read.
    pub imported: Option<Imported>,
    /// Changes that went ahead and were seen to have taken effect, by kind. None in a preview.
    pub applied: ActionCounts,
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
    /// External ids whose change was refused; there is no use in looking for it.
    pub refused: HashSet<ExternalId>,
    /// What took something away, by its kind and external id.
    pub done: HashSet<(Kind, ExternalId)>,
    /// Groups that held other members than the plan was made for; the next plan reads them.
    pub outdated: HashSet<ExternalId>,
    /// Whether somebody else changed a group of the plan between its two reads.
    pub changed_meanwhile: bool,
}

/// How many changes of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionCounts(BTreeMap<Kind, usize>);

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
