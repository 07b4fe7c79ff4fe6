//! An organization that changes as Bitwarden's would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::id;
use directory_sync_core::complete::Complete;
use directory_sync_core::directory::{Email, ExternalId};
use directory_sync_core::organization::collection::{
    Collection, CollectionAccess, CollectionRight,
};
use directory_sync_core::organization::model::{
    Content, Group, Member, MemberRole, MemberStatus, Organization, Seats,
};
use directory_sync_core::organization::role::{AccessRole, Permissions};
use directory_sync_core::sync::change_set::ChangeSet;
use directory_sync_core::sync::plan::{
    Action, Change, GroupAction, MemberAction, Plan, RemovedMember, Subject,
};

/// An organization in memory, with the public API's semantics: an import links by email, invites
/// whose id is new, skips silently whose email is taken, and replaces a group's members by those
/// listed whom it knows by external id.
#[derive(Debug, Clone, Default)]
pub struct ModelOrganization {
    /// Everyone and every group, as the API lists them.
    pub content: Content,
    /// Who is in which group.
    pub inside: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// The subscription's seats; `None`: no limit.
    pub seats: Option<Seats>,
    /// External ids whose changes are refused with 400, whatever they are.
    pub refused: BTreeSet<ExternalId>,
    /// Changes that are refused, whatever else is done to the same person or group.
    pub refused_changes: ChangeSet,
    /// How many more invitations each member was sent after the first.
    pub reinvited: BTreeMap<Uuid, usize>,
    created: u128,
}

/// An organization without members or groups.
pub fn organization() -> ModelOrganization {
    ModelOrganization::default()
}

impl ModelOrganization {
    /// A confirmed member whom the directory gave an id.
    pub fn member(mut self, external_id: &str, email: &str) -> Self {
        self.add(
            Some(id(external_id)),
            email,
            MemberStatus::Confirmed,
            MemberRole::Other(2),
        );
        self
    }

    /// A revoked member whom the directory gave an id.
    pub fn revoked(mut self, external_id: &str, email: &str) -> Self {
        self.add(
            Some(id(external_id)),
            email,
            MemberStatus::Revoked,
            MemberRole::Other(2),
        );
        self
    }

    /// A confirmed member without an external id.
    pub fn stranger(mut self, email: &str) -> Self {
        self.add(None, email, MemberStatus::Confirmed, MemberRole::Other(2));
        self
    }

    /// A confirmed owner without an external id.
    pub fn owner(mut self, email: &str) -> Self {
        self.add(None, email, MemberStatus::Confirmed, MemberRole::Owner);
        self
    }

    /// A confirmed owner whom the directory gave an id.
    pub fn linked_owner(mut self, external_id: &str, email: &str) -> Self {
        self.add(
            Some(id(external_id)),
            email,
            MemberStatus::Confirmed,
            MemberRole::Owner,
        );
        self
    }

    /// A group with an external id and members by email.
    pub fn group(mut self, external_id: &str, name: &str, members: &[&str]) -> Self {
        self.add_group(Some(id(external_id)), name, members);
        self
    }

    /// A group that somebody made by hand.
    pub fn own_group(mut self, name: &str, members: &[&str]) -> Self {
        self.add_group(None, name, members);
        self
    }

    /// Every change of the person or group with this external id is refused.
    pub fn refusing(mut self, external_id: &str) -> Self {
        self.refused.insert(id(external_id));
        self
    }

    /// So many seats and no more.
    pub fn seats(mut self, total: usize) -> Self {
        self.seats = Some(Seats {
            total,
            autoscale_to: Some(total),
        });
        self
    }

    /// Adds a member with this status and role.
    pub fn add(
        &mut self,
        external_id: Option<ExternalId>,
        email: &str,
        status: MemberStatus,
        role: MemberRole,
    ) {
        let (id, email) = (self.next_id(), Email::of_member(email));
        self.content.members.push(Member {
            id,
            external_id,
            email,
            status,
            role,
            permissions: Permissions::NONE,
        });
    }

    /// Somebody gives a member a role by hand.
    pub fn set_role(&mut self, email: &str, role: AccessRole) {
        let member = self.by_email(email).id;
        let member = self.member_mut(member);
        member.role = MemberRole::Other(role.number());
        member.permissions = role.permissions();
    }

    /// Adds a collection, by its external id.
    pub fn collection(mut self, external_id: &str) -> Self {
        let id = self.next_id();
        let collections = self.content.collections.get_or_insert_default();
        collections.push(Collection {
            id,
            external_id: Some(external_id.into()),
        });
        self
    }

    /// The id of the collection with this external id.
    pub fn collection_id(&self, external_id: &str) -> Uuid {
        let mut collections = self.content.collections.iter().flatten();
        let found = collections.find(|one| one.external_id.as_deref() == Some(external_id));
        found.expect("a collection").id
    }

    /// Somebody gives a group access to a collection by hand, or takes it away.
    pub fn set_right(&mut self, group: &str, collection: &str, right: Option<CollectionRight>) {
        let mut groups = self.content.groups.iter();
        let group = groups.find(|one| &*one.name == group).expect("a group").id;
        let collection = self.collection_id(collection);
        self.set_access(group, collection, right.map(|right| right.on(collection)));
    }

    fn set_access(&mut self, group: Uuid, collection: Uuid, to: Option<CollectionAccess>) {
        let group = self.group_mut(group);
        let mut access = group.collections.take().unwrap_or_default().into_vec();
        access.retain(|one| one.id != collection);
        access.extend(to);
        group.collections = Some(access.into());
    }

    /// What each group has access to, a line each, sorted.
    pub fn access(&self) -> Vec<String> {
        let name = |id: Uuid| {
            let mut collections = self.content.collections.iter().flatten();
            let found = collections.find(|one| one.id == id);
            found
                .and_then(|one| one.external_id.as_deref())
                .unwrap_or("?")
        };
        let groups = self.content.groups.iter();
        let mut lines: Vec<String> = groups
            .flat_map(|group| {
                let access = group.collections.iter().flatten();
                access.map(|one| {
                    format!("{}: {} on {}", group.name, one.right().name(), name(one.id))
                })
            })
            .collect();
        lines.sort();
        lines
    }

    /// The role of the member with this email; `None` of an owner.
    pub fn role(&self, email: &str) -> Option<AccessRole> {
        AccessRole::of(self.by_email(email))
    }

    /// Adds a group with members by email.
    pub fn add_group(&mut self, external_id: Option<ExternalId>, name: &str, members: &[&str]) {
        let id = self.next_id();
        self.content.groups.push(Group {
            id,
            external_id,
            name: name.into(),
            collections: Some(Box::default()),
        });
        let members = members
            .iter()
            .map(|email| self.by_email(email).id)
            .collect();
        self.inside.insert(id, members);
    }

    /// Somebody leaves by hand.
    pub fn drop_member(&mut self, email: &str) {
        let member = self.by_email(email).id;
        self.remove_member(member);
    }

    /// Somebody changes the email of their account.
    pub fn set_email(&mut self, email: &str, to: &str) {
        let member = self.by_email(email).id;
        self.member_mut(member).email = Email::of_member(to);
    }

    /// Everybody who was invited accepts.
    pub fn accept_all(&mut self) {
        for member in &mut self.content.members {
            if member.status == MemberStatus::Invited {
                member.status = MemberStatus::Confirmed;
            }
        }
    }

    /// Somebody sets a member's status by hand.
    pub fn set_status(&mut self, email: &str, status: MemberStatus) {
        let member = self.by_email(email).id;
        self.member_mut(member).status = status;
    }

    /// As the operator reads it.
    pub fn read(&self) -> Organization {
        Organization::Read(Complete::after_last_page(self.content.clone()))
    }

    /// The members of these groups.
    pub fn read_groups(&self, groups: &[Uuid]) -> HashMap<Uuid, Vec<Uuid>> {
        let members = |group| self.inside[group].iter().copied().collect();
        groups
            .iter()
            .map(|group| (*group, members(group)))
            .collect()
    }

    /// The one member with this email.
    pub fn by_email(&self, email: &str) -> &Member {
        self.content
            .members
            .iter()
            .find(|member| member.email.as_str() == email)
            .unwrap_or_else(|| panic!("{email} is a member"))
    }

    /// Everyone, then every group, a line each, sorted.
    pub fn show(&self) -> Vec<String> {
        let external = |id: &Option<ExternalId>| match id {
            Some(id) => format!(" ({id})"),
            None => String::new(),
        };
        let mut people: Vec<String> = self
            .content
            .members
            .iter()
            .map(|member| {
                let status = format!("{:?}", member.status).to_lowercase();
                let owner = if member.role == MemberRole::Owner {
                    " owner"
                } else {
                    ""
                };
                format!(
                    "{}{} {status}{owner}",
                    member.email,
                    external(&member.external_id)
                )
            })
            .collect();
        people.sort();
        let mut groups: Vec<String> = self
            .content
            .groups
            .iter()
            .map(|group| {
                let mut emails: Vec<&str> = self.inside[&group.id]
                    .iter()
                    .map(|member| self.member_by_uuid(*member).email.as_str())
                    .collect();
                emails.sort_unstable();
                let line = format!(
                    "group {}{}: {}",
                    group.name,
                    external(&group.external_id),
                    emails.join(" ")
                );
                line.trim_end().to_owned()
            })
            .collect();
        groups.sort();
        people.append(&mut groups);
        people
    }

    /// Does what a plan says, as `sync::apply` does it, but for what is refused.
    ///
    /// # Panics
    /// Where Bitwarden would refuse and isn't told to: a plan never asks for that.
    pub fn apply(&mut self, plan: &Plan) {
        for change in &plan.changes {
            if self.refuses(change) {
                continue;
            }
            match &change.action {
                Action::Member(action) => self.apply_to_member(&change.subject, action),
                Action::Group(action) => self.apply_to_group(&change.subject, action),
            }
        }
    }

    /// Whether it refuses a change.
    pub fn refuses(&self, change: &Change) -> bool {
        self.refused.contains(change.external_id()) || self.refused_changes.has(change)
    }

    fn apply_to_member(&mut self, subject: &Subject, action: &MemberAction) {
        let external_id = &subject.external_id;
        let email = subject.email().expect("a member's email");
        let id = || subject.id.expect("a member that was read");
        match action {
            MemberAction::Invite {
                from: Some(from), ..
            } => {
                // As another member in Bitwarden. Here it keeps its id, by which tests follow a person.
                let taken = self.content.members.iter().any(|one| one.email == *email);
                assert!(
                    !taken,
                    "Bitwarden refuses: {email} has been invited already"
                );
                let member = self.member_mut(id());
                assert_eq!(member.status, MemberStatus::Invited);
                assert_eq!(member.email, *from);
                member.email = email.clone();
                self.reinvited.remove(&id());
            }
            MemberAction::Invite { staged, .. } => self.import_member(external_id, email, *staged),
            MemberAction::Link => self.import_member(external_id, email, false),
            MemberAction::Relink { .. } => {
                self.member_mut(id()).external_id = Some(external_id.clone());
            }
            MemberAction::Restore => {
                let member = self.member_mut(id());
                assert_eq!(
                    member.status,
                    MemberStatus::Revoked,
                    "Bitwarden refuses: not revoked"
                );
                member.status = MemberStatus::Confirmed;
                self.check_seats();
            }
            MemberAction::Revoke { .. } => {
                let member = self.member_mut(id());
                assert_ne!(
                    member.status,
                    MemberStatus::Revoked,
                    "Bitwarden refuses: revoked"
                );
                assert_ne!(
                    member.role,
                    MemberRole::Owner,
                    "Bitwarden refuses: an owner"
                );
                member.status = MemberStatus::Revoked;
            }
            MemberAction::SetRole(role) => {
                let member = self.member_mut(id());
                assert_ne!(member.role, MemberRole::Owner, "never an owner's");
                assert_eq!(AccessRole::of(member), Some(role.from));
                member.role = MemberRole::Other(role.to.number());
                member.permissions = role.to.permissions();
            }
            MemberAction::Reinvite { .. } => {
                let member = self.member_by_uuid(id());
                assert_eq!(
                    member.status,
                    MemberStatus::Invited,
                    "Bitwarden refuses: User invalid."
                );
                assert_eq!(member.email, *email);
                *self.reinvited.entry(member.id).or_default() += 1;
            }
            MemberAction::Unlink => {
                let member = self.member_mut(id());
                assert_ne!(member.role, MemberRole::Owner, "never an owner's");
                assert_eq!(member.external_id.as_ref(), Some(external_id));
                member.external_id = None;
            }
            MemberAction::Remove { .. } => {
                assert_ne!(self.member_by_uuid(id()).role, MemberRole::Owner);
                self.remove_member(id());
            }
        }
    }

    fn apply_to_group(&mut self, subject: &Subject, action: &GroupAction) {
        let external_id = &subject.external_id;
        let id = || subject.id.expect("a group that was read");
        match action {
            GroupAction::Create { add } => {
                assert!(
                    self.content
                        .groups
                        .iter()
                        .all(|g| g.external_id.as_ref() != Some(external_id)),
                    "the group {external_id} is there already"
                );
                let id = self.next_id();
                let group = Group {
                    id,
                    external_id: Some(external_id.clone()),
                    name: subject.label().into(),
                    collections: Some(Box::default()),
                };
                self.content.groups.push(group);
                let members = self.known(add).collect();
                self.inside.insert(id, members);
            }
            GroupAction::Relink { .. } => {
                self.group_mut(id()).external_id = Some(external_id.clone());
            }
            GroupAction::Unlink => {
                let group = self.group_mut(id());
                assert_eq!(group.external_id.as_ref(), Some(external_id));
                group.external_id = None;
            }
            GroupAction::Rename { .. } => self.group_mut(id()).name = subject.label().into(),
            GroupAction::SetCollections(access) => {
                for change in &access.changes {
                    self.set_access(id(), change.id, change.to);
                }
            }
            GroupAction::Update(update) => {
                // Who is there now, but for whom the plan names.
                let removed: Vec<ExternalId> =
                    update.remove.iter().map(RemovedMember::id).collect();
                let gone: BTreeSet<Uuid> = self.known(&removed).collect();
                let now = self.inside[&id()].iter().copied();
                let members = now
                    .filter(|member| !gone.contains(member))
                    .chain(self.known(&update.add))
                    .collect();
                self.inside.insert(id(), members);
            }
            GroupAction::Delete(_) => {
                self.content.groups.retain(|known| known.id != id());
                self.inside.remove(&id());
            }
        }
    }

    /// One row of an import's members.
    fn import_member(&mut self, external_id: &ExternalId, email: &Email, staged: bool) {
        let members = &mut self.content.members;
        if let Some(member) = members
            .iter_mut()
            .find(|m| m.external_id.is_none() && m.email == *email)
        {
            member.external_id = Some(external_id.clone());
        }
        let taken = members.iter().any(|member| {
            member.external_id.as_ref() == Some(external_id) || member.email == *email
        });
        if !taken {
            let status = if staged {
                MemberStatus::Staged
            } else {
                MemberStatus::Invited
            };
            self.add(
                Some(external_id.clone()),
                email.as_str(),
                status,
                MemberRole::Other(2),
            );
            self.check_seats();
        }
    }

    fn check_seats(&self) {
        let used = self
            .content
            .members
            .iter()
            .filter(|m| !matches!(m.status, MemberStatus::Revoked | MemberStatus::Staged))
            .count();
        if let Some(Seats {
            total,
            autoscale_to: Some(limit),
        }) = self.seats
        {
            assert!(
                used <= limit.max(total),
                "Bitwarden refuses: {used} seats of {limit}"
            );
        }
    }

    /// The members among these ids; the others are ignored silently.
    fn known<'a>(&'a self, ids: &'a [ExternalId]) -> impl Iterator<Item = Uuid> + 'a {
        ids.iter().filter_map(|id| {
            let mut members = self.content.members.iter();
            Some(
                members
                    .find(|member| member.external_id.as_ref() == Some(id))?
                    .id,
            )
        })
    }

    fn remove_member(&mut self, id: Uuid) {
        self.content.members.retain(|member| member.id != id);
        self.inside.values_mut().for_each(|members| {
            members.remove(&id);
        });
    }

    fn member_by_uuid(&self, id: Uuid) -> &Member {
        self.content
            .members
            .iter()
            .find(|member| member.id == id)
            .expect("a member")
    }

    fn member_mut(&mut self, id: Uuid) -> &mut Member {
        self.content
            .members
            .iter_mut()
            .find(|member| member.id == id)
            .expect("a member")
    }

    fn group_mut(&mut self, id: Uuid) -> &mut Group {
        self.content
            .groups
            .iter_mut()
            .find(|group| group.id == id)
            .expect("a group")
    }

    fn next_id(&mut self) -> Uuid {
        self.created += 1;
        Uuid::from_u128(self.created)
    }
}
