//! A tenant as it was last read, kept for the next read.
//!
//! Of people it is what a read takes from their entries, of groups all that a read knows. What has changed is put in
//! its place, and a directory is then made of all of it by the code that makes one of a whole read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::changes::{Followed, Told};
use super::groups::Groups;
use super::scope::Scope;
use super::users::Person;
use super::wire::DeletedUser;
use crate::Version;
use crate::kept::{ALLOCATION, Reservation};

/// After so long everything is read, whatever the deltas tell: by so much is late what they don't.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// After so many more people it is looked whether there is room for them.
const LOOK_EVERY: usize = 1_024;

/// Why a tenant can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKept {
    #[error("there is no room for it in what --keep-directories allows")]
    NoRoom,
    #[error("a user was listed twice")]
    Twice,
}

/// What is kept of a person.
#[derive(Debug, PartialEq, Eq)]
struct KeptUser {
    principal_name: Option<Box<str>>,
    mail: Mail,
    enabled: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Mail {
    None,
    /// The same as the principal name, as in most tenants.
    PrincipalName,
    Other(Box<str>),
}

impl KeptUser {
    fn new(person: Person<'_>) -> Self {
        let mail = match person.mail {
            None => Mail::None,
            Some(_) if person.mail == person.principal_name => Mail::PrincipalName,
            Some(mail) => Mail::Other(mail.into()),
        };
        Self {
            principal_name: person.principal_name.map(Box::from),
            mail,
            enabled: person.enabled,
        }
    }

    fn person(&self, id: Uuid) -> Person<'_> {
        let principal_name = self.principal_name.as_deref();
        Person {
            id,
            mail: match &self.mail {
                Mail::None => None,
                Mail::PrincipalName => principal_name,
                Mail::Other(mail) => Some(mail),
            },
            principal_name,
            enabled: self.enabled,
        }
    }

    /// The bytes of its texts.
    fn size(&self) -> usize {
        let text = |text: &str| text.len() + ALLOCATION;
        let mail = match &self.mail {
            Mail::Other(mail) => text(mail),
            Mail::None | Mail::PrincipalName => 0,
        };
        mail + self.principal_name.as_deref().map_or(0, text)
    }
}

/// A tenant as it was last read.
pub(super) struct KeptTenant {
    /// What it is like: another one after each change that matters.
    pub version: Version,
    pub groups: Option<Groups>,
    /// Who is in what the settings name.
    pub scope: Scope,
    /// Who is read, by ID.
    users: Vec<(Uuid, KeptUser)>,
    /// The bytes of their texts.
    texts: usize,
    /// Everybody in the list of deleted users, by ID.
    deleted: Vec<DeletedUser>,
    /// Users and groups that are gone since everything was read.
    gone: BTreeSet<Uuid>,
    reservation: Reservation,
}

impl std::fmt::Debug for KeptTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} people", self.users.len())
    }
}

impl KeptTenant {
    /// Of which nothing is read yet.
    pub fn new(reservation: Reservation) -> Self {
        Self {
            version: Version(String::new()),
            groups: None,
            scope: Scope::default(),
            users: vec![],
            texts: 0,
            deleted: vec![],
            gone: BTreeSet::new(),
            reservation,
        }
    }

    /// Keeps a person that a whole read lists.
    pub fn add_user(&mut self, person: Person<'_>) -> Result<(), NotKept> {
        let user = KeptUser::new(person);
        self.texts += user.size();
        self.users.push((person.id, user));
        match self.users.len() % LOOK_EVERY {
            0 => self.reserve(),
            _ => Ok(()),
        }
    }

    /// Everything was read.
    pub fn finish(
        &mut self,
        version: Version,
        groups: Option<Groups>,
        scope: Scope,
    ) -> Result<(), NotKept> {
        self.version = version;
        self.scope = scope;
        self.users.sort_unstable_by_key(|(id, _)| *id);
        if self.users.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(NotKept::Twice);
        }
        self.users.shrink_to_fit();
        self.groups = groups;
        if let Some(groups) = &mut self.groups {
            groups.shrink();
        }
        self.reserve()
    }

    /// Who is read.
    pub fn people(&self) -> impl ExactSizeIterator<Item = Person<'_>> {
        self.users.iter().map(|(id, user)| user.person(*id))
    }

    /// Everybody in the list of deleted users.
    pub fn deleted(&self) -> &[DeletedUser] {
        &self.deleted
    }

    fn place(&self, id: Uuid) -> Result<usize, usize> {
        self.users.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Puts a person in place of what was known of them; whether they are other than that.
    pub fn put_user(&mut self, person: Person<'_>) -> bool {
        let user = KeptUser::new(person);
        let size = user.size();
        match self.place(person.id) {
            Ok(at) if self.users[at].1 == user => return false,
            Ok(at) => {
                let before = std::mem::replace(&mut self.users[at].1, user);
                self.texts -= before.size();
            }
            Err(at) => self.users.insert(at, (person.id, user)),
        }
        self.texts += size;
        true
    }

    /// Takes a person out; whether they were there.
    pub fn remove_user(&mut self, id: Uuid) -> bool {
        let Ok(at) = self.place(id) else {
            return false;
        };
        let (_, user) = self.users.remove(at);
        self.texts -= user.size();
        true
    }

    /// Puts these in place of the list of deleted users; whether it is another one.
    pub fn put_deleted(&mut self, mut deleted: Vec<DeletedUser>) -> bool {
        deleted.sort_by_key(|user| user.id);
        deleted.shrink_to_fit();
        let is_other = self.deleted != deleted;
        self.deleted = deleted;
        is_other
    }

    /// Notes that these are gone.
    pub fn note_gone(&mut self, ids: impl IntoIterator<Item = Uuid>) {
        self.gone.extend(ids);
    }

    /// Whether somebody, or a group, was deleted when that was last looked at.
    pub fn was_deleted(&self, id: Uuid) -> bool {
        let listed = self.deleted.binary_search_by_key(&id, |user| user.id);
        listed.is_ok() || self.gone.contains(&id)
    }

    /// Makes sure that there is room for all that is there.
    pub fn reserve(&mut self) -> Result<(), NotKept> {
        match self.reservation.grow_to(self.size()) {
            true => Ok(()),
            false => Err(NotKept::NoRoom),
        }
    }

    /// The memory that it takes, in bytes.
    fn size(&self) -> usize {
        let deleted: usize = self.deleted.iter().map(DeletedUser::size).sum();
        self.users.capacity() * size_of::<(Uuid, KeptUser)>()
            + self.texts
            + self.deleted.capacity() * size_of::<DeletedUser>()
            + deleted
            + self.gone.len() * 2 * size_of::<Uuid>()
            + self.scope.size()
            + self.groups.as_ref().map_or(0, Groups::size)
    }

    /// About as many pages as a whole read has.
    pub fn pages(&self) -> usize {
        let (groups, members) = self.groups.as_ref().map_or((0, 0), Groups::counts);
        self.users.len() / 999 + groups / 100 + members / 1_000
    }
}

/// The tenant that is kept of a read, as long as all of it can be kept.
pub(super) struct Keeping(pub Option<KeptTenant>);

impl Keeping {
    /// Keeps more of it.
    pub fn keep(&mut self, keep: impl FnOnce(&mut KeptTenant) -> Result<(), NotKept>) {
        if let Some(kept) = &mut self.0
            && let Err(why) = keep(kept)
        {
            tracing::info!(%why, "the directory isn't kept: the next run reads everything, too");
            self.0 = None;
        }
    }
}

/// Notes of whom the deltas told now; the users and the groups of which they told within `lag`.
pub(super) fn note(
    recent: &Mutex<Recent>,
    told: &Followed,
    lag: Duration,
) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
    let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
    let ids = |told: &[Told]| told.iter().map(|one| one.id).collect::<Vec<_>>();
    recent.note(ids(&told.users), ids(&told.groups), lag);
    recent.ids()
}

/// Users and groups of which the deltas told lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    users: BTreeMap<Uuid, Instant>,
    groups: BTreeMap<Uuid, Instant>,
}

impl Recent {
    /// Notes of whom the deltas told now, and forgets of whom they told longer ago than `lag`.
    fn note(
        &mut self,
        users: impl IntoIterator<Item = Uuid>,
        groups: impl IntoIterator<Item = Uuid>,
        lag: Duration,
    ) {
        let now = Instant::now();
        let is_recent = |_: &Uuid, told: &mut Instant| now.duration_since(*told) < lag;
        self.users.retain(is_recent);
        self.groups.retain(is_recent);
        self.users.extend(users.into_iter().map(|id| (id, now)));
        self.groups.extend(groups.into_iter().map(|id| (id, now)));
    }

    /// The users and the groups that are to be asked for.
    fn ids(&self) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
        let ids = |of: &BTreeMap<Uuid, Instant>| of.keys().copied().collect();
        (ids(&self.users), ids(&self.groups))
    }
}
