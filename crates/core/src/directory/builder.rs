//! Puts a directory together while its people and groups arrive in any order.

use std::collections::HashMap;

use crate::complete::Complete;
use crate::directory::{
    AccountState, Directory, Email, ExternalId, Group, UnknownMembers, UnusableEmail, User,
};
use crate::problem::{Problem, ProblemReason, Problems};
use crate::text::shorten;

/// How many unknown members are named.
const UNKNOWN_SAMPLE: usize = 10;

/// The name by which groups refer to their members (a DN in normal form, an id), held once.
///
/// A group may be read before its members: keys are handed out for names that aren't entries yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryKey(u32);

/// What a key stands for once everything was read.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Unknown,
    User(u32),
    Group(u32),
    /// Several people have this name: nobody can say which one a group means.
    Ambiguous {
        first: u32,
        other: u32,
    },
}

struct PendingGroup {
    id: ExternalId,
    name: Box<str>,
    members: Vec<EntryKey>,
    in_part: bool,
}

/// Collects people and groups; [`DirectoryBuilder::finish`] ties members to entries.
#[derive(Default)]
pub struct DirectoryBuilder {
    keys: HashMap<Box<str>, u32>,
    entries: Vec<Entry>,
    users: Vec<User>,
    groups: Vec<PendingGroup>,
    user_ids: HashMap<ExternalId, u32>,
    group_ids: HashMap<ExternalId, u32>,
    /// Memberships told from the person's side (`memberOf`): (member, group).
    reverse: Vec<(EntryKey, EntryKey)>,
    problems: Problems,
}

impl DirectoryBuilder {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of `name`, new or known.
    pub fn key(&mut self, name: &str) -> EntryKey {
        if let Some(&index) = self.keys.get(name) {
            return EntryKey(index);
        }
        let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 directory entries");
        self.entries.push(Entry::Unknown);
        self.keys.insert(name.into(), index);
        EntryKey(index)
    }

    /// Adds a person under all `keys` by which groups may name them.
    ///
    /// `entry` is what administrators know the entry by; it is kept only where there is something
    /// to tell them. The same id twice is one person: the first wins, an active account before one
    /// that isn't.
    pub fn user(
        &mut self,
        keys: &[EntryKey],
        id: &str,
        email: &str,
        state: AccountState,
        entry: &str,
    ) {
        let id = match ExternalId::parse(id) {
            Ok(id) => id,
            Err(error) => {
                self.problems.add(Problem::new(
                    ProblemReason::InvalidExternalId,
                    format!("{}: {error}", shorten(entry)),
                    [],
                ));
                return;
            }
        };
        let email = Email::parse(email).map_err(|why| UnusableEmail {
            why,
            entry: shorten(entry).into(),
        });
        let user = User {
            id: id.clone(),
            email,
            state,
        };
        let index = match self.user_ids.get(&id) {
            Some(&index) => {
                let known = &mut self.users[index as usize];
                if known.state != AccountState::Active && state == AccountState::Active {
                    *known = user;
                }
                index
            }
            None => {
                let index = u32::try_from(self.users.len()).expect("fewer than 2^32 people");
                self.users.push(user);
                self.user_ids.insert(id, index);
                index
            }
        };
        for key in keys {
            let entry = &mut self.entries[key.0 as usize];
            *entry = match *entry {
                Entry::User(first) if first != index => Entry::Ambiguous {
                    first,
                    other: index,
                },
                Entry::Ambiguous { first, other } => Entry::Ambiguous { first, other },
                Entry::Unknown | Entry::User(_) | Entry::Group(_) => Entry::User(index),
            };
        }
    }

    /// Adds a group under all `keys` by which other groups may name it. The same id twice is one
    /// group with the members of both.
    pub fn group(&mut self, keys: &[EntryKey], id: &str, name: &str, members: Vec<EntryKey>) {
        let id = match ExternalId::parse(id) {
            Ok(id) => id,
            Err(error) => {
                self.problems.add(Problem::new(
                    ProblemReason::InvalidExternalId,
                    format!("group {}: {error}", shorten(name)),
                    [],
                ));
                return;
            }
        };
        let index = match self.group_ids.get(&id) {
            Some(&index) => {
                self.groups[index as usize].members.extend(members);
                index
            }
            None => {
                let index = u32::try_from(self.groups.len()).expect("fewer than 2^32 groups");
                self.group_ids.insert(id.clone(), index);
                self.groups.push(PendingGroup {
                    id,
                    name: name.trim().into(),
                    members,
                    in_part: false,
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
            self.groups[index as usize].in_part = true;
        }
    }

    /// Says from the member's side that `member` is in `group`; either may be read later.
    pub fn member_of(&mut self, member: EntryKey, group: EntryKey) {
        self.reverse.push((member, group));
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
    pub fn finish(mut self) -> Complete<Directory> {
        for (member, group) in std::mem::take(&mut self.reverse) {
            if let Entry::Group(index) = self.entries[group.0 as usize] {
                self.groups[index as usize].members.push(member);
            }
        }
        let mut unknown = vec![];
        let mut ambiguous = vec![];
        let mut seen = vec![false; self.entries.len()];
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            let (mut users, mut nested) = (vec![], vec![]);
            for member in group.members {
                match self.entries[member.0 as usize] {
                    Entry::User(index) => users.push(index),
                    Entry::Group(index) => nested.push(index),
                    Entry::Ambiguous { first, other } => {
                        if !std::mem::replace(&mut seen[member.0 as usize], true) {
                            ambiguous.push((member.0, first, other));
                        }
                    }
                    Entry::Unknown => {
                        if !std::mem::replace(&mut seen[member.0 as usize], true) {
                            unknown.push(member.0);
                        }
                    }
                }
            }
            for list in [&mut users, &mut nested] {
                list.sort_unstable();
                list.dedup();
            }
            groups.push(Group {
                id: group.id,
                name: group.name,
                users: users.into(),
                groups: nested.into(),
                in_part: group.in_part,
            });
        }
        let sampled = &unknown[..unknown.len().min(UNKNOWN_SAMPLE)];
        let mut sample: Vec<String> = if sampled.is_empty() {
            vec![]
        } else {
            self.keys
                .iter()
                .filter(|(_, index)| sampled.contains(index))
                .map(|(name, _)| shorten(name))
                .collect()
        };
        sample.sort();
        for (key, first, other) in ambiguous {
            let name = self.keys.iter().find(|(_, index)| **index == key);
            let ids = [first, other].map(|index| self.users[index as usize].id.clone());
            self.problems.add(Problem::new(
                ProblemReason::AmbiguousMember,
                format!(
                    "groups have {:?} as a member, which is the name of {} and of {}; neither was \
                     taken into them, give each a name of its own",
                    shorten(name.map_or("", |(name, _)| name)).trim(),
                    ids[0],
                    ids[1]
                ),
                ids,
            ));
        }
        Complete::after_last_page(Directory {
            users: self.users,
            groups,
            unknown_members: UnknownMembers {
                count: unknown.len(),
                sample,
            },
            problems: self.problems,
        })
    }
}
