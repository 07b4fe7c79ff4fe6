//! What may be done on account of a directory that wasn't read whole.
//!
//! An earlier complete read that was brought up to date may lack a change that nobody told. So it gives and
//! never takes: a plan made of it that takes anything from anybody, or that gives something to somebody whose
//! entry wasn't itself read now, isn't made at all, and everything is read.

use std::fmt;

use crate::directory::{ExternalId, ReadNow};
use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Plan};

/// Why a plan needs a complete read of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedsCompleteRead {
    /// A limit holds something.
    Held,
    /// Something would be taken away, or an ID, a role or access to a collection would change.
    Takes(Kind, ExternalId),
    /// Something would be given to whom no entry was sent in this read, or to a group of which that is true, or in
    /// a group.
    NotReadNow(Kind, ExternalId),
    /// Somebody would get access back whose entry lacks the attribute that tells disabled accounts: whether it is
    /// hidden there is said by all entries beside it.
    MayBeDisabled(ExternalId),
    /// The directory names nobody who is active and in scope, or no member.
    NobodyThere,
    /// The organization can't be read, so that nobody sees what became of earlier changes.
    WriteOnly,
}

/// Without IDs: it is for the log.
impl fmt::Display for NeedsCompleteRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("a limit would hold changes"),
            Self::Takes(kind, _) => write!(f, "{} may take something", kind.name()),
            Self::NotReadNow(kind, _) => {
                write!(f, "{} isn't about an entry that was read now", kind.name())
            }
            Self::MayBeDisabled(_) => {
                f.write_str("an account that gets access back may be disabled")
            }
            Self::NobodyThere => f.write_str("nobody would be recognized"),
            Self::WriteOnly => f.write_str("the organization can't be read"),
        }
    }
}

/// Why this plan needs a complete read; `None` where it was made of one, or only gives to those whose entries
/// were read now.
pub fn needs_complete_read(plan: &Plan) -> Option<NeedsCompleteRead> {
    let read_now = plan.incremental.as_deref()?;
    if plan.directory_is_empty || plan.recognizes_nobody {
        return Some(NeedsCompleteRead::NobodyThere);
    }
    if plan.is_write_only() {
        return Some(NeedsCompleteRead::WriteOnly);
    }
    let restores = |change: &&Change| matches!(change.member(), Some(MemberAction::Restore));
    let mut restores = plan.changes.iter().filter(restores);
    if let Some(change) = restores.find(|change| plan.unseen.contains_key(change.external_id())) {
        return Some(NeedsCompleteRead::MayBeDisabled(
            change.external_id().clone(),
        ));
    }
    plan.changes
        .iter()
        .find_map(|change| objection(change, read_now))
}

fn objection(change: &Change, read_now: &ReadNow) -> Option<NeedsCompleteRead> {
    let id = change.external_id();
    let is_read = match &change.action {
        _ if change.takes_away() => None,
        Action::Member(MemberAction::Invite { from: None, .. } | MemberAction::Restore) => {
            Some(read_now.users.contains(id))
        }
        // Who is in a group is said by the group; that they are still there, by their own entry alone.
        Action::Group(
            action @ (GroupAction::Create { .. }
            | GroupAction::Rename { .. }
            | GroupAction::Update(_)),
        ) => {
            let mut added = action.added().unwrap_or_default().iter();
            let are_read = added.all(|member| read_now.users.contains(member));
            Some(read_now.groups.contains(id) && are_read)
        }
        _ => None,
    };
    match is_read {
        Some(true) => None,
        Some(false) => Some(NeedsCompleteRead::NotReadNow(change.kind(), id.clone())),
        None => Some(NeedsCompleteRead::Takes(change.kind(), id.clone())),
    }
}
