//! Runs that are killed while they change roles and access, and what the record has of them then.

use directory_sync_core::sync::change_set::ChangeSet;
use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::plan::Change;
use directory_sync_core::sync::policy::Policy;
use directory_sync_core_testing::{ModelOrganization, Run, TestDirectory};
use proptest::prelude::*;

/// How far a run had come when it was killed.
#[derive(Debug, Clone, Copy)]
pub struct Killed {
    /// What was kept last: so many of its changes as done and so many more as requested; `None`: what was kept before
    /// the first of them.
    kept: Option<(usize, usize)>,
    /// So many more were made than were kept as done.
    more: usize,
}

/// What the record has of one change of a run that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Made,
    NotMade,
    InDoubt,
}

/// Whose something is that a member or a group has, as far as anybody can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose<T> {
    Somebodys,
    /// A run certainly gave it.
    Runs,
    /// A run was killed that was about to give it or take it, whichever of these it finds there.
    InDoubt(Vec<T>),
    /// It was there after that.
    Unclear,
    /// An undo gave it back.
    GivenBack,
}

impl<T: PartialEq> Whose<T> {
    /// Once somebody may have changed it by hand, and before the next run reads it; `is_other` than before.
    pub fn read(self, now: Option<&T>, is_other: bool) -> Self {
        match self {
            Self::InDoubt(any) => match now.is_some_and(|now| any.contains(now)) {
                true => Self::Unclear,
                false => Self::Somebodys,
            },
            _ if is_other => Self::Somebodys,
            known => known,
        }
    }

    /// Whether it is told once no rule gives it.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Unclear | Self::GivenBack)
    }

    /// Once a run was killed that was to make `to` of `from`.
    pub fn killed(self, kept: Kept, from: Option<T>, to: Option<T>) -> Self {
        match kept {
            Kept::NotMade => self,
            Kept::Made if to.is_some() => Self::Runs,
            Kept::Made => Self::Somebodys,
            Kept::InDoubt => {
                let from = from.filter(|_| self != Self::Somebodys);
                Self::InDoubt(from.into_iter().chain(to).collect())
            }
        }
    }
}

impl Killed {
    /// Before anything of it was made.
    pub fn before_its_changes() -> Self {
        Self {
            kept: None,
            more: 0,
        }
    }

    /// After so many changes, as the record that was kept before them has it.
    pub fn after(more: usize) -> Self {
        Self { kept: None, more }
    }

    /// Where the record has so many changes as done, and so many more as requested, of which some were made.
    pub fn noted(done: usize, requested: usize, more: usize) -> Self {
        Self {
            kept: Some((done, requested)),
            more,
        }
    }

    pub fn any() -> impl Strategy<Value = Self> {
        let kept = prop::option::weighted(0.6, (0..4usize, 0..3usize));
        (kept, 0..4usize).prop_map(|(kept, more)| Self { kept, more })
    }

    /// Plans, makes a part of it, and leaves the record as it was kept then. What the record has of each change.
    pub fn run(
        self,
        run: &mut Run,
        directory: &TestDirectory,
        organization: &mut ModelOrganization,
        policy: &Policy,
    ) -> (GuardedPlan, Vec<(Change, Kept)>) {
        let guarded = run.plan(directory, organization, policy);
        let kept = self.make(run, &guarded, organization);
        (guarded, kept)
    }

    /// The same of a plan that is there already.
    pub fn make(
        self,
        run: &mut Run,
        guarded: &GuardedPlan,
        organization: &mut ModelOrganization,
    ) -> Vec<(Change, Kept)> {
        run.ledger.before(guarded, run.now);
        let all = &guarded.approved.changes;
        let (done, requested) = self.kept.unwrap_or((0, all.len()));
        let done = done.min(all.len());
        let requested = done + requested.min(all.len() - done);
        let mut part = (*guarded.approved).clone();
        part.changes.truncate((done + self.more).min(requested));
        organization.apply(&part);
        let accepted = all[..done].iter();
        let accepted: ChangeSet = accepted.filter(|one| !organization.refuses(one)).collect();
        if self.kept.is_some() {
            let in_doubt: ChangeSet = all[done..requested].iter().collect();
            run.ledger = run.ledger.checkpoint(guarded, &accepted, &[], &in_doubt);
        }
        let kept = all.iter().enumerate().map(|(at, change)| {
            let kept = match at {
                _ if accepted.has(change) => Kept::Made,
                at if (done..requested).contains(&at) => Kept::InDoubt,
                _ => Kept::NotMade,
            };
            (change.clone(), kept)
        });
        kept.collect()
    }
}
