//! The organization's state: members, groups, memberships, and what was ever done to them.
//!
//! Only plain changes live here, each keeping the look-ups in sync and writing history; what a
//! call may do and when it is refused is decided by its own file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::config::Seats;
use super::history::Event;
use super::model::{CollectionAccess, Group, GroupId, Member, MemberId, Role, Status, set};

/// So long the link in an invitation can be used (the server's default, 2026.8.0).
const LINK_LIFETIME: Duration = Duration::from_secs(120 * 3600);

/// Which ids carry an external id, or an email. The official server keeps neither unique (only
/// import relies on it), so there may be several.
#[derive(Debug)]
pub(super) struct Index<I>(HashMap<String, Vec<I>>);

impl<I> Default for Index<I> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Copy + PartialEq> Index<I> {
    pub fn get(&self, key: &str) -> Option<I> {
        self.all(key).first().copied()
    }

    pub fn all(&self, key: &str) -> &[I] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    pub fn ambiguous(&self) -> bool {
        self.0.values().any(|ids| ids.len() > 1)
    }

    fn add(&mut self, external_id: Option<&String>, id: I) {
        if let Some(external_id) = external_id {
            self.0.entry(external_id.clone()).or_default().push(id);
        }
    }

    fn remove(&mut self, external_id: Option<&String>, id: I) {
        let Some(external_id) = external_id else {
            return;
        };
        if let Some(ids) = self.0.get_mut(external_id) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.0.remove(external_id);
            }
        }
    }
}

/// The state of the organization, with its indexes and its history.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub members: BTreeMap<MemberId, Member>,
    pub groups: BTreeMap<GroupId, Group>,
    pub by_email: Index<MemberId>,
    pub by_external_id: Index<MemberId>,
    pub groups_by_external_id: Index<GroupId>,
    pub seats: Seats,
    pub history: Vec<Event>,
    pub invitations: BTreeMap<String, u32>,
    /// How much later it is here than elsewhere.
    ahead: Duration,
    /// When the last invitation of a member was sent, by that clock.
    sent: HashMap<MemberId, Duration>,
    /// By collection. Which collections there are is known from the access to them.
    pub collection_external_ids: BTreeMap<String, String>,
    pub deleted_collections: BTreeSet<String>,
    /// By kind: whether it is on, and its data.
    pub policies: BTreeMap<u8, (bool, Option<serde_json::Value>)>,
    occupied: u32,
    last_id: u64,
    /// Grows with every change, so that answers made from the state can be kept.
    pub version: u64,
}

impl Store {
    pub fn new(seats: Seats) -> Self {
        Self {
            seats,
            ..Self::default()
        }
    }

    /// Seats in use: members who are invited, accepted or confirmed.
    pub fn seats_in_use(&self) -> u32 {
        self.occupied
    }

    pub fn confirmed_owners(&self) -> usize {
        let confirmed =
            |member: &&Member| member.role == Role::Owner && member.status == Status::Confirmed;
        self.members.values().filter(confirmed).count()
    }

    pub fn is_last_confirmed_owner(&self, id: MemberId) -> bool {
        self.members.get(&id).is_some_and(|member| {
            member.role == Role::Owner
                && member.status == Status::Confirmed
                && self.confirmed_owners() == 1
        })
    }

    /// Adds a member as it is, without mail or history. None where the email is a member's.
    pub fn add_member(&mut self, member: Member) -> Option<MemberId> {
        let known = self.by_email.get(&member.email).is_some();
        (!known).then(|| self.insert(member))
    }

    /// Adds a member, whether or not the email is another member's.
    fn insert(&mut self, member: Member) -> MemberId {
        self.last_id += 1;
        self.version += 1;
        let id = MemberId(self.last_id);
        self.occupied += u32::from(member.status.takes_seat());
        self.by_email.add(Some(&member.email), id);
        self.by_external_id.add(member.external_id.as_ref(), id);
        for group in &member.groups {
            if let Some(group) = self.groups.get_mut(group) {
                group.members.insert(id);
            }
        }
        self.members.insert(id, member);
        id
    }

    /// Adds a member and sends the invitation, or stages it without one. Whether the email is a
    /// member's already is for the caller to know.
    pub fn invite(&mut self, member: Member) -> MemberId {
        let email = member.email.clone();
        let staged = member.status == Status::Staged;
        let id = self.insert(member);
        if staged {
            self.history.push(Event::Staged { email });
        } else {
            *self.invitations.entry(email.clone()).or_default() += 1;
            self.sent.insert(id, self.ahead);
            self.history.push(Event::Invited { email });
        }
        id
    }

    pub fn reinvite(&mut self, id: MemberId) {
        if let Some(member) = self.members.get(&id) {
            let email = member.email.clone();
            *self.invitations.entry(email.clone()).or_default() += 1;
            self.sent.insert(id, self.ahead);
            self.history.push(Event::Reinvited { email });
        }
    }

    pub fn remove(&mut self, id: MemberId) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        self.version += 1;
        self.occupied -= u32::from(member.status.takes_seat());
        self.by_email.remove(Some(&member.email), id);
        self.by_external_id.remove(member.external_id.as_ref(), id);
        let mut groups = Vec::new();
        for group in member.groups {
            if let Some(group) = self.groups.get_mut(&group) {
                group.members.remove(&id);
                groups.push(group.name.clone());
            }
        }
        groups.sort();
        self.history.push(Event::Removed {
            email: member.email,
            external_id: member.external_id,
            groups,
        });
    }

    pub fn revoke(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.status == Status::Revoked {
            return;
        }
        self.version += 1;
        self.occupied -= u32::from(member.status.takes_seat());
        member.before_revocation = member.status;
        member.status = Status::Revoked;
        self.history.push(Event::Revoked {
            email: member.email.clone(),
            external_id: member.external_id.clone(),
        });
    }

    pub fn restore(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.status != Status::Revoked {
            return;
        }
        self.version += 1;
        member.status = member.before_revocation;
        self.occupied += u32::from(member.status.takes_seat());
        self.history.push(Event::Restored {
            email: member.email.clone(),
            external_id: member.external_id.clone(),
        });
    }

    /// Moves the clock.
    pub fn pass(&mut self, time: Duration) {
        self.ahead += time;
    }

    /// Whether the link in the last invitation of a member can be used still.
    fn is_link_valid(&self, id: MemberId) -> bool {
        let sent = self.sent.get(&id).copied().unwrap_or_default();
        self.ahead.saturating_sub(sent) <= LINK_LIFETIME
    }

    pub fn accept_and_confirm(&mut self, email: &str) -> bool {
        let id = self.by_email.get(email);
        let valid = id.is_some_and(|id| self.is_link_valid(id));
        let Some(member) = id.and_then(|id| self.members.get_mut(&id)) else {
            return false;
        };
        if member.status != Status::Invited || !valid {
            return false;
        }
        self.version += 1;
        member.status = Status::Confirmed;
        member.has_account = true;
        member.has_master_password = true;
        true
    }

    pub fn set_external_id(&mut self, id: MemberId, external_id: Option<&str>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let to = external_id.and_then(set);
        if member.external_id == to {
            return;
        }
        self.version += 1;
        let from = std::mem::replace(&mut member.external_id, to.clone());
        self.by_external_id.remove(from.as_ref(), id);
        self.by_external_id.add(to.as_ref(), id);
        let email = member.email.clone();
        self.history
            .push(Event::ExternalIdChanged { email, from, to });
    }

    pub fn set_member_collections(&mut self, id: MemberId, to: Vec<CollectionAccess>) {
        if let Some(member) = self.members.get_mut(&id) {
            self.version += 1;
            let lost = lost(&member.collections, &to, &member.email);
            self.history.extend(lost);
            member.collections = to;
        }
    }

    pub fn add_group(&mut self, group: Group) -> GroupId {
        self.last_id += 1;
        self.version += 1;
        let id = GroupId(self.last_id);
        self.groups_by_external_id
            .add(group.external_id.as_ref(), id);
        for member in &group.members {
            if let Some(member) = self.members.get_mut(member) {
                member.groups.insert(id);
            }
        }
        self.groups.insert(id, group);
        id
    }

    pub fn create_group(&mut self, name: &str, external_id: Option<&str>) -> GroupId {
        self.history.push(Event::GroupCreated {
            name: name.to_owned(),
        });
        self.add_group(Group {
            name: name.to_owned(),
            external_id: external_id.and_then(set),
            collections: Vec::new(),
            members: BTreeSet::new(),
        })
    }

    pub fn rename_group(&mut self, id: GroupId, to: &str) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        if group.name == to {
            return;
        }
        self.version += 1;
        let from = std::mem::replace(&mut group.name, to.to_owned());
        self.history.push(Event::GroupRenamed {
            from,
            to: to.to_owned(),
        });
    }

    pub fn set_group_external_id(&mut self, id: GroupId, external_id: Option<&str>) {
        if let Some(group) = self.groups.get_mut(&id) {
            self.version += 1;
            let to = external_id.and_then(set);
            if group.external_id == to {
                return;
            }
            let from = std::mem::replace(&mut group.external_id, to.clone());
            self.groups_by_external_id.remove(from.as_ref(), id);
            self.groups_by_external_id.add(to.as_ref(), id);
            let name = group.name.clone();
            self.history
                .push(Event::GroupExternalIdChanged { name, from, to });
        }
    }

    pub fn set_group_collections(&mut self, id: GroupId, to: Vec<CollectionAccess>) {
        if let Some(group) = self.groups.get_mut(&id) {
            self.version += 1;
            self.history
                .extend(lost(&group.collections, &to, &group.name));
            group.collections = to;
        }
    }

    pub fn set_collection_external_id(&mut self, id: &str, external_id: Option<&str>) {
        self.version += 1;
        match external_id.and_then(set) {
            Some(to) => self.collection_external_ids.insert(id.to_owned(), to),
            None => self.collection_external_ids.remove(id),
        };
    }

    pub fn delete_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(&id) else {
            return;
        };
        self.version += 1;
        self.groups_by_external_id
            .remove(group.external_id.as_ref(), id);
        let mut members = Vec::new();
        for member in group.members {
            if let Some(member) = self.members.get_mut(&member) {
                member.groups.remove(&id);
                members.push(member.email.clone());
            }
        }
        members.sort();
        self.history.push(Event::GroupDeleted {
            name: group.name,
            external_id: group.external_id,
            members,
        });
    }

    /// Gives the group exactly these members; ids that aren't members' are ignored.
    pub fn set_group_members(&mut self, id: GroupId, to: &BTreeSet<MemberId>) {
        let Some(group) = self.groups.get(&id) else {
            return;
        };
        let leaving: Vec<MemberId> = group.members.difference(to).copied().collect();
        let joining: Vec<MemberId> = to.difference(&group.members).copied().collect();
        for member in leaving {
            self.withdraw(member, id);
        }
        for member in joining {
            self.join(member, id);
        }
    }

    /// Puts the member in exactly these groups; ids that aren't groups' are ignored.
    pub fn set_member_groups(&mut self, id: MemberId, to: &BTreeSet<GroupId>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let leaving: Vec<GroupId> = member.groups.difference(to).copied().collect();
        let joining: Vec<GroupId> = to.difference(&member.groups).copied().collect();
        for group in leaving {
            self.withdraw(id, group);
        }
        for group in joining {
            self.join(id, group);
        }
    }

    fn join(&mut self, member_id: MemberId, group_id: GroupId) {
        if let (Some(member), Some(group)) = (
            self.members.get_mut(&member_id),
            self.groups.get_mut(&group_id),
        ) {
            member.groups.insert(group_id);
            group.members.insert(member_id);
            self.version += 1;
            self.history.push(Event::Joined {
                group: group.name.clone(),
                member: member.email.clone(),
            });
        }
    }

    fn withdraw(&mut self, member_id: MemberId, group_id: GroupId) {
        if let (Some(member), Some(group)) = (
            self.members.get_mut(&member_id),
            self.groups.get_mut(&group_id),
        ) {
            member.groups.remove(&group_id);
            group.members.remove(&member_id);
            self.version += 1;
            self.history.push(Event::Withdrawn {
                group: group.name.clone(),
                member: member.email.clone(),
            });
        }
    }
}

fn lost(from: &[CollectionAccess], to: &[CollectionAccess], of: &str) -> Option<Event> {
    let kept: BTreeSet<&str> = to.iter().map(|access| access.id.as_str()).collect();
    let gone = from
        .iter()
        .filter(|access| !kept.contains(access.id.as_str()));
    let collections: Vec<String> = gone.map(|access| access.id.clone()).collect();
    (!collections.is_empty()).then(|| Event::CollectionsLost {
        of: of.to_owned(),
        collections,
    })
}
