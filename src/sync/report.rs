//! What a run did.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sync::guard::{Digest, Held};
use crate::sync::plan::{Action, Change, Counts, Plan};
use crate::sync::problem::Problems;
use crate::sync::progress::Phase;

/// What a finished run saw and did.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whether changes were to be made, or only shown.
    pub mode: Mode,
    /// The whole plan before the guard split it; `None` where neither side moved since the last
    /// run, so that none was made.
    pub plan: Option<Plan>,
    /// Stands for everything the plan takes away: what an approval names.
    pub digest: Digest,
    /// Sizes of both sides, as read.
    pub counts: Counts,
    /// Changes that went ahead and were seen to have taken effect, by kind.
    pub applied: ActionCounts,
    /// Removals that wait for approval.
    pub held: Option<Held>,
    /// Everything a person has to mend.
    pub problems: Problems,
    /// Whether every group's members were compared with what the server holds.
    pub memberships_verified: bool,
    /// How long each phase took.
    pub durations: Vec<(Phase, Duration)>,
}

/// Whether a run changes the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Apply,
    /// It shows what it would do.
    Preview,
}

impl Report {
    /// Whether the organization agrees with the directory: nothing was to be done, nothing waits.
    pub fn in_step(&self) -> bool {
        self.held.is_none() && self.plan.as_ref().is_none_or(|plan| plan.changes.is_empty())
    }
}

/// How many changes of each kind, by the kind's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionCounts(BTreeMap<&'static str, usize>);

impl ActionCounts {
    /// Counts `changes`.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            counts.add(&change.action);
        }
        counts
    }

    /// Counts one more.
    pub fn add(&mut self, action: &Action) {
        *self.0.entry(action.name()).or_default() += 1;
    }

    /// Each kind that occurs with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// How many there are of one kind.
    pub fn get(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}
