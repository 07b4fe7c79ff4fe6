//! One run of one object, from its turn to its report.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::due::{Attempt, Wanted, Why, after_refusal, checks_everything};
use super::memory::{Memory, Prepared, Remote};
use super::objects::Entry;
use super::outcome::{self, Again, Failed};
use super::plan::{self, Content, PlanError};
use super::publish::Publisher;
use super::references;
use crate::api::conditions::{ConditionType, Outcome, find};
use crate::api::{DirectorySync, DirectorySyncStatus, spec};
use crate::sync::guard::{Approval, Digest, Guarded};
use crate::sync::memberships::Memory as Memberships;
use crate::sync::plan::render::Sides;
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{ActionCounts, Mode, Report};
use crate::sync::run::{RunError, RunOptions, State, run};
use crate::telemetry::{RunResult, SizeOf};

/// What is about to be changed, for those who find it half done.
struct Changes {
    content: Content,
    memberships: String,
    done: oneshot::Sender<()>,
}

/// One run of one object, from its turn to its report.
pub struct Run<'a> {
    /// What all share.
    pub context: &'a Context,
    /// Where the watch finds the run, to stop it.
    pub entry: &'a Entry,
    /// The object.
    pub object: &'a DirectorySync,
    /// Tells people.
    pub publisher: &'a Publisher<'a>,
    /// What the spec and its Secrets came to.
    pub prepared: &'a Prepared,
    /// Both sides.
    pub remote: &'a Remote,
    /// What is asked for.
    pub wanted: Wanted<'a>,
    /// Why now.
    pub why: Why,
}

impl Run<'_> {
    /// Runs, and reports; the time of the next run, where there is one.
    pub async fn go(&self, memory: &mut Memory) -> Option<Timestamp> {
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        let next = match stop
            .run_until_cancelled(self.context.permits.acquire())
            .await
        {
            Some(_permit) => self.with_permit(memory, &stop).await,
            None => self.stopped(),
        };
        self.entry.end();
        next
    }

    async fn with_permit(
        &self,
        memory: &mut Memory,
        stop: &CancellationToken,
    ) -> Option<Timestamp> {
        self.restore(memory).await;
        let started = Timestamp::now();
        self.announce(memory).await;
        tracing::info!(why = ?self.why, "sync starts");
        let clock = Instant::now();
        let result = self.run(memory, stop, started).await;
        let took = clock.elapsed();
        match result {
            Ok(report) => Some(self.finished(memory, &report, started, took).await),
            Err(RunError::Stopped { during, applied }) => {
                tracing::info!(
                    during = during.name(),
                    changes = applied.total(),
                    "sync stopped"
                );
                self.count(RunResult::Interrupted, took, &[], Some(&applied));
                self.stopped()
            }
            Err(error) => Some(self.failed(memory, &error, started, took).await),
        }
    }

    /// Runs, and meanwhile tells how far things are and looks for changed Secrets.
    async fn run(
        &self,
        memory: &mut Memory,
        stop: &CancellationToken,
        started: Timestamp,
    ) -> Result<Report, RunError> {
        let progress = Progress::default();
        let approval = self.wanted.approval.map(|digest| Approval {
            digest: Digest(digest.to_owned()),
            earlier: memory.removals.clone(),
        });
        let past = memory.past.clone().unwrap_or_default();
        let (announce, mut announced) = mpsc::channel(1);
        let kept = memory.plan.memberships.clone();
        let before_changes = |guarded: &Guarded, memberships: &Memberships| {
            let memberships_digest = memberships.digest();
            // Where nothing is kept, nothing can be out of date.
            let stale = kept
                .as_ref()
                .is_some_and(|kept| *kept != memberships_digest);
            let content = stale.then(|| self.content(guarded, memberships));
            let announce = announce.clone();
            async move {
                let Some(content) = content else { return };
                let (done, is_done) = oneshot::channel();
                let changes = Changes {
                    content,
                    memberships: memberships_digest,
                    done,
                };
                if announce.send(changes).await.is_ok() {
                    is_done.await.ok();
                }
            }
            .boxed()
        };
        let options = RunOptions {
            mode: match self.remote.spec.mode {
                spec::Mode::Apply => Mode::Apply,
                spec::Mode::Preview => Mode::Preview,
            },
            approval: approval.as_ref(),
            everything: checks_everything(self.why, &self.wanted, &past, started),
            progress: &progress,
            before_changes: Some(&before_changes),
            stop,
        };
        let mut state = std::mem::take(&mut memory.state);
        let result = {
            let Remote {
                source,
                organization,
                spec,
            } = self.remote;
            let running = run(&**source, organization, &spec.policy, &mut state, &options);
            let beside = async {
                tokio::join!(
                    self.tell_progress(memory, &progress, &mut announced),
                    self.look_for_changes(stop)
                )
            };
            let (mut running, mut beside) = (pin!(running), pin!(beside));
            tokio::select! {
                result = &mut running => result,
                _ = &mut beside => running.await,
            }
        };
        memory.state = state;
        result
    }

    async fn tell_progress(
        &self,
        memory: &mut Memory,
        progress: &Progress,
        announced: &mut mpsc::Receiver<Changes>,
    ) {
        let every = self.context.timing.progress;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let changes = tokio::select! {
                _ = ticks.tick() => None,
                changes = announced.recv() => changes,
            };
            if let Some(changes) = &changes {
                self.keep(memory, &changes.content, &changes.memberships)
                    .await;
            }
            let message = match progress.read.waits_until() {
                None => "a sync is under way".into(),
                Some(until) => format!(
                    "a sync is under way; reading waits until {until} for the directory's rate limit"
                ),
            };
            let outcome = Outcome::Syncing { message };
            let status = self.publisher.standing(memory, &outcome, |status| {
                status.progress = Some(outcome::progress(progress));
                status.memberships_digest = memory.plan.memberships.clone();
            });
            self.publisher.publish_in_passing(memory, status).await;
            if let Some(changes) = changes {
                changes.done.send(()).ok();
            }
        }
    }

    /// Stops the run where a Secret or ConfigMap holds something else by now.
    async fn look_for_changes(&self, stop: &CancellationToken) {
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
            let references = self.remote.spec.references();
            let fetched = references::fetch(client, namespace, &references).await;
            if fetched.is_ok_and(|fetched| fetched.fingerprint != self.prepared.fingerprint) {
                tracing::info!("a Secret or ConfigMap has changed; the sync starts anew");
                stop.cancel();
                return;
            }
        }
    }

    /// Goes on from what an earlier process left.
    async fn restore(&self, memory: &mut Memory) {
        if std::mem::replace(&mut memory.plan.known, true) {
            return;
        }
        let content = match plan::read(&self.context.client, self.object).await {
            Ok(Some(content)) => content,
            Ok(None) | Err(PlanError::Foreign(_)) => return,
            Err(error) => {
                tracing::warn!(%error, "what the last process left can't be read; going on without");
                memory.plan.known = false;
                return;
            }
        };
        memory.removals = content.removals();
        memory.plan.content = Some(content.digest());
        memory.plan.has_removals = content.has_removals();
        let digest = memory.status.memberships_digest.as_deref();
        if let Some(memberships) = digest.and_then(|digest| content.memory(digest)) {
            memory.plan.memberships = Some(memberships.digest());
            memory.state = State::restored(memberships);
        }
    }

    /// Says that a run begins, where what stands in status would be taken for its result.
    async fn announce(&self, memory: &mut Memory) {
        let status = &memory.status;
        // What is tried again in case it was mended elsewhere stays as it is until it was.
        let stalled = find(&status.conditions, ConditionType::Stalled).is_some()
            && self.why != Why::Scheduled;
        if status.observed_generation == Some(self.prepared.generation) && !stalled {
            return;
        }
        let outcome = Outcome::Syncing {
            message: format!("syncing with {}", self.remote.source.describe()),
        };
        let status = self.publisher.standing(memory, &outcome, |status| {
            status.next_sync_time = None;
        });
        self.publisher.publish(memory, status).await;
    }

    /// The watch or the end of the process stopped it: what comes next comes by itself.
    fn stopped(&self) -> Option<Timestamp> {
        let nothing_follows = self.entry.is_gone() || self.context.work.is_cancelled();
        (!nothing_follows).then(Timestamp::now)
    }

    async fn finished(
        &self,
        memory: &mut Memory,
        report: &Report,
        started: Timestamp,
        took: Duration,
    ) -> Timestamp {
        let ended = Timestamp::now();
        let source = self.remote.source.describe();
        tracing::info!(
            seconds = took.as_secs_f64(),
            changes = report.applied.total(),
            held = report.held().map_or(0, |held| held.changes.len()),
            problems = report.problems.count(),
            "sync ended"
        );
        self.count(
            outcome::result_of(report),
            took,
            &report.durations,
            Some(&report.applied),
        );
        self.measure(report);
        memory.removals = report
            .guarded
            .as_ref()
            .filter(|guarded| guarded.held.is_some())
            .map(|guarded| guarded.removals.clone());
        self.write_plan(memory, report).await;

        let next = self.wanted.schedule.next_after(ended, self.uid());
        self.remember(memory, ended, next, report.held().map(|_| &report.digest));
        let past = memory.past.get_or_insert_default();
        past.failures = 0;
        if report.memberships_verified {
            past.drift_checked = Some(ended);
        }
        let drift_checked = past.drift_checked;
        let outcome = outcome::of_report(report, &source, &self.entry.object);
        let status = self.publisher.standing(memory, &outcome, |status| {
            self.attempted(status, started);
            outcome::put_report(status, report, self.object.spec.source.kind());
            status.last_sync_time = Some(Time(ended));
            status.next_sync_time = self.worth_telling(next, ended).then_some(Time(next));
            status.consecutive_failures = None;
            status.last_drift_check_time = drift_checked.map(Time);
            status.memberships_digest = memory.plan.memberships.clone();
        });
        self.publisher.publish(memory, status).await;
        next
    }

    async fn failed(
        &self,
        memory: &mut Memory,
        error: &RunError,
        started: Timestamp,
        took: Duration,
    ) -> Timestamp {
        let ended = Timestamp::now();
        let Failed { outcome, again } = outcome::of_error(error);
        let past = memory.past.get_or_insert_default();
        past.failures = past.failures.saturating_add(1);
        let failures = past.failures;
        let (next, result) = match again {
            Again::Soon(retry_after) => {
                let backoff = self.context.backoff;
                let wait = backoff.after(failures, self.uid(), retry_after);
                (ended + wait, RunResult::Failed)
            }
            Again::Rarely => {
                let least = self.context.timing.refused;
                let next = after_refusal(self.wanted.schedule, ended, self.uid(), least);
                (next, RunResult::Stalled)
            }
        };
        tracing::warn!(%error, failures, reason = outcome.reason(), "sync failed");
        self.count(result, took, &[], error.applied());
        let held = memory.status.held_removals.as_ref();
        let held = held.map(|held| Digest(held.digest.clone()));
        self.remember(memory, ended, next, held.as_ref());
        let status = self.publisher.standing(memory, &outcome, |status| {
            self.attempted(status, started);
            status.next_sync_time = Some(Time(next));
            status.consecutive_failures = Some(i64::from(failures));
        });
        self.publisher.publish(memory, status).await;
        next
    }

    fn attempted(&self, status: &mut DirectorySyncStatus, started: Timestamp) {
        status.last_attempt_time = Some(Time(started));
        status.progress = None;
        if let Some(request) = self.wanted.request {
            status.last_handled_sync_request = Some(request.to_owned());
        }
    }

    /// Runs that follow each other faster than status is refreshed would leave a time there that
    /// is long past.
    fn worth_telling(&self, next: Timestamp, now: Timestamp) -> bool {
        let heartbeat = self.context.timing.status_heartbeat;
        now.checked_add(heartbeat).is_ok_and(|soon| next >= soon)
    }

    fn remember(
        &self,
        memory: &mut Memory,
        ended: Timestamp,
        next: Timestamp,
        held: Option<&Digest>,
    ) {
        memory.past.get_or_insert_default().last = Some(Attempt {
            ended,
            generation: self.wanted.generation,
            fingerprint: Some(self.wanted.fingerprint),
            request: self.wanted.request.map(str::to_owned),
            approval: self.wanted.approval.map(str::to_owned),
            held: held.map(ToString::to_string),
            next,
        });
    }

    async fn write_plan(&self, memory: &mut Memory, report: &Report) {
        let Some(guarded) = &report.guarded else {
            return;
        };
        let memberships = memory.state.memory.digest();
        let nothing_to_tell = guarded.approved.changes.is_empty() && guarded.held.is_none();
        let keeps_plan =
            nothing_to_tell && memory.plan.content.is_some() && !memory.plan.has_removals;
        if keeps_plan && memory.plan.memberships.as_ref() == Some(&memberships) {
            return;
        }
        let kept = match keeps_plan {
            true => plan::read(&self.context.client, self.object)
                .await
                .ok()
                .flatten(),
            false => None,
        };
        let content = match kept {
            Some(mut content) => {
                content.remember(&memory.state.memory);
                content
            }
            None => self.content(guarded, &memory.state.memory),
        };
        self.keep(memory, &content, &memberships).await;
    }

    fn content(&self, guarded: &Guarded, memberships: &Memberships) -> Content {
        let sides = Sides {
            source: &self.remote.source.describe(),
            organization: &self.remote.organization.describe(),
        };
        Content::new(guarded, &sides, memberships)
    }

    async fn keep(&self, memory: &mut Memory, content: &Content, memberships: &str) {
        if memory.plan.content != Some(content.digest())
            && let Err(error) = plan::write(&self.context.client, self.object, content).await
        {
            self.plan_unwritten(memory, &error).await;
            return;
        }
        memory.plan.content = Some(content.digest());
        memory.plan.has_removals = content.has_removals();
        memory.plan.memberships = Some(memberships.to_owned());
        memory.plan.foreign = false;
    }

    async fn plan_unwritten(&self, memory: &mut Memory, error: &PlanError) {
        tracing::warn!(%error, "the plan couldn't be written");
        memory.plan.content = None;
        memory.plan.memberships = None;
        let foreign = matches!(error, PlanError::Foreign(_));
        if foreign && !std::mem::replace(&mut memory.plan.foreign, true) {
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
        applied: Option<&ActionCounts>,
    ) {
        let (metrics, object) = (&self.context.metrics, &self.entry.object);
        let phases = phases.iter().map(|(phase, took)| (phase.name(), *took));
        metrics.run_finished(object, result, took, phases);
        for (kind, count) in applied.into_iter().flat_map(ActionCounts::iter) {
            metrics.changes_applied(object, kind.name(), count);
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
        let problems = report.problems.by_reason();
        metrics.set_problems(object, problems.map(|(reason, count, _)| (reason, count)));
    }

    fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }
}
