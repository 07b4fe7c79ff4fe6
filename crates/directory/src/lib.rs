//! What every source fills: people and groups of a directory, as read.

#![deny(missing_docs)]

mod builder;
pub mod complete;
mod email;
mod evidence;
mod external_id;
mod former_ids;
mod glob;
pub mod hash;
mod incremental;
mod looked_up;
pub mod problem;
mod progress;
#[cfg(test)]
mod tests;
pub mod text;
mod unidentified;
mod withheld;

pub use builder::{DirectoryBuilder, EntryKey};
pub use email::{EMAIL_MAX, Email, InvalidEmail};
pub use evidence::{
    Account, AccountEvidence, AccountRule, AccountState, Container, Evidence, ScopeRule,
};
pub use external_id::{EXTERNAL_ID_MAX, ExternalId, InvalidExternalId, Place};
pub use former_ids::FormerIds;
pub use glob::{Glob, fold};
pub use incremental::{Incremental, ReadNow};
pub use looked_up::{LookedUp, Lookup};
pub use progress::ReadProgress;
pub use unidentified::{UnidentifiedGroup, UnidentifiedUser};

use std::sync::Arc;

use crate::problem::Problems;

/// A directory as it was read: all people and groups within the source's own scope, before the
/// resource's filters.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The people, each [`ExternalId`] once.
    pub users: Vec<User>,
    /// The groups, each [`ExternalId`] once.
    pub groups: Vec<Group>,
    /// People who were read and can't be identified. They may be anybody whom the list lacks, so
    /// they aren't nobody.
    pub unidentified_users: Vec<UnidentifiedUser>,
    /// Groups that were read and can't be identified.
    pub unidentified_groups: Vec<UnidentifiedGroup>,
    /// By what it was told which accounts are disabled; `None` where nothing was read that would tell.
    pub account_rule: Option<AccountRule>,
    /// Members of groups that are neither among the people nor the groups that were read: entries
    /// outside the source's filters, computers, contacts.
    pub unknown_members: UnknownMembers,
    /// The names by which another program may have kept these entries in Bitwarden; `None` where entries
    /// have no such names.
    pub former_ids: Option<FormerIds>,
    /// Entries that can't be used, by reason.
    pub problems: Problems,
}

/// A person of the directory.
#[derive(Debug, Clone)]
pub struct User {
    /// The stable id, without the resource's prefix.
    pub id: ExternalId,
    /// The email, or why there is none that can be used.
    pub email: Result<Email, UnusableEmail>,
    /// Whether the account may be used.
    pub state: AccountState,
    /// What says so. Only accounts that aren't active have it: a directory of a million has few of
    /// them.
    pub evidence: Option<Arc<AccountEvidence>>,
    /// Where the entry is, if it lacks the attribute of [`Directory::account_rule`]: the account may be
    /// disabled, if that [may be hidden](AccountRule::may_be_hidden_in) from us there.
    pub lacks_attribute_in: Option<Container>,
    /// Whether groups name people by an attribute that this entry doesn't show: it may be any member whom
    /// a group names and nobody knows.
    pub is_unnamed: bool,
}

/// An email that can't be used, with what is needed to tell a person about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableEmail {
    /// The rule that the email breaks.
    pub why: InvalidEmail,
    /// The entry as its administrators know it (a DN, a login name), cut to a harmless length.
    pub entry: Box<str>,
}

/// One group with its direct members.
#[derive(Debug, Clone)]
pub struct Group {
    /// The stable id, without the resource's prefix.
    pub id: ExternalId,
    /// The name, trimmed; its length isn't checked yet.
    pub name: Box<str>,
    /// Direct members: indexes into [`Directory::users`].
    pub users: Box<[u32]>,
    /// Direct members: indexes into [`Directory::groups`].
    pub groups: Box<[u32]>,
    /// Why not all of its members are known, where that is so: nobody is then known not to be in
    /// it.
    pub in_part: Option<InPart>,
    /// Whether it has members who were read and can't be identified
    /// ([`Directory::unidentified_users`]).
    pub has_unidentified: bool,
    /// Its direct members that are neither among the people nor the groups that were read; `None`
    /// where all are. Whoever wasn't read may be one of them, and whoever was isn't.
    pub unknown: Option<Box<UnknownMembers>>,
}

/// Why a group is known in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InPart {
    /// The directory doesn't show us all of its members.
    HiddenMembers,
    /// It names a member by something that several people have.
    AmbiguousMember,
    /// It contains a group that can't be identified.
    UnidentifiedGroup,
}

/// Members of groups that were not read as people or groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownMembers {
    /// How many different ones.
    pub count: usize,
    /// A few of them, as the directory names them.
    pub sample: Vec<String>,
}
