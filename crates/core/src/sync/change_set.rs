//! Changes of a plan, by what each is about.

use std::collections::{BTreeMap, HashSet};

use crate::directory::ExternalId;
use crate::sync::plan::{Change, Kind};

/// Changes of one plan, by kind and external ID. Neither tells a change alone: a person and a group may have the
/// same ID (`uidNumber`, `gidNumber`), and several things may be done to either, one of which the server refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet(BTreeMap<Kind, HashSet<ExternalId>>);

impl ChangeSet {
    /// Adds a change.
    pub fn insert(&mut self, change: &Change) {
        self.extend([change]);
    }

    /// Takes a change out.
    pub fn remove(&mut self, change: &Change) {
        if let Some(ids) = self.0.get_mut(&change.kind()) {
            ids.remove(change.external_id());
        }
    }

    /// Whether the change is among them.
    pub fn has(&self, change: &Change) -> bool {
        self.has_any(&[change.kind()], change.external_id())
    }

    /// Whether a change of one of these kinds is among them, of the person or group with this external ID.
    pub fn has_any(&self, kinds: &[Kind], id: &ExternalId) -> bool {
        let ids = kinds.iter().filter_map(|kind| self.0.get(kind));
        ids.into_iter().any(|ids| ids.contains(id))
    }

    /// Whether one of these kinds is among them.
    pub fn has_kind(&self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.0.contains_key(kind))
    }

    /// All of them, by kind and external ID.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, ExternalId)> {
        let kinds = self.0.iter();
        kinds.flat_map(|(kind, ids)| ids.iter().map(|id| (*kind, id.clone())))
    }

    /// The external IDs of those of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ExternalId> {
        self.0.get(&kind).into_iter().flatten()
    }

    /// Takes out what is among `others`.
    pub fn remove_all(&mut self, others: &Self) {
        for (kind, ids) in &others.0 {
            if let Some(mine) = self.0.get_mut(kind) {
                mine.retain(|id| !ids.contains(id));
            }
        }
        self.0.retain(|_, ids| !ids.is_empty());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<(Kind, ExternalId)> for ChangeSet {
    fn extend<T: IntoIterator<Item = (Kind, ExternalId)>>(&mut self, changes: T) {
        for (kind, id) in changes {
            self.0.entry(kind).or_default().insert(id);
        }
    }
}

impl<'a> Extend<&'a Change> for ChangeSet {
    fn extend<T: IntoIterator<Item = &'a Change>>(&mut self, changes: T) {
        let changes = changes.into_iter();
        self.extend(changes.map(|change| (change.kind(), change.external_id().clone())));
    }
}

impl<T> FromIterator<T> for ChangeSet
where
    Self: Extend<T>,
{
    fn from_iter<I: IntoIterator<Item = T>>(changes: I) -> Self {
        let mut set = Self::default();
        set.extend(changes);
        set
    }
}
