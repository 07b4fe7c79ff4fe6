//! What every action has, whatever it is.

use crate::directory::ExternalId;
use crate::sync::plan::{Action, Plan};

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
    RenameGroup,
    UpdateGroup,
    DeleteGroup,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Invite,
        Self::Link,
        Self::Relink,
        Self::Restore,
        Self::Revoke,
        Self::Remove,
        Self::CreateGroup,
        Self::RenameGroup,
        Self::UpdateGroup,
        Self::DeleteGroup,
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
            Self::RenameGroup => "RenameGroup",
            Self::UpdateGroup => "UpdateGroup",
            Self::DeleteGroup => "DeleteGroup",
        }
    }
}

impl Action {
    /// The kind; the re-link of a group is a [`Kind::Relink`] like that of a member.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invite { .. } => Kind::Invite,
            Self::Link { .. } => Kind::Link,
            Self::Relink { .. } | Self::RelinkGroup { .. } => Kind::Relink,
            Self::Restore { .. } => Kind::Restore,
            Self::Revoke { .. } => Kind::Revoke,
            Self::Remove { .. } => Kind::Remove,
            Self::CreateGroup { .. } => Kind::CreateGroup,
            Self::RenameGroup { .. } => Kind::RenameGroup,
            Self::UpdateGroup { .. } => Kind::UpdateGroup,
            Self::DeleteGroup { .. } => Kind::DeleteGroup,
        }
    }

    /// The external id of the person or group.
    pub fn external_id(&self) -> &ExternalId {
        match self {
            Self::Invite { external_id, .. }
            | Self::Link { external_id, .. }
            | Self::Relink { external_id, .. }
            | Self::Restore { external_id, .. }
            | Self::Revoke { external_id, .. }
            | Self::Remove { external_id, .. }
            | Self::CreateGroup { external_id, .. }
            | Self::RelinkGroup { external_id, .. }
            | Self::RenameGroup { external_id, .. }
            | Self::UpdateGroup { external_id, .. }
            | Self::DeleteGroup { external_id, .. } => external_id,
        }
    }

    /// The person's email, or the group's name.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Invite { email, .. }
            | Self::Link { email, .. }
            | Self::Relink { email, .. }
            | Self::Restore { email, .. }
            | Self::Revoke { email, .. }
            | Self::Remove { email, .. } => Subject::Person(email.as_str()),
            Self::CreateGroup { name, .. }
            | Self::RelinkGroup { name, .. }
            | Self::RenameGroup { name, .. }
            | Self::UpdateGroup { name, .. }
            | Self::DeleteGroup { name, .. } => Subject::Group(name),
        }
    }

    /// By this the changes of a plan are sorted: what frees seats first, then what needs them,
    /// groups once their people are there, and what can't be undone last.
    pub(super) fn order(&self) -> (u8, &ExternalId) {
        let rank = match self {
            Self::Revoke { .. } | Self::Remove { .. } => 0,
            Self::Relink { .. } => 1,
            Self::Restore { .. } => 2,
            Self::Link { .. } | Self::Invite { .. } => 3,
            Self::RelinkGroup { .. } => 4,
            Self::RenameGroup { .. } => 5,
            Self::CreateGroup { .. } => 6,
            Self::UpdateGroup { .. } => 7,
            Self::DeleteGroup { .. } => 8,
        };
        (rank, self.external_id())
    }
}

/// Whom or what an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A person, by email.
    Person(&'a str),
    /// A group, by name.
    Group(&'a str),
}

impl Plan {
    /// How many changes of each kind there are; kinds without any are left out.
    pub fn counts_by_kind(&self) -> Vec<(Kind, usize)> {
        let mut counts = [0; Kind::ALL.len()];
        for change in &self.changes {
            counts[change.action.kind() as usize] += 1;
        }
        Kind::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
