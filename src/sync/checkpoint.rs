//! The record of what a run takes away, kept up to date while it makes its changes.
//!
//! The record that is kept before the first change counts everything that the plan takes away. A
//! process that is killed later leaves open what of it was done: which of the approved changes are
//! used up, and whom this program revoked (nobody else is restored by it). So the record is kept again
//! and again, ahead of the revocations and restores that are requested next. What is unknown after that are
//! the few requests around the end of the process. Of the revocations only the first is noted as ours: the
//! others may as well have been done by hand. Whoever was about to get access back and is revoked then may have
//! been revoked by hand since. The same of roles and of access to collections: whichever was about to be given or
//! taken back, and is there then, may have been given by hand since.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::sync::change_set::ChangeSet;
use crate::sync::guard::GuardedPlan;
use crate::sync::ledger::Ledger;
use crate::sync::plan::Change;
use crate::sync::report::Applied;

/// So many changes are noted as requested at once, at most.
const AHEAD_MAX: usize = 500;

/// Where a record is kept.
pub trait Checkpoints: Sync {
    /// The time between two writes, about. Each has the whole record, and a disk or an API server has
    /// others to serve. Zero: it is written before each revocation, each restore and each change of access.
    fn interval(&self) -> Duration;

    /// Keeps it in place of the one that was kept before the run's first change. Where that fails, the
    /// one that is there stays: it makes the next run more careful.
    fn keep(&self, ledger: Ledger) -> BoxFuture<'_, ()>;
}

/// The record of one run that makes its changes.
pub struct Checkpoint<'a> {
    to: Option<&'a dyn Checkpoints>,
    ledger: &'a Ledger,
    guarded: &'a GuardedPlan,
    written: Option<Instant>,
    /// How many changes the last record has as done.
    done: usize,
    /// How many revocations, or restores, are noted ahead of their requests.
    ahead: usize,
    /// How many of those haven't been requested yet.
    left: usize,
    /// The changes of roles and access that the last record has as requested.
    noted: ChangeSet,
}

impl<'a> Checkpoint<'a> {
    /// For the changes of `guarded`, which `ledger` has noted already.
    pub fn new(
        to: Option<&'a dyn Checkpoints>,
        ledger: &'a Ledger,
        guarded: &'a GuardedPlan,
    ) -> Self {
        Self {
            to,
            ledger,
            guarded,
            written: None,
            done: 0,
            ahead: 1,
            left: 0,
            noted: ChangeSet::default(),
        }
    }

    /// To be called before each revocation and each restore, with those of that kind that are to come, this
    /// one the first.
    pub(super) async fn before_single(
        &mut self,
        to_come: impl Iterator<Item = &Change>,
        applied: &Applied,
    ) {
        let Some(to) = self.to else { return };
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return;
        }
        self.adapt(to.interval());
        let requested: Vec<&Change> = to_come.take(self.ahead).collect();
        self.left = requested.len().saturating_sub(1);
        self.write(&requested, applied).await;
    }

    /// To be called before each change of a role or of access to collections, with those that are to come, this one the
    /// first.
    pub(super) async fn before_access<'c>(
        &mut self,
        mut to_come: impl Iterator<Item = &'c Change>,
        applied: &Applied,
    ) {
        let (Some(to), Some(first)) = (self.to, to_come.next()) else {
            return;
        };
        if self.noted.has(first) {
            return;
        }
        self.adapt(to.interval());
        self.noted
            .extend(std::iter::once(first).chain(to_come.take(self.ahead - 1)));
        // Revocations that were noted ahead aren't any more.
        self.left = 0;
        self.write(&[], applied).await;
    }

    /// To be called once the last of them was answered: what was given until then is known, however long the run goes
    /// on.
    pub(super) async fn after_access(&mut self, applied: &Applied) {
        if !self.noted.is_empty() && applied.done.len() > self.done {
            self.write(&[], applied).await;
        }
    }

    /// About as many are noted ahead as are requested until it is time for the next record.
    fn adapt(&mut self, interval: Duration) {
        let Some(written) = self.written else { return };
        let took = written.elapsed();
        if took < interval / 2 {
            self.ahead = (self.ahead * 2).min(AHEAD_MAX);
        } else if took > interval {
            self.ahead = (self.ahead / 2).max(1);
        }
    }

    /// To be called after changes that weren't noted ahead.
    pub(super) async fn after_changes(&mut self, applied: &Applied) {
        if self.due_in(applied) == Some(Duration::ZERO) {
            self.write(&[], applied).await;
        }
    }

    /// Waits for the answer to a request, and writes the record meanwhile as soon as it is due: however long the
    /// answer takes, what was done before is known. `requested` is the revocation or restore that is waited
    /// for.
    pub(super) async fn during<T>(
        &mut self,
        requested: Option<&Change>,
        applied: &Applied,
        mut answer: impl Future<Output = T> + Unpin,
    ) -> T {
        while let Some(due) = self.due_in(applied) {
            // Where it was noted ahead, the record is written anew with the next ones, unless this one takes long.
            let interval = self.to.map_or(Duration::ZERO, Checkpoints::interval);
            let left = requested.map_or(due, |_| interval * 2);
            if let Ok(answer) = timeout(left, &mut answer).await {
                return answer;
            }
            let requested: Vec<&Change> = requested.into_iter().collect();
            // Those that were noted ahead aren't any more.
            self.left = 0;
            self.write(&requested, applied).await;
        }
        answer.await
    }

    /// Whether a change that is made has to be noted as done whatever it is: it may be one that was approved,
    /// and isn't made again because of that.
    pub(super) fn uses_approval(&self) -> bool {
        self.ledger.is_using_approval()
    }

    /// In what time the record has to be written again; `None` where it has everything.
    fn due_in(&self, applied: &Applied) -> Option<Duration> {
        let interval = self.to?.interval();
        let left = self.written.map_or(Duration::ZERO, |written| {
            interval.saturating_sub(written.elapsed())
        });
        (applied.done.len() > self.done).then_some(left)
    }

    async fn write(&mut self, requested: &[&Change], applied: &Applied) {
        let Some(to) = self.to else { return };
        self.noted.remove_all(&applied.done);
        self.noted.remove_all(&applied.refused);
        let mut in_doubt = applied.in_doubt.clone();
        in_doubt.extend(self.noted.iter());
        let ledger = self
            .ledger
            .checkpoint(self.guarded, &applied.done, requested, &in_doubt);
        to.keep(ledger).await;
        self.written = Some(Instant::now());
        self.done = applied.done.len();
    }
}
