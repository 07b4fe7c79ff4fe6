//! One reconcile of one object: prepare, decide, run, report.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use tracing::Instrument as _;

use super::claims::{Claim, OrganizationKey, Turn};
use super::context::Context;
use super::due::{Due, Wanted, due, past_of_status};
use super::memory::{Blocked, Memory, Prepared, Remote};
use super::objects::Entry;
use super::prepare::prepare;
use super::publish::Publisher;
use super::requests;
use super::run::Run;
use super::watch::Guarded;
use crate::api::DirectorySync;
use crate::api::conditions::{Blocker, Outcome, Success};

/// Looks at an object, does what is due, and tells when to look again.
///
/// # Errors
/// None: what goes wrong stands in status, and is tried again when it should be.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Infallible> {
    let Some(entry) = context.objects.get(&object) else {
        return Ok(Action::await_change());
    };
    let span = entry.object.span();
    let again = async {
        let mut memory = entry.memory.lock().await;
        let publisher = Publisher {
            context: &context,
            object: &entry.object,
            metadata: object.meta(),
            reference: object.object_ref(&()),
        };
        let again = match &object.0 {
            Ok(object) => {
                let reconcile = Reconcile {
                    context: &context,
                    entry: &entry,
                    object,
                    publisher: &publisher,
                };
                reconcile.go(&mut memory).await
            }
            Err(invalid) => malformed(&publisher, &mut memory, invalid).await,
        };
        context.settling.settled(&object.uid().unwrap_or_default());
        again
    };
    let again = again.instrument(span).await;
    // Not all objects in one moment.
    Ok(Action::requeue(again.mul_f64(0.9 + 0.2 * fastrand::f64())))
}

/// Says that an object can't be read, and goes on with the others.
async fn malformed(
    publisher: &Publisher<'_>,
    memory: &mut Memory,
    invalid: &InvalidObject,
) -> Duration {
    let message = format!(
        "this version of the operator can't read the resource ({}): install the CRD that came with \
         the operator, and write the resource as it says",
        crate::text::shorten(&invalid.error)
    );
    let outcome = Outcome::Stalled {
        reason: Blocker::InvalidSpec,
        message,
    };
    let status = publisher.standing(memory, &outcome, |_| ());
    publisher.publish(memory, status).await;
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
    async fn go(&self, memory: &mut Memory) -> Duration {
        let poll = self.context.timing.reference_poll;
        if memory.past.is_none() {
            memory.status = self.object.status.clone().unwrap_or_default();
            self.publisher.recall(&memory.status);
        }
        self.publisher.publish_unwritten(memory).await;
        if let Err(wait) = self.prepare(memory).await {
            return wait;
        }
        let Some(prepared) = memory.prepared.take() else {
            return poll;
        };
        let again = match &prepared.remote {
            Ok(remote) => self.with_remote(memory, &prepared, remote).await,
            Err(blocked) => {
                self.disclaim();
                self.stall(memory, blocked.clone()).await;
                poll
            }
        };
        memory.prepared = Some(prepared);
        again
    }

    async fn prepare(&self, memory: &mut Memory) -> Result<(), Duration> {
        let before = memory.prepared.take();
        let Context {
            client, metrics, ..
        } = self.context;
        match prepare(client, metrics, self.object, before).await {
            Ok(prepared) => {
                memory.prepared = Some(prepared);
                Ok(())
            }
            Err((error, before)) => {
                memory.prepared = before;
                tracing::warn!(%error, "couldn't read the Secrets and ConfigMaps; trying again");
                if error.is_refused() {
                    let blocked = Blocked {
                        blocker: Blocker::InvalidReference,
                        message: format!(
                            "the operator may not read the Secrets and ConfigMaps: {error}"
                        ),
                    };
                    self.stall(memory, blocked).await;
                }
                Err(self
                    .context
                    .backoff
                    .min
                    .min(self.context.timing.reference_poll))
            }
        }
    }

    async fn with_remote(
        &self,
        memory: &mut Memory,
        prepared: &Prepared,
        remote: &Remote,
    ) -> Duration {
        let poll = self.context.timing.reference_poll;
        self.claim(remote);
        self.context.settling.settled(self.uid());
        if remote.spec.suspended {
            self.suspend(memory).await;
            return poll;
        }
        self.context.settling.wait().await;
        if let Some(owner) = self.context.claims.owner(self.uid()) {
            self.disowned(memory, &owner).await;
            return poll;
        }
        let now = Timestamp::now();
        let annotations = self.object.annotations();
        let request = requests::sync_request(annotations);
        let wanted = Wanted {
            generation: prepared.generation,
            fingerprint: prepared.fingerprint,
            request: request.as_deref(),
            approval: requests::approval(annotations),
            schedule: &remote.spec.schedule,
            drift_check: remote.spec.drift_check_interval,
        };
        let heartbeat = self.context.timing.status_heartbeat;
        let past = memory.past.get_or_insert_with(|| {
            past_of_status(&memory.status, wanted.schedule, self.uid(), heartbeat, now)
        });
        let why = match due(&wanted, past, now) {
            Due::Now(why) => why,
            Due::At(at) => return poll.min(until(at, now)),
        };
        let running = match self.context.claims.begin(self.uid()) {
            Turn::Go(running) => running,
            Turn::OwnedBy(owner) => {
                self.disowned(memory, &owner).await;
                return poll;
            }
            Turn::After(younger) => {
                tracing::info!(%younger, "waiting for the end of another resource's run");
                return Duration::from_secs(1);
            }
        };
        let run = Run {
            context: self.context,
            entry: self.entry,
            object: self.object,
            publisher: self.publisher,
            prepared,
            remote,
            wanted,
            why,
        };
        let next = run.go(memory).await;
        drop(running);
        match next {
            Some(next) => poll.min(until(next, Timestamp::now())),
            None => poll,
        }
    }

    async fn suspend(&self, memory: &mut Memory) {
        let outcome = Outcome::Succeeded {
            reason: Success::Suspended,
            message: "nothing is read or changed while spec.suspend is true".into(),
            held: None,
        };
        let status = self.publisher.standing(memory, &outcome, |status| {
            status.next_sync_time = None;
            status.progress = None;
            // The first run after this finds them again.
            status.held_removals = None;
        });
        self.publisher.publish(memory, status).await;
    }

    async fn disowned(&self, memory: &mut Memory, owner: &crate::telemetry::Object) {
        let blocked = Blocked {
            blocker: Blocker::AlreadyManaged,
            message: format!(
                "DirectorySync {owner} manages this organization already: delete one of the two, or \
                 give both a spec.organization.externalIdPrefix of which neither begins the other"
            ),
        };
        self.stall(memory, blocked).await;
    }

    async fn stall(&self, memory: &mut Memory, blocked: Blocked) {
        if let Some(past) = &mut memory.past {
            // Once nothing is in the way any more, it runs at once.
            past.last = None;
        }
        let outcome = Outcome::Stalled {
            reason: blocked.blocker,
            message: blocked.message,
        };
        self.stand(memory, &outcome).await;
    }

    async fn stand(&self, memory: &mut Memory, outcome: &Outcome) {
        let status = self.publisher.standing(memory, outcome, |status| {
            status.next_sync_time = None;
            status.progress = None;
        });
        self.publisher.publish(memory, status).await;
    }

    fn claim(&self, remote: &Remote) {
        let created = self.object.metadata.creation_timestamp.as_ref();
        let touched = self.context.claims.put(Claim {
            object: self.entry.object.clone(),
            uid: self.uid().to_owned(),
            created: created.map(|time| time.0).unwrap_or_default(),
            organization: OrganizationKey {
                server: remote.organization.address().to_owned(),
                id: remote.organization.organization_id(),
            },
            prefix: remote.spec.policy.external_id_prefix.clone(),
        });
        self.context.wake(touched);
    }

    fn disclaim(&self) {
        let touched = self.context.claims.release(self.uid());
        self.context.wake(touched);
    }

    fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// From `now` until `then`, and a moment more: timers may be early.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    let wait: SignedDuration = then.duration_since(now);
    Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(20)
}
