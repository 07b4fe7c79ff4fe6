//! Entries in few bytes, as they are kept between two reads: what a read asks of each, and nothing else.
//!
//! DNs stand in several entries (a group names its members by them), so each is kept once and named by a number.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;

use super::entry::{AttributeName, Entry};
use crate::directory::hash::RandomState;

/// Texts, each once, named by the order in which they came.
#[derive(Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    known: HashTable<u32>,
    hasher: RandomState,
}

impl Strings {
    /// The number of a text, new or known; `None` where there is no room for more.
    pub fn number(&mut self, text: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let (bytes, ends) = (&self.bytes, &self.ends);
        let is_text = |number: &u32| slice(bytes, ends, *number) == Some(text);
        if let Some(number) = self.known.find(hash, is_text) {
            return Some(*number);
        }
        let number = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.bytes.len() + text.len()).ok()?;
        append(&mut self.bytes, text);
        make_room(&mut self.ends, 1);
        self.ends.push(end);
        let Self {
            bytes,
            ends,
            known,
            hasher,
        } = self;
        known.insert_unique(hash, number, |number| {
            hasher.hash_one(slice(bytes, ends, *number).unwrap_or_default())
        });
        Some(number)
    }

    fn get(&self, number: u32) -> Option<&[u8]> {
        slice(&self.bytes, &self.ends, number)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The first ones, as many as `count`.
    pub fn first(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let numbers = 0..u32::try_from(count).unwrap_or(u32::MAX);
        numbers.map_while(|number| self.get(number))
    }

    /// The memory that they take.
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + self.known.allocation_size()
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], number: u32) -> Option<&'a [u8]> {
    let number = number as usize;
    let start = match number.checked_sub(1) {
        Some(before) => *ends.get(before)?,
        None => 0,
    };
    bytes.get(start as usize..*ends.get(number)? as usize)
}

/// Appends without doubling what is there: the copy alone would take as much memory as the rest.
pub(super) fn append(to: &mut Vec<u8>, more: &[u8]) {
    make_room(to, more.len());
    to.extend_from_slice(more);
}

fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 8));
    }
}

/// Puts an entry into `to`: its DN and the values of `attributes`, in their order. `None` where there is no room
/// for more texts.
pub(super) fn pack(
    entry: Entry<'_>,
    attributes: &[AttributeName],
    strings: &mut Strings,
    to: &mut Vec<u8>,
) -> Option<()> {
    put_number(strings.number(entry.dn().as_bytes())?.into(), to);
    for attribute in attributes {
        pack_values(entry, attribute, strings, to)?;
    }
    Some(())
}

/// Puts the values of one attribute into `to`.
pub(super) fn pack_values(
    entry: Entry<'_>,
    attribute: &AttributeName,
    strings: &mut Strings,
    to: &mut Vec<u8>,
) -> Option<()> {
    put_number(entry.raw_values(attribute).count() as u64, to);
    for value in entry.raw_values(attribute) {
        // The lowest bit tells a number from a length.
        if value.contains(&b'=') && value.contains(&b',') {
            put_number(u64::from(strings.number(value)?) << 1 | 1, to);
        } else {
            put_number((value.len() as u64) << 1, to);
            to.extend_from_slice(value);
        }
    }
    Some(())
}

/// Puts values into `to` that are texts with these numbers.
pub(super) fn pack_texts(texts: impl ExactSizeIterator<Item = u32>, to: &mut Vec<u8>) {
    put_number(texts.len() as u64, to);
    for number in texts {
        put_number(u64::from(number) << 1 | 1, to);
    }
}

/// Of an entry that [`pack`] put somewhere, what comes before and after the values of one attribute. `None` where it
/// isn't among them, or these aren't such bytes.
pub(super) fn around<'a>(
    bytes: &'a [u8],
    attributes: &[AttributeName],
    attribute: &AttributeName,
) -> Option<(&'a [u8], &'a [u8])> {
    let mut left = bytes;
    take_number(&mut left)?;
    for name in attributes {
        let before = &bytes[..bytes.len() - left.len()];
        for _ in 0..take_number(&mut left)? {
            let number = take_number(&mut left)?;
            if number & 1 == 0 {
                left = left.get(usize::try_from(number >> 1).ok()?..)?;
            }
        }
        if name.short() == attribute.short() {
            return Some((before, left));
        }
    }
    None
}

/// The entry that [`pack`] put somewhere. `None` only where these aren't such bytes.
pub(super) fn unpack<'a>(
    mut bytes: &'a [u8],
    attributes: &'a [AttributeName],
    strings: &'a Strings,
) -> Option<Entry<'a>> {
    let dn = strings.get(u32::try_from(take_number(&mut bytes)?).ok()?)?;
    let packed = PackedAttributes {
        names: attributes,
        bytes,
        strings,
    };
    Some(Entry::kept(std::str::from_utf8(dn).ok()?, packed))
}

/// The attributes of an entry that is kept.
#[derive(Clone, Copy)]
pub(super) struct PackedAttributes<'a> {
    names: &'a [AttributeName],
    bytes: &'a [u8],
    strings: &'a Strings,
}

impl std::fmt::Debug for PackedAttributes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self
            .names
            .iter()
            .map(|name| (name.as_str(), self.values(name).count()));
        f.debug_map().entries(values).finish()
    }
}

impl<'a> PackedAttributes<'a> {
    /// The values of one of them; none of another.
    pub fn values(&self, attribute: &AttributeName) -> PackedValues<'a> {
        let mut values = PackedValues {
            left: 0,
            bytes: self.bytes,
            strings: self.strings,
        };
        for name in self.names {
            values.begin();
            if name.short() == attribute.short() {
                return values;
            }
            values.by_ref().for_each(drop);
        }
        values.left = 0;
        values
    }
}

/// Values of an attribute of an entry that is kept.
pub(super) struct PackedValues<'a> {
    left: u64,
    bytes: &'a [u8],
    strings: &'a Strings,
}

impl PackedValues<'_> {
    /// From the end of one attribute's values to the next.
    fn begin(&mut self) {
        self.left = take_number(&mut self.bytes).unwrap_or_default();
    }
}

impl<'a> Iterator for PackedValues<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let number = take_number(&mut self.bytes)?;
        if number & 1 == 1 {
            return self.strings.get(u32::try_from(number >> 1).ok()?);
        }
        let length = usize::try_from(number >> 1).ok()?;
        let (value, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(value)
    }
}

/// Seven bits a byte, the lowest first; the highest bit tells that more follow.
pub(super) fn put_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod fixtures {
    use ldap3::asn1::{ASNTag as _, OctetString, Sequence, StructureTag, Tag};

    fn bytes(bytes: &[u8]) -> Tag {
        Tag::OctetString(OctetString {
            inner: bytes.to_vec(),
            ..Default::default()
        })
    }

    fn sequence(inner: Vec<Tag>) -> Tag {
        Tag::Sequence(Sequence {
            inner,
            ..Default::default()
        })
    }

    /// An entry as a server sends it.
    pub fn message(dn: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> StructureTag {
        let attributes = attributes.iter().map(|(name, values)| {
            let values = values.iter().map(|value| bytes(value)).collect();
            sequence(vec![bytes(name.as_bytes()), sequence(values)])
        });
        sequence(vec![bytes(dn.as_bytes()), sequence(attributes.collect())]).into_structure()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fixtures::message;
    use super::*;

    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let value = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (0..4u8).prop_map(|n| format!("uid=u{n},dc=x").into_bytes()),
        ];
        prop::collection::vec(value, 0..5)
    }

    proptest! {
        #[test]
        fn an_entry_that_is_kept_says_what_it_said(
            entries in prop::collection::vec(
                (
                    "[a-z]{1,8}=[a-z,]{0,8}",
                    prop::collection::vec(
                        (prop::sample::select(vec!["cn", "commonName", "MAIL", "mail", "sn", "x;binary"]), values()),
                        0..5,
                    ),
                ),
                1..6,
            ),
        ) {
            let asked = ["mail", "commonName", "x;binary", "absent"];
            let asked: Vec<AttributeName> = asked.iter().map(|name| AttributeName::new(name)).collect();
            let mut strings = Strings::default();
            let mut kept = vec![];
            let mut messages = vec![];
            for (dn, attributes) in &entries {
                let attributes: Vec<_> = attributes
                    .iter()
                    .map(|(name, values)| ((*name).to_owned(), values.clone()))
                    .collect();
                let message = message(dn, &attributes);
                let mut packed = vec![];
                pack(Entry::of(&message).unwrap(), &asked, &mut strings, &mut packed).unwrap();
                kept.push(packed);
                messages.push(message);
            }
            for (message, packed) in messages.iter().zip(&kept) {
                let before = Entry::of(message).unwrap();
                let after = unpack(packed, &asked, &strings).unwrap();
                prop_assert_eq!(before.dn(), after.dn());
                for name in &asked {
                    let values = |entry: Entry<'_>| -> Vec<Vec<u8>> {
                        entry.raw_values(name).map(<[u8]>::to_vec).collect()
                    };
                    prop_assert_eq!(values(before), values(after));
                    prop_assert_eq!(before.has(name), after.has(name));
                    prop_assert_eq!(before.bytes(name), after.bytes(name));
                }
                let other = AttributeName::new("sn");
                prop_assert!(!after.has(&other), "it wasn't asked for");
            }
        }

        #[test]
        fn the_values_of_one_attribute_are_put_in_place_of_others(
            values in prop::collection::vec(values(), 3..4),
            texts in prop::collection::vec("[a-z]{0,8}", 0..5),
            at in 0..3usize,
        ) {
            let asked = ["a", "b", "c"].map(AttributeName::new);
            let attributes: Vec<_> = asked
                .iter()
                .map(|name| name.as_str().to_owned())
                .zip(values.clone())
                .collect();
            let message = message("cn=x", &attributes);
            let (mut strings, mut before) = (Strings::default(), vec![]);
            pack(Entry::of(&message).unwrap(), &asked, &mut strings, &mut before).unwrap();
            let numbers: Vec<u32> = texts.iter().map(|text| strings.number(text.as_bytes()).unwrap()).collect();
            let (start, end) = around(&before, &asked, &asked[at]).unwrap();
            let mut packed = start.to_vec();
            pack_texts(numbers.into_iter(), &mut packed);
            packed.extend_from_slice(end);
            let after = unpack(&packed, &asked, &strings).unwrap();
            prop_assert_eq!(after.dn(), "cn=x");
            for (number, name) in asked.iter().enumerate() {
                let now: Vec<Vec<u8>> = after.raw_values(name).map(<[u8]>::to_vec).collect();
                let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
                prop_assert_eq!(&now, if number == at { &texts } else { &values[number] });
            }
            prop_assert!(around(&before, &asked, &AttributeName::new("d")).is_none());
        }

        #[test]
        fn bytes_that_were_not_packed_are_no_entry_and_no_panic(packed in prop::collection::vec(any::<u8>(), 0..40)) {
            let asked = [AttributeName::new("a"), AttributeName::new("b")];
            let strings = Strings::default();
            if let Some(entry) = unpack(&packed, &asked, &strings) {
                prop_assert!(entry.raw_values(&asked[1]).count() < 40);
            }
        }

        #[test]
        fn a_number_comes_back(number: u64) {
            let mut bytes = vec![];
            put_number(number, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_number(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }
}
