//! What all reconciles share.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::claim_lease::ClaimLeases;
use super::claims::{Claims, Released};
use super::cloud_events::CloudEvents;
use super::events::Events;
use super::memory_guard::MemoryGuard;
use super::objects::Objects;
use super::run_queue::RunQueue;
use super::settings::ResourcePolicy;
use super::signals::WatchSlots;
use super::timing::Timing;
use super::watch::WatchedObject;
use crate::telemetry::{Metrics, Object};

/// What all reconciles share.
pub struct Context {
    /// A client of the Kubernetes API.
    pub client: Client,
    /// What to count into.
    pub metrics: Metrics,
    /// What resources may do.
    pub resources: ResourcePolicy,
    /// The operator's own times.
    pub timing: Timing,
    /// Between the tries of a failing object.
    pub backoff: Backoff,
    /// A run needs one.
    pub run_queue: RunQueue,
    /// Ends a run before memory is used up.
    pub memory: MemoryGuard,
    /// Who owns which organization.
    pub claims: Claims,
    /// The record of claims that other operators see; `None` without leader election.
    pub claim_leases: Option<ClaimLeases>,
    /// What is known of each object.
    pub objects: Objects,
    /// Publishes Kubernetes events when a condition changes its reason.
    pub events: Events,
    /// Ownership is decided only after each object of the first list was looked at once.
    pub initial_sync: InitialSyncBarrier,
    /// The connections by which directories are watched.
    pub watch_slots: WatchSlots,
    /// Where records of changes are sent, besides the log.
    pub cloud_events: Option<CloudEvents>,
    /// Cancelled when no work is to be done any more.
    pub work: CancellationToken,
    /// Asks for a reconcile.
    pub wake: mpsc::UnboundedSender<ObjectRef<WatchedObject>>,
}

impl Context {
    /// Reconciles these objects soon.
    pub fn wake(&self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            let reference = ObjectRef::new(&object.name).within(&object.namespace);
            // Nobody listens any more only when everything ends.
            self.wake.unbounded_send(reference).ok();
        }
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.objects.deleted(uid);
        self.initial_sync.done(uid);
        let released = self.claims.delete(uid);
        self.release(released);
    }

    /// A claim has ended: other operators are notified, and objects that waited for it run.
    pub fn release(&self, released: Released) {
        let Released { claim, wake } = released;
        self.wake(wake);
        let (Some(claim), Some(leases)) = (claim, self.claim_leases.clone()) else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = leases.release(&claim).await {
                tracing::warn!(%error, object = %claim.object, "couldn't release the organization");
            }
        });
    }
}

/// The objects of the first list that weren't looked at yet.
///
/// Which organization an object manages stands in its Secret. Only when all of those have been read
/// is it known who owns what, whichever came first.
pub struct InitialSyncBarrier {
    waiting: Mutex<HashSet<String>>,
    left: watch::Sender<usize>,
}

impl InitialSyncBarrier {
    /// An object that can't be looked at doesn't keep the others waiting for longer than this.
    const MAX_WAIT: Duration = Duration::from_secs(30);

    /// With no objects to wait for.
    pub fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            left: watch::Sender::new(0),
        }
    }

    /// This object has to be looked at.
    pub fn expect(&self, uid: String) {
        self.change(|waiting| {
            waiting.insert(uid);
        });
    }

    /// This object was looked at, or is deleted.
    pub fn done(&self, uid: &str) {
        self.change(|waiting| {
            waiting.remove(uid);
        });
    }

    /// Waits until all were looked at.
    pub async fn wait(&self) {
        let mut left = self.left.subscribe();
        let all = left.wait_for(|left| *left == 0);
        if tokio::time::timeout(Self::MAX_WAIT, all).await.is_err() {
            tracing::warn!("not every resource could be looked at; going on without");
            self.change(HashSet::clear);
        }
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<String>)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        self.left.send_replace(waiting.len());
    }
}
