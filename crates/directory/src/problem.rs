//! What a run met that needs manual action, by reason, with the entries at fault.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Serialize;

use crate::external_id::ExternalId;

/// How many entries of one reason are kept in full; the rest are counted.
pub const KEPT_PER_REASON: usize = 1_000;

/// Why an entry (or a part of it) was left out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProblemReason {
    /// An active person has no email.
    NoEmail,
    /// The email isn't an address.
    InvalidEmail,
    /// The email is longer than Bitwarden takes.
    EmailTooLong,
    /// Two active people have one email.
    DuplicateEmail,
    /// The id is empty, too long (with the prefix) or has control characters.
    InvalidExternalId,
    /// The directory or Bitwarden lists a value of one of the resource's Secrets as an id, a name or an address.
    SecretInEntry,
    /// The directory says something of an account that this version doesn't know: nobody can tell
    /// whether it may be used.
    UnknownAccountState,
    /// A group names a member by something that several people have.
    AmbiguousMember,
    /// Entries of the directory could be read and not identified, and members of the organization
    /// whom the directory doesn't list may be theirs: nobody's absence is believed.
    UnidentifiedEntries,
    /// The directory hides members of a group from us.
    HiddenMembers,
    /// A group has a member whom the source knows of and can't read: of another domain, say.
    UnreadableMember,
    /// A group has members that are neither among the people nor among the groups that were read. It
    /// is for information: computers and contacts are such members, too.
    UnknownMembers,
    /// A group has no name.
    GroupNameMissing,
    /// A group's name is longer than Bitwarden takes.
    GroupNameTooLong,
    /// The email belongs to a member with another external id that is still in use, or that isn't
    /// ours.
    IdentityConflict,
    /// The email of a known person changed; only the account's owner can change it in Bitwarden.
    EmailChanged,
    /// An owner would have lost access; owners are never touched.
    OwnerRetained,
    /// Somebody's account is disabled or deleted in the directory, and a member without an external id has their
    /// email: no sync takes access away from such a member.
    UnmanagedAccess,
    /// A member has a status that this version doesn't know: nothing is taken from or given to them.
    UnknownMemberStatus,
    /// A member is active in the directory and revoked by hand in Bitwarden, or it isn't known whether
    /// they are active.
    NotRestored,
    /// An active person has accepted the invitation, and no administrator has confirmed them for longer than
    /// the resource asks for.
    AwaitingConfirmation,
    /// Nobody knows how often an open invitation was sent, so it isn't sent again. It is for information.
    NotReinvited,
    /// An active person isn't invited, because their invitation was withdrawn and nothing has changed since. It
    /// is for information.
    InvitationWithdrawn,
    /// It isn't known which roles and access the rules of `access` gave, or not all of them: they aren't taken
    /// back.
    AccessKept,
    /// A rule of `access.collections` names a collection that isn't there, or that several are called by.
    UnknownCollection,
    /// There are fewer free seats than people to invite or restore.
    NoSeats,
    /// Bitwarden refused this entry.
    Refused,
    /// Bitwarden accepted the change, yet it can't be seen there.
    NotApplied,
    /// The server can't do what the resource asks for.
    Unsupported,
    /// The directory names no one who is active and in scope, and the organization has members of ours.
    EmptyDirectory,
    /// An approval names another hold than the one that is open.
    ApprovalVoid,
    /// A pattern of the spec fits nothing: it includes or protects nobody.
    UnmatchedPattern,
    /// A pattern of the spec that excludes fits nothing. It is for information: it may be there in case
    /// something comes that fits.
    UnmatchedExclusion,
    /// A setting of the spec has no effect, because of another one or of the kind of directory.
    NoEffect,
    /// Whoever leaves the company keeps access: neither disabled accounts nor absent people would be told.
    NobodyOffboarded,
    /// Whoever leaves the company may keep access: a setting of the source may leave out accounts that were
    /// disabled, moved or taken out of their groups, and absent people keep theirs.
    LeaversLeftOut,
}

impl ProblemReason {
    /// Reasons that are reported for information.
    const INFORMATION: [Self; 4] = [
        Self::UnknownMembers,
        Self::UnmatchedExclusion,
        Self::NotReinvited,
        Self::InvitationWithdrawn,
    ];

    /// Whether somebody has to do something about it.
    pub fn needs_action(self) -> bool {
        !Self::INFORMATION.contains(&self)
    }

    /// [`Self::needs_action`] of the reason with this name, as status and plan have it. A name that
    /// isn't known here is of another version, and counts as one that needs it.
    pub fn name_needs_action(name: &str) -> bool {
        let mut information = Self::INFORMATION.iter();
        !information.any(|reason| reason.to_string() == name)
    }
}

impl fmt::Display for ProblemReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that needs manual action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of problem, by which status and metrics count it.
    pub reason: ProblemReason,
    /// What is wrong with which entry, and what to do.
    pub message: String,
    /// The entries at fault.
    pub external_ids: Vec<ExternalId>,
}

impl Problem {
    /// A problem of these entries.
    pub fn new(
        reason: ProblemReason,
        message: impl Into<String>,
        external_ids: impl Into<Vec<ExternalId>>,
    ) -> Self {
        Self {
            reason,
            message: message.into(),
            external_ids: external_ids.into(),
        }
    }
}

/// Problems by reason: all are counted, the first [`KEPT_PER_REASON`] of each reason kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    by_reason: BTreeMap<ProblemReason, Kept>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    count: usize,
    kept: Vec<Problem>,
}

impl Problems {
    /// Adds a problem to those of its reason.
    pub fn add(&mut self, problem: Problem) {
        let entry = self.by_reason.entry(problem.reason).or_default();
        entry.count += 1;
        if entry.kept.len() < KEPT_PER_REASON {
            entry.kept.push(problem);
        }
    }

    /// Takes over all of `other`.
    pub fn extend(&mut self, other: Self) {
        for (reason, mut more) in other.by_reason {
            let entry = self.by_reason.entry(reason).or_default();
            entry.count += more.count;
            let room = KEPT_PER_REASON.saturating_sub(entry.kept.len());
            more.kept.truncate(room);
            entry.kept.append(&mut more.kept);
        }
    }

    /// Puts `replacement` in place of each message that `is_secret`, and forgets such ids.
    pub(crate) fn replace_texts(
        &mut self,
        is_secret: &mut dyn FnMut(&str) -> bool,
        replacement: &str,
    ) {
        for entry in self.by_reason.values_mut() {
            for problem in &mut entry.kept {
                if is_secret(&problem.message) {
                    problem.message = replacement.to_owned();
                }
                problem.external_ids.retain(|id| !is_secret(id.as_str()));
            }
        }
    }

    /// Whether there is a problem here that `others` doesn't have, as far as both are kept.
    pub fn has_other_than(&self, others: &Self) -> bool {
        self.by_reason.iter().any(|(reason, here)| {
            let Some(there) = others.by_reason.get(reason) else {
                return true;
            };
            let known: HashSet<&str> = there.kept.iter().map(|one| &*one.message).collect();
            here.count > there.count || here.kept.iter().any(|one| !known.contains(&*one.message))
        })
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.by_reason.values().map(|kept| kept.count).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// Each reason with its count and the problems kept of it, in the order of the reasons.
    pub fn by_reason(&self) -> impl Iterator<Item = (ProblemReason, usize, &[Problem])> {
        self.by_reason
            .iter()
            .map(|(reason, kept)| (*reason, kept.count, kept.kept.as_slice()))
    }

    /// All problems kept, in the order of their reasons.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.by_reason.values().flat_map(|kept| kept.kept.iter())
    }
}
