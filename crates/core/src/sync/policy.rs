//! What the resource's author decided: whom to take, and what may happen to them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::directory::Email;
pub use crate::directory::Glob;
use crate::organization::collection::CollectionRight;
use crate::organization::role::AccessRole;
use crate::problem::Problem;
pub use crate::sync::limits::Limit;

/// The rules of one resource, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Put before every external id; only members and groups with it are ours. Empty: all are.
    pub external_id_prefix: String,
    /// Which people are synced.
    pub users: UserFilter,
    /// Which groups are synced.
    pub groups: GroupFilter,
    /// How people come in.
    pub onboarding: Onboarding,
    /// How people go out.
    pub offboarding: Offboarding,
    /// Which roles members have.
    pub access: Access,
    /// Emails that are never sent to a server that can't be read (Vaultwarden): its owners, and
    /// members who were invited by hand. `None`: nobody said who they are, so nobody is revoked
    /// there.
    pub never_send: Option<BTreeSet<Email>>,
    /// What is valid in the spec and yet can't be meant: settings that have no effect, each with why and
    /// what to do.
    pub doubts: Vec<Problem>,
}

/// Which people are in scope, by email. Empty lists let everyone through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserFilter {
    /// Only these, where there are any.
    pub include: Vec<Glob>,
    /// Not these, whatever `include` says.
    pub exclude: Vec<Glob>,
}

/// Which groups are in scope, by name. Empty lists let every group through.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupFilter {
    /// Only these, where there are any.
    pub include: Vec<Glob>,
    /// Not these, whatever `include` says.
    pub exclude: Vec<Glob>,
    /// Only people who are (directly or through nesting) in a group in scope are in scope.
    pub only_their_members: bool,
    /// Delete groups of ours that are no longer in scope or in the directory.
    pub prune: bool,
    /// Give a group without an external id the directory's, where the name is the same and no other group
    /// has it.
    pub adopt: bool,
    /// So many of a group's managed members may leave it within a day.
    pub limit: Limit,
    /// Groups, by name, that lose nobody and aren't deleted without approval.
    pub protected: Vec<Glob>,
}

impl Default for GroupFilter {
    fn default() -> Self {
        Self {
            include: vec![],
            exclude: vec![],
            only_their_members: false,
            prune: false,
            adopt: false,
            limit: Limit::Percent(50.0),
            protected: vec![],
        }
    }
}

/// Which roles members have because of the groups that they are in.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// Of several that are about somebody the highest counts.
    pub roles: Vec<RoleRule>,
    /// So many people may gain rights of their role within a day without approval, so many may lose some, and
    /// so many may gain `Manage` on a collection.
    pub limit: usize,
    /// So many of the members with access may gain access to collections within a day.
    pub collections_limit: Limit,
    /// Which access groups have to collections. Of several that are about a group all count.
    pub collections: Vec<CollectionRule>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            roles: vec![],
            limit: Self::LIMIT,
            collections_limit: Self::COLLECTIONS_LIMIT,
            collections: vec![],
        }
    }
}

impl Access {
    /// `limit` where nothing else is asked for.
    pub const LIMIT: usize = 3;
    /// `collections_limit` where nothing else is asked for.
    pub const COLLECTIONS_LIMIT: Limit = Limit::Percent(10.0);
}

/// A group has access to collections.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionRule {
    /// The groups of the directory, by name.
    pub group: Glob,
    /// The collections, each with what the group's members may do.
    pub collections: Vec<(CollectionName, CollectionRight)>,
    /// The groups have access to nothing else.
    pub exclusive: bool,
}

/// What a rule calls a collection by.
#[derive(Debug, Clone, PartialEq)]
pub enum CollectionName {
    /// The id that the server gave it.
    Id(Uuid),
    /// The external id.
    ExternalId(Box<str>),
}

/// Members of a group have a role.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleRule {
    /// The groups of the directory, by name.
    pub group: Glob,
    /// What their members are.
    pub role: AccessRole,
}

/// How people come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Onboarding {
    /// Send the invitation. `false`: the member is only staged.
    pub invite: bool,
    /// Which revoked members who are active in the directory get their access back.
    pub restore: Restore,
    /// So many people may be invited or restored within a day; not held against the first sync of an
    /// organization without managed members.
    pub limit: Limit,
    /// So long somebody who has accepted may wait for an administrator's confirmation before they are
    /// reported.
    pub confirm_within: SignedDuration,
    /// When and how often invitations are sent again; `None`: never.
    pub reinvite: Option<Reinvite>,
    /// So long after they were first seen as open, invitations that weren't accepted are withdrawn. `None`: they
    /// stay.
    pub withdraw_after: Option<SignedDuration>,
}

/// When and how often an invitation is sent again that wasn't accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reinvite {
    /// So long after the last one was sent.
    pub after: SignedDuration,
    /// So often, at most.
    pub times: u8,
}

impl Onboarding {
    /// `confirm_within` where nothing else is asked for.
    pub const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_hours(5 * 24);
}

/// Which revoked members get their access back once they are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// Revoked members stay revoked.
    Nobody,
    /// Whom an earlier run revoked; who was revoked by hand stays so.
    RevokedByUs,
    /// Every revoked member, those revoked by hand as well.
    All,
}

/// How people go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offboarding {
    /// Accounts that are disabled at the source.
    pub disabled: OffboardingAction,
    /// Accounts that the directory lists as deleted.
    pub deleted: OffboardingAction,
    /// People who are gone from the directory, or filtered out.
    pub absent: OffboardingAction,
    /// So many of the members with access may lose something within a day because they are gone
    /// from the directory, out of scope or out of a group; and so many of the managed groups may be
    /// deleted. More is held.
    pub limit: Limit,
    /// So many may lose something within a day because their account is disabled.
    pub disabled_limit: Limit,
    /// Whom an earlier run revoked so long ago is removed, if they are still to be revoked.
    /// `None`: nobody is.
    pub remove_after: Option<SignedDuration>,
    /// How long held changes can be approved after they were first held.
    pub approvals_expire_after: SignedDuration,
}

impl Offboarding {
    /// `approvals_expire_after` where nothing else is asked for.
    pub const APPROVALS_EXPIRE_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

    /// Who was revoked at this time or before is removed by a run at `now`.
    pub fn revoked_by(&self, now: Timestamp) -> Option<Timestamp> {
        now.checked_sub(self.remove_after?).ok()
    }
}

/// What happens to a member who goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffboardingAction {
    /// The member keeps access and groups.
    Retain,
    /// Access ends; account, data and group memberships stay, the seat is free.
    Revoke,
    /// The member is removed from the organization.
    Remove,
}

/// Whether a text passes an include and an exclude list, `folded` as
/// [`fold`](crate::directory::fold) does.
pub fn passes(include: &[Glob], exclude: &[Glob], folded: &str) -> bool {
    (include.is_empty() || include.iter().any(|glob| glob.matches(folded)))
        && !exclude.iter().any(|glob| glob.matches(folded))
}
