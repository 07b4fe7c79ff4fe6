//! The difference between a roster and an organization, as a value.

mod action;
mod complete;
mod draft;
mod groups;
mod people;
pub mod render;
mod write_only;

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

pub use action::{Kind, Subject};
pub use draft::{Draft, draft};
pub(crate) use draft::{Existing, Outsiders, WantedGroup};

use crate::directory::{Email, ExternalId};
use crate::problem::Problems;
use crate::sync::memberships::GroupState;

/// Everything that would make the organization agree with the roster, each with its reason.
///
/// Sorted: the same roster and organization give the same plan, whatever order they were read in.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What to do, in the order in which it is done: what frees seats comes first.
    pub changes: Vec<Change>,
    /// What a person has to mend: the directory's, the roster's and the plan's own.
    pub problems: Problems,
    /// Sizes of both sides.
    pub counts: Counts,
    /// Whether the directory named no one at all.
    pub directory_is_empty: bool,
    /// What each group in scope shall hold, for [`Memory`](crate::sync::memberships::Memory).
    pub groups: Vec<GroupState>,
    /// Stands for all members who aren't ours to move, for the same.
    pub(crate) outsiders: Outsiders,
    /// What was sent to a server that can't be read, for the same.
    pub sent: Option<Sent>,
}

/// What a plan sends to a server that can't be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Stands for all people and groups of the plan.
    pub digest: [u8; 16],
    /// Revocations that an earlier run has sent already. They are repeated with a full import,
    /// take nothing away that isn't gone, and pass the guard.
    pub repeated: HashSet<ExternalId>,
    /// Whom each group holds once this plan is applied, in order.
    pub groups: BTreeMap<ExternalId, Vec<ExternalId>>,
    /// Everyone who is revoked once this plan is applied, as [`Memory`] keeps them.
    ///
    /// [`Memory`]: crate::sync::memberships::Memory
    pub revoked: Vec<ExternalId>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// Why, in a few words for a person.
    pub reason: Reason,
}

/// What to do to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A new member.
    Invite {
        /// The person.
        external_id: ExternalId,
        /// Where the invitation goes.
        email: Email,
        /// Only stage: no invitation is sent yet.
        staged: bool,
    },
    /// A member without an external id, found by email, gets one.
    Link {
        /// The person.
        external_id: ExternalId,
        /// The email both sides have.
        email: Email,
        /// The member.
        member: Uuid,
    },
    /// A member whose external id is gone from the directory, found by email under a new one.
    Relink {
        /// The id to come.
        external_id: ExternalId,
        /// The id that goes.
        from: ExternalId,
        /// The email both sides have.
        email: Email,
        /// The member.
        member: Uuid,
    },
    /// A revoked member gets access back.
    Restore {
        /// The person.
        external_id: ExternalId,
        /// The member's email.
        email: Email,
        /// The member.
        member: Uuid,
    },
    /// A member's access ends; account and seatless membership stay.
    Revoke {
        /// The person.
        external_id: ExternalId,
        /// The member's email.
        email: Email,
        /// The member; `None` where the server can't be read.
        member: Option<Uuid>,
    },
    /// A member leaves the organization.
    Remove {
        /// The person.
        external_id: ExternalId,
        /// The member's email.
        email: Email,
        /// The member.
        member: Uuid,
    },
    /// A new group with its members.
    CreateGroup {
        /// The group.
        external_id: ExternalId,
        /// Its name.
        name: Box<str>,
        /// Its members.
        add: Vec<ExternalId>,
    },
    /// A group whose external id is gone from the directory, found by name under a new one. Keeps
    /// the group's access to collections.
    RelinkGroup {
        /// The id to come.
        external_id: ExternalId,
        /// The id that goes.
        from: ExternalId,
        /// The name both sides have.
        name: Box<str>,
        /// The group.
        group: Uuid,
    },
    /// A group gets the directory's name for it.
    RenameGroup {
        /// The group.
        external_id: ExternalId,
        /// The name to come.
        name: Box<str>,
        /// The name that goes.
        from: Box<str>,
        /// The group.
        group: Uuid,
    },
    /// Members come into or leave a group.
    UpdateGroup {
        /// The group.
        external_id: ExternalId,
        /// Its name (the wanted one).
        name: Box<str>,
        /// The group; `None` where the server can't be read.
        group: Option<Uuid>,
        /// Who comes in.
        add: Vec<ExternalId>,
        /// Who leaves.
        remove: Vec<ExternalId>,
        /// Everyone else of ours who is and stays in it.
        keep: Vec<ExternalId>,
        /// Members in it that aren't ours to move. An import would drop them. `None` where the
        /// group wasn't read in this run: what is in it has to be read before it is changed.
        others: Option<Vec<Uuid>>,
    },
    /// A group goes.
    DeleteGroup {
        /// The group.
        external_id: ExternalId,
        /// Its name.
        name: Box<str>,
        /// The group.
        group: Uuid,
    },
}

/// Why a change is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// Active in the directory, not in the organization.
    NewInDirectory,
    /// A member already, without an external id.
    SameEmail,
    /// The directory knows the person or group under a new id; the old one is gone.
    NewExternalId,
    /// Active in the directory, revoked in the organization.
    ActiveAgain,
    /// Blocked in the directory.
    DisabledInDirectory,
    /// The directory doesn't have it any more.
    GoneFromDirectory,
    /// The directory has it, the resource's filters leave it out.
    FilteredOut,
    /// The directory calls it something else now.
    NameChanged,
    /// The directory lists other members.
    MembersChanged,
    /// The server can't be read: everything is sent whenever something changed.
    SentInFull,
}

/// Sizes of both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// People of the directory who shall be members.
    pub active: usize,
    /// People of the directory who are blocked there.
    pub disabled: usize,
    /// Groups in scope.
    pub groups: usize,
    /// Members of the organization that are ours (they have an external id with our prefix).
    pub managed_members: usize,
    /// All members of the organization.
    pub members: usize,
    /// Groups of the organization that are ours.
    pub managed_groups: usize,
    /// All groups of the organization.
    pub organization_groups: usize,
}
