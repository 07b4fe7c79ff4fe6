//! Digests of what the last read saw of each person, by which a watch tells a change that matters from
//! one that doesn't, such as the time of a login.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::{AttributeName, Entry};

/// A digest for each entry of the last complete read: 17 bytes an entry and as much again of room to
/// grow. Nothing is kept before somebody watches.
#[derive(Debug, Default)]
pub struct EntryDigests {
    is_watched: AtomicBool,
    known: Mutex<HashMap<u64, u64>>,
    /// With keys of this process, so that nobody can choose two entries with one digest.
    hasher: RandomState,
}

/// The digests of a read that goes on.
pub struct Recording<'a> {
    digests: &'a EntryDigests,
    attributes: Vec<AttributeName>,
    seen: HashMap<u64, u64>,
}

impl EntryDigests {
    /// From now on reads are recorded.
    pub fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// A read of these attributes begins. Until it has ended, every change counts: what is known is about
    /// to be out of date. `None` where nobody watches.
    pub fn record(&self, attributes: &[String]) -> Option<Recording<'_>> {
        if !self.is_watched.load(Ordering::Relaxed) {
            return None;
        }
        *self.known() = HashMap::new();
        Some(Recording {
            digests: self,
            attributes: names(attributes),
            seen: HashMap::new(),
        })
    }

    /// Whether the last read saw the entry with these very values of `attributes`.
    pub fn is_as_read(&self, entry: Entry<'_>, attributes: &[AttributeName]) -> bool {
        let (key, digest) = self.of(entry, attributes);
        self.known().get(&key) == Some(&digest)
    }

    /// A read of changes saw this entry: from now on it is known with these values.
    pub fn update(&self, entry: Entry<'_>, attributes: &[AttributeName]) {
        let (key, digest) = self.of(entry, attributes);
        let mut known = self.known();
        // Where nothing is known, every change counts.
        if !known.is_empty() {
            known.insert(key, digest);
        }
    }

    /// Whether the last read saw an entry with this DN, so that it is within what is read.
    pub fn is_known(&self, entry: Entry<'_>) -> bool {
        let key = self.hasher.hash_one(entry.dn());
        self.known().contains_key(&key)
    }

    fn of(&self, entry: Entry<'_>, attributes: &[AttributeName]) -> (u64, u64) {
        let key = self.hasher.hash_one(entry.dn());
        let values = attributes.iter().enumerate().flat_map(|(at, attribute)| {
            let values = entry.raw_values(attribute);
            values.map(move |value| (at, value))
        });
        // A sum, because a server may give values in any order.
        let digest = values.fold(0, |sum: u64, value| {
            sum.wrapping_add(self.hasher.hash_one(value))
        });
        (key, digest)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording<'_> {
    /// The read saw this entry.
    pub fn add(&mut self, entry: Entry<'_>) {
        let (key, digest) = self.digests.of(entry, &self.attributes);
        self.seen.insert(key, digest);
    }

    /// The read came to its end.
    pub fn finish(self) {
        *self.digests.known() = self.seen;
    }
}

/// Attributes as entries are asked for them.
pub fn names(attributes: &[String]) -> Vec<AttributeName> {
    attributes
        .iter()
        .map(|name| AttributeName::new(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::{ASNTag as _, OctetString, Sequence, StructureTag, Tag};

    use super::*;

    fn text(text: &str) -> Tag {
        Tag::OctetString(OctetString {
            inner: text.as_bytes().to_vec(),
            ..Default::default()
        })
    }

    fn sequence(inner: Vec<Tag>) -> Tag {
        Tag::Sequence(Sequence {
            inner,
            ..Default::default()
        })
    }

    fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> StructureTag {
        let attributes = attributes.iter().map(|(name, values)| {
            let values = values.iter().map(|value| text(value)).collect();
            sequence(vec![text(name), sequence(values)])
        });
        sequence(vec![text(dn), sequence(attributes.collect())]).into_structure()
    }

    fn is_as_read(digests: &EntryDigests, message: &StructureTag) -> bool {
        digests.is_as_read(Entry::of(message).unwrap(), &names(&asked()))
    }

    fn asked() -> Vec<String> {
        ["mail", "employeeType"].map(str::to_owned).into()
    }

    #[test]
    fn a_change_counts_where_an_attribute_that_is_read_has_other_values() {
        let ann = entry(
            "uid=ann",
            &[("mail", &["a@x", "b@x"]), ("loginTime", &["1"])],
        );
        let digests = EntryDigests::default();
        assert!(digests.record(&asked()).is_none(), "nobody watches");
        digests.watch();
        let mut read = digests.record(&asked()).unwrap();
        read.add(Entry::of(&ann).unwrap());
        assert!(!is_as_read(&digests, &ann), "the read hasn't ended");
        read.finish();
        for same in [
            ann.clone(),
            entry(
                "uid=ann",
                &[("loginTime", &["2"]), ("MAIL", &["b@x", "a@x"])],
            ),
        ] {
            assert!(is_as_read(&digests, &same), "{same:?}");
        }
        for other in [
            entry("uid=ann", &[("mail", &["a@x"])]),
            entry(
                "uid=ann",
                &[("mail", &["a@x", "b@x"]), ("employeeType", &["left"])],
            ),
            entry("uid=ann", &[("mail", &["a@x"]), ("employeeType", &["b@x"])]),
            entry("uid=bob", &[("mail", &["a@x", "b@x"])]),
        ] {
            assert!(!is_as_read(&digests, &other), "{other:?}");
        }
        for (dn, is_known) in [("uid=ann", true), ("uid=bob", false)] {
            let message = entry(dn, &[]);
            assert_eq!(digests.is_known(Entry::of(&message).unwrap()), is_known);
        }
        digests.record(&asked()).unwrap();
        assert!(!is_as_read(&digests, &ann), "another read has begun");
    }
}
