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
        /// The member's address.
        email: String,
    },
    /// An invitation mail was sent to someone already invited.
    Reinvited {
        /// The member's address.
        email: String,
    },
    /// A member was created without a mail.
    Staged {
        /// The member's address.
        email: String,
    },
    /// A member's external id changed.
    ExternalIdChanged {
        /// The member's address.
        email: String,
        /// What it was.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// A member was removed, and with it its memberships.
    Removed {
        /// The member's address.
        email: String,
        /// The external id it had.
        external_id: Option<String>,
        /// The names of the groups it was in.
        groups: Vec<String>,
    },
    /// A member was revoked.
    Revoked {
        /// The member's address.
        email: String,
        /// Its external id.
        external_id: Option<String>,
    },
    /// A revoked member was restored.
    Restored {
        /// The member's address.
        email: String,
        /// Its external id.
        external_id: Option<String>,
    },
    /// A membership was withdrawn, member and group staying.
    Withdrawn {
        /// The group's name.
        group: String,
        /// The member's email.
        member: String,
    },
    /// A member or group lost access to collections.
    CollectionsLost {
        /// The member's email or the group's name.
        of: String,
        /// The collections' ids.
        collections: Vec<String>,
    },
    /// A group was created.
    GroupCreated {
        /// The group's name.
        name: String,
    },
    /// A group's name changed.
    GroupRenamed {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A group was deleted.
    GroupDeleted {
        /// The group's name.
        name: String,
        /// Its external id.
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
