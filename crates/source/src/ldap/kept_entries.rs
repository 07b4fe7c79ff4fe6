//! Entries of one list as they were last read, kept for the next read.
//!
//! What is kept is what the server sent, cut down to what is asked for.

use std::collections::hash_map;
use std::time::{Duration, Instant};

use super::entry::{AttributeName, Entry};
use super::packed::{self, Strings, append, put_number, take_number};
use crate::directory::hash::FastMap;
use crate::kept::Reservation;

/// How many more bytes are written before it is looked whether there is room for them.
const LOOK_EVERY: usize = 64 << 10;
/// Of entries that were sent again the older ones stay where they are: so many bytes more than once again as many as
/// a whole read brought.
const MANY_CHANGES: usize = 1 << 20;
/// Stands where an entry was.
const GONE: u32 = u32::MAX;

/// The bytes of what an entry is known by, whatever it is called: `entryUUID`, `objectGUID`.
pub(crate) type EntryId = [u8; 16];

/// A list of which every entry is kept.
pub(crate) struct KeptEntries {
    /// What is kept of each entry.
    attributes: Vec<AttributeName>,
    /// When an entry was last changed; told apart, because it changes with every change.
    time: Option<AttributeName>,
    /// The place of each entry in `entries`, in the order in which they came.
    places: Vec<u32>,
    numbers: FastMap<EntryId, u32>,
    /// For each entry how long it is, how much of that tells what it is like, and both.
    entries: Vec<u8>,
    scratch: Vec<u8>,
}

/// What became of an entry that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is there now, or is other than it was.
    Changed(usize),
    /// It is as it was.
    Same(usize),
}

impl Kept {
    /// The number of the entry.
    pub fn number(self) -> usize {
        match self {
            Self::Changed(number) | Self::Same(number) => number,
        }
    }
}

/// What was kept of an entry before it was sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earlier(u32);

/// There is no room for it in what `--keep-directories` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl KeptEntries {
    /// An empty list. `time` is the attribute that says when an entry was last changed.
    pub fn new(attributes: &[String], time: Option<&str>) -> Self {
        let names = attributes.iter().map(|name| AttributeName::new(name));
        let time = time.map(AttributeName::new);
        Self {
            attributes: names.chain(time.clone()).collect(),
            time,
            places: vec![],
            numbers: FastMap::default(),
            entries: vec![],
            scratch: vec![],
        }
    }

    /// What is kept of each entry.
    pub fn attributes(&self) -> &[AttributeName] {
        &self.attributes
    }

    /// How many bytes were written.
    pub fn written(&self) -> usize {
        self.entries.len()
    }

    /// Keeps an entry in place of what was known of it.
    pub fn put(
        &mut self,
        id: EntryId,
        entry: Entry<'_>,
        strings: &mut Strings,
    ) -> Result<Kept, NoRoom> {
        let mut packed = std::mem::take(&mut self.scratch);
        packed.clear();
        let stable = self.attributes.len() - usize::from(self.time.is_some());
        let attributes = &self.attributes[..stable];
        packed::pack(entry, attributes, strings, &mut packed).ok_or(NoRoom)?;
        let stable = packed.len();
        if let Some(time) = &self.time {
            packed::pack_values(entry, time, strings, &mut packed).ok_or(NoRoom)?;
        }
        let kept = self.put_packed(id, &packed, stable);
        self.scratch = packed;
        kept
    }

    fn put_packed(&mut self, id: EntryId, packed: &[u8], stable: usize) -> Result<Kept, NoRoom> {
        let place = u32::try_from(self.entries.len()).map_err(|_| NoRoom)?;
        let number = match self.numbers.entry(id) {
            hash_map::Entry::Occupied(known) => *known.get(),
            hash_map::Entry::Vacant(new) => {
                let number = u32::try_from(self.places.len()).map_err(|_| NoRoom)?;
                self.places.push(GONE);
                *new.insert(number)
            }
        };
        let at = &mut self.places[number as usize];
        let before = *at;
        *at = place;
        let mut head = Vec::with_capacity(10);
        put_number(packed.len() as u64, &mut head);
        put_number(stable as u64, &mut head);
        append(&mut self.entries, &head);
        append(&mut self.entries, packed);
        let is_same = (bytes_at(&self.entries, before))
            .is_some_and(|(known, known_stable)| known[..known_stable] == packed[..stable]);
        Ok(match is_same {
            true => Kept::Same(number as usize),
            false => Kept::Changed(number as usize),
        })
    }

    /// What is kept of an entry now, to be looked at once it was sent again.
    pub fn earlier(&self, id: &EntryId) -> Earlier {
        let place = self.number(id).and_then(|number| self.places.get(number));
        Earlier(place.copied().unwrap_or(GONE))
    }

    /// What was kept of an entry; `None` where nothing was.
    pub fn entry_as_it_was<'a>(
        &'a self,
        earlier: &Earlier,
        strings: &'a Strings,
    ) -> Option<Entry<'a>> {
        let (bytes, _) = bytes_at(&self.entries, earlier.0)?;
        packed::unpack(bytes, &self.attributes, strings)
    }

    /// Puts these texts in place of the values of one attribute of an entry that is there.
    pub fn replace_values(
        &mut self,
        id: EntryId,
        attribute: &AttributeName,
        texts: impl ExactSizeIterator<Item = u32>,
    ) -> Result<Kept, NoRoom> {
        let place = self.number(&id).and_then(|number| self.places.get(number));
        let (bytes, stable) = bytes_at(&self.entries, *place.ok_or(NoRoom)?).ok_or(NoRoom)?;
        let (before, after) = packed::around(bytes, &self.attributes, attribute).ok_or(NoRoom)?;
        let mut packed = before.to_vec();
        packed::pack_texts(texts, &mut packed);
        packed.extend_from_slice(after);
        let stable = stable + packed.len() - bytes.len();
        self.put_packed(id, &packed, stable)
    }

    /// The number of an entry that is there.
    pub fn number(&self, id: &EntryId) -> Option<usize> {
        self.numbers.get(id).map(|number| *number as usize)
    }

    /// Takes an entry out; whether it was there.
    pub fn remove(&mut self, id: &EntryId) -> bool {
        match self.numbers.remove(id) {
            Some(number) => {
                self.places[number as usize] = GONE;
                true
            }
            None => false,
        }
    }

    /// Takes out all but those with these numbers; whether there was any other.
    pub fn retain(&mut self, stay: &[bool]) -> bool {
        let before = self.numbers.len();
        let places = &mut self.places;
        self.numbers.retain(|_, number| {
            let stays = stay.get(*number as usize).copied().unwrap_or_default();
            if !stays {
                places[*number as usize] = GONE;
            }
            stays
        });
        self.numbers.len() < before
    }

    /// How many numbers there are: every entry's is smaller.
    pub fn numbers(&self) -> usize {
        self.places.len()
    }

    /// The entry with this number; `None` where it is gone.
    pub fn entry<'a>(&'a self, number: usize, strings: &'a Strings) -> Option<Entry<'a>> {
        let (bytes, _) = bytes_at(&self.entries, *self.places.get(number)?)?;
        packed::unpack(bytes, &self.attributes, strings)
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        // A map takes a place more than it promises for each seven, and a byte for each place.
        let places = self.numbers.capacity() / 7 * 8;
        let place = size_of::<(EntryId, u32)>() + 1;
        self.entries.capacity() + self.places.capacity() * 4 + places * place
    }
}

/// The bytes of the entry there, and how many of them tell what it is like.
fn bytes_at(entries: &[u8], place: u32) -> Option<(&[u8], usize)> {
    let mut bytes = entries.get(place as usize..).filter(|_| place != GONE)?;
    let length = usize::try_from(take_number(&mut bytes)?).ok()?;
    let stable = usize::try_from(take_number(&mut bytes)?).ok()?;
    Some((bytes.get(..length)?, stable))
}

/// The memory that is set aside for what is kept of a directory, and since when.
pub(crate) struct Room {
    began: Instant,
    /// What was written when everything was read.
    read_whole: usize,
    reservation: Reservation,
    looked_at: usize,
}

impl Room {
    /// For nothing yet.
    pub fn new(reservation: Reservation) -> Self {
        Self {
            began: Instant::now(),
            read_whole: 0,
            reservation,
            looked_at: 0,
        }
    }

    /// Whether so much more was written since the last time that it has to be looked whether there is room for it.
    pub fn is_due(&mut self, written: usize) -> bool {
        let is_due = written >= self.looked_at + LOOK_EVERY;
        if is_due {
            self.looked_at = written;
        }
        is_due
    }

    /// Makes sure that there is room for so many bytes.
    pub fn reserve(&mut self, size: usize) -> Result<(), NoRoom> {
        match self.reservation.grow_to(size) {
            true => Ok(()),
            false => Err(NoRoom),
        }
    }

    /// Everything was read, and so many bytes written.
    pub fn finish(&mut self, written: usize) {
        self.read_whole = written;
    }

    /// It is as if everything had been read now.
    pub fn renew(&mut self) {
        self.began = Instant::now();
    }

    /// Makes it as if everything had been read so long ago.
    #[cfg(test)]
    pub fn age(&mut self, ago: Duration) {
        self.began = Instant::now().checked_sub(ago).unwrap();
    }

    /// Whether everything was read so long ago, or so much was written since, that everything is read again.
    pub fn is_old(&self, written: usize, kept_for: Duration) -> bool {
        written > self.read_whole * 2 + MANY_CHANGES || self.began.elapsed() >= kept_for
    }
}
