//! Names under which another program may have kept entries as members and groups.
//!
//! Bitwarden's Directory Connector takes the DN of an LDAP entry for its external ID. Whoever comes from
//! there has an organization full of DNs. The entry that has such a DN now is the one that the member stands
//! for, as it was for that program.

use std::hash::{BuildHasher, RandomState};

/// Which entry has which name (DN). Only hashes are kept: of a million entries, 16 MB.
#[derive(Debug, Clone)]
pub struct FormerIds {
    /// Puts a name in the form that is compared; `None` for a text that is no name.
    normal_form: fn(&str) -> Option<String>,
    /// Keyed at random, so that nobody can choose a name that collides with another.
    hasher: RandomState,
    people: Hashes,
    groups: Hashes,
}

/// Indexes by hash, in the order of the hashes, each hash once.
#[derive(Debug, Clone, Default)]
struct Hashes(Vec<(u64, u32)>);

impl FormerIds {
    /// No entry yet; `normal_form` puts a name in the form that is compared.
    pub(crate) fn new(normal_form: fn(&str) -> Option<String>) -> Self {
        Self {
            normal_form,
            hasher: RandomState::new(),
            people: Hashes::default(),
            groups: Hashes::default(),
        }
    }

    /// Notes that the person at `index` has this name, which is in normal form.
    pub(crate) fn person(&mut self, name: &str, index: u32) {
        self.people.0.push((self.hasher.hash_one(name), index));
    }

    /// Notes that the group at `index` has this name, which is in normal form.
    pub(crate) fn group(&mut self, name: &str, index: u32) {
        self.groups.0.push((self.hasher.hash_one(name), index));
    }

    /// To be called once after the last name.
    pub(crate) fn sort(&mut self) {
        self.people.sort();
        self.groups.sort();
    }

    /// The index of the person who has this name, however it is written.
    pub fn find_person(&self, name: &str) -> Option<u32> {
        self.find(&self.people, name)
    }

    /// The index of the group that has this name, however it is written.
    pub fn find_group(&self, name: &str) -> Option<u32> {
        self.find(&self.groups, name)
    }

    fn find(&self, hashes: &Hashes, name: &str) -> Option<u32> {
        if hashes.0.is_empty() {
            return None;
        }
        let name = (self.normal_form)(name)?;
        hashes.find(self.hasher.hash_one(name.as_str()))
    }

    /// Follows entries that moved or were taken out: by the old index, the new one.
    pub fn renumber(&mut self, people: &[Option<u32>], groups: &[Option<u32>]) {
        self.people.renumber(people);
        self.groups.renumber(groups);
    }
}

impl Hashes {
    fn sort(&mut self) {
        self.0.sort_unstable();
        // Two names with one hash: neither is told from the other.
        let all = std::mem::take(&mut self.0);
        let alone = all
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|same| same.len() == 1);
        self.0 = alone.flatten().copied().collect();
    }

    fn find(&self, hash: u64) -> Option<u32> {
        let at = self.0.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(self.0[at].1)
    }

    fn renumber(&mut self, places: &[Option<u32>]) {
        self.0.retain_mut(|(_, index)| {
            let place = places.get(*index as usize).copied().flatten();
            *index = place.unwrap_or_default();
            place.is_some()
        });
    }
}
