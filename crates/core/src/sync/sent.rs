//! What was sent to a server that takes imports and can't be read (Vaultwarden).
//!
//! This is all that is known of such an organization, so it decides who may lose anything there:
//! only accounts that an import of ours brought in, at the address that was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::directory::{Email, ExternalId};
use crate::sync::plan::Change;

/// The accounts and groups that imports of ours made, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentState {
    /// Whether there were imports of which nothing is known any more: what was kept is lost, or was
    /// too large to be kept over a restart.
    pub lost: bool,
    /// By email: that is how the server finds an account.
    pub accounts: BTreeMap<Email, SentAccount>,
    /// By the directory's id.
    pub groups: BTreeMap<ExternalId, SentGroup>,
    /// Rows that the server refused, each with a hash of what was refused: it isn't sent again before it
    /// changes.
    pub refused: BTreeMap<(RowKind, ExternalId), u64>,
}

/// What a row of an import is about. A person and a group may have the same external ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RowKind {
    /// A person.
    Person,
    /// A group.
    Group,
}

/// An account that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAccount {
    /// The external id it was sent with last.
    pub external_id: ExternalId,
    /// What is known of it.
    pub access: Access,
}

/// What is known of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// It was sent, and taken.
    Given,
    /// It was sent, and whether it was taken isn't known.
    Unsure,
    /// An earlier run of ours revoked it.
    Revoked,
    /// An earlier run of ours began to revoke it, and whether it came that far isn't known.
    MaybeRevoked,
    /// An earlier run of ours, which had revoked it before, began to give access back, and whether it came
    /// that far isn't known.
    MaybeRestored,
}

impl Access {
    /// Whether a run of ours revoked it, and isn't known to have given access back.
    pub(crate) fn may_be_revoked(self) -> bool {
        matches!(
            self,
            Self::Revoked | Self::MaybeRevoked | Self::MaybeRestored
        )
    }
}

/// A group that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentGroup {
    /// The name on the server: the first one that was sent, for it is never renamed there.
    pub name: Box<str>,
    /// The external id on the server, where it isn't the directory's: the group's id changed there,
    /// and the server has no way to change it.
    pub server_id: Option<ExternalId>,
    /// Everyone who may be in it, sorted.
    pub members: Vec<ExternalId>,
    /// Whether the last import of it may not have come through, or has to be repeated.
    pub unsure: bool,
    /// The last name that the directory was seen to have, where it isn't the server's.
    pub renamed: Option<Box<str>>,
    /// Whether it was told that the directory doesn't have it any more.
    pub gone: bool,
}

impl SentGroup {
    /// A group that the server has by `name`.
    pub fn new(name: &str, members: Vec<ExternalId>) -> Self {
        Self {
            name: name.into(),
            server_id: None,
            members,
            unsure: false,
            renamed: None,
            gone: false,
        }
    }
}

/// What a plan for such a server does apart from its changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// External ids on the server of groups that have another one in the directory now.
    pub server_ids: BTreeMap<ExternalId, ExternalId>,
    /// Accounts at a former address, by the external id they are revoked with, and the person's own
    /// id: the new address is invited only if the old one is revoked.
    pub replaced: BTreeMap<ExternalId, ExternalId>,
    /// Whoever is invited and has or may have an account by an earlier import, at this address or at
    /// another one that is revoked: nobody new.
    pub known: BTreeSet<ExternalId>,
    /// Who was in these groups already and is sent again, because the account at another address takes
    /// their place.
    pub refilled: BTreeMap<ExternalId, BTreeSet<ExternalId>>,
    /// The names that groups have on the server, where the directory calls them something else.
    pub server_names: BTreeMap<ExternalId, Box<str>>,
    /// Groups whose new name was told.
    pub renamed: BTreeMap<ExternalId, Box<str>>,
    /// Groups of which it was told that they are gone from the directory.
    pub gone: Vec<ExternalId>,
    /// Addresses that are never sent any more.
    pub forgotten: Vec<Email>,
}

/// What came of the changes that were sent.
#[derive(Clone, Copy)]
pub struct SendResult<'a> {
    /// Whether the row of this change wasn't taken, or not surely.
    pub failed: &'a dyn Fn(&Change) -> bool,
    /// The same of the row of the person with this external ID.
    pub has_person_failed: &'a dyn Fn(&ExternalId) -> bool,
    /// Whether that is the server's word: then it isn't sent again before it changes.
    pub refused: bool,
}

impl SentState {
    /// The state of a server of which nothing is known, though something was sent before.
    pub fn unknown() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }

    /// The address and state of every account that is this person's, the revoked ones too.
    pub fn accounts_of(&self) -> BTreeMap<&ExternalId, Vec<(&Email, Access)>> {
        let mut accounts: BTreeMap<&ExternalId, Vec<_>> = BTreeMap::new();
        for (email, account) in &self.accounts {
            let of = accounts.entry(&account.external_id).or_default();
            of.push((email, account.access));
        }
        accounts
    }

    /// How many accounts may have access by an import of ours.
    pub fn with_access(&self) -> usize {
        let accounts = self.accounts.values();
        accounts
            .filter(|account| account.access != Access::Revoked)
            .count()
    }

    /// Has groups sent again that haven't changed, and rows that were refused. Accounts aren't sent
    /// again: the server would restore whoever was revoked by hand.
    pub fn invalidate(&mut self) {
        self.refused.clear();
        self.groups
            .values_mut()
            .for_each(|group| group.unsure = true);
    }
}
