//! Revokes at once whoever certainly left, without waiting for a whole run
//! ([decision 23](../../docs/decisions/0023-fast-lane.md)).
//!
//! A signal names an entry that seems to be disabled. That entry and its member are read by their ids, and if
//! nothing about them is in doubt, the member is revoked within the limits, with the same record and history
//! as by a run. Whatever is in doubt is left to an early whole run, as any other signal.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::checkpoints;
use super::claims::ClaimResult;
use super::plan;
use super::run::Run;
use super::state::ObjectState;
use crate::api::{DirectorySyncStatus, spec};
use crate::directory::ExternalId;
use crate::http::counting;
use crate::sync::history::{RunId, RunInfo, RunTrigger};
use crate::sync::progress::Progress;
use crate::sync::report::Report;
use crate::sync::run::{RunError, RunOptions, State};
use crate::sync::run_fast_lane;

/// The longest that it may take. What isn't done by then a whole run does.
const LIMIT: Duration = Duration::from_secs(60);

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

    /// Whether so many more may be looked at now; then they count.
    pub fn take(&mut self, people: usize, now: Timestamp) -> bool {
        if let Some(at) = self.at {
            // A clock that was set back pays nothing back.
            let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            self.left = (self.left + passed.as_secs_f64() * Self::A_SECOND).min(Self::BURST);
        }
        self.at = Some(now);
        let people = people as f64;
        let may = people <= self.left;
        if may {
            self.left -= people;
        }
        may
    }
}

impl Run<'_> {
    /// Revokes those of `suspects` who certainly left. Whether that settles what is known of all of them; else
    /// a whole run has to come.
    pub async fn revoke_at_once(&self, state: &mut ObjectState, suspects: &[ExternalId]) -> bool {
        let storage = Some(plan::storage(self.object));
        let is_restored = state.plan.storage == storage && state.records.storage == storage;
        if !is_restored
            || self.connected.spec.mode != spec::Mode::Apply
            || !state.fast_lane.take(suspects.len(), Timestamp::now())
        {
            return false;
        }
        let uid = self.object.metadata.uid.as_deref().unwrap_or_default();
        let ClaimResult::Granted(running) = self.context.claims.begin(uid) else {
            return false;
        };
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        let too_long = async {
            sleep(LIMIT).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let work = async {
            if self.claim(state, &stop).await.is_err() {
                return false;
            }
            let progress = Arc::new(Progress::default());
            let options = RunOptions {
                seen: self.noticed,
                ..RunOptions::new(&progress, &stop)
            };
            let mut sync_state = std::mem::take(&mut state.sync);
            if let Some(events) = &self.context.cloud_events {
                sync_state.audit = events.of(&self.entry.object);
            }
            let memory = self.context.memory.begin(stop.clone());
            let revoking = self.plan_and_revoke(state, &mut sync_state, &options, suspects);
            let result = counting(memory.counter(), Box::pin(revoking)).await;
            self.measure_exposures(&mut sync_state);
            self.keep_history(state, &mut sync_state.history).await;
            self.name_history(state).await;
            state.sync = sync_state;
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
        self.entry.end();
        drop(running);
        settled
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
            return Err(RunError::Unrecorded(why.to_owned()));
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
        for (kind, count) in report.applied.iter() {
            let object = &self.entry.object;
            self.context
                .metrics
                .changes_applied(object, kind.name(), count);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_which_everybody_seems_to_leave_is_read_whole() {
        let noon: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let mut budget = FastLaneBudget::default();
        assert!((0..60).all(|_| budget.take(1, noon)));
        assert!(!budget.take(1, noon));
        let later = noon + Duration::from_secs(10);
        assert!(budget.take(10, later) && !budget.take(1, later));
        assert!(!budget.take(1, noon), "a clock set back");
        assert!(!FastLaneBudget::default().take(61, noon));
    }
}
