//! Puts a directory together while its people and groups arrive in any order.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;

use string_interner::StringInterner;
use string_interner::backend::StringBackend;
use string_interner::symbol::{Symbol as _, SymbolU32};

use crate::complete::Complete;
use crate::hash::{FastMap, RandomState};
use crate::problem::{KEPT_PER_REASON, Problem, ProblemReason, Problems};
use crate::text::sanitize;
use crate::{
    Account, AccountEvidence, AccountRule, AccountState, Container, Directory, Email, ExternalId,
    FormerIds, Group, InPart, Incremental, ReadNow, UnidentifiedGroup, UnidentifiedUser,
    UnknownMembers, UnusableEmail, User,
};

/// How many unknown members are named.
const UNKNOWN_SAMPLE: usize = 10;

/// How many unknown members of one group are named.
const UNKNOWN_IN_GROUP_SAMPLE: usize = 3;

/// Of so many unknown members of a group, the first by name are named, in whatever order they came.
const UNKNOWN_IN_GROUP_COMPARED: usize = 100;

/// Of so many groups, unknown members are named: no more of them are told.
const UNKNOWN_GROUPS_SAMPLE: usize = KEPT_PER_REASON;

/// How many entries with one id are named.
const CONFLICT_SAMPLE: usize = 5;

/// The name by which groups refer to their members (a DN in normal form, an id), held once.
///
/// A group may be read before its members: keys are handed out for names that aren't entries yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryKey(u32);

impl EntryKey {
    fn of(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 directory entries"))
    }
}

/// What a key turned out to be the name of.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Unknown,
    User(u32),
    Group(u32),
    /// Somebody who can't be identified.
    UnidentifiedUser,
    /// A group that can't be identified.
    UnidentifiedGroup,
    /// Several people have this name, so a group that has it as a member could mean either.
    Ambiguous {
        first: u32,
        /// `None`: somebody who can't be identified.
        other: Option<u32>,
    },
}

struct PendingGroup {
    id: ExternalId,
    name: Box<str>,
    members: Vec<EntryKey>,
    in_part: Option<InPart>,
}

/// Collects people and groups; [`DirectoryBuilder::finish`] ties members to entries.
#[derive(Default)]
pub struct DirectoryBuilder {
    /// One after the other in one piece of memory: groups look up each of their members here.
    keys: Keys,
    entries: Vec<Entry>,
    users: Vec<User>,
    groups: Vec<PendingGroup>,
    user_ids: FastMap<ExternalId, u32>,
    group_ids: FastMap<ExternalId, u32>,
    /// Where ids may be shared: the first key of each person and of each group.
    own_keys: Option<OwnKeys>,
    /// By index: further people with the same id.
    shared_users: BTreeMap<u32, Vec<OtherUser>>,
    /// By index: the first keys and names of further groups with the same id.
    shared_groups: BTreeMap<u32, Vec<(EntryKey, Box<str>)>>,
    unidentified_users: Vec<UnidentifiedUser>,
    unidentified_groups: Vec<UnidentifiedGroup>,
    account_rule: Option<AccountRule>,
    attribute: AttributeSeen,
    /// The last evidence that was made, whose texts the next one probably shares.
    last_evidence: Option<Arc<AccountEvidence>>,
    /// Memberships told from the person's side (`memberOf`): (member, group).
    reverse: Vec<(EntryKey, EntryKey)>,
    former_ids: Option<FormerIds>,
    problems: Problems,
}

/// Names by their numbers, in the order in which they came.
struct Keys(StringInterner<StringBackend, RandomState>);

impl Default for Keys {
    fn default() -> Self {
        Self(StringInterner::with_hasher(RandomState::default()))
    }
}

/// Where the attribute was seen that tells disabled accounts.
#[derive(Default)]
struct AttributeSeen {
    containers: FastMap<Box<str>, Container>,
    /// By the number of the container, whether any entry in it has the attribute.
    shown: Vec<bool>,
    /// How many entries have it, and how many of them whose account is active.
    all: usize,
    active: usize,
    /// Active accounts have it while something passes, and lack it as well.
    comes_and_goes: bool,
}

#[derive(Default)]
struct OwnKeys {
    users: Vec<EntryKey>,
    groups: Vec<EntryKey>,
}

struct OtherUser {
    key: EntryKey,
    email: Option<Email>,
}

impl DirectoryBuilder {
    /// An empty directory whose ids are unique by the directory's own guarantee: the same id twice
    /// is one entry that came twice.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty directory whose ids come from an attribute that nothing keeps unique. The first of
    /// an entry's keys is then the name that only this entry has (its DN): two entries with one id
    /// are set aside, the same entry twice is one.
    pub fn with_shareable_ids() -> Self {
        Self {
            own_keys: Some(OwnKeys::default()),
            ..Self::default()
        }
    }

    /// The key of `name`, new or known.
    pub fn key(&mut self, name: &str) -> EntryKey {
        let index = self.keys.0.get_or_intern(name).to_usize();
        if index == self.entries.len() {
            self.entries.push(Entry::Unknown);
        }
        EntryKey::of(index)
    }

    /// Adds a person under all `keys` by which groups may name them.
    ///
    /// `entry` is what administrators know the entry by; it is kept only where there is something
    /// to tell them. Of an entry that came twice, an active account wins over one that isn't.
    pub fn user(
        &mut self,
        keys: &[EntryKey],
        id: &str,
        email: &str,
        account: Account<'_>,
        entry: &str,
    ) {
        let id = match ExternalId::parse(id) {
            Ok(id) => id,
            Err(error) => return self.unidentified_user(keys, email, entry, error),
        };
        let email = Email::parse(email);
        let index = match self.user_ids.get(&id) {
            Some(&index) => {
                if let Some(key) = self.other_user(index, keys) {
                    let email = email.ok();
                    let others = self.shared_users.entry(index).or_default();
                    if others.iter().all(|other| other.key != key) {
                        others.push(OtherUser { key, email });
                    }
                } else if self.users[index as usize].state != AccountState::Active
                    && account.state == AccountState::Active
                {
                    self.users[index as usize] = self.new_user(id, email, account, entry);
                }
                index
            }
            None => {
                let index = u32::try_from(self.users.len()).expect("fewer than 2^32 people");
                let user = self.new_user(id.clone(), email, account, entry);
                self.users.push(user);
                if let Some(own) = &mut self.own_keys {
                    own.users.push(keys[0]);
                }
                self.user_ids.insert(id, index);
                index
            }
        };
        for key in keys {
            let entry = &mut self.entries[key.0 as usize];
            *entry = match *entry {
                Entry::User(first) if first != index => Entry::Ambiguous {
                    first,
                    other: Some(index),
                },
                Entry::UnidentifiedUser => Entry::Ambiguous {
                    first: index,
                    other: None,
                },
                ambiguous @ Entry::Ambiguous { .. } => ambiguous,
                Entry::Unknown | Entry::User(_) | Entry::Group(_) | Entry::UnidentifiedGroup => {
                    Entry::User(index)
                }
            };
        }
    }

    fn new_user(
        &mut self,
        id: ExternalId,
        email: Result<Email, crate::InvalidEmail>,
        account: Account<'_>,
        entry: &str,
    ) -> User {
        let evidence = (account.state != AccountState::Active).then(|| {
            let (attribute, value) = (sanitize(account.attribute), sanitize(account.value));
            let shared = |text: String, last: fn(&AccountEvidence) -> &Arc<str>| {
                let last = self.last_evidence.as_deref().map(last);
                match last.filter(|last| ***last == *text) {
                    Some(last) => Arc::clone(last),
                    None => text.into(),
                }
            };
            let evidence = Arc::new(AccountEvidence {
                attribute: shared(attribute, |last| &last.attribute),
                value: shared(value, |last| &last.value),
                entry: sanitize(entry).into(),
                changed: account.changed,
            });
            self.last_evidence = Some(Arc::clone(&evidence));
            evidence
        });
        User {
            id,
            email: email.map_err(|why| UnusableEmail {
                why,
                entry: sanitize(entry).into(),
            }),
            state: account.state,
            evidence,
            lacks_attribute_in: account.lacks_attribute_in,
            is_unnamed: false,
        }
    }

    /// The own key of a person who has the id of the one at `index` and isn't that one.
    fn other_user(&self, index: u32, keys: &[EntryKey]) -> Option<EntryKey> {
        let own = self.own_keys.as_ref()?;
        (own.users[index as usize] != keys[0]).then_some(keys[0])
    }

    /// Adds a person who has no id that could be read; `why` says what is wrong with it.
    pub fn unidentified_user(
        &mut self,
        keys: &[EntryKey],
        email: &str,
        entry: &str,
        why: impl Display,
    ) {
        self.problems.add(Problem::new(
            ProblemReason::InvalidExternalId,
            format!("{}: {why}", sanitize(entry)),
            [],
        ));
        self.unidentified_users.push(UnidentifiedUser {
            id: None,
            email: Email::parse(email).ok(),
            entry: sanitize(entry).into(),
            undecided: false,
        });
        self.mark_unidentified(keys);
    }

    /// Adds a person with an id of whom nobody can tell whether the account may be used: `why` says
    /// what the directory says of it. The member they are keeps everything.
    pub fn undecided_user(
        &mut self,
        keys: &[EntryKey],
        id: &str,
        email: &str,
        entry: &str,
        why: impl Display,
    ) {
        let id = match ExternalId::parse(id) {
            Ok(id) => id,
            Err(error) => return self.unidentified_user(keys, email, entry, error),
        };
        self.problems.add(Problem::new(
            ProblemReason::UnknownAccountState,
            format!("{}: {why}", sanitize(entry)),
            [id.clone()],
        ));
        self.unidentified_users.push(UnidentifiedUser {
            id: Some(id),
            email: Email::parse(email).ok(),
            entry: sanitize(entry).into(),
            undecided: true,
        });
        self.mark_unidentified(keys);
    }

    fn mark_unidentified(&mut self, keys: &[EntryKey]) {
        for key in keys {
            let entry = &mut self.entries[key.0 as usize];
            *entry = match *entry {
                Entry::User(first) => Entry::Ambiguous { first, other: None },
                ambiguous @ Entry::Ambiguous { .. } => ambiguous,
                Entry::Unknown
                | Entry::Group(_)
                | Entry::UnidentifiedUser
                | Entry::UnidentifiedGroup => Entry::UnidentifiedUser,
            };
        }
    }

    /// Adds a group under all `keys` by which other groups may name it. A group that came twice has
    /// the members of both.
    pub fn group(&mut self, keys: &[EntryKey], id: &str, name: &str, members: Vec<EntryKey>) {
        let id = match ExternalId::parse(id) {
            Ok(id) => id,
            Err(error) => return self.unidentified_group(keys, name, error),
        };
        let index = match self.group_ids.get(&id) {
            Some(&index) => {
                match self.other_group(index, keys) {
                    Some(key) => {
                        let others = self.shared_groups.entry(index).or_default();
                        if others.iter().all(|(other, _)| *other != key) {
                            others.push((key, name.trim().into()));
                        }
                    }
                    None => self.groups[index as usize].members.extend(members),
                }
                index
            }
            None => {
                let index = u32::try_from(self.groups.len()).expect("fewer than 2^32 groups");
                self.group_ids.insert(id.clone(), index);
                if let Some(own) = &mut self.own_keys {
                    own.groups.push(keys[0]);
                }
                self.groups.push(PendingGroup {
                    id,
                    name: name.trim().into(),
                    members,
                    in_part: None,
                });
                index
            }
        };
        // An entry that is both is a person, whichever list it came in first.
        for key in keys {
            let entry = &mut self.entries[key.0 as usize];
            if matches!(entry, Entry::Unknown | Entry::Group(_)) {
                *entry = Entry::Group(index);
            }
        }
    }

    fn other_group(&self, index: u32, keys: &[EntryKey]) -> Option<EntryKey> {
        let own = self.own_keys.as_ref()?;
        (own.groups[index as usize] != keys[0]).then_some(keys[0])
    }

    /// Adds a group of which the directory hides members from us: who is not in `members` may be in
    /// it all the same.
    pub fn group_in_part(
        &mut self,
        keys: &[EntryKey],
        id: &str,
        name: &str,
        members: Vec<EntryKey>,
    ) {
        self.group(keys, id, name, members);
        if let Some(&index) = self.group_ids.get(id.trim()) {
            self.groups[index as usize].in_part = Some(InPart::HiddenMembers);
        }
    }

    /// Adds a group that has no id that could be read; `why` says what is wrong with it.
    pub fn unidentified_group(&mut self, keys: &[EntryKey], name: &str, why: impl Display) {
        self.problems.add(Problem::new(
            ProblemReason::InvalidExternalId,
            format!("group {}: {why}", sanitize(name)),
            [],
        ));
        self.unidentified_groups.push(UnidentifiedGroup {
            id: None,
            name: name.trim().into(),
        });
        for key in keys {
            let entry = &mut self.entries[key.0 as usize];
            if matches!(entry, Entry::Unknown) {
                *entry = Entry::UnidentifiedGroup;
            }
        }
    }

    /// Says from the member's side that `member` is in `group`; either may be read later.
    pub fn member_of(&mut self, member: EntryKey, group: EntryKey) {
        self.reverse.push((member, group));
    }

    /// Says by what accounts are told to be disabled: the attribute or field, and in one text what its
    /// values mean. Each entry has it.
    pub fn account_rule(&mut self, name: &str, meaning: &str) {
        self.account_rule = Some(AccountRule {
            name: name.into(),
            meaning: meaning.into(),
            seen: None,
            active_have_it: false,
            shown: vec![],
        });
    }

    /// The same, where entries may lack the attribute. `comes_and_goes` where active accounts have it for
    /// a while and then lack it again: a lockout that passes.
    pub fn optional_account_rule(&mut self, name: &str, meaning: &str, comes_and_goes: bool) {
        self.account_rule(name, meaning);
        self.attribute.comes_and_goes = comes_and_goes;
        if let Some(rule) = &mut self.account_rule {
            rule.seen = Some(0);
        }
    }

    /// Notes whether an entry has that attribute: `state` by its value, `None` where it lacks it.
    /// `container` names the entry's parent. What is returned is for [`Account::lacks_attribute_in`].
    pub fn note_attribute(
        &mut self,
        container: &str,
        state: Option<AccountState>,
    ) -> Option<Container> {
        let seen = &mut self.attribute;
        let found = match seen.containers.get(container) {
            Some(found) => *found,
            None => {
                let number = u32::try_from(seen.shown.len() + 1).ok();
                let number = number.and_then(NonZeroU32::new);
                let number = Container(number.expect("fewer than 2^32 directory entries"));
                seen.containers.insert(container.into(), number);
                seen.shown.push(false);
                number
            }
        };
        let Some(state) = state else {
            return Some(found);
        };
        seen.all += 1;
        seen.active += usize::from(state == AccountState::Active);
        seen.shown[found.0.get() as usize - 1] = true;
        None
    }

    /// Says that keys are names (DNs) which another program may have taken for external IDs.
    /// `normal_form` makes of such an ID what [`Self::key`] was given for the entry, and `None` of any
    /// other text. Keys that begin with a control character are no such names.
    pub fn keys_are_former_ids(&mut self, normal_form: fn(&str) -> Option<String>) {
        self.former_ids = Some(FormerIds::new(normal_form));
    }

    /// Notes that this person's entry doesn't show an attribute by which groups name people.
    pub fn unnamed(&mut self, key: EntryKey) {
        if let Entry::User(index) = self.entries[key.0 as usize] {
            self.users[index as usize].is_unnamed = true;
        }
    }

    /// Notes an entry that can't be used.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.add(problem);
    }

    /// How many people and groups there are so far.
    pub fn counts(&self) -> (usize, usize) {
        (self.users.len(), self.groups.len())
    }

    /// Ties members to entries. Call it only after the last page of everything was seen.
    pub fn finish(self) -> Complete<Directory> {
        Complete::after_last_page(self.tie())
    }

    /// The same of entries that an earlier complete read saw, brought up to date by changes; `read_now` was sent
    /// among these.
    pub fn finish_incremental(self, read_now: ReadNow) -> Incremental<Directory> {
        Incremental::new(self.tie(), read_now)
    }

    fn tie(mut self) -> Directory {
        for (member, group) in std::mem::take(&mut self.reverse) {
            if let Entry::Group(index) = self.entries[group.0 as usize] {
                self.groups[index as usize].members.push(member);
            }
        }
        self.set_shared_ids_aside();
        self.tell_where_seen();
        self.note_former_ids();
        let mut unknown = vec![];
        let mut ambiguous = vec![];
        let mut seen = vec![false; self.entries.len()];
        let mut groups = Vec::with_capacity(self.groups.len());
        let mut unknown_in: Vec<(usize, Vec<EntryKey>)> = vec![];
        for group in std::mem::take(&mut self.groups) {
            let (mut users, mut nested) = (vec![], vec![]);
            let mut unknown_here = vec![];
            let (mut in_part, mut has_unidentified) = (group.in_part, false);
            for member in group.members {
                match self.entries[member.0 as usize] {
                    Entry::User(index) => users.push(index),
                    Entry::Group(index) => nested.push(index),
                    Entry::UnidentifiedUser => has_unidentified = true,
                    Entry::UnidentifiedGroup => {
                        in_part.get_or_insert(InPart::UnidentifiedGroup);
                    }
                    Entry::Ambiguous { first, other } => {
                        in_part.get_or_insert(InPart::AmbiguousMember);
                        if !std::mem::replace(&mut seen[member.0 as usize], true) {
                            ambiguous.push((member, first, other));
                        }
                    }
                    Entry::Unknown => {
                        if !std::mem::replace(&mut seen[member.0 as usize], true) {
                            unknown.push(member);
                        }
                        unknown_here.push(member);
                    }
                }
            }
            for list in [&mut users, &mut nested] {
                list.sort_unstable();
                list.dedup();
            }
            unknown_here.sort_unstable_by_key(|key: &EntryKey| key.0);
            unknown_here.dedup();
            let count = unknown_here.len();
            if count > 0 && unknown_in.len() < UNKNOWN_GROUPS_SAMPLE {
                unknown_here.truncate(UNKNOWN_IN_GROUP_COMPARED);
                unknown_in.push((groups.len(), unknown_here));
            }
            groups.push(Group {
                id: group.id,
                name: group.name,
                users: users.into(),
                groups: nested.into(),
                in_part,
                has_unidentified,
                unknown: (count > 0).then(|| {
                    let sample = vec![];
                    Box::new(UnknownMembers { count, sample })
                }),
            });
        }
        let sampled = unknown.iter().take(UNKNOWN_SAMPLE).copied();
        let sampled = sampled.chain(unknown_in.iter().flat_map(|(_, keys)| keys).copied());
        let names = self.names(sampled.chain(ambiguous.iter().map(|(key, ..)| *key)));
        let name = |key: &EntryKey| names.get(key).map_or("", |name| &**name).to_owned();
        let mut sample: Vec<String> = unknown.iter().take(UNKNOWN_SAMPLE).map(name).collect();
        sample.sort();
        for (group, keys) in &unknown_in {
            if let Some(unknown) = &mut groups[*group].unknown {
                unknown.sample = keys.iter().map(name).collect();
                unknown.sample.sort();
                unknown.sample.truncate(UNKNOWN_IN_GROUP_SAMPLE);
            }
        }
        for (key, first, other) in ambiguous {
            let mut ids = vec![self.users[first as usize].id.clone()];
            ids.extend(other.map(|index| self.users[index as usize].id.clone()));
            let other = match ids.get(1) {
                Some(id) => id.as_str(),
                None => "an entry that can't be identified",
            };
            self.problems.add(Problem::new(
                ProblemReason::AmbiguousMember,
                format!(
                    "groups have {:?} as a member, which is the name of {} and of {other}; these \
                     groups are left as they are until each has a name of its own",
                    name(&key).trim(),
                    ids[0],
                ),
                ids,
            ));
        }
        Directory {
            users: self.users,
            groups,
            unidentified_users: self.unidentified_users,
            unidentified_groups: self.unidentified_groups,
            account_rule: self.account_rule,
            unknown_members: UnknownMembers {
                count: unknown.len(),
                sample,
            },
            former_ids: self.former_ids,
            problems: self.problems,
        }
    }

    /// Notes which entry has which name. Those without an identity have none: who they are isn't known.
    fn note_former_ids(&mut self) {
        let Some(former) = &mut self.former_ids else {
            return;
        };
        let names = self.keys.0.iter();
        for (key, name) in names.filter(|(_, name)| !name.starts_with(char::is_control)) {
            match self.entries[key.to_usize()] {
                Entry::User(index) => former.person(name, index),
                Entry::Group(index) => former.group(name, index),
                _ => {}
            }
        }
        former.sort();
    }

    /// Tells where the attribute of disabled accounts was seen.
    fn tell_where_seen(&mut self) {
        let seen = &mut self.attribute;
        if let Some(rule) = &mut self.account_rule
            && rule.seen.is_some()
        {
            rule.seen = Some(seen.all);
            rule.active_have_it = seen.active > 0 && !seen.comes_and_goes;
            rule.shown = std::mem::take(&mut seen.shown);
        }
    }

    /// The names behind keys.
    fn names(&self, keys: impl Iterator<Item = EntryKey>) -> HashMap<EntryKey, String> {
        let name = |key: EntryKey| {
            let symbol = SymbolU32::try_from_usize(key.0 as usize)?;
            Some((key, sanitize(self.keys.0.resolve(symbol)?)))
        };
        keys.filter_map(name).collect()
    }

    /// Makes entries without identity of all that have one id: nobody can tell which of them the
    /// member with that id is.
    fn set_shared_ids_aside(&mut self) {
        let users = std::mem::take(&mut self.shared_users);
        let groups = std::mem::take(&mut self.shared_groups);
        let Some(own) = self.own_keys.take() else {
            return;
        };
        if users.is_empty() && groups.is_empty() {
            return;
        }
        let of_users = users.iter().flat_map(|(&first, others)| {
            let first = [own.users[first as usize]];
            first
                .into_iter()
                .chain(others.iter().map(|other| other.key))
        });
        let of_groups = groups.iter().flat_map(|(&first, others)| {
            let first = [own.groups[first as usize]];
            first.into_iter().chain(others.iter().map(|(key, _)| *key))
        });
        let names = self.names(of_users.chain(of_groups));
        let name = |key: EntryKey| names.get(&key).map_or("", |name| &**name);

        for (&first, others) in &users {
            let user = &self.users[first as usize];
            let keys: Vec<EntryKey> = [own.users[first as usize]]
                .into_iter()
                .chain(others.iter().map(|other| other.key))
                .collect();
            let problem = shared_id("people", &user.id, keys.iter().map(|&key| name(key)));
            self.problems.add(problem);
            let emails = [user.email.as_ref().ok()]
                .into_iter()
                .chain(others.iter().map(|other| other.email.as_ref()));
            let unidentified = keys
                .iter()
                .zip(emails)
                .map(|(&key, email)| UnidentifiedUser {
                    id: Some(user.id.clone()),
                    email: email.cloned(),
                    entry: name(key).into(),
                    undecided: false,
                });
            self.unidentified_users.extend(unidentified);
        }
        for (&first, others) in &groups {
            let group = &self.groups[first as usize];
            let keys = [own.groups[first as usize]]
                .into_iter()
                .chain(others.iter().map(|(key, _)| *key));
            let problem = shared_id("groups", &group.id, keys.map(name));
            self.problems.add(problem);
            let all = [&group.name]
                .into_iter()
                .chain(others.iter().map(|(_, n)| n));
            let unidentified = all.map(|name| UnidentifiedGroup {
                id: Some(group.id.clone()),
                name: name.clone(),
            });
            self.unidentified_groups.extend(unidentified);
        }
        let user_moves = moves(self.users.len(), &users);
        let group_moves = moves(self.groups.len(), &groups);
        keep(&mut self.users, &user_moves);
        keep(&mut self.groups, &group_moves);
        for entry in &mut self.entries {
            *entry = match *entry {
                Entry::User(at) => match user_moves[at as usize] {
                    Some(at) => Entry::User(at),
                    None => Entry::UnidentifiedUser,
                },
                Entry::Group(at) => match group_moves[at as usize] {
                    Some(at) => Entry::Group(at),
                    None => Entry::UnidentifiedGroup,
                },
                Entry::Ambiguous { first, other } => {
                    let first = user_moves[first as usize];
                    let other = other.and_then(|at| user_moves[at as usize]);
                    match (first, other) {
                        (Some(first), other) => Entry::Ambiguous { first, other },
                        (None, Some(first)) => Entry::Ambiguous { first, other: None },
                        (None, None) => Entry::UnidentifiedUser,
                    }
                }
                other => other,
            };
        }
    }
}

/// Where each of `count` goes when those at the keys of `gone` are taken out.
fn moves<T>(count: usize, gone: &BTreeMap<u32, T>) -> Vec<Option<u32>> {
    let mut next = 0;
    (0..count as u32)
        .map(|at| {
            (!gone.contains_key(&at)).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

fn keep<T>(all: &mut Vec<T>, moves: &[Option<u32>]) {
    let mut moves = moves.iter();
    all.retain(|_| moves.next().is_some_and(Option::is_some));
}

fn shared_id<'n>(what: &str, id: &ExternalId, entries: impl Iterator<Item = &'n str>) -> Problem {
    let entries: Vec<&str> = entries.collect();
    let mut named: Vec<&str> = entries.iter().copied().take(CONFLICT_SAMPLE).collect();
    named.sort_unstable();
    let message = format!(
        "{} {what} have the id {}: {}{}; none of them is synced and nothing is taken from the one \
         that has it in Bitwarden, until each has an id of its own",
        entries.len(),
        sanitize(id.as_str()),
        named.join(" and "),
        if entries.len() > CONFLICT_SAMPLE {
            " and others"
        } else {
            ""
        },
    );
    Problem::new(ProblemReason::IdentityConflict, message, [id.clone()])
}
