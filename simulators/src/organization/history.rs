//! What was done to an organization, whatever came of it later.

use serde::Serialize;

/// Something that was done to the organization and matters afterwards, whatever the end state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "event"
)]
pub enum Event {
    /// A member was created and an invitation mail sent.
    Invited {
        /// The email of the member.
        email: String,
    },
    /// An invitation mail was sent to someone already invited.
    Reinvited {
        /// The email of the member.
        email: String,
    },
    /// A member was created without a mail.
    Staged {
        /// The email of the member.
        email: String,
    },
    /// A member's external id changed.
    ExternalIdChanged {
        /// The email of the member.
        email: String,
        /// The external id before the change.
        from: Option<String>,
        /// The external id after the change.
        to: Option<String>,
    },
    /// A member got another role.
    RoleChanged {
        /// The email of the member.
        email: String,
        /// The number of the role before the change.
        from: u8,
        /// The number of the role after the change.
        to: u8,
    },
    /// A member was removed, and with it its memberships.
    Removed {
        /// The email of the member.
        email: String,
        /// The external id it had.
        external_id: Option<String>,
        /// The names of the groups it was in.
        groups: Vec<String>,
    },
    /// A member was revoked.
    Revoked {
        /// The email of the member.
        email: String,
        /// The external id that the member kept.
        external_id: Option<String>,
    },
    /// A revoked member was restored.
    Restored {
        /// The email of the member.
        email: String,
        /// The external id of the restored member.
        external_id: Option<String>,
    },
    /// A membership was withdrawn, member and group staying.
    Withdrawn {
        /// The name of the group.
        group: String,
        /// The email of the member who left it.
        member: String,
    },
    /// A member came into a group that was there already.
    Joined {
        /// The name of the group.
        group: String,
        /// The email of the member who came.
        member: String,
    },
    /// A member or group lost access to collections.
    CollectionsLost {
        /// The member's email or the group's name.
        of: String,
        /// The ids of the collections that can't be opened any more.
        collections: Vec<String>,
    },
    /// A group was created.
    GroupCreated {
        /// The name of the new group.
        name: String,
    },
    /// A group's external id changed.
    GroupExternalIdChanged {
        /// The name of the group.
        name: String,
        /// The external id before the change.
        from: Option<String>,
        /// The external id after the change.
        to: Option<String>,
    },
    /// A group's name changed.
    GroupRenamed {
        /// The name before the change.
        from: String,
        /// The name after the change.
        to: String,
    },
    /// A group was deleted.
    GroupDeleted {
        /// The name of the deleted group.
        name: String,
        /// The external id of the deleted group.
        external_id: Option<String>,
        /// The emails of the members it had.
        members: Vec<String>,
    },
}

impl Event {
    /// Whether someone lost something by it: removed, revoked, a membership withdrawn, a
    /// collection lost, a group deleted.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Removed { .. }
                | Self::Revoked { .. }
                | Self::Withdrawn { .. }
                | Self::CollectionsLost { .. }
                | Self::GroupDeleted { .. }
        )
    }
}
