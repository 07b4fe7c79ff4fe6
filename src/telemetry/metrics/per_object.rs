//! Series that belong to an object and go with it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Object;

/// A metric of each object, further divided by the labels `L`.
///
/// A [`Family`] can't list its label sets, so they are kept beside it: that is what makes it
/// possible to remove all of an object's.
pub(super) struct PerObject<L, M> {
    family: Series<L, M>,
    known: Mutex<HashMap<Object, HashSet<L>>>,
}

type Series<L, M> = Family<ObjectLabels<L>, M, fn() -> M>;

/// An object's labels before others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ObjectLabels<L> {
    object: Object,
    labels: L,
}

impl<L: EncodeLabelSet> EncodeLabelSet for ObjectLabels<L> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        let object = [
            ("namespace", &*self.object.namespace),
            ("name", &*self.object.name),
        ];
        object.encode(encoder)?;
        self.labels.encode(encoder)
    }
}

impl<L, M> Default for PerObject<L, M>
where
    L: Clone + Hash + Eq,
    M: Clone + Default,
{
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<L, M> PerObject<L, M>
where
    L: Clone + Hash + Eq,
    M: Clone,
{
    /// No series yet; `constructor` makes a metric at its start.
    pub(super) fn new(constructor: fn() -> M) -> Self {
        Self {
            family: Family::new_with_constructor(constructor),
            known: Mutex::default(),
        }
    }

    /// What the registry shows.
    pub(super) fn family(&self) -> Series<L, M> {
        self.family.clone()
    }

    /// The metric of an object with these labels, made where it doesn't exist yet.
    pub(super) fn of(&self, object: &Object, labels: L) -> M {
        let of = ObjectLabels {
            object: object.clone(),
            labels: labels.clone(),
        };
        if let Some(metric) = self.family.get(&of) {
            return metric.clone();
        }
        // Held while the metric is made: it can't slip in behind a `forget`.
        let mut known = self.known();
        known.entry(object.clone()).or_default().insert(labels);
        self.family.get_or_create_owned(&of)
    }

    /// Removes all of an object's.
    pub(super) fn forget(&self, object: &Object) {
        let mut known = self.known();
        for labels in known.remove(object).unwrap_or_default() {
            self.remove(object, labels);
        }
    }

    fn remove(&self, object: &Object, labels: L) {
        self.family.remove(&ObjectLabels {
            object: object.clone(),
            labels,
        });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Object, HashSet<L>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> PerObject<L, Gauge>
where
    L: Clone + Hash + Eq,
{
    /// Sets these series of an object and removes its others.
    pub(super) fn replace(&self, object: &Object, series: impl IntoIterator<Item = (L, i64)>) {
        let mut current = HashSet::new();
        for (labels, value) in series {
            self.of(object, labels.clone()).set(value);
            current.insert(labels);
        }
        let mut known = self.known();
        let Some(before) = known.get_mut(object) else {
            return;
        };
        for gone in before.extract_if(|labels| !current.contains(labels)) {
            self.remove(object, gone);
        }
    }
}
