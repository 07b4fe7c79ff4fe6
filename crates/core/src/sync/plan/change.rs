//! One change: whom or what it is about, why, and what is done.

use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::{Email, Evidence, ExternalId, ScopeRule};
use crate::organization::collection::AccessChange;
use crate::organization::role::{AccessRole, NamedRole};
use crate::sync::plan::{Plan, Reason};
use crate::text::sanitize;

/// One change of a member or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whom or what it is about.
    pub subject: Subject,
    /// Why it is wanted.
    pub reason: Reason,
    /// What is done.
    pub action: Action,
}

/// A member or a group, as a change knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The external id, as it is once the change is made, or the one that is taken out.
    pub external_id: ExternalId,
    /// The email or the name.
    pub name: Name,
    /// The server's id; `None` for what isn't there yet, and where the server can't be read.
    pub id: Option<Uuid>,
}

/// The name of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A member's email: where the invitation goes, or the one that the organization has.
    Email(Email),
    /// A group's name, as it is once the plan is applied.
    Group(Box<str>),
}

/// What is done.
///
/// What only a few changes have is behind a pointer: a first sync has a change for each person, and each
/// takes the space of the largest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// With a member.
    Member(MemberAction),
    /// With a group.
    Group(GroupAction),
}

/// What is done with a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberAction {
    /// A new member.
    Invite {
        /// Only stage: no invitation is sent yet.
        staged: bool,
        /// The address that the person was invited at before, without having accepted: that invitation
        /// is withdrawn first. Role and managed groups go with the person; an invitation that has access
        /// given by hand is left to a person.
        from: Option<Email>,
    },
    /// A member without an external id, found by email, gets one.
    Link,
    /// A member whose external id is out of use in the directory, found by email under a new one.
    Relink {
        /// The id that goes.
        from: ExternalId,
    },
    /// A revoked member gets access back.
    Restore,
    /// The invitation of somebody who hasn't accepted it is sent again.
    Reinvite {
        /// Which one it is of those that may be sent.
        nth: Nth,
        /// When the last one was sent.
        last: Timestamp,
    },
    /// A member's access ends; account and memberships stay, the seat is free.
    Revoke {
        /// What says so.
        evidence: Evidence,
    },
    /// A member leaves the organization.
    Remove {
        /// What says so.
        evidence: Evidence,
    },
    /// A member gets another role.
    SetRole(Box<RoleChange>),
    /// The external id that a run gave to a member who had none is taken out by an undo. The member isn't
    /// managed from then on.
    Unlink,
}

/// A member gets another role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// The role that the member has.
    pub from: AccessRole,
    /// The role that the member gets.
    pub to: AccessRole,
    /// The groups that give it, by name; a few of them where they are many.
    pub through: Vec<Box<str>>,
    /// Why it is more than the rules certainly give, for a person: `Admin may be by the rule for solo, which fits no
    /// group`.
    pub doubt: Option<Box<str>>,
    /// What says that the member loses rights; `None` where it loses none.
    pub evidence: Option<Evidence>,
}

impl RoleChange {
    /// Whether the member gains a right.
    pub fn gives(&self) -> bool {
        self.to.exceeds(self.from)
    }

    /// Whether the member loses a right.
    pub fn takes_away(&self) -> bool {
        self.from.exceeds(self.to)
    }
}

/// A member's new role as it is shown and kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRow {
    /// The role before.
    pub from: NamedRole,
    /// The role afterwards.
    pub to: NamedRole,
    /// The groups that give it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Box<str>>,
    /// Why it is more than the rules certainly give, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Box<str>>,
}

impl From<&RoleChange> for RoleRow {
    fn from(change: &RoleChange) -> Self {
        Self {
            from: change.from.into(),
            to: change.to.into(),
            through: change.through.clone(),
            doubt: change.doubt.clone(),
        }
    }
}

impl RoleRow {
    /// `Admin through bw-admins`.
    pub fn describe(&self) -> String {
        describe_role(&self.to, &self.through)
    }
}

/// A role with the groups that give it, for a person: `Admin through bw-admins`.
pub fn describe_role(role: &impl fmt::Display, through: &[Box<str>]) -> String {
    let role = sanitize(&role.to_string());
    let names: Vec<String> = through.iter().map(|name| sanitize(name)).collect();
    match names.is_empty() {
        true => role,
        false => format!("{role} through {}", names.join(", ")),
    }
}

/// One of several: `2 of 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Nth {
    /// From one on.
    pub number: u8,
    /// How many there are at most.
    pub of: u8,
}

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of)
    }
}

/// What is done with a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAction {
    /// A new group.
    Create {
        /// The members that the new group gets.
        add: Vec<ExternalId>,
    },
    /// A group found by name gets the directory's external id: its own is gone from the directory, or it
    /// has none and the policy adopts it. Keeps the group's access to collections.
    Relink {
        /// The id that goes; `None` where there was none.
        from: Option<ExternalId>,
    },
    /// A group gets the directory's name for it.
    Rename {
        /// The name that goes.
        from: Box<str>,
    },
    /// Members come into or leave a group.
    Update(Box<Update>),
    /// A group goes, and its access to collections with it.
    Delete(Box<Deletion>),
    /// A group gets or loses access to collections.
    SetCollections(Box<CollectionsChange>),
    /// The same of a group as [`MemberAction::Unlink`].
    Unlink,
}

impl GroupAction {
    /// Who comes into the group; `None` of actions that add nobody.
    pub fn added(&self) -> Option<&[ExternalId]> {
        match self {
            Self::Create { add } => Some(add),
            Self::Update(update) => Some(&update.add),
            _ => None,
        }
    }
}

/// A group goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// What says so.
    pub evidence: Evidence,
    /// Managed members in it, also those whose entry can't be identified in this run; `None` where they
    /// weren't read.
    pub members: Option<Vec<ExternalId>>,
    /// All other members in it.
    pub unmanaged: Vec<Uuid>,
}

/// What changes of a group's access to collections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionsChange {
    /// By collection, in the order of their ids.
    pub changes: Vec<AccessChange>,
    /// Who is in the group and loses something.
    pub losing: Vec<ExternalId>,
    /// Who is in the group, has access to the organization, and gains something.
    pub gaining: Vec<ExternalId>,
    /// Who else is in the group, has access to the organization, and isn't ours: they gain and lose the same.
    pub others: Vec<Uuid>,
    /// What says that something is lost; `None` where nothing is.
    pub evidence: Option<Evidence>,
}

impl CollectionsChange {
    /// Whether something is lost.
    pub fn takes_away(&self) -> bool {
        self.changes.iter().any(AccessChange::takes_away)
    }

    /// Whether something is gained.
    pub fn gives(&self) -> bool {
        self.changes.iter().any(AccessChange::gives)
    }

    /// Whether the group loses it because it isn't synced any more.
    pub fn is_of_ended_group(&self) -> bool {
        matches!(
            self.evidence,
            Some(Evidence::Absent | Evidence::OutOfScope(ScopeRule::Groups))
        )
    }

    /// How many people gain or lose something.
    pub fn people(&self) -> usize {
        let ours = self.losing.iter().chain(&self.gaining);
        let ours: HashSet<&ExternalId> = ours.collect();
        ours.len() + self.others.len()
    }

    /// Whether somebody may say who has access who couldn't before.
    pub fn gives_manage(&self) -> bool {
        self.changes.iter().any(AccessChange::gives_manage)
    }
}

/// Who comes into, leaves and stays in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Who comes in.
    pub add: Vec<ExternalId>,
    /// The members that leave the group, each with its evidence.
    pub remove: Vec<RemovedMember>,
    /// Everyone else of ours who is and stays in it.
    pub keep: Vec<ExternalId>,
    /// Members in it that we don't manage. An import would drop them. `None` where the group wasn't
    /// read in this run: what is in it has to be read before it is changed.
    pub unmanaged: Option<Vec<Uuid>>,
}

/// What says that somebody leaves a group whom its complete list doesn't have, for a person.
pub(crate) const LEFT_GROUP: &str = "not in the directory's group";

/// Somebody who leaves a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedMember {
    /// The external id of the member that leaves.
    pub external_id: ExternalId,
    /// What says so.
    pub evidence: Evidence,
}

/// The kinds of changes, as they are counted and shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[allow(missing_docs, reason = "each is the action of its name")]
pub enum Kind {
    Invite,
    Link,
    Relink,
    Restore,
    Revoke,
    Remove,
    CreateGroup,
    RelinkGroup,
    RenameGroup,
    UpdateGroup,
    DeleteGroup,
    SetRole,
    Reinvite,
    SetCollections,
    Unlink,
    UnlinkGroup,
}

impl Kind {
    /// All kinds of change.
    pub const ALL: [Self; 16] = [
        Self::Invite,
        Self::Link,
        Self::Relink,
        Self::Restore,
        Self::Revoke,
        Self::Remove,
        Self::CreateGroup,
        Self::RelinkGroup,
        Self::RenameGroup,
        Self::UpdateGroup,
        Self::DeleteGroup,
        Self::SetRole,
        Self::Reinvite,
        Self::SetCollections,
        Self::Unlink,
        Self::UnlinkGroup,
    ];

    /// The name: `CreateGroup`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invite => "Invite",
            Self::Link => "Link",
            Self::Relink => "Relink",
            Self::Restore => "Restore",
            Self::Revoke => "Revoke",
            Self::Remove => "Remove",
            Self::CreateGroup => "CreateGroup",
            Self::RelinkGroup => "RelinkGroup",
            Self::RenameGroup => "RenameGroup",
            Self::UpdateGroup => "UpdateGroup",
            Self::DeleteGroup => "DeleteGroup",
            Self::SetRole => "SetRole",
            Self::Reinvite => "Reinvite",
            Self::SetCollections => "SetCollections",
            Self::Unlink => "Unlink",
            Self::UnlinkGroup => "UnlinkGroup",
        }
    }
}

impl Subject {
    /// A person: `id` is the member's in Bitwarden.
    pub fn person(external_id: ExternalId, email: Email, id: Option<Uuid>) -> Self {
        Self {
            external_id,
            name: Name::Email(email),
            id,
        }
    }

    /// A group: `id` is its id in Bitwarden.
    pub fn group(external_id: ExternalId, name: Box<str>, id: Option<Uuid>) -> Self {
        Self {
            external_id,
            name: Name::Group(name),
            id,
        }
    }

    /// The email of a person; `None` of a group.
    pub fn email(&self) -> Option<&Email> {
        match &self.name {
            Name::Email(email) => Some(email),
            Name::Group(_) => None,
        }
    }

    /// The email or the name.
    pub fn label(&self) -> &str {
        match &self.name {
            Name::Email(email) => email.as_str(),
            Name::Group(name) => name,
        }
    }
}

impl Change {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match &self.action {
            Action::Member(action) => match action {
                MemberAction::Invite { .. } => Kind::Invite,
                MemberAction::Link => Kind::Link,
                MemberAction::Relink { .. } => Kind::Relink,
                MemberAction::Restore => Kind::Restore,
                MemberAction::Reinvite { .. } => Kind::Reinvite,
                MemberAction::Revoke { .. } => Kind::Revoke,
                MemberAction::Remove { .. } => Kind::Remove,
                MemberAction::SetRole(_) => Kind::SetRole,
                MemberAction::Unlink => Kind::Unlink,
            },
            Action::Group(action) => match action {
                GroupAction::Create { .. } => Kind::CreateGroup,
                GroupAction::Relink { .. } => Kind::RelinkGroup,
                GroupAction::Rename { .. } => Kind::RenameGroup,
                GroupAction::Update(_) => Kind::UpdateGroup,
                GroupAction::Delete(_) => Kind::DeleteGroup,
                GroupAction::SetCollections(_) => Kind::SetCollections,
                GroupAction::Unlink => Kind::UnlinkGroup,
            },
        }
    }

    /// The external id of the person or group.
    pub fn external_id(&self) -> &ExternalId {
        &self.subject.external_id
    }

    /// What is done with a member; `None` for a change of a group.
    pub fn member(&self) -> Option<&MemberAction> {
        match &self.action {
            Action::Member(action) => Some(action),
            Action::Group(_) => None,
        }
    }

    /// What is done with a group; `None` for a change of a member.
    pub fn group(&self) -> Option<&GroupAction> {
        match &self.action {
            Action::Group(action) => Some(action),
            Action::Member(_) => None,
        }
    }

    /// The role that a member gets, in place of another.
    pub fn role(&self) -> Option<&RoleChange> {
        match &self.action {
            Action::Member(MemberAction::SetRole(change)) => Some(change),
            _ => None,
        }
    }

    /// Whether an open invitation is replaced by one to another address.
    pub fn replaces_invitation(&self) -> bool {
        matches!(
            self.action,
            Action::Member(MemberAction::Invite { from: Some(_), .. })
        )
    }

    /// Whether an invitation goes that wasn't accepted in time.
    pub fn withdraws_invitation(&self) -> bool {
        matches!(
            self.action,
            Action::Member(MemberAction::Remove {
                evidence: Evidence::NotAccepted { .. }
            })
        )
    }

    /// Whether somebody loses access, rights or membership by it, or a group goes.
    pub fn takes_away(&self) -> bool {
        self.reason.overwrites()
            || match &self.action {
                Action::Member(MemberAction::Revoke { .. } | MemberAction::Remove { .. })
                | Action::Group(GroupAction::Delete(_)) => true,
                Action::Group(GroupAction::Update(update)) => !update.remove.is_empty(),
                Action::Member(MemberAction::SetRole(change)) => change.takes_away(),
                Action::Group(GroupAction::SetCollections(change)) => change.takes_away(),
                _ => false,
            }
    }

    /// By this the changes of a plan are sorted: what frees seats first, then what needs them,
    /// groups once their people are there, and what can't be undone last.
    pub(crate) fn order(&self) -> (u8, &ExternalId, Kind) {
        let rank = match self.kind() {
            Kind::Revoke | Kind::Remove => 0,
            Kind::SetRole if self.takes_away() => 1,
            Kind::Relink => 2,
            Kind::Restore => 3,
            Kind::SetRole => 4,
            Kind::Link | Kind::Invite => 5,
            Kind::RelinkGroup => 6,
            Kind::RenameGroup => 7,
            Kind::CreateGroup => 8,
            Kind::UpdateGroup => 9,
            Kind::Reinvite => 11,
            Kind::SetCollections => 10,
            Kind::DeleteGroup => 11,
            // Everything else names members and groups by the id.
            Kind::Unlink | Kind::UnlinkGroup => 12,
        };
        (rank, self.external_id(), self.kind())
    }
}

impl RemovedMember {
    /// The external id of the member that leaves.
    pub fn id(&self) -> ExternalId {
        self.external_id.clone()
    }
}

impl Plan {
    /// How many changes of each kind there are; kinds without any are left out.
    pub fn counts_by_kind(&self) -> Vec<(Kind, usize)> {
        let mut counts = [0; Kind::ALL.len()];
        for change in &self.changes {
            counts[change.kind() as usize] += 1;
        }
        Kind::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
