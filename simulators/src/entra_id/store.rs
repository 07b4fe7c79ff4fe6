//! The tenant's content, and the log of its changes that `delta` reads.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Group, Id, Kind, ServicePrincipal, User};

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    next: u32,
    pub users: BTreeMap<Id, User>,
    pub groups: BTreeMap<Id, Group>,
    /// Users who were deleted and can be brought back for 30 days.
    pub deleted: BTreeMap<Id, User>,
    /// Likewise Microsoft 365 groups.
    pub deleted_groups: BTreeMap<Id, Group>,
    /// In which groups they were.
    former: BTreeMap<Id, Vec<Id>>,
    pub units: BTreeMap<Id, Vec<Id>>,
    /// Administrative units that show their members only to some.
    pub hidden_units: BTreeSet<Id>,
    pub applications: BTreeMap<Id, ServicePrincipal>,
    /// What happened, in order; a delta link is a position in it.
    pub log: Vec<Change>,
}

/// One change of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// New, or this property of it is another.
    Property(Id, &'static str),
    /// Gone; users can be brought back for 30 days.
    Removed(Id),
    /// Somebody came into a group or left it.
    Member {
        group: Id,
        member: Id,
        removed: bool,
    },
}

/// Appears in no `$select`, so every delta reports it.
pub(super) const NEW: &str = "id";

impl Store {
    pub fn new_id(&mut self, kind: Kind) -> Id {
        self.next += 1;
        let number = self.next;
        Id { kind, number }
    }

    pub fn add_user(&mut self, user: User) -> Id {
        let id = self.new_id(Kind::User);
        self.users.insert(id, user);
        self.log.push(Change::Property(id, NEW));
        id
    }

    pub fn add_group(&mut self, group: Group) -> Id {
        let id = self.new_id(Kind::Group);
        self.log.push(Change::Property(id, NEW));
        for &member in &group.members {
            self.log.push(Change::Member {
                group: id,
                member,
                removed: false,
            });
        }
        self.groups.insert(id, group);
        id
    }

    pub fn delete(&mut self, id: Id) {
        if let Some(user) = self.users.remove(&id) {
            self.deleted.insert(id, user);
        }
        if let Some(group) = self.groups.remove(&id)
            && group.unified
        {
            self.deleted_groups.insert(id, group);
        }
        let mut former = vec![];
        for (group, entry) in &mut self.groups {
            let before = entry.members.len();
            entry.members.retain(|member| *member != id);
            former.extend((entry.members.len() < before).then_some(*group));
        }
        self.former.insert(id, former);
        for group in self.deleted_groups.values_mut() {
            group.members.retain(|member| *member != id);
        }
        for members in self.units.values_mut() {
            members.retain(|member| *member != id);
        }
        self.log.push(Change::Removed(id));
    }

    /// Brings back whom [`delete`](Self::delete) deleted, into their groups ("Recover from deletions in Microsoft Entra
    /// ID"). Whether a delta of groups tells that they are in them again isn't documented; here it doesn't.
    pub fn restore(&mut self, id: Id) {
        if let Some(user) = self.deleted.remove(&id) {
            self.users.insert(id, user);
        } else if let Some(group) = self.deleted_groups.remove(&id) {
            self.groups.insert(id, group);
        } else {
            return;
        }
        for group in self.former.remove(&id).unwrap_or_default() {
            if let Some(entry) = self.groups.get_mut(&group) {
                entry.members.push(id);
            }
        }
        self.log.push(Change::Property(id, NEW));
    }

    pub fn set_member(&mut self, group: Id, member: Id, is_in: bool) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        if entry.members.contains(&member) == is_in {
            return;
        }
        if is_in {
            entry.members.push(member);
        } else {
            entry.members.retain(|other| *other != member);
        }
        self.log.push(Change::Member {
            group,
            member,
            removed: !is_in,
        });
    }

    /// Everything in a group, through groups in it, each once, cycles or not; not the group itself
    /// unless it is in itself.
    pub fn transitive(&self, group: Id) -> Vec<Id> {
        let mut found = vec![];
        let mut open = vec![group];
        let mut seen = std::collections::HashSet::new();
        while let Some(next) = open.pop() {
            for &member in self.groups.get(&next).map_or(&[][..], |g| &g.members) {
                if seen.insert(member) {
                    found.push(member);
                    if member.kind == Kind::Group {
                        open.push(member);
                    }
                }
            }
        }
        found
    }
}
