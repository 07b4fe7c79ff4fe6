//! What this process knows of each object, and the runs in progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::{Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::state::ObjectState;
use super::watch::WatchedObject;
use crate::telemetry::{Metrics, Object};

/// All objects of this process, by uid.
pub struct Objects {
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    metrics: Metrics,
}

/// One object, for as long as it exists or something still works on it.
pub struct Entry {
    /// The namespace and name of the resource.
    pub object: Object,
    /// What is known of it; held by whoever works on it.
    pub state: tokio::sync::Mutex<ObjectState>,
    observed: Mutex<Observed>,
    metrics: Metrics,
}

/// What the watch last said of an object, and the run in progress.
#[derive(Default)]
struct Observed {
    generation: i64,
    deleted: bool,
    run: Option<CurrentRun>,
}

struct CurrentRun {
    generation: i64,
    stop: CancellationToken,
}

impl Objects {
    /// An empty table; resources are added as the watch reports them.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            entries: Mutex::default(),
            metrics,
        }
    }

    /// What is known of an object; `None` where the watch has said that it is gone.
    pub fn get(&self, object: &WatchedObject) -> Option<Arc<Entry>> {
        let uid = object.uid().unwrap_or_default();
        self.entries().get(&uid).cloned()
    }

    fn entry(&self, object: &WatchedObject) -> Arc<Entry> {
        let mut entries = self.entries();
        let entry = entries.entry(object.uid().unwrap_or_default());
        let new = || {
            Arc::new(Entry {
                object: name_of(object),
                state: tokio::sync::Mutex::default(),
                observed: Mutex::default(),
                metrics: self.metrics.clone(),
            })
        };
        Arc::clone(entry.or_insert_with(new))
    }

    /// An object was seen: a run for an earlier generation of it ends at its next safe point. The
    /// reconcile that follows starts the next one.
    pub fn seen(&self, object: &WatchedObject) {
        let entry = self.entry(object);
        let name = name_of(object);
        for other in self.entries().values() {
            // Recreated under its old name: the old one is deleted, though no event said so.
            if other.object == name && !Arc::ptr_eq(other, &entry) {
                other.mark_deleted();
            }
        }
        entry.at(object.meta().generation.unwrap_or_default());
    }

    /// Whether there is an object in this namespace.
    pub fn are_in(&self, namespace: &str) -> bool {
        let entries = self.entries();
        entries
            .values()
            .any(|entry| &*entry.object.namespace == namespace)
    }

    /// An object is gone: its run ends at its next safe point, and nothing is remembered.
    pub fn deleted(&self, uid: &str) {
        let entry = self.entries().remove(uid);
        if let Some(entry) = entry {
            entry.mark_deleted();
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether the object is gone, so that nothing is to be written about it any more.
    pub fn is_deleted(&self) -> bool {
        self.observed().deleted
    }

    /// A run of this generation begins. It has to end at its next safe point when the token, a
    /// child of `parent`, is cancelled, which it is at once where the spec has changed already.
    pub fn begin(&self, generation: i64, parent: &CancellationToken) -> CancellationToken {
        let mut observed = self.observed();
        let stop = parent.child_token();
        if observed.deleted || observed.generation > generation {
            stop.cancel();
        }
        observed.run = Some(CurrentRun {
            generation,
            stop: stop.clone(),
        });
        stop
    }

    /// The run has ended.
    pub fn end(&self) {
        self.observed().run = None;
    }

    fn at(&self, generation: i64) {
        let mut observed = self.observed();
        observed.generation = generation;
        if let Some(run) = &observed.run
            && run.generation < generation
        {
            run.stop.cancel();
        }
    }

    fn mark_deleted(&self) {
        let mut observed = self.observed();
        observed.deleted = true;
        if let Some(run) = &observed.run {
            run.stop.cancel();
        }
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    /// Nothing reports on the object any more, so its metrics end.
    fn drop(&mut self) {
        self.metrics.forget(&self.object);
    }
}

/// An object's namespace and name.
pub fn name_of(object: &WatchedObject) -> Object {
    Object::new(object.namespace().unwrap_or_default(), object.name_any())
}
