//! One run of one object, from its turn to its report.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::checkpoints::{self, RecordReceiver, WrittenPlan};
use super::context::Context;
use super::decision::{Attempt, Desired, after_refusal, needs_full_resync};
use super::fast_lane::{ReadingRun, gathered, while_doing};
use super::history::{self, Addition, FoundOpen, HistoryError};
use super::objects::Entry;
use super::outcome::{self, PublishedAs, Requeue, RunFailure};
use super::plan::{self, PlanContent, PlanError, PlanIndex};
use super::publish::Publisher;
use super::record_seal::RecordSeal;
use super::run_queue::RunPermit;
use super::sealed_runs::NamedRuns;
use super::signals::DirectoryWatch;
use super::state::{Connected, HeldList, ObjectState, Prepared};
use super::watchdog::{Watchdog, is_large};
use super::{expiry, references, requests};
use crate::api::conditions::{Blocker, ConditionType, SYNCING, SyncOutcome, WAITING, find};
use crate::api::spec::PlanStorage;
use crate::api::{DirectorySync, DirectorySyncStatus, spec};
use crate::http::counting;
use crate::sync::guard::{Approval, Digest, GuardedPlan};
use crate::sync::history::{History, RunId, RunInfo, RunTrigger};
use crate::sync::ledger::Ledger;
use crate::sync::memberships::MembershipCache as Memberships;
use crate::sync::plan::Kind;
use crate::sync::progress::{Phase, Progress};
use crate::sync::render::Sides;
use crate::sync::report::{ActionCounts, Report};
use crate::sync::run::{self, RunError, RunOptions, State};
use crate::telemetry::{RunResult, SizeOf};

const UNSEALED: &str =
    "status can't be written, and has to name the record before anything is changed";
const RECORD_NOT_BELIEVED: &str = "the record of earlier removals is missing or isn't the one that the operator \
                                   wrote last; what rests on absence is held for a day";

/// So often a run makes way while it makes its changes, however many seem to leave: each time it reads both
/// sides again.
pub(super) const MAKES_WAY: usize = 3;

/// One run of one object, from its turn to its report.
pub struct Run<'a> {
    /// What all reconciles share: clients, claims, settings.
    pub context: &'a Context,
    /// Where the watch finds the run, to stop it.
    pub entry: &'a Entry,
    /// The resource as it was when the run began.
    pub object: &'a DirectorySync,
    /// Writes conditions and events.
    pub publisher: &'a Publisher<'a>,
    /// The spec and its Secrets, read and checked.
    pub prepared: &'a Prepared,
    /// The clients of the directory and of the organization.
    pub connected: &'a Connected,
    /// What is asked for.
    pub desired: Desired<'a>,
    /// What made it begin now.
    pub trigger: RunTrigger,
    /// When a signal told that something had changed in the directory, if one did since the last run.
    pub noticed: Option<Timestamp>,
}

impl Run<'_> {
    /// Runs, and reports; the time of the next run, where there is one.
    pub async fn execute(&self, state: &mut ObjectState) -> Option<Timestamp> {
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        let next = match Box::pin(self.turn(state, &stop)).await {
            // Each step on the heap: without optimization a future by value takes the stack of each poll
            // around it.
            Some(permit) => Box::pin(self.with_permit(state, Arc::new(permit), &stop)).await,
            None => self.stopped(),
        };
        self.entry.end();
        next
    }

    /// Waits for the permit to run, and says so where that takes time. Meanwhile whoever certainly left is
    /// revoked. `None` where asked to stop.
    pub(super) async fn turn(
        &self,
        state: &mut ObjectState,
        stop: &CancellationToken,
    ) -> Option<RunPermit> {
        let large = state.large || is_large(&state.status);
        let namespace = &self.entry.object.namespace;
        let has_succeeded = state.status.last_sync_time.is_some();
        let queue = &self.context.run_queue;
        let signal = state.watch.as_ref().map(DirectoryWatch::suspect_signal);
        let turn = queue.acquire(namespace, large, has_succeeded);
        let mut turn = pin!(stop.run_until_cancelled(turn));
        let mut queued = pin!(sleep(self.context.timing.queued));
        let mut is_told = false;
        loop {
            let work = tokio::select! {
                biased;
                permit = &mut turn => return permit,
                () = &mut queued, if !is_told => None,
                suspects = gathered(signal.as_ref()) => Some(suspects),
            };
            is_told |= work.is_none();
            let working: BoxFuture<'_, ()> = match &work {
                Some(suspects) => Box::pin(self.revoke_before_run(state, stop, suspects)),
                None => Box::pin(self.tell_of_queue(state, large)),
            };
            if let Some(permit) = while_doing(turn.as_mut(), working).await {
                return permit;
            }
        }
    }

    async fn tell_of_queue(&self, state: &mut ObjectState, large: bool) {
        let has_to_say = self.has_to_announce(state) || says(&state.status, SYNCING);
        if has_to_say && !has_reason(&state.status, Blocker::AlreadyManaged) {
            let message = match large {
                true => "waits until no other large directory is synced; they run one at a time",
                false => "waits for its turn: as many runs as may run at a time are under way",
            };
            let outcome = SyncOutcome::Waiting {
                message: message.to_owned(),
            };
            let status = self.publisher.status_with(state, &outcome, |status| {
                status.next_sync_time = None;
            });
            self.publisher.publish_best_effort(state, status).await;
        }
    }

    async fn with_permit(
        &self,
        state: &mut ObjectState,
        permit: Arc<RunPermit>,
        stop: &CancellationToken,
    ) -> Option<Timestamp> {
        let started = Timestamp::now();
        if let Err(error) = Box::pin(self.restore(state)).await {
            let error = RunError::unrecorded(error.to_string());
            return Some(self.failed(state, &error, started, Duration::ZERO).await);
        }
        let mut history = std::mem::take(&mut state.sync.history);
        Box::pin(self.restore_history(state, &mut history)).await;
        state.sync.history = history;
        Box::pin(self.recall_undone(state)).await;
        // An object that another operator's keeps from its organization says so all the time.
        let contested = has_reason(&state.status, Blocker::AlreadyManaged);
        if !contested {
            self.announce(state).await;
        }
        let clock = Instant::now();
        // A server that doesn't answer holds nobody up.
        permit.set_idle(true);
        let claimed = self.claim(state, stop).await;
        permit.set_idle(false);
        if let Err(reason) = claimed {
            return self.not_claimed(state, reason, started, clock).await;
        }
        if contested {
            self.announce(state).await;
        }
        tracing::info!(trigger = ?self.trigger, "sync starts");
        self.connected.ask_beside(&self.entry.object);
        let watchdog = Arc::new(Watchdog::default());
        let memory = self.context.memory.begin(stop.clone());
        let running = Box::pin(self.run(state, (&watchdog, &permit), stop, started));
        let result = counting(memory.counter(), running).await;
        let took = clock.elapsed();
        match result {
            Err(error @ RunError::Stopped { .. }) if watchdog.expired().is_some() => {
                let failed = watchdog.expired().map(outcome::of_expired)?;
                let applied = error.applied();
                let failed = failed.after(applied);
                Some(self.report(state, failed, applied, started, took).await)
            }
            Err(RunError::Stopped { applied, .. }) if memory.was_ended().is_some() => {
                let received = memory.was_ended()?;
                let failed = outcome::of_memory(self.context.memory.limit_mib(), received);
                drop(memory);
                let failed = failed.after(&applied);
                Some(self.report(state, failed, &applied, started, took).await)
            }
            Err(RunError::Stopped { applied, .. }) if watchdog.has_to_wait() => {
                state.large = true;
                self.count_changes(&applied);
                self.stopped()
            }
            Ok(report) => Some(Box::pin(self.finished(state, &report, started, took)).await),
            Err(RunError::Stopped { during, applied }) => {
                tracing::info!(
                    during = during.name(),
                    changes = applied.total(),
                    "sync stopped"
                );
                self.count(RunResult::Interrupted, took, &[], &applied);
                self.stopped()
            }
            Err(error) => Some(self.failed(state, &error, started, took).await),
        }
    }

    /// Plans, publishes the plan, and applies it.
    async fn run(
        &self,
        state: &mut ObjectState,
        (watchdog, permit): (&Arc<Watchdog>, &Arc<RunPermit>),
        stop: &CancellationToken,
        started: Timestamp,
    ) -> Result<Report, RunError> {
        let progress = Arc::new(Progress::default());
        let approval = self.desired.approval.map(|digest| Approval {
            digest: Digest(digest.to_owned()),
        });
        let history = state.history.clone().unwrap_or_default();
        let options = RunOptions {
            approval: approval.as_ref(),
            full_resync: needs_full_resync(self.trigger, &self.desired, &history, started),
            keeps_baseline: self.connected.spec.signals
                && self.connected.spec.mode == spec::Mode::Apply,
            seen: self.noticed,
            schedule: Some(&self.connected.spec.schedule),
            ..RunOptions::new(&progress, stop)
        };
        let mut sync_state = std::mem::take(&mut state.sync);
        if let Some(events) = &self.context.cloud_events {
            sync_state.audit = events.of(&self.entry.object);
        }
        sync_state.history.start(self.info(started));
        let mut watching = self.watch(watchdog, permit, &progress, stop);
        let result = Box::pin(self.run_phases(state, &mut sync_state, &options)).await;
        self.measure_outcomes(&mut sync_state);
        Box::pin(self.keep_history(state, &mut sync_state.history)).await;
        if matches!(result, Err(RunError::Stopped { .. })) {
            // Nothing else writes status then.
            self.name_history(state).await;
        }
        // And with it its hold on the permit.
        watching.shutdown().await;
        state.sync = sync_state;
        result
    }

    /// What the history says of the run, from this time on.
    pub(super) fn info(&self, at: Timestamp) -> RunInfo {
        let approved_by = requests::approved_by(&self.object.metadata);
        RunInfo {
            id: RunId::at(at),
            trigger: self.trigger,
            approved_by: approved_by.map(Into::into),
            undoes: None,
            directory_sync: None,
        }
    }

    /// Watches the run in a task of its own: the run's task stands still while it computes. The task
    /// holds the permit.
    pub(super) fn watch(
        &self,
        watchdog: &Arc<Watchdog>,
        permit: &Arc<RunPermit>,
        progress: &Arc<Progress>,
        stop: &CancellationToken,
    ) -> JoinSet<()> {
        let (watchdog, permit) = (Arc::clone(watchdog), Arc::clone(permit));
        let (progress, stop) = (Arc::clone(progress), stop.clone());
        let timing = self.context.timing.clone();
        let mut watching = JoinSet::new();
        watching.spawn(async move { watchdog.watch(&progress, &permit, &timing, &stop).await });
        watching
    }

    /// Plans and applies, and plans again where somebody else changed a group meanwhile.
    async fn run_phases(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
    ) -> Result<Report, RunError> {
        let mut report = Box::pin(self.run_to_end(state, sync_state, options)).await?;
        let again = RunOptions {
            full_resync: false,
            ..*options
        };
        for _ in 0..run::REPLANS {
            if !report.changed_meanwhile {
                break;
            }
            tracing::info!("somebody else changed a group meanwhile; the sync plans again");
            match Box::pin(self.run_to_end(state, sync_state, &again)).await {
                Ok(next) => report = next.after(report),
                // What was changed stays, and the next run reads these groups.
                Err(RunError::Source { error, applied }) => {
                    tracing::warn!(%error, "the directory couldn't be read again");
                    report.applied.merge(&applied);
                    break;
                }
                Err(error) => return Err(error.after(&report)),
            }
        }
        Ok(report)
    }

    /// Plans and applies. Where somebody certainly left while changes are made, the run makes way between two
    /// of them, and begins anew once they are revoked.
    async fn run_to_end(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
    ) -> Result<Report, RunError> {
        let mut before = ActionCounts::default();
        for _ in 0..MAKES_WAY {
            let make_way = CancellationToken::new();
            let options = RunOptions {
                make_way: options.approval.is_none().then_some(&make_way),
                ..*options
            };
            match Box::pin(self.run_once(state, sync_state, &options)).await {
                Err(RunError::MadeWay { applied }) => before.merge(&applied),
                ended => return with_earlier(ended, &before),
            }
            tracing::info!("the sync makes way for revocations, and plans again then");
            self.measure_outcomes(sync_state);
            Box::pin(self.keep_history(state, &mut sync_state.history)).await;
            Box::pin(self.revoke_within_run(state, sync_state, options.stop)).await;
        }
        let ended = Box::pin(self.run_once(state, sync_state, options)).await;
        with_earlier(ended, &before)
    }

    async fn run_once(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
    ) -> Result<Report, RunError> {
        let Connected {
            source,
            organization,
            spec,
        } = self.connected;
        let sides = (&**source, organization, &spec.policy);
        let mut reading = ReadingRun::new(self, state, options);
        let planning = run::plan_beside(sides, sync_state, options, &mut reading);
        let mut planned = Box::pin(planning).await?;
        let uid = self.uid();
        let claim = self.context.claims.eligibility(uid);
        let prefix = self.connected.claimed_prefix(None);
        if claim.is_some_and(|(claim, _)| claim.prefix != prefix) {
            tracing::info!(
                "whether the organization can be read is known only now, and how much of it is to be \
                 claimed; the sync starts anew"
            );
            return Err(RunError::Stopped {
                during: Phase::Plan,
                applied: ActionCounts::default(),
            });
        }
        if spec.mode == spec::Mode::Preview {
            return Ok(planned.preview(sync_state));
        }
        planned.invalidate(sync_state);
        let mut written_plan = None;
        if let Some(guarded) = planned.guarded()
            && !planned.changes().is_empty()
        {
            Box::pin(self.keep_history(state, &mut sync_state.history)).await;
            // Published before anything is changed: a process that takes over in the middle goes by
            // it.
            let keeping = self.keep_before(state, sync_state, Some(guarded), options.progress);
            written_plan = Box::pin(keeping).await?;
        }
        let (sender, records) = checkpoints::channel(self.context.timing.record);
        let make_way = options.make_way;
        let make_way = make_way.filter(|_| planned.leaves_somebody_to_the_fast_lane());
        let apply = RunOptions {
            checkpoints: Some(&sender),
            make_way,
            ..*options
        };
        let signal = state.watch.as_ref().map(DirectoryWatch::suspect_signal);
        let applying = Box::pin(planned.apply(sync_state, &apply));
        let urgent = async {
            match &signal {
                Some(signal) => signal.wait().await,
                None => std::future::pending().await,
            }
        };
        let applying = asking_to_make_way(applying, urgent, make_way);
        let applied = self
            .observed(state, options, records, &mut written_plan, applying)
            .await;
        if applied.is_err() {
            // This process may be about to end.
            let ledger = sync_state.ledger.clone();
            self.keep_record(state, &mut written_plan, ledger).await;
            self.write_seal(state).await;
        }
        applied
    }

    /// Keeps the record before the first change: what is about to be done counts from now on. Status names it
    /// by then, and no other one.
    ///
    /// # Errors
    /// When nothing would tell a later process of it.
    pub(super) async fn keep_before(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        guarded: Option<&GuardedPlan>,
        progress: &Progress,
    ) -> Result<Option<WrittenPlan>, RunError> {
        let kept = Box::pin(self.keep(state, sync_state, guarded)).await;
        if kept.is_err() {
            state.plan.seal.unwritten();
        }
        match (kept, self.report_progress(state, progress).await) {
            (kept, true) => Ok(kept.ok().flatten()),
            (Err(error), false) => Err(RunError::unrecorded(error.to_string())),
            (Ok(_), false) => Err(RunError::unrecorded(UNSEALED)),
        }
    }

    /// Writes to status which records are the operator's. Whether that was possible.
    async fn write_seal(&self, state: &mut ObjectState) -> bool {
        let before = state.status.clone();
        let mut status = before.clone();
        state.plan.seal.put(&mut status);
        let written = self.publisher.publish_best_effort(state, status).await;
        if !written {
            state.status = before;
        }
        written
    }

    /// Does `work`, and meanwhile reports how far things are, keeps the record and looks for changed
    /// Secrets.
    pub(super) async fn observed<T>(
        &self,
        state: &mut ObjectState,
        options: &RunOptions<'_>,
        records: RecordReceiver,
        written: &mut Option<WrittenPlan>,
        work: impl Future<Output = T>,
    ) -> T {
        let beside = async {
            tokio::join!(
                self.keep_reporting(state, options.progress, records, written),
                self.watch_references(options.stop)
            )
        };
        let (mut work, mut beside) = (pin!(work), pin!(beside));
        tokio::select! {
            done = &mut work => done,
            _ = &mut beside => work.await,
        }
    }

    async fn keep_reporting(
        &self,
        state: &mut ObjectState,
        progress: &Progress,
        mut records: RecordReceiver,
        written: &mut Option<WrittenPlan>,
    ) {
        let every = self.context.timing.progress;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.report_progress(state, progress).await;
                }
                Some(record) = records.next() => {
                    self.keep_record(state, written, record.ledger).await;
                    // A run that was stopped doesn't wait for it.
                    record.kept.send(()).ok();
                }
            }
        }
    }

    /// Writes the record of a run that is making its changes over the one that was written before, once
    /// status names both.
    pub(super) async fn keep_record(
        &self,
        state: &mut ObjectState,
        written: &mut Option<WrittenPlan>,
        ledger: Ledger,
    ) {
        let Some(plan) = written else { return };
        let before = plan.content.ledger();
        state.plan.seal.announce(&ledger, before);
        if !self.write_seal(state).await {
            tracing::warn!(
                "status can't be written, so the record of removals stays as it is for now"
            );
            return;
        }
        plan.content.set_ledger(&ledger);
        let (client, storage) = (&self.context.client, plan::storage(self.object));
        let (content, version) = (&plan.content, &plan.version);
        match plan::rewrite(client, self.object, storage, content, version).await {
            Ok(Some(version)) => {
                plan.version = version;
                state.plan.content = Some(plan.content.digest());
                state.plan.seal.written();
            }
            result => {
                let error = result.err();
                let error = error.map(tracing::field::display);
                tracing::warn!(
                    error,
                    "the record of removals stays as it was before these changes"
                );
                state.plan.content = None;
                *written = None;
            }
        }
    }

    /// Whether it could be reported.
    pub(super) async fn report_progress(
        &self,
        state: &mut ObjectState,
        progress: &Progress,
    ) -> bool {
        let message = match progress.read.waits_until() {
            None => "a sync is under way".into(),
            Some(until) => format!(
                "a sync is under way; reading waits until {until} for the directory's rate limit"
            ),
        };
        let outcome = SyncOutcome::Syncing { message };
        let status = self.publisher.status_with(state, &outcome, |status| {
            status.progress = Some(outcome::progress(progress));
            state.plan.identify_held(status);
            status.memberships_digest = state.plan.memberships.clone();
        });
        self.publisher.publish_best_effort(state, status).await
    }

    /// Stops the run where a Secret or ConfigMap holds something else by now.
    async fn watch_references(&self, stop: &CancellationToken) {
        let every = self.context.timing.reference_poll;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let namespace = &self.entry.object.namespace;
        let client = &self.context.client;
        loop {
            ticks.tick().await;
            let versions =
                references::versions(client, namespace, self.prepared.versions.keys()).await;
            if versions.is_ok_and(|versions| versions == self.prepared.versions) {
                continue;
            }
            let references = self.connected.spec.references();
            let fetched = references::fetch(client, namespace, &references).await;
            if fetched.is_ok_and(|fetched| fetched.fingerprint != self.prepared.fingerprint) {
                tracing::info!("a Secret or ConfigMap has changed; the sync starts anew");
                stop.cancel();
                return;
            }
        }
    }

    /// Goes on from what an earlier process left.
    ///
    /// # Errors
    /// When that can't be read: then nothing is done, because what a run without it would write would
    /// replace it.
    pub(super) async fn restore(&self, state: &mut ObjectState) -> Result<(), PlanError> {
        let storage = plan::storage(self.object);
        let looked_at = state.plan.storage;
        if looked_at == Some(storage) {
            self.clear_copy(state).await;
            return Ok(());
        }
        let here = self.read_plan(storage).await?;
        let there = self.read_other_plan(storage.other()).await?;
        if looked_at.is_none() {
            state.plan.seal = RecordSeal::of(&state.status);
        }
        let moves = is_current(there.as_ref(), here.as_ref(), &state.plan.seal);
        let copy_in_other = there
            .as_ref()
            .map(|there| there.index().unwrap_or_default());
        let mut content = if moves { there } else { here }.unwrap_or_default();
        // Another object's record becomes this one's only together with what a run thinks of it.
        let stays =
            !moves || !content.is_of_another() && self.move_plan(storage, &mut content).await?;
        if looked_at.is_none() {
            self.go_on_from(state, &content).await;
            let written_in = if stays { storage } else { storage.other() };
            self.read_approved(state, &content, written_in).await?;
        }
        if !stays || looked_at.is_some() && state.plan.content != Some(content.digest()) {
            // The run writes it.
            state.plan.content = None;
        }
        state.plan.storage = Some(storage);
        state.plan.copy_in_other = copy_in_other;
        self.clear_copy(state).await;
        Ok(())
    }

    async fn read_plan(&self, storage: PlanStorage) -> Result<Option<PlanContent>, PlanError> {
        match plan::read(&self.context.client, self.object, storage).await {
            Err(PlanError::Foreign { .. }) => Ok(None),
            read => read,
        }
    }

    /// What is in the kind of object that isn't used any more. An operator that may not read any
    /// Secret of that name has never written one.
    async fn read_other_plan(
        &self,
        storage: PlanStorage,
    ) -> Result<Option<PlanContent>, PlanError> {
        match self.read_plan(storage).await {
            Err(PlanError::Refused { .. }) => Ok(None),
            read => read,
        }
    }

    /// Writes what was kept in the other kind of object; `false` where somebody else has the name.
    async fn move_plan(
        &self,
        storage: PlanStorage,
        content: &mut PlanContent,
    ) -> Result<bool, PlanError> {
        let (client, object) = (&self.context.client, self.object);
        if content.index().is_some_and(|index| index.has_further()) {
            let moved = async {
                plan::read_further(client, object, storage.other(), content).await?;
                plan::write_further(client, object, storage, content).await?;
                plan::write_approved(client, object, storage, content).await
            };
            let moved = moved.await;
            if let Err(error) = moved {
                tracing::warn!(%error, "the plan can't be moved whole; the next one is published anew");
                content.without_plan();
            }
        }
        match plan::write(client, object, storage, content).await {
            Ok(_) => Ok(true),
            // An event tells when the run can't write there either.
            Err(PlanError::Foreign { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Empties the other kind of object, once this one has what was there.
    async fn clear_copy(&self, state: &mut ObjectState) {
        let Some(storage) = state.plan.storage else {
            return;
        };
        let Some(copy) = &state.plan.copy_in_other else {
            return;
        };
        if state.plan.content.is_none() {
            return;
        }
        let (client, object) = (&self.context.client, self.object);
        match plan::clear(client, object, storage.other(), copy).await {
            Ok(()) | Err(PlanError::Foreign { .. }) => state.plan.copy_in_other = None,
            Err(error) => {
                tracing::warn!(%error, "a copy of the plan is still there; the next run tries again");
                self.tell_of_plan(state, &error).await;
            }
        }
    }

    /// Goes on from the records of an earlier process, and moves them where the spec wants them. Where
    /// they can't be read, the next run tries again.
    pub(super) async fn restore_history(&self, state: &mut ObjectState, history: &mut History) {
        let storage = plan::storage(self.object);
        if state.records.storage == Some(storage) {
            return;
        }
        let client = &self.context.client;
        let here = history::read(client, self.object, storage).await;
        // An operator that may not read any Secret of that name has never written one.
        let there = history::read(client, self.object, storage.other()).await;
        let there = there.unwrap_or_default();
        let here = match here {
            Ok(here) => here,
            Err(error) => return self.history_unwritten(state, &error).await,
        };
        let named = state.status.open_records_digest.as_deref();
        let is_new = state.records.storage.is_none();
        let histories = Arc::new([here, there]);
        let runs = state.named_runs();
        let seals = (named.filter(|_| is_new), &runs);
        let found = history::open_records(Arc::clone(&histories), seals).await;
        let runs = match &found.sealed {
            Some(sealed) => NamedRuns::found(Some(sealed.clone())),
            None => runs,
        };
        let found = match is_new {
            true => found,
            // This process knows those without an end.
            false => FoundOpen {
                open: state.records.open.clone(),
                changed_runs: found.changed_runs,
                ..FoundOpen::default()
            },
        };
        let mut open = found.open;
        let [_, there] = Arc::into_inner(histories).unwrap_or_default();
        state.records.runs = runs;
        if !there.text.is_empty() {
            open = open.with(&[], named);
            let addition = Addition {
                records: vec![],
                moved: Some(there),
                open: open.clone(),
                named: state.records.runs.clone(),
            };
            if let Err(error) = self.write_history(state, addition).await {
                return self.history_unwritten(state, &error).await;
            }
            state.records.copy_in_other = true;
        }
        state.records.open = open;
        state.records.storage = Some(storage);
        history.resume(found.records);
        self.tell_of_others(found.others, found.changed_runs).await;
        self.clear_history_copy(state).await;
    }

    /// Where the record of removals isn't the one that was written last, what people took back is held by the
    /// history, as far as the operator has written that; and where it may lack something, everything is.
    pub(super) async fn recall_undone(&self, state: &mut ObjectState) {
        if state.undone_recalled || !state.sync.ledger.may_lack_undone() {
            return;
        }
        state.undone_recalled = true;
        let known = state.status.undone_changes.unwrap_or_default();
        let storage = plan::storage(self.object);
        let (records, is_whole) =
            match history::read(&self.context.client, self.object, storage).await {
                Ok(kept) => history::sealed_records(kept, &state.named_runs()).await,
                Err(error) => {
                    tracing::warn!(%error, "what people took back can't be read from the history");
                    (vec![], false)
                }
            };
        let ledger = &mut state.sync.ledger;
        ledger.recall_undone(
            &records,
            is_whole,
            usize::try_from(known).unwrap_or_default(),
        );
        let held = ledger.undone_count();
        if held > 0 {
            tracing::info!(held, "what people took back is held by the history");
        }
    }

    /// Tells of records and runs that the operator hasn't written, or that were changed since.
    async fn tell_of_others(&self, open: usize, runs: usize) {
        let name = history::name(&self.entry.object.name);
        let note = match (open, runs) {
            (0, 0) => return,
            (0, runs) => format!(
                "{runs} of the runs in {name:?} aren't the operator's, or were changed or taken out: they are \
                 shown as not sealed, and aren't undone. Somebody who may write there may have done that"
            ),
            (open, _) => format!(
                "{open} of the records without an end in {name:?} aren't the operator's, or were changed: what \
                 came of them isn't looked for. Somebody who may write there may have made them up"
            ),
        };
        tracing::warn!("{note}");
        let about = &self.publisher.reference;
        self.context
            .events
            .warn(about, "HistoryChanged", &note)
            .await;
    }

    async fn clear_history_copy(&self, state: &mut ObjectState) {
        let (Some(storage), true) = (state.records.storage, state.records.copy_in_other) else {
            return;
        };
        match history::clear(&self.context.client, self.object, storage.other()).await {
            Ok(()) | Err(HistoryError::Foreign { .. }) => state.records.copy_in_other = false,
            Err(error) => {
                tracing::warn!(%error, "a copy of the history is still there; the next run tries again");
            }
        }
    }

    /// Keeps the records that are new. A run goes on where that fails.
    pub(super) async fn keep_history(&self, state: &mut ObjectState, history: &mut History) {
        self.clear_history_copy(state).await;
        if !history.has_unsaved() {
            return;
        }
        if state.records.storage.is_none() {
            // What was there wasn't read yet, and what is written now would take its place.
            self.restore_history(state, history).await;
            if state.records.storage.is_none() {
                return;
            }
        }
        let records = history.take_unsaved();
        let named = state.status.open_records_digest.as_deref();
        let open = history::seal(&state.records.open, &records, named).await;
        let addition = Addition {
            records: records.clone(),
            moved: None,
            open: open.clone(),
            named: state.records.runs.clone(),
        };
        match self.write_history(state, addition).await {
            Ok(()) => {
                state.records.open = open;
                state.records.reported = false;
            }
            Err(error) => {
                history.put_back(records);
                self.history_unwritten(state, &error).await;
            }
        }
    }

    /// Writes the history with what is added, once status names it: else a process that takes over would believe
    /// none of what is new there.
    async fn write_history(
        &self,
        state: &mut ObjectState,
        addition: Addition,
    ) -> Result<(), HistoryError> {
        let storage = plan::storage(self.object);
        let client = &self.context.client;
        let addition = Arc::new(addition);
        for _ in 0..history::TRIES {
            let next = history::next(client, self.object, storage, &addition).await?;
            let (sealed, there) = (next.sealed.clone(), next.there.as_deref());
            let runs = &mut state.records.runs;
            runs.announce(sealed.as_deref(), there);
            if !self.name_history(state).await {
                return Err(HistoryError::Unsealed);
            }
            if history::write_next(client, self.object, storage, next).await? {
                state.records.runs = NamedRuns::found(sealed);
                return Ok(());
            }
        }
        Err(HistoryError::Contested)
    }

    /// Writes into status what identifies the history. Whether that was possible.
    pub(super) async fn name_history(&self, state: &mut ObjectState) -> bool {
        let before = state.status.clone();
        let mut status = before.clone();
        state.records.put(&mut status);
        state.records.runs.put(&mut status);
        let written = status == before || self.publisher.publish_best_effort(state, status).await;
        if !written {
            // The next status names it.
            state.status = before;
        }
        written
    }

    async fn history_unwritten(&self, state: &mut ObjectState, error: &HistoryError) {
        tracing::warn!(%error, "the history couldn't be read or written");
        if error.needs_action() && !std::mem::replace(&mut state.records.reported, true) {
            let (about, note) = (&self.publisher.reference, error.to_string());
            let events = &self.context.events;
            events.warn(about, "HistoryNotWritten", &note).await;
        }
    }

    /// Takes over what an earlier process left.
    async fn go_on_from(&self, state: &mut ObjectState, content: &PlanContent) {
        let now = Timestamp::now();
        let mut ledger = state.plan.seal.open(content.ledger(), now);
        // One that was adopted is careful, too, but keeps what it has.
        let is_trusted = !ledger.is_careful() || ledger.is_adopted();
        let is_of_another = content.is_of_another() && content.ledger().is_some();
        if is_of_another && is_trusted {
            ledger = ledger.doubted(now);
            state.plan.seal.count_used(&mut ledger);
        }
        if is_of_another || state.plan.seal.is_broken() {
            self.tell_of_record().await;
        } else if ledger.is_careful() && !ledger.is_adopted() {
            tracing::warn!("{RECORD_NOT_BELIEVED}");
        }
        if *content != PlanContent::default() {
            state.plan.content = Some(content.digest());
            state.plan.lists_held = state.status.held_removals.is_some();
            state.plan.omitted = content.index().unwrap_or_default().omitted;
        }
        state.plan.undone = state.status.undone_changes;
        let digest = state.status.memberships_digest.as_deref();
        let memberships = digest.and_then(|digest| content.memberships(digest));
        let memberships = memberships.filter(|_| !content.is_of_another());
        state.plan.memberships = memberships.as_ref().map(Memberships::digest);
        let memberships = match memberships {
            Some(memberships) => memberships,
            None if digest.is_some() || content.has_memberships() => Memberships::lost(),
            None => Memberships::default(),
        };
        state.sync = State::restored(memberships, ledger);
    }

    /// Tells that the record isn't the one that was written last, or is gone.
    async fn tell_of_record(&self) {
        tracing::warn!("{RECORD_NOT_BELIEVED}");
        let about = &self.publisher.reference;
        let events = &self.context.events;
        events
            .warn(about, "RecordChanged", RECORD_NOT_BELIEVED)
            .await;
    }

    /// Reads what approvals were for that an earlier process was using.
    async fn read_approved(
        &self,
        state: &mut ObjectState,
        content: &PlanContent,
        storage: PlanStorage,
    ) -> Result<(), PlanError> {
        let ledger = &mut state.sync.ledger;
        if !ledger.needs_approved() {
            return Ok(());
        }
        let index = content.index().unwrap_or_default();
        let client = &self.context.client;
        let sets = plan::read_approved(client, self.object, storage, &index).await?;
        ledger.read_approved(&sets);
        if ledger.needs_approved() {
            tracing::warn!(
                "what was approved before this process began is missing or altered; what is left of it is held \
                 again"
            );
        }
        Ok(())
    }

    /// Whether what stands in status would be taken for the result of this run.
    fn has_to_announce(&self, state: &ObjectState) -> bool {
        let status = &state.status;
        // A retry of what was refused keeps the old conditions until it succeeds.
        let stalled = find(&status.conditions, ConditionType::Stalled).is_some()
            && self.trigger != RunTrigger::Scheduled;
        let is_of_another_spec = status.observed_generation != Some(self.prepared.generation);
        is_of_another_spec || stalled || says(status, WAITING)
    }

    /// Says that a run begins, where what stands in status would be taken for its result.
    async fn announce(&self, state: &mut ObjectState) {
        if !self.has_to_announce(state) {
            return;
        }
        let outcome = SyncOutcome::Syncing {
            message: format!("syncing with {}", self.connected.source.describe()),
        };
        let status = self.publisher.status_with(state, &outcome, |status| {
            status.next_sync_time = None;
        });
        self.publisher.publish(state, status).await;
    }

    /// The watch or the end of the process stopped it: what comes next comes by itself.
    pub(super) fn stopped(&self) -> Option<Timestamp> {
        let nothing_follows = self.entry.is_deleted() || self.context.work.is_cancelled();
        (!nothing_follows).then(Timestamp::now)
    }

    async fn finished(
        &self,
        state: &mut ObjectState,
        report: &Report,
        started: Timestamp,
        took: Duration,
    ) -> Timestamp {
        let ended = Timestamp::now();
        let source = self.connected.source.describe();
        tracing::info!(
            seconds = took.as_secs_f64(),
            changes = %report.applied,
            held = report.held().map_or(0, |held| held.changes.len()),
            problems = report.problems.count(),
            "sync ended"
        );
        self.count(
            outcome::result_of(report),
            took,
            &report.durations,
            &report.applied,
        );
        self.measure(report);
        // From here on status tells.
        state.large = false;
        self.write_plan(state, report).await;

        let next = self.desired.schedule.next_after(ended, self.uid());
        self.record_attempt(
            state,
            (started, ended),
            next,
            report.held().map(|_| &report.digest),
        );
        let history = state.history.get_or_insert_default();
        history.failures = 0;
        if report.memberships_verified {
            history.drift_checked = Some(ended);
        }
        let drift_checked = history.drift_checked;
        let outcome = outcome::of_report(
            report,
            &source,
            &self.entry.object,
            PublishedAs {
                storage: plan::storage(self.object),
                omitted: state.plan.omitted,
            },
        );
        let status = self.publisher.status_with(state, &outcome, |status| {
            self.attempted(status, started, false);
            outcome::put_report(
                status,
                report,
                crate::source::name(&self.object.spec.source),
            );
            state.plan.identify_held(status);
            status.last_sync_time = Some(Time(ended));
            status.next_sync_time = self.worth_telling(next, ended).then_some(Time(next));
            status.consecutive_failures = None;
            status.last_drift_check_time = drift_checked.map(Time);
            status.memberships_digest = state.plan.memberships.clone();
        });
        let not_restored = outcome::describe_not_restored(&state.status.problems, &status.problems);
        self.publisher.publish(state, status).await;
        self.tell_of_changes(report).await;
        if let Some(note) = not_restored {
            let (about, events) = (&self.publisher.reference, &self.context.events);
            events.warn(about, "NotRestored", &note).await;
        }
        next
    }

    /// Tells by an event what was changed, by kind.
    pub(super) async fn tell_of_changes(&self, report: &Report) {
        let about = &self.publisher.reference;
        let events = &self.context.events;
        if let Some(note) = outcome::describe_changes(report) {
            events.tell(about, "Changed", &note).await;
        }
        if let Some(note) = outcome::describe_gained_rights(report) {
            events.tell(about, "RightsGained", &note).await;
        }
    }

    pub(super) async fn failed(
        &self,
        state: &mut ObjectState,
        error: &RunError,
        started: Timestamp,
        took: Duration,
    ) -> Timestamp {
        let failed = outcome::of_error(error);
        self.report(state, failed, error.applied(), started, took)
            .await
    }

    /// Writes a failure to status, and works out when to retry.
    pub(super) async fn report(
        &self,
        state: &mut ObjectState,
        failed: RunFailure,
        applied: &ActionCounts,
        started: Timestamp,
        took: Duration,
    ) -> Timestamp {
        let ended = Timestamp::now();
        let RunFailure { outcome, requeue } = failed;
        let history = state.history.get_or_insert_default();
        history.failures = history.failures.saturating_add(1);
        let failures = history.failures;
        let (next, result) = match requeue {
            Requeue::Backoff(retry_after) => {
                let backoff = self.context.backoff;
                let wait = backoff.after(failures, self.uid(), retry_after);
                (ended + wait, RunResult::Failed)
            }
            Requeue::Slow => {
                let least = self.context.timing.refused;
                let next = after_refusal(self.desired.schedule, ended, self.uid(), least);
                (next, RunResult::Stalled)
            }
        };
        let error = outcome.message();
        tracing::warn!(%error, failures, reason = outcome.reason(), "sync failed");
        self.count(result, took, &[], applied);
        let held = state.status.held_removals.as_ref();
        let held = held.map(|held| Digest(held.digest.clone()));
        self.record_attempt(state, (started, ended), next, held.as_ref());
        let status = self.publisher.status_with(state, &outcome, |status| {
            self.attempted(status, started, true);
            state.plan.identify_held(status);
            status.next_sync_time = Some(Time(next));
            status.consecutive_failures = Some(i64::from(failures));
        });
        self.publisher.publish(state, status).await;
        if let Some(note) = outcome::describe_applied(applied) {
            let (about, events) = (&self.publisher.reference, &self.context.events);
            events.tell(about, "Changed", &note).await;
        }
        next
    }

    fn attempted(&self, status: &mut DirectorySyncStatus, started: Timestamp, failed: bool) {
        let expiries = self.connected.expiries();
        expiry::put(status, &expiries, failed, Timestamp::now());
        if !(failed && expiries.is_empty()) {
            let metrics = &self.context.metrics;
            metrics.set_expiries(&self.entry.object, &expiries);
        }
        status.last_attempt_time = Some(Time(started));
        status.progress = None;
        if let Some(request) = self.desired.request {
            status.last_handled_sync_request = Some(request.to_owned());
        }
    }

    /// Runs that follow each other faster than status is refreshed would leave a time there that
    /// is long past.
    fn worth_telling(&self, next: Timestamp, now: Timestamp) -> bool {
        let heartbeat = self.context.timing.status_heartbeat;
        now.checked_add(heartbeat).is_ok_and(|soon| next >= soon)
    }

    fn record_attempt(
        &self,
        state: &mut ObjectState,
        (started, ended): (Timestamp, Timestamp),
        next: Timestamp,
        held: Option<&Digest>,
    ) {
        state.history.get_or_insert_default().last = Some(Attempt {
            started,
            ended,
            generation: self.desired.generation,
            fingerprint: Some(self.desired.fingerprint),
            request: self.desired.request.map(str::to_owned),
            approval: self.desired.approval.map(str::to_owned),
            held: held.map(ToString::to_string),
            next,
        });
    }

    async fn write_plan(&self, state: &mut ObjectState, report: &Report) {
        let Some(guarded) = &report.guarded else {
            return;
        };
        let nothing_to_report = guarded.approved.changes.is_empty() && guarded.held.is_none();
        let keeps_plan =
            nothing_to_report && state.plan.content.is_some() && !state.plan.lists_held;
        let sync_state = std::mem::take(&mut state.sync);
        let unchanged = state.plan.memberships == Some(sync_state.memberships.digest())
            && state.plan.seal.is_of(&sync_state.ledger.digest());
        let mut sync_state = sync_state;
        if !(keeps_plan && unchanged) {
            let guarded = (!keeps_plan).then_some(guarded);
            self.keep(state, &mut sync_state, guarded).await.ok();
        }
        state.sync = sync_state;
    }

    /// Keeps what a later process goes by, and the plan; `None` leaves the plan that is there. What was
    /// written, unless it was there already.
    pub(super) async fn keep(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        guarded: Option<&GuardedPlan>,
    ) -> Result<Option<WrittenPlan>, PlanError> {
        let storage = plan::storage(self.object);
        let (memberships, ledger) = (&sync_state.memberships, &sync_state.ledger);
        state.plan.undone = undone_changes(ledger);
        let before = plan::read(&self.context.client, self.object, storage).await;
        let before = before.ok().flatten();
        let index = before.as_ref().and_then(PlanContent::index);
        // Whoever may write the object can have changed it.
        let there = before.as_ref().map(PlanContent::digest);
        let kept_before = before.as_ref().and_then(PlanContent::ledger);
        let kept_before = kept_before.map(<[u8]>::to_vec);
        let content = match guarded {
            Some(guarded) => {
                let make = |max| self.content(guarded, max, memberships, ledger);
                let mut content = self.with_further_parts(state, index.as_ref(), make).await;
                self.write_approved(&mut content, index.as_ref()).await;
                if let Some(before) = &before {
                    content.keep_previous(before);
                }
                Some(content)
            }
            None => before.map(|mut content| {
                content.remember(memberships, ledger);
                content
            }),
        };
        if kept_before.is_none() || !state.plan.seal.is_of(&ledger.digest()) {
            let there = kept_before.as_deref();
            state.plan.seal.announce(ledger, there);
            if content.is_some() && !self.write_seal(state).await {
                return Err(PlanError::Unsealed);
            }
        }
        let Some(content) = content else {
            // It went by itself; the next run with a change writes it.
            state.plan.content = None;
            state.plan.seal.unwritten();
            return Ok(None);
        };
        if let Some(guarded) = guarded {
            let list = content.held_digest().map(|plan_digest| HeldList {
                digest: guarded.digest.0.clone(),
                plan_digest: plan_digest.to_owned(),
            });
            state.plan.held = list.filter(|_| guarded.held.is_some());
        }
        let mut version = None;
        let digest = Some(content.digest());
        if state.plan.content != digest || there != digest {
            match plan::write(&self.context.client, self.object, storage, &content).await {
                Ok(written) => {
                    version = written;
                    state.plan.seal.written();
                }
                Err(error) => {
                    // A later process that finds the one before is careful.
                    state.plan.seal.unwritten();
                    self.plan_unwritten(state, &error).await;
                    return Err(error);
                }
            }
        }
        let written = content.index().unwrap_or_default();
        if let Some(before) = &index
            && before.has_more_than(&written)
        {
            let indexes = (before, &written);
            let cleared =
                plan::clear_surplus(&self.context.client, self.object, storage, indexes).await;
            if let Err(error) = cleared {
                tracing::warn!(%error, "parts of the plan before are still there");
            }
        }
        state.plan.omitted = written.omitted;
        state.plan.content = Some(content.digest());
        state.plan.memberships = Some(memberships.digest());
        if let Some(guarded) = guarded {
            state.plan.lists_held = guarded.held.is_some();
        }
        state.plan.reported = false;
        self.clear_copy(state).await;
        let content = content.without_further();
        Ok(version.map(|version| WrittenPlan { content, version }))
    }

    /// The content that `make` makes in so many bytes, once its further parts are written. Where they can't
    /// be, as much as the first object takes.
    async fn with_further_parts(
        &self,
        state: &mut ObjectState,
        before: Option<&PlanIndex>,
        make: impl Fn(usize) -> PlanContent,
    ) -> PlanContent {
        let mut content = make(plan::PLAN_MAX);
        let index = content.index().unwrap_or_default();
        let storage = plan::storage(self.object);
        let client = &self.context.client;
        let mut is_there = before.is_some_and(|before| before.sha256 == index.sha256);
        if index.parts > 1 && is_there {
            let found = plan::has_further(client, self.object, storage, &content).await;
            is_there = found.unwrap_or_default();
        }
        if index.parts > 1
            && !is_there
            && let Err(error) = plan::write_further(client, self.object, storage, &content).await
        {
            tracing::warn!(%error, "the plan couldn't be written whole");
            content = make(plan::FIRST_PART_MAX);
            let note = format!("not every change is published: {error}");
            self.warn_of_omission(state, &note).await;
            return content;
        }
        match index.omitted {
            0 => state.plan.reported_omission = false,
            omitted => {
                let note = format!(
                    "{omitted} changes and problems had no room in the published plan: directory-sync plan on \
                     the manifests shows all of them"
                );
                self.warn_of_omission(state, &note).await;
            }
        }
        content
    }

    /// Keeps what approvals were for, which the changes use up that are about to be made. A run goes on where
    /// that fails: if its process ends, what is left is held again.
    async fn write_approved(&self, content: &mut PlanContent, before: Option<&PlanIndex>) {
        let index = content.index().unwrap_or_default();
        let is_there = before.is_some_and(|one| one.approved_sha256 == index.approved_sha256);
        if index.approved_parts == 0 || is_there {
            return;
        }
        let storage = plan::storage(self.object);
        let client = &self.context.client;
        if let Err(error) = plan::write_approved(client, self.object, storage, content).await {
            tracing::warn!(
                %error,
                "what was approved can't be kept: if this process ends, what is left of it is held again"
            );
            content.without_approved();
        }
    }

    async fn warn_of_omission(&self, state: &mut ObjectState, note: &str) {
        if !std::mem::replace(&mut state.plan.reported_omission, true) {
            let about = &self.publisher.reference;
            self.context.events.warn(about, "PlanNotWhole", note).await;
        }
    }

    fn content(
        &self,
        guarded: &GuardedPlan,
        max_bytes: usize,
        memberships: &Memberships,
        ledger: &Ledger,
    ) -> PlanContent {
        let sides = Sides {
            source: &self.connected.source.describe(),
            organization: &self.connected.organization.describe(),
        };
        let made = self.connected.spec.mode == spec::Mode::Apply;
        PlanContent::new(guarded, &sides, (max_bytes, made), memberships, ledger)
    }

    async fn plan_unwritten(&self, state: &mut ObjectState, error: &PlanError) {
        tracing::warn!(%error, "the plan couldn't be written");
        state.plan.content = None;
        state.plan.memberships = None;
        self.tell_of_plan(state, error).await;
    }

    async fn tell_of_plan(&self, state: &mut ObjectState, error: &PlanError) {
        if error.needs_action() && !std::mem::replace(&mut state.plan.reported, true) {
            let note = error.to_string();
            let about = &self.publisher.reference;
            self.context
                .events
                .warn(about, "PlanNotWritten", &note)
                .await;
        }
    }

    fn count(
        &self,
        result: RunResult,
        took: Duration,
        phases: &[(Phase, Duration)],
        applied: &ActionCounts,
    ) {
        let (metrics, object) = (&self.context.metrics, &self.entry.object);
        let phases = phases.iter().map(|(phase, took)| (phase.name(), *took));
        metrics.run_finished(object, result, took, phases);
        self.count_changes(applied);
    }

    /// Counts changes that were made, in whichever way.
    pub(super) fn count_changes(&self, applied: &ActionCounts) {
        let (metrics, object) = (&self.context.metrics, &self.entry.object);
        for (kind, count) in applied.iter() {
            metrics.changes_applied(object, kind.name(), count);
        }
    }

    /// Tells how long those had access whom the run took it from, and what became of changes by `access`, however
    /// the run ended.
    pub(super) fn measure_outcomes(&self, sync_state: &mut State) {
        let (metrics, object) = (&self.context.metrics, &self.entry.object);
        for exposure in sync_state.exposures.drain(..) {
            metrics.exposed(object, exposure.since, exposure.lasted);
        }
        for outcome in sync_state.access_outcomes.drain(..) {
            metrics.access_changed(object, outcome);
        }
    }

    fn measure(&self, report: &Report) {
        let (metrics, object) = (&self.context.metrics, &self.entry.object);
        let counts = outcome::after(report);
        for (side, members, groups) in [
            (SizeOf::Directory, counts.active, counts.groups),
            (
                SizeOf::Organization,
                counts.members,
                counts.organization_groups,
            ),
            (
                SizeOf::Managed,
                counts.managed_members,
                counts.managed_groups,
            ),
        ] {
            metrics.set_sizes(object, side, members, groups);
        }
        if report.imported.is_none() {
            metrics.set_onboarding(object, report.onboarding);
        }
        let without_seat = counts.revoked_members + report.onboarding.staged;
        let seats = self.connected.organization.known_seats();
        let left = seats.and_then(|seats| seats.left(counts.members.saturating_sub(without_seat)));
        metrics.set_seats_left(object, left);
        let access = &self.connected.spec.policy.access;
        let held = |kind| {
            let held = report.held().into_iter().flat_map(|held| &held.changes);
            (kind, held.filter(|change| change.kind() == kind).count())
        };
        let held = [Kind::SetRole, Kind::SetCollections].map(held);
        let has_rules = !access.roles.is_empty() || !access.collections.is_empty();
        // What rules gave that are gone may wait, too.
        let is_shown = has_rules || held.iter().any(|(_, held)| *held > 0);
        let held = is_shown.then_some(held);
        metrics.set_access(object, held);
        let problems = report.problems.by_reason();
        metrics.set_problems(object, problems.map(|(reason, count, _)| (reason, count)));
    }

    fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// Does `applying`, and asks it to make way once `urgent` has come.
pub(super) async fn asking_to_make_way<T>(
    applying: impl Future<Output = T>,
    urgent: impl Future<Output = ()>,
    make_way: Option<&CancellationToken>,
) -> T {
    let asking = async {
        if let Some(make_way) = make_way {
            urgent.await;
            make_way.cancel();
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        applied = applying => applied,
        never = asking => never,
    }
}

/// What a run came to, with what it had changed before it made way.
fn with_earlier(
    ended: Result<Report, RunError>,
    before: &ActionCounts,
) -> Result<Report, RunError> {
    match ended {
        Ok(mut report) => {
            report.applied.merge(before);
            Ok(report)
        }
        Err(error) => Err(error.after_changes(before)),
    }
}

/// Whether the reason of `Reconciling` is this one.
fn says(status: &DirectorySyncStatus, reason: &str) -> bool {
    find(&status.conditions, ConditionType::Reconciling)
        .is_some_and(|reconciling| reconciling.reason == reason)
}

/// Whether what is there, and not what is here, was written last.
fn is_current(there: Option<&PlanContent>, here: Option<&PlanContent>, seal: &RecordSeal) -> bool {
    let is_sealed = |content: &PlanContent| content.ledger().is_some_and(|kept| seal.covers(kept));
    match (there, here) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(there), Some(here)) => is_sealed(there) && !is_sealed(here),
    }
}

/// How many changes are held because somebody took them back.
fn undone_changes(ledger: &Ledger) -> Option<i64> {
    let count = i64::try_from(ledger.undone_count()).unwrap_or(i64::MAX);
    (count > 0).then_some(count)
}

fn has_reason(status: &DirectorySyncStatus, reason: Blocker) -> bool {
    find(&status.conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.reason == reason.to_string())
}
