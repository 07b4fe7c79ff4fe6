//! A domain as it was last read, entry by entry, kept for the next read.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::read::Names;
use crate::Version;
use crate::directory::ExternalId;
use crate::directory::hash::FastMap;
use crate::kept::Reservation;
use crate::ldap::dn;
use crate::ldap::entry::Entry;
use crate::ldap::kept::next_revision;
use crate::ldap::kept_entries::{Earlier, EntryId, Kept, KeptEntries, NoRoom, Room};
use crate::ldap::packed::Strings;

/// After so long everything is read: by so much is late what a controller doesn't tell, deletions above all.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// What one of the IDs of wanted groups takes, with its place, in bytes.
const WANTED: usize = 80;

/// Which controller was read, in which of its lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// The DN of its NTDS settings (`dsServiceName`).
    pub service: String,
    /// It has another one once it was restored or made anew.
    pub invocation: String,
    /// The DN of its domain.
    pub domain: String,
}

/// A domain as it was last read.
pub struct KeptDomain {
    pub users: KeptEntries,
    /// All groups, wanted or not; empty where none is read.
    pub groups: KeptEntries,
    pub strings: Strings,
    /// The groups that bases and filter leave; `None` where they leave all.
    pub wanted: Option<HashSet<ExternalId>>,
    pub controller: Controller,
    /// The number of the controller's last change when the last read of it began.
    pub usn: u64,
    /// The same when everything was read.
    pub whole_usn: u64,
    /// The entries that the last read saw with a number close to the last one, each with that number.
    pub seen: FastMap<EntryId, u64>,
    /// What was given for what is kept.
    pub version: Version,
    /// What a read of changes saw so far; `None` in a whole read.
    pub sent: Option<Sent>,
    room: Room,
}

/// What a read of changes saw.
#[derive(Default)]
pub struct Sent {
    /// The people who were sent, each with what was kept of them before.
    pub users: BTreeMap<usize, Earlier>,
    /// The groups that were sent, each with what was kept of it before.
    pub groups: BTreeMap<usize, Earlier>,
    /// The DNs of new entries, in normal form.
    new: HashSet<String>,
    /// Whether anything is other than it was.
    pub matters: bool,
    /// How many DNs were known before.
    texts: usize,
    /// How many bytes may be written.
    most: usize,
}

/// Why an entry can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotKept(pub &'static str);

impl From<NoRoom> for NotKept {
    fn from(NoRoom: NoRoom) -> Self {
        Self("there is no room for it in what --keep-directories allows")
    }
}

/// Whether an entry is a person or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Users,
    Groups,
}

impl KeptDomain {
    /// With empty lists of entries with these attributes.
    pub fn new(
        (users, time): (&[String], &str),
        groups: &[String],
        controller: Controller,
        usn: u64,
        version: Version,
        memory: Reservation,
    ) -> Self {
        Self {
            users: KeptEntries::new(users, Some(time)),
            groups: KeptEntries::new(groups, None),
            strings: Strings::default(),
            wanted: None,
            controller,
            usn,
            whole_usn: usn,
            seen: FastMap::default(),
            version,
            sent: None,
            room: Room::new(memory),
        }
    }

    /// The list of this kind.
    pub fn list(&self, list: List) -> &KeptEntries {
        match list {
            List::Users => &self.users,
            List::Groups => &self.groups,
        }
    }

    /// A read of changes begins.
    pub fn begin_update(&mut self) {
        let written = self.written() + self.strings.size();
        self.sent = Some(Sent {
            texts: self.strings.count(),
            // More than this is read with everything else: what comes has no room of its own meanwhile.
            most: written + written / 8 + (1 << 20),
            ..Sent::default()
        });
    }

    /// Keeps an entry that was sent.
    ///
    /// A DN must go on being the name of one entry alone: links to an entry that is renamed, or deleted, change or
    /// vanish without a number for that. So whoever was renamed has everything read, and so has whoever is new and
    /// was there before, or has a name that is known.
    pub fn add(&mut self, list: List, entry: Entry<'_>, names: &Names) -> Result<(), NotKept> {
        let id = entry.bytes(&names.guid).and_then(|id| id.try_into().ok());
        let id: EntryId = id.ok_or(NotKept("an entry has no objectGUID"))?;
        let (entries, strings) = match list {
            List::Users => (&mut self.users, &mut self.strings),
            List::Groups => (&mut self.groups, &mut self.strings),
        };
        let number = entries.number(&id);
        let before = number.and_then(|number| entries.entry(number, strings));
        match (&mut self.sent, before) {
            (None, None) => {}
            (None, Some(_)) => return Err(NotKept("an entry came twice")),
            (Some(_), Some(before)) if before.dn() == entry.dn() => {}
            (Some(_), Some(_)) => return Err(NotKept("an entry has another name")),
            (Some(sent), None) => {
                let created = entry.values(&names.created).next();
                let created = created.and_then(|usn| usn.parse::<u64>().ok());
                if created.is_none_or(|created| created <= self.usn) {
                    return Err(NotKept("an entry that was there came into what is read"));
                }
                let mut name = String::new();
                dn::normalize(entry.dn(), &mut name);
                sent.new.insert(name);
            }
        }
        let earlier = entries.earlier(&id);
        let kept = entries.put(id, entry, strings)?;
        if let Some(sent) = &mut self.sent {
            let of_list = match list {
                List::Users => &mut sent.users,
                List::Groups => &mut sent.groups,
            };
            of_list.entry(kept.number()).or_insert(earlier);
            sent.matters |= matches!(kept, Kept::Changed(_));
        }
        self.make_room()
    }

    /// The number by which a member's DN is kept.
    pub fn name(&mut self, dn: &str) -> Result<u32, NotKept> {
        Ok(self.strings.number(dn.as_bytes()).ok_or(NoRoom)?)
    }

    /// Keeps all members of a group that came in part.
    pub fn add_members(
        &mut self,
        group: EntryId,
        members: impl ExactSizeIterator<Item = u32>,
        names: &Names,
    ) -> Result<(), NotKept> {
        self.groups.replace_values(group, &names.member, members)?;
        self.make_room()
    }

    /// The read of changes is at its end. What was sent.
    ///
    /// # Errors
    /// Where a new entry has a name that was known: of an entry that is gone, or in a group that may not have been
    /// told of its end.
    pub fn finish_update(&mut self) -> Result<Sent, NotKept> {
        let sent = self.sent.take().unwrap_or_default();
        let mut name = String::new();
        if !sent.new.is_empty() {
            for known in self.strings.first(sent.texts) {
                let Ok(known) = std::str::from_utf8(known) else {
                    continue;
                };
                dn::normalize(known, &mut name);
                if sent.new.contains(&name) {
                    return Err(NotKept("a new entry has the name of another one"));
                }
            }
        }
        self.reserve()?;
        if sent.matters {
            // No read gives such a version, so that none is ever taken for a whole one.
            self.version = Version(format!("{} by what changed", next_revision()));
        }
        Ok(sent)
    }

    /// Everything was read.
    pub fn finish(&mut self) -> Result<(), NotKept> {
        self.room.finish(self.written());
        self.reserve()
    }

    /// It is as if everything had been read now.
    pub fn renew(&mut self) {
        self.room.renew();
    }

    /// Whether it was read so long ago, or has changed so much since, that everything is read.
    pub fn is_old(&self) -> bool {
        self.room.is_old(self.written(), KEPT_FOR)
    }

    fn make_room(&mut self) -> Result<(), NotKept> {
        let written = self.written();
        if !self.room.is_due(written) {
            return Ok(());
        }
        let most = self.sent.as_ref().map(|sent| sent.most);
        if most.is_some_and(|most| written + self.strings.size() > most) {
            return Err(NotKept("very much has changed"));
        }
        self.reserve()
    }

    fn reserve(&mut self) -> Result<(), NotKept> {
        let wanted = self.wanted.as_ref().map_or(0, HashSet::len) * WANTED;
        let lists = self.users.size() + self.groups.size() + self.strings.size();
        Ok(self.room.reserve(lists + wanted)?)
    }

    fn written(&self) -> usize {
        self.users.written() + self.groups.written()
    }
}

/// The domain that is kept of a read, as long as all of it can be kept.
pub struct Keeping(Mutex<Result<KeptDomain, NotKept>>);

impl Keeping {
    /// To be filled.
    pub fn new(kept: KeptDomain) -> Self {
        Self(Mutex::new(Ok(kept)))
    }

    /// Does this with it, unless something couldn't be kept before.
    pub fn keep(&self, keep: impl FnOnce(&mut KeptDomain) -> Result<(), NotKept>) {
        let mut kept = self.kept();
        if let Ok(domain) = &mut *kept
            && let Err(why) = keep(domain)
        {
            *kept = Err(why);
        }
    }

    /// The number by which a member's DN is kept.
    pub fn name(&self, dn: &str) -> u32 {
        let mut name = 0;
        self.keep(|kept| {
            name = kept.name(dn)?;
            Ok(())
        });
        name
    }

    /// The domain.
    ///
    /// # Errors
    /// Why it isn't kept.
    pub fn into_inner(self) -> Result<KeptDomain, NotKept> {
        self.0
            .into_inner()
            .expect("no reader panicked with what is kept")
    }

    fn kept(&self) -> MutexGuard<'_, Result<KeptDomain, NotKept>> {
        self.0.lock().expect("no reader panics with what is kept")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::KeptDirectories;

    #[test]
    fn after_ten_minutes_everything_is_read() {
        let memory = Arc::new(KeptDirectories::new(1 << 20)).reservation();
        let controller = Controller {
            service: "CN=NTDS Settings,CN=DC1".into(),
            invocation: "one".into(),
            domain: "DC=x".into(),
        };
        let attributes = ["objectGUID".to_owned()];
        let users = (&attributes[..], "whenChanged");
        let version = Version("1".into());
        let mut kept = KeptDomain::new(users, &attributes, controller, 1, version, memory);
        for (minutes, is_old) in [(9, false), (10, true), (60, true)] {
            kept.room.age(Duration::from_secs(60 * minutes));
            assert_eq!(kept.is_old(), is_old, "{minutes}");
        }
        kept.renew();
        assert!(!kept.is_old());
    }
}
