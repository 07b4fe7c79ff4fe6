//! One reconcile of one object: prepare, decide, run, report.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::claims::{Claim, ClaimResult};
use super::context::Context;
use super::decision::{Decision, Desired, decide, history_from_status};
use super::explain;
use super::fast_lane::LOTS;
use super::object_size;
use super::objects::Entry;
use super::outcome;
use super::prepare::prepare;
use super::publish::Publisher;
use super::requests;
use super::run::Run;
use super::signals::{DirectoryWatch, WatchKey, describe_unwatched, whole_seconds};
use super::state::{Blocked, Connected, ObjectState, Prepared, UndoWord};
use super::undo;
use super::watch::WatchedObject;
use crate::api::annotations::APPROVE_REMOVALS;
use crate::api::conditions::{Blocker, ConditionType, Success, SyncOutcome, find};
use crate::api::status::ClaimStatus;
use crate::api::{DirectorySync, DirectorySyncStatus};
use crate::sync::guard::Digest;
use crate::sync::history::RunTrigger;
use crate::text::sanitize;

/// When an object is looked at again after a fault of ours.
const AFTER_A_FAULT: Duration = Duration::from_mins(30);

/// Reconciles an object: does what is due, and gives the time until the next look.
///
/// # Errors
/// None: what goes wrong stands in status, and is tried again when it should be.
pub async fn reconcile(
    object: Arc<WatchedObject>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    let Some(entry) = context.objects.get(&object) else {
        return Ok(Action::await_change());
    };
    let span = entry.object.span();
    let requeue = async {
        let mut state = entry.state.lock().await;
        let publisher = Publisher {
            context: &context,
            object: &entry.object,
            metadata: object.meta(),
            reference: object.object_ref(&()),
        };
        let requeue = match &object.0 {
            Ok(object) => {
                let reconcile = Reconcile {
                    context: &context,
                    entry: &entry,
                    object,
                    publisher: &publisher,
                };
                reconcile.execute(&mut state).await
            }
            Err(invalid) => malformed(&publisher, &mut state, invalid).await,
        };
        context.initial_sync.done(&object.uid().unwrap_or_default());
        requeue
    };
    let requeue = match contained(requeue.instrument(span.clone())).await {
        Some(requeue) => requeue,
        None => {
            let _entered = span.enter();
            tracing::error!(
                "a fault in the operator ended this reconcile; please report it with its stack trace"
            );
            context.initial_sync.done(&object.uid().unwrap_or_default());
            AFTER_A_FAULT
        }
    };
    // Jitter.
    Ok(Action::requeue(
        requeue.mul_f64(0.9 + 0.2 * fastrand::f64()),
    ))
}

/// What `reconcile` returns; `None` where it panicked. One object must not end the operator of all.
async fn contained<T>(reconcile: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(reconcile).catch_unwind().await.ok()
}

/// Reports an object that can't be parsed, or is too large; the others go on.
async fn malformed(
    publisher: &Publisher<'_>,
    state: &mut ObjectState,
    invalid: &InvalidObject,
) -> Duration {
    let message = match object_size::refusal(invalid) {
        Some(refusal) => refusal.to_owned(),
        None => format!(
            "this version of the operator can't read the resource ({}): install the CRD that came \
             with the operator, and write the resource as it says",
            sanitize(&invalid.error)
        ),
    };
    let outcome = SyncOutcome::Stalled {
        reason: Blocker::InvalidSpec,
        message,
    };
    let status = publisher.status_with(state, &outcome, |_| ());
    publisher.publish(state, status).await;
    publisher.context.timing.status_heartbeat
}

struct Reconcile<'a> {
    context: &'a Context,
    entry: &'a Entry,
    object: &'a DirectorySync,
    publisher: &'a Publisher<'a>,
}

impl Reconcile<'_> {
    /// How long until the next look.
    async fn execute(&self, state: &mut ObjectState) -> Duration {
        let poll = self.context.timing.reference_poll;
        if state.history.is_none() {
            state.status = self.object.status.clone().unwrap_or_default();
            self.publisher.restore_metrics(&state.status);
            self.restore_claim(&state.status);
            state
                .undo_word
                .get_or_insert_with(|| UndoWord::of(&state.status));
        }
        self.publisher.publish_unwritten(state).await;
        if let Err(wait) = Box::pin(self.prepare(state)).await {
            return wait;
        }
        let Some(prepared) = state.prepared.take() else {
            return poll;
        };
        let requeue = match &prepared.connected {
            Ok(connected) => Box::pin(self.with_connected(state, &prepared, connected)).await,
            Err(blocked) => {
                state.watch = None;
                // Its claim stays: a Secret may be missing for a moment.
                self.context.claims.postpone(self.uid());
                self.stall(state, blocked.clone()).await;
                poll
            }
        };
        self.tell_of_watch(state).await;
        let next_answer = Box::pin(self.attend(state, &prepared)).await;
        let next_undo = Box::pin(self.attend_undo(state, &prepared)).await;
        state.prepared = Some(prepared);
        let next = next_answer.into_iter().chain(next_undo);
        next.fold(requeue, Duration::min)
    }

    /// Both sides, where the organization is this resource's and can be asked; otherwise why not.
    fn may_answer<'p>(&self, prepared: &'p Prepared) -> Result<&'p Connected, String> {
        let connected = prepared.connected.as_ref();
        let connected = connected.map_err(|blocked| blocked.message.clone())?;
        match self.context.claims.owner(self.uid()) {
            None => Ok(connected),
            Some(owner) => Err(outcome::already_managed(&owner)),
        }
    }

    /// Takes back what is asked for. How long until that has to be looked at again.
    async fn attend_undo(&self, state: &mut ObjectState, prepared: &Prepared) -> Option<Duration> {
        let asked = requests::undo(self.object.annotations());
        if asked.is_none() && state.undone.is_none() {
            return None;
        }
        let about = (self.publisher, self.object);
        let connected = match self.may_answer(prepared) {
            Ok(connected) => connected,
            Err(why) => return undo::attend(about, asked, Err(why), state).await,
        };
        let desired = desired(prepared, connected);
        let run = self.run(prepared, connected, desired, RunTrigger::Undo);
        let next = undo::attend(about, asked, Ok(&run), state).await;
        // The run after an undo is due at once.
        let due = state
            .history
            .as_ref()
            .and_then(|history| history.last.as_ref());
        let due = due.map(|last| until(last.next, Timestamp::now()));
        next.map(|next| due.map_or(next, |due| next.min(due)))
    }

    /// Answers what is asked about one person or group, whether or not anything may run. How long until an
    /// answer has to be looked at again.
    async fn attend(&self, state: &mut ObjectState, prepared: &Prepared) -> Option<Duration> {
        let asked = requests::question(self.object.annotations());
        if asked.is_none() && state.answered.is_none() {
            return None;
        }
        let about = (self.publisher, self.object);
        let connected = match self.may_answer(prepared) {
            Ok(connected) => connected,
            Err(why) => return explain::attend(about, asked, Err(why), state).await,
        };
        let desired = desired(prepared, connected);
        let run = self.run(prepared, connected, desired, RunTrigger::Requested);
        explain::attend(about, asked, Ok(&run), state).await
    }

    async fn prepare(&self, state: &mut ObjectState) -> Result<(), Duration> {
        let before = state.prepared.take();
        match prepare(self.context, self.object, before).await {
            Ok(prepared) => {
                state.prepared = Some(prepared);
                Ok(())
            }
            Err((error, before)) => {
                state.prepared = before;
                tracing::warn!(%error, "couldn't read the Secrets and ConfigMaps; trying again");
                if error.is_refused() {
                    state.watch = None;
                    let blocked = Blocked {
                        blocker: Blocker::InvalidReference,
                        message: format!(
                            "the operator may not read the Secrets and ConfigMaps: {error}"
                        ),
                    };
                    self.stall(state, blocked).await;
                }
                Err(self
                    .context
                    .backoff
                    .min
                    .min(self.context.timing.reference_poll))
            }
        }
    }

    async fn with_connected(
        &self,
        state: &mut ObjectState,
        prepared: &Prepared,
        connected: &Connected,
    ) -> Duration {
        let poll = self.context.timing.reference_poll;
        self.claim(state, connected);
        self.context.initial_sync.done(self.uid());
        // Not with the servers and Secrets of another spec.
        let key = WatchKey::of(prepared);
        state.watch.take_if(|watch| !watch.is_for(key));
        if connected.spec.suspended {
            self.context.claims.postpone(self.uid());
            state.watch = None;
            self.suspend(state).await;
            return poll;
        }
        self.context.initial_sync.wait().await;
        if let Some(owner) = self.context.claims.owner(self.uid()) {
            state.watch = None;
            self.stall_already_managed(state, &owner).await;
            return poll;
        }
        let now = Timestamp::now();
        let annotations = self.object.annotations();
        let request = requests::sync_request(annotations);
        let approval = requests::approval(annotations);
        let mut desired = Desired {
            request: request.as_deref(),
            approval,
            ..desired(prepared, connected)
        };
        let heartbeat = self.context.timing.status_heartbeat;
        state.history.get_or_insert_with(|| {
            history_from_status(&state.status, desired.schedule, self.uid(), heartbeat, now)
        });
        Box::pin(self.revoke_at_once(state, prepared, connected, &desired)).await;
        let now = Timestamp::now();
        let history = state.history.get_or_insert_default();
        if let (Some(watch), Some(last)) = (&state.watch, &history.last) {
            let room = connected.source.early_read_from();
            desired.signaled = watch.due(last.ended, &state.early_runs, room, now);
        }
        let trigger = match decide(&desired, history, now) {
            Decision::Now(trigger) => trigger,
            Decision::At(at) => {
                self.context.claims.postpone(self.uid());
                self.keep_watch(state, prepared, connected);
                self.tell_of_void_approval(state, desired.approval).await;
                self.tell_of_deferral(state, at).await;
                let suspects = state.watch.as_ref().and_then(DirectoryWatch::suspects_from);
                let at = suspects.map_or(at, |suspects| at.min(suspects));
                return poll.min(until(at, now));
            }
        };
        let running = match self.context.claims.begin(self.uid()) {
            ClaimResult::Granted(running) => running,
            ClaimResult::OwnedBy(owner) => {
                self.stall_already_managed(state, &owner).await;
                return poll;
            }
            ClaimResult::WaitFor(other) => {
                tracing::debug!(%other, "waiting for the end of another resource's run");
                return Duration::from_secs(1);
            }
        };
        let noticed = state.watch.as_ref().and_then(DirectoryWatch::take);
        let before = last_ended(state);
        let clock = Instant::now();
        let run = Run {
            noticed: noticed.map(|noticed| noticed.at),
            ..self.run(prepared, connected, desired, trigger)
        };
        let next = Box::pin(run.execute(state)).await;
        drop(running);
        if trigger == RunTrigger::Signaled {
            state.early_runs.spend(clock.elapsed(), Timestamp::now());
        }
        if let (Some(watch), Some(noticed)) = (&state.watch, noticed)
            && last_ended(state) == before
        {
            watch.put_back(noticed);
        }
        self.keep_watch(state, prepared, connected);
        match next {
            Some(next) => poll.min(until(next, Timestamp::now())),
            None => poll,
        }
    }

    /// Revokes whoever certainly left, before the run that may be due.
    async fn revoke_at_once(
        &self,
        state: &mut ObjectState,
        prepared: &Prepared,
        connected: &Connected,
        desired: &Desired<'_>,
    ) {
        let Some(signal) = state.watch.as_ref().map(DirectoryWatch::suspect_signal) else {
            return;
        };
        for _ in 0..LOTS {
            let Some(suspects) = signal.gather_now().await else {
                break;
            };
            let run = self.run(prepared, connected, desired.clone(), RunTrigger::FastLane);
            run.revoke_between_runs(state, &suspects).await;
        }
    }

    /// Watches the directory where the spec has it so and the last run succeeded, with the spec and Secrets
    /// of that run.
    fn keep_watch(&self, state: &mut ObjectState, prepared: &Prepared, connected: &Connected) {
        let key = WatchKey::of(prepared);
        let is_stalled = find(&state.status.conditions, ConditionType::Stalled).is_some();
        if !connected.spec.signals || is_stalled {
            state.watch = None;
            return;
        }
        if state.watch.as_ref().is_some_and(|watch| watch.is_for(key)) {
            return;
        }
        // Its connections are made with credentials that the directory has just accepted.
        let Some(history) = state
            .history
            .as_ref()
            .filter(|history| history.failures == 0)
        else {
            state.watch = None;
            return;
        };
        let last = history.last.as_ref();
        let last = last.filter(|last| last.generation == key.generation);
        let last = last.filter(|last| last.fingerprint.is_none_or(|used| used == key.fingerprint));
        state.watch = last.and_then(|last| {
            let source = Arc::clone(&connected.source);
            let (context, object) = (self.context, &self.entry.object);
            DirectoryWatch::begin(context, object, key, source, last.started)
        });
    }

    /// Writes to status since when the directory is watched, or that the watch was lost.
    async fn tell_of_watch(&self, state: &mut ObjectState) {
        let (now, grace) = (Timestamp::now(), self.context.timing.watch_lost);
        let mut status = state.status.clone();
        match &state.watch {
            Some(watch) => watch.describe(&mut status, grace, now),
            None => describe_unwatched(&mut status, now),
        }
        if status != state.status {
            self.publisher.publish(state, status).await;
        }
    }

    fn run<'r>(
        &'r self,
        prepared: &'r Prepared,
        connected: &'r Connected,
        desired: Desired<'r>,
        trigger: RunTrigger,
    ) -> Run<'r> {
        Run {
            context: self.context,
            entry: self.entry,
            object: self.object,
            publisher: self.publisher,
            prepared,
            connected,
            desired,
            trigger,
            noticed: None,
        }
    }

    /// Says until when a run that is to come early waits for a vendor's limit.
    async fn tell_of_deferral(&self, state: &mut ObjectState, at: Timestamp) {
        let waits = state
            .watch
            .as_ref()
            .and_then(DirectoryWatch::waits_for_room);
        let next = whole_seconds(at);
        let told = state.status.next_sync_time.as_ref();
        if waits != Some(at) || told.is_some_and(|told| told.0 == next) {
            return;
        }
        tracing::info!(
            until = %next,
            "the directory has changed; the run for it waits until the vendor's limit has room"
        );
        let mut status = state.status.clone();
        status.next_sync_time = Some(Time(next));
        self.publisher.publish(state, status).await;
    }

    /// Tells by an event, once, that an approval isn't of what is held.
    async fn tell_of_void_approval(&self, state: &mut ObjectState, approval: Option<&str>) {
        // Which approvals were used is known once a run has read the record.
        let Some(given) = approval.filter(|_| state.plan.storage.is_some()) else {
            return;
        };
        let is_used = state.sync.ledger.has_used(&Digest(given.to_owned()));
        let is_told = state.void_approval.as_deref() == Some(given);
        let held = state.status.held_removals.as_ref();
        if is_used || is_told || held.is_some_and(|held| held.digest == given) {
            return;
        }
        let shown = sanitize(given);
        let note = match held {
            Some(held) => format!(
                "the approval {shown} isn't of what is held: that is {}; look at it and approve that",
                sanitize(&held.digest)
            ),
            None => format!(
                "the approval {shown} fits nothing: no changes are held; take the annotation \
                 {APPROVE_REMOVALS} away"
            ),
        };
        state.void_approval = Some(given.to_owned());
        let about = &self.publisher.reference;
        self.context.events.warn(about, "ApprovalVoid", &note).await;
    }

    async fn suspend(&self, state: &mut ObjectState) {
        let outcome = SyncOutcome::Succeeded {
            reason: Success::Suspended,
            message: "nothing is read or changed while spec.suspend is true".into(),
            held: None,
        };
        let status = self.publisher.status_with(state, &outcome, |status| {
            status.next_sync_time = None;
            status.progress = None;
            // The first run after this finds them again.
            status.held_removals = None;
        });
        self.publisher.publish(state, status).await;
    }

    async fn stall_already_managed(
        &self,
        state: &mut ObjectState,
        owner: &crate::telemetry::Object,
    ) {
        let blocked = Blocked {
            blocker: Blocker::AlreadyManaged,
            message: outcome::already_managed(owner),
        };
        self.stall(state, blocked).await;
    }

    async fn stall(&self, state: &mut ObjectState, blocked: Blocked) {
        if let Some(history) = &mut state.history {
            // Once nothing is in the way any more, it runs at once.
            history.last = None;
        }
        let outcome = SyncOutcome::Stalled {
            reason: blocked.blocker,
            message: blocked.message,
        };
        self.publish_outcome(state, &outcome).await;
    }

    async fn publish_outcome(&self, state: &mut ObjectState, outcome: &SyncOutcome) {
        let status = self.publisher.status_with(state, outcome, |status| {
            status.next_sync_time = None;
            status.progress = None;
        });
        self.publisher.publish(state, status).await;
    }

    /// Takes over the claim that an earlier process recorded, whether or not the Secret is there.
    fn restore_claim(&self, status: &DirectorySyncStatus) {
        let Some(claim) = &status.claim else {
            return;
        };
        if let Ok(organization) = claim.organization_id.parse() {
            let prefix = claim.external_id_prefix.clone().unwrap_or_default();
            self.put_claim(organization, prefix, true);
        }
    }

    fn claim(&self, state: &mut ObjectState, connected: &Connected) {
        let organization = connected.organization.organization_id();
        let prefix = connected.claimed_prefix(state.status.claim.as_ref());
        let accepted = was_accepted(&state.status);
        self.put_claim(organization, prefix.to_owned(), accepted);
        // Of what the spec named before.
        let recorded = ClaimStatus::new(organization, prefix);
        if state
            .status
            .claim
            .as_ref()
            .is_some_and(|claim| *claim != recorded)
        {
            state.status.claim = None;
        }
    }

    fn put_claim(&self, organization: Uuid, prefix: String, accepted: bool) {
        let created = self.object.metadata.creation_timestamp.as_ref();
        let claim = Claim {
            object: self.entry.object.clone(),
            uid: self.uid().to_owned(),
            created: created.map(|time| time.0).unwrap_or_default(),
            organization,
            prefix,
        };
        let released = self.context.claims.put(claim, accepted);
        self.context.release(released);
    }

    fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// Whether an earlier version, which recorded no claims, managed the organization.
fn was_accepted(status: &DirectorySyncStatus) -> bool {
    let ready = find(&status.conditions, ConditionType::Ready);
    status.claim.is_none()
        && status.organization.is_some()
        && ready.is_none_or(|ready| ready.reason != Blocker::AlreadyManaged.to_string())
}

/// From `now` until `then`, and a moment more: timers may be early.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    let wait: SignedDuration = then.duration_since(now);
    Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(20)
}

fn last_ended(state: &ObjectState) -> Option<Timestamp> {
    let last = state.history.as_ref()?.last.as_ref()?;
    Some(last.ended)
}

/// What spec and references ask for.
fn desired<'a>(prepared: &'a Prepared, connected: &'a Connected) -> Desired<'a> {
    Desired {
        generation: prepared.generation,
        fingerprint: prepared.fingerprint,
        request: None,
        approval: None,
        signaled: None,
        schedule: &connected.spec.schedule,
        drift_check: connected.spec.drift_check_interval,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tokio::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_reconcile_and_frees_what_it_held() {
        let state = Mutex::new(HashMap::from([("staff", 1)]));
        let reconcile = async {
            let state = state.lock().await;
            tokio::task::yield_now().await;
            state["nobody"]
        };
        assert_eq!(contained(reconcile).await, None);
        let next = async { state.lock().await["staff"] };
        assert_eq!(contained(next).await, Some(1));
    }
}
