//! Who should be where, according to the directory and the policy: what `resolve` makes of a
//! directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::directory::hash::FastMap;
use crate::directory::{
    AccountRule, Container, Email, Evidence, ExternalId, FormerIds, ReadNow, UnidentifiedGroup,
    UnidentifiedUser,
};
use crate::problem::{ProblemReason, Problems};

/// The directory as the policy sees it: external ids carry the prefix, nesting is flattened.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// Everyone the directory knows, whatever their eligibility.
    pub people: Vec<Person>,
    /// The groups in scope.
    pub groups: Vec<RosterGroup>,
    /// Index into `people` by external id; without people whose id Bitwarden can't take.
    pub by_id: FastMap<ExternalId, u32>,
    /// External ids of groups that the directory has but that are filtered out, or that can't be
    /// used. Those that can't be used are never deleted.
    pub other_groups: HashMap<ExternalId, GroupEligibility>,
    /// Names of groups that the directory has and that aren't in scope or can't be used, for whatever
    /// reason.
    pub other_group_names: HashSet<Box<str>>,
    /// Names of those of them that can't be used: who is in them isn't known, or can't be kept.
    pub unusable_group_names: HashSet<Box<str>>,
    /// People who were read and can't be identified: each may be any member whom the directory
    /// doesn't list. Ids carry the prefix.
    pub unidentified: Vec<UnidentifiedUser>,
    /// Groups that were read and can't be identified. Ids carry the prefix.
    pub unidentified_groups: Vec<UnidentifiedGroup>,
    /// By what it was told which accounts are disabled; `None` where nothing was read that would tell.
    pub account_rule: Option<AccountRule>,
    /// Under which IDs another program may have kept the entries.
    pub(crate) former: Option<Former>,
    /// Entries left out, by reason.
    pub problems: Problems,
    /// Whether the directory named no one who is active and in scope. People who can't be identified,
    /// or whose entry is broken, may be anybody's: they aren't somebody to believe in.
    pub directory_is_empty: bool,
    /// What of the directory was itself read, where an earlier read was brought up to date; `None` where all
    /// was read. Ids carry the prefix.
    pub incremental: Option<Arc<ReadNow>>,
}

/// Under which IDs another program may have kept the entries.
#[derive(Debug, Clone)]
pub(crate) struct Former {
    pub ids: FormerIds,
    /// The ID of each group of the directory, with the prefix, by its index there; `None`: Bitwarden can't
    /// take it.
    pub groups: Vec<Option<ExternalId>>,
}

impl Roster {
    /// Whose former ID this is: the index of the person whose entry has it for a name (DN). `None` where it
    /// is somebody's ID now.
    pub(crate) fn former_person(&self, id: &ExternalId, prefix: &str) -> Option<u32> {
        let former = self.former.as_ref()?;
        let name = id.as_str().strip_prefix(prefix)?;
        if self.by_id.contains_key(id) {
            return None;
        }
        former.ids.find_person(name)
    }

    /// The ID of the group whose entry has this ID for a name (DN).
    pub(crate) fn former_group(&self, id: &ExternalId, prefix: &str) -> Option<&ExternalId> {
        let former = self.former.as_ref()?;
        let at = former.ids.find_group(id.as_str().strip_prefix(prefix)?)?;
        former.groups.get(at as usize)?.as_ref()
    }
}

/// One person of the directory.
#[derive(Debug, Clone)]
pub struct Person {
    /// The id with the prefix; without it where Bitwarden couldn't take it with the prefix.
    pub id: ExternalId,
    /// The email; always there for people in good eligibility.
    pub email: Option<Email>,
    /// What the directory and the filters make of them.
    pub eligibility: Eligibility,
    /// What says so, of those who are disabled, deleted or out of scope.
    pub evidence: Option<Evidence>,
    /// Where the entry is, if it doesn't show the attribute that tells disabled accounts.
    pub lacks_attribute_in: Option<Container>,
    /// Whether the entry doesn't show an attribute by which groups name people: they may be any member
    /// whom a group names and nobody knows.
    pub is_unnamed: bool,
    /// Why the entry can't be used; of those alone who are [`Eligibility::Unusable`].
    pub unusable: Option<Unusable>,
}

/// What the directory and the filters make of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Eligibility {
    /// To be a member.
    Active,
    /// Disabled at the source, otherwise in scope.
    Disabled,
    /// Listed by the source as deleted: as good as absent.
    Deleted,
    /// Filtered out: as good as absent.
    OutOfScope,
    /// In scope, but something about the entry needs manual action first (a problem tells what). Not
    /// invited, and never a reason to take anything away.
    Unusable,
}

/// Why an entry that is in scope can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// A problem of this reason says what to do.
    Problem(ProblemReason),
    /// It has no email or name to compare with an include list, and is hardly meant.
    NothingToCompare,
    /// A person who isn't seen in a group in scope, as `groups.onlyTheirMembers` asks for. Not all members of
    /// such groups are known, so they may be in one.
    MayBeInAGroup,
}

/// Why a group of the directory isn't in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEligibility {
    /// Filtered out: as good as absent.
    OutOfScope,
    /// In scope, but its entry needs manual action first: left as it is in Bitwarden.
    Unusable(Unusable),
}

/// A group in scope.
#[derive(Debug, Clone)]
pub struct RosterGroup {
    /// The id with the prefix.
    pub id: ExternalId,
    /// The name, fit for Bitwarden.
    pub name: Box<str>,
    /// Everyone in it, directly or through nesting, whatever their eligibility: indexes into
    /// [`Roster::people`]. Shared by groups that have the same people because of their nesting.
    pub people: Arc<RoaringBitmap>,
    /// Whether somebody in it can't be identified ([`Roster::unidentified`]).
    pub has_unidentified: bool,
    /// Whether it, or a group in it, has members that were not read: whoever isn't in
    /// [`Roster::people`] may be one of them, and isn't known to have left it.
    pub has_unknown: bool,
}
