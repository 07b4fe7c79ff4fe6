//! Revokes at once whoever certainly left, without waiting for a whole run
//! ([decision 23](../../docs/decisions/0023-fast-lane.md)).
//!
//! A signal names an entry that seems to be disabled. That entry and its member are read by their ids, and if
//! nothing about them is in doubt, the member is revoked within the limits, with the same record and history
//! as by a run. Whatever is in doubt is left to an early whole run, as any other signal.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::checkpoints::{self, RecordReceiver};
use super::claims::ClaimResult;
use super::plan;
use super::run::Run;
use super::signals::{DirectoryWatch, MOST_SUSPECTS, Noticed, SuspectSignal, Suspects};
use super::state::ObjectState;
use crate::api::{DirectorySyncStatus, spec};
use crate::directory::ExternalId;
use crate::http::counting;
use crate::sync::history::{RunId, RunInfo, RunTrigger};
use crate::sync::progress::Progress;
use crate::sync::report::Report;
use crate::sync::run::{Beside, RunError, RunOptions, State};
use crate::sync::run_fast_lane;

/// The longest that it may take. What isn't done by then a whole run does.
const LIMIT: Duration = Duration::from_secs(60);

/// So many lots are looked at one after another where a run waits for that.
pub const LOTS: usize = 4;

/// How many people may be looked at: 60 a minute, after a burst of as many.
///
/// Each is a few requests to either side. A directory that is noisier than that is read whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FastLaneBudget {
    left: f64,
    at: Option<Timestamp>,
}

impl Default for FastLaneBudget {
    fn default() -> Self {
        Self {
            left: Self::BURST,
            at: None,
        }
    }
}

impl FastLaneBudget {
    const A_SECOND: f64 = 1.0;
    const BURST: f64 = 60.0;

    /// From when on so many more may be looked at; now they count where that is now.
    ///
    /// # Errors
    /// The time, where it isn't yet.
    pub fn take(&mut self, people: usize, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(at) = self.at {
            // A clock that was set back pays nothing back.
            let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            self.left = (self.left + passed.as_secs_f64() * Self::A_SECOND).min(Self::BURST);
        }
        self.at = Some(now);
        let people = people as f64;
        if people <= self.left {
            self.left -= people;
            return Ok(());
        }
        // As long as that for more than there ever is room for.
        let wait = Duration::from_secs_f64((people.min(Self::BURST) - self.left) / Self::A_SECOND);
        Err(Timestamp::saturating_add(now, wait).unwrap_or(Timestamp::MAX))
    }
}

impl Run<'_> {
    /// Revokes those of `suspects` who certainly left, where no run is under way.
    pub async fn revoke_between_runs(&self, state: &mut ObjectState, suspects: &Suspects) {
        let uid = self.object.metadata.uid.as_deref().unwrap_or_default();
        let running = match self.context.claims.begin(uid) {
            ClaimResult::Granted(running) => running,
            ClaimResult::OwnedBy(_) | ClaimResult::WaitFor(_) => {
                return leave_to_run(state, suspects);
            }
        };
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        self.revoke_before_run(state, &stop, suspects).await;
        self.entry.end();
        drop(running);
    }

    /// The same for a run that has its turn, or waits for it, and hasn't looked at the organization's claim yet.
    pub async fn revoke_before_run(
        &self,
        state: &mut ObjectState,
        stop: &CancellationToken,
        suspects: &Suspects,
    ) {
        let mut sync_state = std::mem::take(&mut state.sync);
        if let Some(events) = &self.context.cloud_events {
            sync_state.audit = events.of(&self.entry.object);
        }
        let stop = stop.child_token();
        let memory = self.context.memory.begin(stop.clone());
        let revoking = async {
            match self.claim(state, &stop).await {
                Ok(()) => {
                    self.revoke_at_once(state, &mut sync_state, &stop, suspects)
                        .await;
                }
                Err(_) => leave_to_run(state, suspects),
            }
        };
        counting(memory.counter(), Box::pin(revoking)).await;
        state.sync = sync_state;
    }

    /// The same where the claim was looked at: between runs, and beside one that only reads. Whoever it isn't
    /// certain of is left to a whole run.
    async fn revoke_at_once(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        stop: &CancellationToken,
        suspects: &Suspects,
    ) {
        let storage = Some(plan::storage(self.object));
        let is_restored = state.plan.storage == storage && state.records.storage == storage;
        if !is_restored
            || !self.follows_success(state)
            || self.connected.spec.mode != spec::Mode::Apply
        {
            return leave_to_run(state, suspects);
        }
        let people = &suspects.people;
        if let Some(watch) = &state.watch
            && !suspects.waiting.is_empty()
        {
            let all: Vec<ExternalId> = people.iter().chain(&suspects.waiting).cloned().collect();
            let policy = &self.connected.spec.policy;
            if !run_fast_lane::limits_allow(policy, sync_state, &all) {
                tracing::info!(
                    people = all.len(),
                    "a whole run decides about people who seem to have left: together they are more than a limit \
                     allows, or nothing certain is known of them"
                );
                return watch.leave_to_run(suspects.noticed);
            }
        }
        if let Err(until) = state.fast_lane.take(people.len(), Timestamp::now()) {
            if let Some(watch) = &state.watch {
                watch.postpone(suspects.clone(), until);
            }
            return;
        }
        let stop = stop.child_token();
        let too_long = async {
            sleep(LIMIT).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let work = async {
            let progress = Arc::new(Progress::default());
            let options = RunOptions {
                seen: Some(suspects.noticed.at),
                ..RunOptions::new(&progress, &stop)
            };
            let revoking = self.plan_and_revoke(state, sync_state, &options, people);
            let result = Box::pin(revoking).await;
            self.measure_outcomes(sync_state);
            self.keep_history(state, &mut sync_state.history).await;
            self.name_history(state).await;
            match result {
                Ok(settled) => settled,
                Err(error) => {
                    tracing::info!(%error, "a whole run goes on with what a signal told");
                    false
                }
            }
        };
        let settled = tokio::select! {
            settled = work => settled,
            () = too_long => false,
        };
        match (&state.watch, settled) {
            (Some(watch), true) => watch.confirm(suspects.noticed),
            _ => leave_to_run(state, suspects),
        }
    }

    /// Whether the last whole run succeeded, with this spec and these Secrets.
    fn follows_success(&self, state: &ObjectState) -> bool {
        let Some(history) = &state.history else {
            return false;
        };
        let last = history.last.as_ref();
        history.failures == 0
            && last.is_some_and(|last| {
                last.generation == self.desired.generation
                    && last.fingerprint == Some(self.desired.fingerprint)
            })
    }

    /// Takes those who seem to have left by now and revokes who certainly did, in the middle of a run that has
    /// made way. What the run does from then on is in the history under a number of its own.
    pub async fn revoke_within_run(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        stop: &CancellationToken,
    ) {
        let Some(signal) = state.watch.as_ref().map(DirectoryWatch::suspect_signal) else {
            return;
        };
        for _ in 0..LOTS {
            let Some(suspects) = signal.gather_now().await else {
                break;
            };
            self.revoke_beside_run(state, sync_state, stop, &suspects)
                .await;
        }
    }

    async fn revoke_beside_run(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        stop: &CancellationToken,
        suspects: &Suspects,
    ) {
        self.revoke_at_once(state, sync_state, stop, suspects).await;
        sync_state.history.start(self.info(Timestamp::now()));
    }

    /// As a run does: the record is kept and status names it before the first change.
    async fn plan_and_revoke(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
        suspects: &[ExternalId],
    ) -> Result<bool, RunError> {
        let (source, organization) = (&*self.connected.source, &self.connected.organization);
        let policy = &self.connected.spec.policy;
        let planning =
            run_fast_lane::plan(source, organization, policy, sync_state, options, suspects);
        let Some(planned) = Box::pin(planning).await? else {
            return Ok(false);
        };
        let settles = !planned.is_partial;
        if planned.changes().is_empty() {
            // Somebody was faster.
            return Ok(settles);
        }
        tracing::info!(
            people = planned.changes().len(),
            "people who left are revoked at once"
        );
        sync_state.history.start(RunInfo {
            id: RunId::at(Timestamp::now()),
            trigger: RunTrigger::FastLane,
            approved_by: None,
            undoes: None,
            directory_sync: None,
        });
        let before = state.status.clone();
        planned.record(sync_state);
        self.keep_history(state, &mut sync_state.history).await;
        let kept = self.keep(state, sync_state, None).await;
        if kept.is_err() {
            state.plan.seal.unwritten();
        }
        let written = self.name_record(state, &before).await;
        let Some(kept) = kept.ok().flatten().filter(|_| written) else {
            let why = "its object is gone, or status can't be written";
            return Err(RunError::unrecorded(why));
        };
        let mut written_plan = Some(kept);
        let (sender, records) = checkpoints::channel(self.context.timing.record);
        let apply = RunOptions {
            checkpoints: Some(&sender),
            ..*options
        };
        let applying = Box::pin(planned.apply(sync_state, &apply));
        let applied = self
            .observed(state, options, records, &mut written_plan, applying)
            .await;
        self.keep(state, sync_state, None).await.ok();
        self.name_record(state, &before).await;
        let report: Report = applied?;
        self.count_changes(&report.applied);
        self.tell_of_changes(&report).await;
        Ok(settles && report.problems.count() == 0)
    }

    /// Has status name the record and the history that were written, and nothing else: all other things are as
    /// the last whole run left them. Whether it could be written.
    async fn name_record(&self, state: &mut ObjectState, before: &DirectorySyncStatus) -> bool {
        let mut status = before.clone();
        state.records.put(&mut status);
        status.memberships_digest = state.plan.memberships.clone();
        state.plan.seal.put(&mut status);
        self.publisher.publish_best_effort(state, status).await
    }
}

fn leave_to_run(state: &ObjectState, suspects: &Suspects) {
    if let Some(watch) = &state.watch {
        watch.put_back(suspects.noticed);
    }
}

/// A run that reads. Meanwhile its progress is told, and whoever certainly left is revoked: nothing is written
/// by the run itself, so that the record and the history belong to one of both at any time.
pub struct ReadingRun<'r, 's> {
    run: &'r Run<'r>,
    state: &'s mut ObjectState,
    options: &'s RunOptions<'s>,
}

impl<'r, 's> ReadingRun<'r, 's> {
    /// Of `run`, which goes as `options` say.
    pub fn new(run: &'r Run<'r>, state: &'s mut ObjectState, options: &'s RunOptions<'s>) -> Self {
        Self {
            run,
            state,
            options,
        }
    }
}

impl Beside for ReadingRun<'_, '_> {
    fn read<'s>(
        &'s mut self,
        sync_state: &'s mut State,
        reading: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, ()> {
        Box::pin(self.read_and_revoke(sync_state, reading))
    }

    fn revoke<'s>(
        &'s mut self,
        sync_state: &'s mut State,
        people: &'s [ExternalId],
    ) -> BoxFuture<'s, ()> {
        Box::pin(self.revoke_in_lots(sync_state, people))
    }
}

impl ReadingRun<'_, '_> {
    async fn read_and_revoke(&mut self, sync_state: &mut State, mut reading: BoxFuture<'_, ()>) {
        let Self {
            run,
            state,
            options,
        } = self;
        let signal = state.watch.as_ref().map(DirectoryWatch::suspect_signal);
        loop {
            let (records, mut nothing) = (RecordReceiver::closed(), None);
            let observed = run.observed(state, options, records, &mut nothing, reading.as_mut());
            let suspects = tokio::select! {
                biased;
                () = observed => return,
                suspects = gathered(signal.as_ref()) => suspects,
            };
            let revoking = run.revoke_beside_run(state, sync_state, options.stop, &suspects);
            let read = while_doing(&mut reading, Box::pin(revoking)).await;
            if read.is_some() {
                return;
            }
        }
    }

    /// Those whom the run itself has found, if they aren't more than it may wait for.
    async fn revoke_in_lots(&mut self, sync_state: &mut State, mut people: &[ExternalId]) {
        let Self {
            run,
            state,
            options,
        } = self;
        if people.len() > LOTS * MOST_SUSPECTS {
            return;
        }
        let noticed = Noticed {
            at: options.seen.unwrap_or_else(Timestamp::now),
            changed: None,
        };
        while !people.is_empty() {
            let (lot, waiting) = people.split_at(MOST_SUSPECTS.min(people.len()));
            let suspects = Suspects {
                noticed,
                people: lot.to_vec(),
                waiting: waiting.to_vec(),
            };
            run.revoke_beside_run(state, sync_state, options.stop, &suspects)
                .await;
            people = waiting;
        }
    }
}

/// Those who seem to have left, if any ever do.
pub async fn gathered(signal: Option<&SuspectSignal>) -> Suspects {
    match signal {
        Some(signal) => signal.gather().await,
        None => std::future::pending().await,
    }
}

/// Does `work` to its end, and goes on with `other` meanwhile: what that came to, if it has ended by then.
pub async fn while_doing<T>(
    other: impl Future<Output = T>,
    work: impl Future<Output = ()>,
) -> Option<T> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = other => {
            work.await;
            Some(done)
        }
        () = &mut work => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_which_everybody_seems_to_leave_is_read_whole() {
        let noon: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let mut budget = FastLaneBudget::default();
        let second = Duration::from_secs(1);
        assert!((0..60).all(|_| budget.take(1, noon).is_ok()));
        assert_eq!(budget.take(5, noon), Err(noon + second * 5));
        let later = noon + second * 10;
        assert_eq!(budget.take(10, later), Ok(()));
        assert_eq!(budget.take(1, later), Err(later + second));
        assert_eq!(budget.take(1, noon), Err(noon + second), "a clock set back");
        assert_eq!(budget.take(1, later + second), Ok(()));
        assert_eq!(FastLaneBudget::default().take(61, noon), Err(noon), "never");
    }
}
