//! What every source fills: people and groups of a directory, as read.

mod builder;
mod email;
mod evidence;
mod external_id;

pub use builder::{DirectoryBuilder, EntryKey};
pub use email::{EMAIL_MAX, Email, InvalidEmail};
pub use evidence::{Account, AccountEvidence, AccountState, Evidence, ScopeRule, StateAttribute};
pub use external_id::{EXTERNAL_ID_MAX, ExternalId, InvalidExternalId};

use crate::problem::Problems;

/// A directory as it was read: all people and groups within the source's own scope, before the
/// resource's filters.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The people, each [`ExternalId`] once.
    pub users: Vec<User>,
    /// The groups, each [`ExternalId`] once.
    pub groups: Vec<Group>,
    /// Members of groups that are neither among the people nor the groups that were read: entries
    /// outside the source's filters, computers, contacts.
    pub unknown_members: UnknownMembers,
    /// Entries that can't be used, by reason.
    pub problems: Problems,
}

/// One person.
#[derive(Debug, Clone)]
pub struct User {
    /// The stable id, without the resource's prefix.
    pub id: ExternalId,
    /// The email, or why there is none that can be used.
    pub email: Result<Email, UnusableEmail>,
    /// Whether the account may be used.
    pub state: AccountState,
}

/// An email that can't be used, with what is needed to tell a person about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableEmail {
    /// What is wrong.
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
    /// Whether the directory keeps members of it (or of a group in it) from us: nobody is then
    /// known not to be in it.
    pub in_part: bool,
}

/// Members of groups that were not read as people or groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownMembers {
    /// How many different ones.
    pub count: usize,
    /// A few of them, as the directory names them.
    pub sample: Vec<String>,
}
