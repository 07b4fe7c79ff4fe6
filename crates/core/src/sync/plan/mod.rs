//! The difference between a roster and an organization, as a value.

mod change;
mod collections;
mod complete;
mod draft;
mod ended_access;
mod group_state;
mod groups;
mod names;
mod onboarding;
mod people;
mod restores;
mod roles;
mod sent;
mod unidentified;
mod write_only;

pub(crate) use change::LEFT_GROUP;
pub use change::{
    Action, Change, CollectionsChange, Deletion, GroupAction, Kind, MemberAction, Name, Nth,
    RemovedMember, RoleChange, RoleRow, Subject, Update, describe_role,
};
pub(crate) use collections::{AccessKey, access_key};
pub(crate) use draft::tally;
pub(crate) use draft::{DesiredGroup, Existing, Unmanaged};
pub use draft::{Draft, draft};
pub use group_state::GroupState;
pub(crate) use group_state::{CachedMembers, GroupCache};
pub use names::Names;
pub use onboarding::OnboardingCounts;
pub use restores::{NotRead, Revocations, RuleId};
pub(crate) use roles::claims;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::{AccountRule, Container, ExternalId, ReadNow};
use crate::organization::collection::AccessChange;
use crate::organization::role::AccessRole;
use crate::problem::Problems;
use crate::sync::history::{CollectionAccess, GroupName, RunId};
use crate::sync::ledger::{SeenInvitations, Tally};
use crate::sync::sent::Sent;

/// Everything that would make the organization agree with the roster, each with its reason.
///
/// Sorted: the same roster and organization give the same plan, whatever order they were read in.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What to do, in the order in which it is done: what frees seats comes first.
    pub changes: Vec<Change>,
    /// What needs manual action: the directory's, the roster's and the plan's own.
    pub problems: Problems,
    /// Sizes of both sides.
    pub counts: Counts,
    /// Whether the directory named no one who is active and in scope.
    pub directory_is_empty: bool,
    /// By what it was told which accounts are disabled; `None` where nothing was read that would tell.
    pub(crate) account_rule: Option<CurrentRule>,
    /// Where the entries are of people who get or may get access back, and whose entry doesn't show the
    /// attribute that would tell that their account is disabled.
    pub(crate) unseen: HashMap<ExternalId, Container>,
    /// Members whom another program kept under the name (DN) of an entry that is read.
    pub(crate) by_former_id: HashSet<Uuid>,
    /// Who was revoked when the organization was read, with the member's id; `None` where it can't be
    /// read.
    pub(crate) revoked: Option<HashMap<ExternalId, Uuid>>,
    /// The role of each member that has another one than User and is no owner, as read; `None` where that
    /// isn't known.
    pub(crate) roles: Option<HashMap<Uuid, AccessRole>>,
    /// All access of groups to collections, as read; `None` where that isn't known.
    pub(crate) access: Option<HashSet<AccessKey>>,
    /// The members of ours who have something to lose: not revoked, and no owners.
    pub(crate) tally: Tally,
    /// Who isn't confirmed yet; `None` where the organization can't be read, and of an undo.
    pub(crate) invitations: Option<SeenInvitations>,
    /// When the passing of time alone makes another plan of the same directory and organization.
    pub until: Option<Timestamp>,
    /// Who is disabled in the directory and has no access because of that, or for another reason: revoked
    /// members, and accounts that were revoked on a server that can't be read.
    pub(crate) disabled_revoked: Vec<ExternalId>,
    /// Who is disabled in the directory and no member.
    pub(crate) disabled_outside: Vec<ExternalId>,
    /// Who lost access because their account was disabled, and isn't in the directory under the same id any
    /// more.
    pub(crate) disabled_and_not_read: Vec<NotRead>,
    /// Who is invited and may be disabled, as far as is known: held until it is approved.
    pub(crate) doubtful_newcomers: HashSet<ExternalId>,
    /// Whether that is only because they may be some of `disabled_and_not_read`: an approval says that they
    /// aren't.
    pub(crate) settles_not_read: bool,
    /// Who is active in the directory and was revoked when the organization was read.
    pub(crate) active_revoked: Vec<ExternalId>,
    /// Whether the organization has members of ours who aren't revoked, and no active person in scope
    /// is one of its members.
    pub(crate) recognizes_nobody: bool,
    /// What each group in scope shall hold, for [`MembershipCache`](crate::sync::memberships::MembershipCache).
    pub groups: Vec<GroupState>,
    /// Protected groups that aren't compared, by name, and who would leave each by being removed from
    /// the organization.
    pub(crate) protected: Vec<(Box<str>, Vec<ExternalId>)>,
    /// Stands for all members who aren't ours to move, for the same.
    pub(crate) unmanaged: Unmanaged,
    /// Emails of people whom changes of groups name.
    pub names: Names,
    /// What else a plan for a server that can't be read does; `None` where nothing is sent.
    pub sent: Option<Sent>,
    /// Of the groups that are to be deleted, by their ids in Bitwarden: to which collections each gives
    /// access. For the history; read once it is known which deletions go ahead.
    pub collections: HashMap<Uuid, Vec<CollectionAccess>>,
    /// To which collections the groups that it makes or re-links get access in the next run, by their external ids.
    pub follows: HashMap<ExternalId, Vec<AccessChange>>,
    /// What it takes back of an earlier run; `None` of a plan that follows the directory.
    pub undoes: Option<Undoes>,
    /// What of the directory was itself read for it, where an earlier read was brought up to date; `None` where
    /// all was read.
    pub(crate) incremental: Option<Arc<ReadNow>>,
    /// It is about the people alone whom it changes: of all others nothing was read, so that nothing is
    /// learned of them.
    pub(crate) is_partial: bool,
}

/// What a plan has that takes back an earlier run.
#[derive(Debug, Clone)]
pub struct Undoes {
    /// The earlier run.
    pub run: RunId,
    /// Who lost something by it because their account was disabled.
    pub(crate) disabled: HashSet<ExternalId>,
    /// The groups that people leave whose invitation is taken back.
    pub(crate) leaves: HashMap<ExternalId, Vec<GroupName>>,
    /// What groups get beside their members with external ids, by the group's external id.
    pub made_again: HashMap<ExternalId, MadeAgain>,
}

/// What a deleted group gets back once it is made again, beside its members with external ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeAgain {
    /// Its access to collections.
    pub collections: Vec<CollectionAccess>,
    /// Members who have no external id.
    pub members: Vec<Uuid>,
}

/// By what it was told which accounts are disabled.
#[derive(Debug, Clone)]
pub(crate) struct CurrentRule {
    /// Identifies the attribute with what its values mean.
    pub(crate) id: RuleId,
    /// The attribute, as the directory calls it.
    pub(crate) name: Box<str>,
    /// Entries may lack it, and all do.
    pub(crate) unseen: bool,
    /// Active accounts have it: none is active for lacking it.
    pub(crate) active_have_it: bool,
    /// They had it within the last 30 days, and don't have it now.
    pub(crate) active_had_it: bool,
}

impl From<&AccountRule> for CurrentRule {
    fn from(rule: &AccountRule) -> Self {
        Self {
            id: RuleId::of(&rule.meaning),
            name: rule.name.clone(),
            unseen: rule.seen == Some(0),
            active_have_it: rule.active_have_it,
            active_had_it: false,
        }
    }
}

impl Plan {
    /// By what it was told which accounts are disabled.
    pub(crate) fn rule(&self) -> RuleId {
        self.account_rule
            .as_ref()
            .map_or(RuleId::UNKNOWN, |rule| rule.id)
    }

    /// Whether it was made for a server that takes imports and can't be read.
    pub fn is_write_only(&self) -> bool {
        self.revoked.is_none()
    }

    /// Whether this member was revoked when the organization was read.
    pub fn was_revoked(&self, id: &ExternalId) -> bool {
        let revoked = self.revoked.as_ref();
        revoked.is_some_and(|revoked| revoked.contains_key(id))
    }

    /// How many members of a group have an external id of ours and aren't moved by this plan.
    pub fn unmoved(&self, group: &ExternalId) -> usize {
        let states = &self.groups;
        let state = states.binary_search_by(|state| state.external_id.cmp(group));
        let unmanaged = state.ok().and_then(|at| states[at].unmanaged);
        unmanaged.unwrap_or_default() as usize
    }

    /// Whether somebody is invited who isn't known to have had an account before.
    pub(crate) fn invites_new(&self, change: &Change) -> bool {
        let known = |sent: &Sent| sent.known.contains(change.external_id());
        change.kind() == Kind::Invite
            && !matches!(change.reason, Reason::MembersUnknown | Reason::Undone)
            && !self.sent.as_ref().is_some_and(known)
    }
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
    /// Disabled in the directory.
    DisabledInDirectory,
    /// The directory doesn't have it any more.
    GoneFromDirectory,
    /// The directory has it, the resource's filters leave it out.
    FilteredOut,
    /// The directory calls it something else now.
    NameChanged,
    /// The directory lists other members.
    MembersChanged,
    /// The person has another address in the directory now.
    EmailChanged,
    /// The server can't be read, and what was sent to it before isn't known any more: a group may
    /// hold others, and an account may have been revoked by hand.
    MembersUnknown,
    /// Of plans that earlier versions wrote: everything was sent whenever something changed.
    SentInFull,
    /// An earlier run revoked them longer ago than `offboarding.removeAfter`, and what the directory
    /// says of them still asks for that.
    RevokedLongAgo,
    /// The organization has a group of this name without an external id, and the policy adopts it.
    SameName,
    /// As [`Reason::NewExternalId`], on a server that can't be read: being sent gives access back to
    /// whoever was revoked by hand.
    NewExternalIdUnseen,
    /// The group has members who are re-linked for that reason, and is sent with their new ids.
    MembersRelinked,
    /// As [`Reason::ActiveAgain`], on a server that can't be read, where an earlier run that didn't end may
    /// have given access back: being sent again gives it also to whoever was revoked by hand since.
    ActiveAgainUnseen,
    /// A person takes back what an earlier run did.
    Undone,
    /// In a group of which `access.roles` says so.
    AccessRole,
    /// In no such group any more; a run had given the role.
    AccessRoleEnded,
    /// The invitation wasn't accepted within `onboarding.reinvite.after`.
    NotAcceptedYet,
    /// The invitation wasn't accepted within `onboarding.withdrawAfter`.
    NotAccepted,
    /// A rule of `access.collections` says so.
    AccessCollections,
    /// No rule says so any more; a run had given the access.
    AccessCollectionsEnded,
}

impl Reason {
    /// Whether a change for this reason overwrites something that can't be seen: it is held as a
    /// whole until it is approved.
    pub(crate) fn overwrites(self) -> bool {
        self == Self::MembersUnknown || self.is_relink_unseen()
    }

    /// Whether it is a re-link that may give access back, or waits for one.
    pub(crate) fn is_relink_unseen(self) -> bool {
        matches!(self, Self::NewExternalIdUnseen | Self::MembersRelinked)
    }
}

impl Counts {
    /// Members that are ours and aren't revoked.
    pub fn active_members(&self) -> usize {
        self.managed_members.saturating_sub(self.revoked_members)
    }
}

/// By what members of the organization are recognized as people of the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recognized {
    /// By the external ID that they have.
    pub by_id: usize,
    /// By an external ID that is the name (DN) of an entry: another program gave it to them.
    pub by_former_id: usize,
    /// By their email: they have no external ID, or one that the directory doesn't have.
    pub by_email: usize,
    /// Managed members who aren't: the directory doesn't have them.
    pub not: usize,
}

/// Sizes of both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// People of the directory who shall be members.
    pub active: usize,
    /// People of the directory who are disabled there.
    pub disabled: usize,
    /// Groups in scope.
    pub groups: usize,
    /// Members of the organization that are ours (they have an external id with our prefix).
    pub managed_members: usize,
    /// Of those, who is revoked.
    pub revoked_members: usize,
    /// Of those, who has something to lose: accepted or confirmed, and no owner.
    pub with_access: usize,
    /// Of those, who was added and hasn't accepted an invitation yet.
    pub invited: usize,
    /// Managed members who aren't revoked and whose ID the directory doesn't have, without owners and
    /// those whom this plan re-links.
    pub unrecognized: usize,
    /// By what members are recognized; all zero where the server can't be read.
    pub recognized: Recognized,
    /// Where managed members stand on their way in.
    pub onboarding: OnboardingCounts,
    /// All members of the organization.
    pub members: usize,
    /// Groups of the organization that are ours.
    pub managed_groups: usize,
    /// All groups of the organization.
    pub organization_groups: usize,
}
