//! A directory as it was last read, entry by entry, kept for the next read.
//!
//! What is kept is what the server sent, cut down to what is asked for. A read of changes replaces entries and then
//! makes a directory of all of them by the very code that makes one of a whole read.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::connection::Endpoint;
use super::csn::Csns;
use super::entry::{AttributeName, Entry};
use super::kept_entries::{EntryId, KeptEntries, NoRoom, Room};
use super::packed::Strings;
use crate::kept::Reservation;

/// What each entry is known by, whatever it is called (RFC 4530).
pub(super) const ENTRY_UUID: &str = "entryUUID";

/// The number of an entry's last change.
pub(super) const ENTRY_CSN: &str = "entryCSN";

/// After so long everything is read, whatever was asked for: by so much is late what a server doesn't tell.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// A list of which every entry is kept.
pub(super) struct KeptList {
    entries: KeptEntries,
    uuid: AttributeName,
    csn: AttributeName,
    /// The last changes of the entries that a whole read saw.
    newest: Csns,
    /// The DN of the database that the entries are in.
    pub context: String,
    /// Where that database stood: everything up to there is in here.
    pub seen: Csns,
}

impl Deref for KeptList {
    type Target = KeptEntries;

    fn deref(&self) -> &KeptEntries {
        &self.entries
    }
}

impl DerefMut for KeptList {
    fn deref_mut(&mut self) -> &mut KeptEntries {
        &mut self.entries
    }
}

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

impl From<NoRoom> for NotKept {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl KeptList {
    /// An empty list of a database that stands there. `time` is the attribute that says when an entry was last
    /// changed.
    pub fn new(attributes: &[String], time: Option<&str>, context: String, seen: Csns) -> Self {
        Self {
            entries: KeptEntries::new(attributes, time),
            uuid: AttributeName::new(ENTRY_UUID),
            csn: AttributeName::new(ENTRY_CSN),
            newest: Csns::default(),
            context,
            seen,
        }
    }

    /// Keeps an entry that a whole read saw.
    pub fn add(&mut self, entry: Entry<'_>, strings: &mut Strings) -> Result<(), NotKept> {
        let uuid = self.uuid_of(entry).ok_or(NotKept::NoUuid)?;
        self.newest
            .note(entry.values(&self.csn).next().ok_or(NotKept::NoCsn)?);
        match self.number(&uuid) {
            // The server may send an entry twice that is renamed meanwhile; which one is newer nobody says.
            Some(_) => Err(NotKept::NoUuid),
            None => Ok(self.put(uuid, entry, strings).map(drop)?),
        }
    }

    /// What to ask for.
    pub fn asked(&self) -> Vec<String> {
        let names = self.attributes().iter().chain([&self.csn]);
        names.map(|name| name.as_str().to_owned()).collect()
    }

    /// An error where an entry has a change that the database doesn't count: then not every change moves it.
    pub fn ensure_counted(&self, now: &Csns) -> Result<(), NotKept> {
        match self.newest.is_within(now) {
            true => Ok(()),
            false => Err(NotKept::NotCounted),
        }
    }

    /// The `entryUUID` of an entry.
    pub fn uuid_of(&self, entry: Entry<'_>) -> Option<EntryId> {
        let text = entry.values(&self.uuid).next()?;
        Some(*uuid::Uuid::try_parse(text).ok()?.as_bytes())
    }
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
    room: Room,
}

/// The number of a state of a directory that no other has.
pub(crate) fn next_revision() -> u64 {
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
            room: Room::new(reservation),
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
        match self.room.is_due(self.written()) {
            true => self.reserve(),
            false => Ok(()),
        }
    }

    /// Makes sure that there is room for all that is there.
    pub fn reserve(&mut self) -> Result<(), NotKept> {
        Ok(self.room.reserve(self.size())?)
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, |groups| groups.size());
        self.users.size() + groups + self.strings.size()
    }

    /// It isn't any more what it was.
    pub fn change(&mut self) {
        self.revision = next_revision();
    }

    /// Everything was read.
    pub fn finish(&mut self) -> Result<(), NotKept> {
        self.room.finish(self.written());
        self.reserve()
    }

    /// Whether it was read so long ago, or has changed so much since, that everything is read.
    pub fn is_old(&self) -> bool {
        self.room.is_old(self.written(), KEPT_FOR)
    }

    fn written(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, |groups| groups.written());
        self.users.written() + groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept_entries::Kept;
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
