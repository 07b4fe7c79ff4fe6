//! A directory as it was last read, entry by entry, kept for the next read.
//!
//! What is kept is what the server sent, cut down to what is asked for. A read of changes replaces entries and then
//! makes a directory of all of them by the very code that makes one of a whole read.

use std::collections::hash_map;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::connection::Endpoint;
use super::csn::Csns;
use super::entry::{AttributeName, Entry};
use super::packed::{self, Strings, append, put_number, take_number};
use crate::directory::hash::FastMap;
use crate::kept::Reservation;

/// What each entry is known by, whatever it is called (RFC 4530).
pub(super) const ENTRY_UUID: &str = "entryUUID";

/// The number of an entry's last change.
pub(super) const ENTRY_CSN: &str = "entryCSN";

/// After so long everything is read, whatever was asked for: by so much is late what a server doesn't tell.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How many more bytes are written before it is looked whether there is room for them.
const LOOK_EVERY: usize = 64 << 10;
/// Of entries that were sent again the older ones stay where they are: so many bytes more than once again as many as
/// a whole read brought.
const MANY_CHANGES: usize = 1 << 20;
/// Stands where an entry was.
const GONE: u32 = u32::MAX;

/// The bytes of an `entryUUID`.
pub(super) type EntryUuid = [u8; 16];

/// A list of which every entry is kept.
pub(super) struct KeptList {
    /// What is kept of each entry.
    attributes: Vec<AttributeName>,
    /// When an entry was last changed; told apart, because it changes with every change.
    time: Option<AttributeName>,
    uuid: AttributeName,
    csn: AttributeName,
    /// The last changes of the entries that a whole read saw.
    newest: Csns,
    /// The DN of the database that the entries are in.
    pub context: String,
    /// Where that database stood: everything up to there is in here.
    pub seen: Csns,
    /// The place of each entry in `entries`, in the order in which they came.
    places: Vec<u32>,
    numbers: FastMap<EntryUuid, u32>,
    /// For each entry how long it is, how much of that tells what it is like, and both.
    entries: Vec<u8>,
    scratch: Vec<u8>,
}

/// What became of an entry that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is there now, or is other than it was.
    Changed(usize),
    /// It is as it was.
    Same(usize),
}

/// What was kept of an entry before it was sent again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier(u32);

/// Why an entry can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKept {
    #[error("there is no room for it in what --keep-directories allows")]
    NoRoom,
    #[error("an entry has no entryUUID, or two have the same")]
    NoUuid,
    #[error("an entry shows no entryCSN")]
    NoCsn,
    #[error(
        "the database doesn't say where it stands, or an entry has a change that it doesn't count"
    )]
    NotCounted,
    #[error("the server works out who is in a group, and doesn't tell when that changes")]
    Computed,
}

impl KeptList {
    /// An empty list of a database that stands there. `time` is the attribute that says when an entry was last
    /// changed.
    pub fn new(attributes: &[String], time: Option<&str>, context: String, seen: Csns) -> Self {
        let names = attributes.iter().map(|name| AttributeName::new(name));
        let time = time.map(AttributeName::new);
        Self {
            attributes: names.chain(time.clone()).collect(),
            time,
            uuid: AttributeName::new(ENTRY_UUID),
            csn: AttributeName::new(ENTRY_CSN),
            newest: Csns::default(),
            context,
            seen,
            places: vec![],
            numbers: FastMap::default(),
            entries: vec![],
            scratch: vec![],
        }
    }

    /// Keeps an entry that a whole read saw.
    pub fn add(&mut self, entry: Entry<'_>, strings: &mut Strings) -> Result<(), NotKept> {
        let uuid = self.uuid_of(entry).ok_or(NotKept::NoUuid)?;
        self.newest
            .note(entry.values(&self.csn).next().ok_or(NotKept::NoCsn)?);
        match self.numbers.contains_key(&uuid) {
            // The server may send an entry twice that is renamed meanwhile; which one is newer nobody says.
            true => Err(NotKept::NoUuid),
            false => self.put(uuid, entry, strings).map(|_| ()),
        }
    }

    /// What to ask for.
    pub fn asked(&self) -> Vec<String> {
        let names = self.attributes.iter().chain([&self.csn]);
        names.map(|name| name.as_str().to_owned()).collect()
    }

    /// An error where an entry has a change that the database doesn't count: then not every change moves it.
    pub fn ensure_counted(&self, now: &Csns) -> Result<(), NotKept> {
        match self.newest.is_within(now) {
            true => Ok(()),
            false => Err(NotKept::NotCounted),
        }
    }

    /// How many bytes were written.
    pub fn written(&self) -> usize {
        self.entries.len()
    }

    /// The `entryUUID` of an entry.
    pub fn uuid_of(&self, entry: Entry<'_>) -> Option<EntryUuid> {
        let text = entry.values(&self.uuid).next()?;
        Some(*uuid::Uuid::try_parse(text).ok()?.as_bytes())
    }

    /// Keeps an entry in place of what was known of it.
    pub fn put(
        &mut self,
        uuid: EntryUuid,
        entry: Entry<'_>,
        strings: &mut Strings,
    ) -> Result<Kept, NotKept> {
        let mut packed = std::mem::take(&mut self.scratch);
        packed.clear();
        let stable = self.attributes.len() - usize::from(self.time.is_some());
        let attributes = &self.attributes[..stable];
        packed::pack(entry, attributes, strings, &mut packed).ok_or(NotKept::NoRoom)?;
        let stable = packed.len();
        if let Some(time) = &self.time {
            packed::pack_values(entry, time, strings, &mut packed).ok_or(NotKept::NoRoom)?;
        }
        let place = u32::try_from(self.entries.len()).map_err(|_| NotKept::NoRoom)?;
        let number = match self.numbers.entry(uuid) {
            hash_map::Entry::Occupied(known) => *known.get(),
            hash_map::Entry::Vacant(new) => {
                let number = u32::try_from(self.places.len()).map_err(|_| NotKept::NoRoom)?;
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
        append(&mut self.entries, &packed);
        let is_same = (bytes_at(&self.entries, before))
            .is_some_and(|(known, known_stable)| known[..known_stable] == packed[..stable]);
        self.scratch = packed;
        Ok(match is_same {
            true => Kept::Same(number as usize),
            false => Kept::Changed(number as usize),
        })
    }

    /// What is kept of an entry now, to be looked at once it was sent again.
    pub fn earlier(&self, uuid: &EntryUuid) -> Earlier {
        let place = self.number(uuid).and_then(|number| self.places.get(number));
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

    /// The number of an entry that is there.
    pub fn number(&self, uuid: &EntryUuid) -> Option<usize> {
        self.numbers.get(uuid).map(|number| *number as usize)
    }

    /// Takes an entry out; whether it was there.
    pub fn remove(&mut self, uuid: &EntryUuid) -> bool {
        match self.numbers.remove(uuid) {
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

    fn size(&self) -> usize {
        // A map takes a place more than it promises for each seven, and a byte for each place.
        let places = self.numbers.capacity() / 7 * 8;
        let place = size_of::<(EntryUuid, u32)>() + 1;
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

/// The attribute that says of which kind a group is.
pub(super) const OBJECT_CLASS: &str = "objectClass";
/// Groups whose members a server works out when it is asked (slapo-dynlist(5)): nothing tells when others are in
/// them.
const COMPUTED: [&str; 3] = ["groupOfURLs", "dgIdentityAux", "labeledURIObject"];

/// An error where the server works out who is in this group.
pub(super) fn ensure_stored(group: Entry<'_>) -> Result<(), NotKept> {
    let mut classes = group.values(&CLASS);
    let is_computed =
        classes.any(|class| COMPUTED.iter().any(|one| class.eq_ignore_ascii_case(one)));
    match is_computed {
        true => Err(NotKept::Computed),
        false => Ok(()),
    }
}

static CLASS: LazyLock<AttributeName> = LazyLock::new(|| AttributeName::new(OBJECT_CLASS));

/// A directory as it was last read.
pub(super) struct KeptDirectory {
    pub users: KeptList,
    pub groups: Option<KeptList>,
    pub strings: Strings,
    /// The server that it was read from.
    pub endpoint: Endpoint,
    /// Whether a group without members has hidden ones, where that was asked.
    pub hides_members: Option<bool>,
    /// Another one after each change that matters, and than any other directory has in this process.
    pub revision: u64,
    began: Instant,
    /// What was written when everything was read.
    read_whole: usize,
    reservation: Reservation,
    looked_at: usize,
}

/// The number of a state of a directory that no other has.
fn next_revision() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl KeptDirectory {
    /// With empty lists.
    pub fn new(
        users: KeptList,
        groups: Option<KeptList>,
        endpoint: Endpoint,
        reservation: Reservation,
    ) -> Self {
        Self {
            users,
            groups,
            strings: Strings::default(),
            endpoint,
            hides_members: None,
            revision: next_revision(),
            began: Instant::now(),
            read_whole: 0,
            reservation,
            looked_at: 0,
        }
    }

    /// Keeps a person that a whole read saw.
    pub fn add_user(&mut self, entry: Entry<'_>) -> Result<(), NotKept> {
        self.users.add(entry, &mut self.strings)?;
        self.make_room()
    }

    /// Keeps a group that a whole read saw.
    pub fn add_group(&mut self, entry: Entry<'_>) -> Result<(), NotKept> {
        ensure_stored(entry)?;
        if let Some(groups) = &mut self.groups {
            groups.add(entry, &mut self.strings)?;
        }
        self.make_room()
    }

    /// The person with this number; `None` where the entry is gone.
    pub fn user(&self, number: usize) -> Option<Entry<'_>> {
        self.users.entry(number, &self.strings)
    }

    /// The group with this number; `None` where the entry is gone.
    pub fn group(&self, number: usize) -> Option<Entry<'_>> {
        self.groups.as_ref()?.entry(number, &self.strings)
    }

    /// Makes sure that there is room for what has been written since the last time.
    fn make_room(&mut self) -> Result<(), NotKept> {
        let written = self.written();
        if written < self.looked_at + LOOK_EVERY {
            return Ok(());
        }
        self.looked_at = written;
        self.reserve()
    }

    /// Makes sure that there is room for all that is there.
    pub fn reserve(&mut self) -> Result<(), NotKept> {
        match self.reservation.grow_to(self.size()) {
            true => Ok(()),
            false => Err(NotKept::NoRoom),
        }
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, KeptList::size);
        self.users.size() + groups + self.strings.size()
    }

    /// It isn't any more what it was.
    pub fn change(&mut self) {
        self.revision = next_revision();
    }

    /// Everything was read.
    pub fn finish(&mut self) -> Result<(), NotKept> {
        self.read_whole = self.written();
        self.reserve()
    }

    /// Whether it was read so long ago, or has changed so much since, that everything is read.
    pub fn is_old(&self) -> bool {
        let is_overwritten = self.written() > self.read_whole * 2 + MANY_CHANGES;
        is_overwritten || self.began.elapsed() >= KEPT_FOR
    }

    fn written(&self) -> usize {
        let groups = self
            .groups
            .as_ref()
            .map_or(0, |groups| groups.entries.len());
        self.users.entries.len() + groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::fixtures::message;
    use super::*;

    fn list() -> KeptList {
        let asked = ["entryUUID", "mail", "cn", "member"].map(str::to_owned);
        let seen = Csns::of(["20261130024115.123456Z#000000#000#000000"]).unwrap();
        KeptList::new(&asked, Some("modifyTimestamp"), "dc=x".into(), seen)
    }

    fn attribute(name: &str, values: &[String]) -> (String, Vec<Vec<u8>>) {
        let values = values.iter().map(|value| value.clone().into_bytes());
        (name.to_owned(), values.collect())
    }

    fn uuid(number: u32) -> String {
        format!("6f9c1ad2-7d1e-4c5b-9a55-{number:012x}")
    }

    fn dn(number: u32) -> String {
        format!("uid=first.last{number},ou=people,dc=corp,dc=example,dc=com")
    }

    fn put(
        list: &mut KeptList,
        strings: &mut Strings,
        number: u32,
        mail: &str,
        time: &str,
    ) -> Kept {
        let attributes = [
            attribute("entryUUID", &[uuid(number)]),
            attribute("mail", &[mail.to_owned()]),
            attribute("modifyTimestamp", &[time.to_owned()]),
        ];
        let message = message(&dn(number), &attributes);
        let entry = Entry::of(&message).unwrap();
        let id = list.uuid_of(entry).unwrap();
        list.put(id, entry, strings).unwrap()
    }

    #[test]
    fn an_entry_changes_where_more_than_its_time_does() {
        let (mut list, mut strings) = (list(), Strings::default());
        assert_eq!(
            put(&mut list, &mut strings, 1, "a@x", "1"),
            Kept::Changed(0)
        );
        assert_eq!(
            put(&mut list, &mut strings, 2, "b@x", "1"),
            Kept::Changed(1)
        );
        assert_eq!(put(&mut list, &mut strings, 1, "a@x", "2"), Kept::Same(0));
        let time = AttributeName::new("modifyTimestamp");
        let times = |list: &KeptList, strings: &Strings| -> Vec<Option<String>> {
            let entries = (0..list.numbers()).map(|number| list.entry(number, strings));
            entries
                .map(|entry| Some(entry?.values(&time).next()?.to_owned()))
                .collect()
        };
        assert_eq!(times(&list, &strings), [Some("2".into()), Some("1".into())]);
        assert_eq!(
            put(&mut list, &mut strings, 1, "other@x", "2"),
            Kept::Changed(0)
        );
        let id = *uuid::Uuid::try_parse(&uuid(1)).unwrap().as_bytes();
        assert!(list.remove(&id) && !list.remove(&id));
        assert_eq!(times(&list, &strings), [None, Some("1".into())]);
        assert_eq!(
            put(&mut list, &mut strings, 1, "a@x", "1"),
            Kept::Changed(2)
        );
        assert!(list.retain(&[false, false, true]));
        assert_eq!(times(&list, &strings), [None, None, Some("1".into())]);
        assert!(!list.retain(&[false, false, true]));
    }

    #[test]
    fn a_person_takes_about_200_bytes_with_four_memberships() {
        const PEOPLE: u32 = 20_000;
        let (mut users, mut groups, mut strings) = (list(), list(), Strings::default());
        for number in 0..PEOPLE {
            let mail = format!("first.last{number}@corp.example.com");
            put(&mut users, &mut strings, number, &mail, "20261130024115Z");
        }
        for group in 0..PEOPLE / 20 {
            let members: Vec<String> = (0..80).map(|n| dn((group * 20 + n * 7) % PEOPLE)).collect();
            let attributes = [
                attribute("entryUUID", &[uuid(PEOPLE + group)]),
                attribute(
                    "entryCSN",
                    &["20261130024115.123456Z#000000#000#000000".to_owned()],
                ),
                attribute("cn", &[format!("team {group}")]),
                attribute("member", &members),
            ];
            let dn = format!("cn=team{group},ou=groups,dc=corp,dc=example,dc=com");
            let message = message(&dn, &attributes);
            groups
                .add(Entry::of(&message).unwrap(), &mut strings)
                .unwrap();
        }
        let size = users.size() + groups.size() + strings.size();
        let each = size / PEOPLE as usize;
        println!("{each} bytes a person");
        assert!((150..280).contains(&each), "{each} bytes a person");
    }
}
