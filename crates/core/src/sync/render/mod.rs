//! A plan for people and programs: table, Markdown, JSON.

mod json;
mod markdown;
mod table;

pub use json::json;
pub use markdown::markdown;
pub use table::table;

use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Plan, Reason};

/// Between what a plan makes its changes.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The directory, as its source describes itself.
    pub source: &'a str,
    /// The organization, in a few words.
    pub organization: &'a str,
}

/// What a kind of change does, for a heading.
pub fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Invite => "Invite",
        Kind::Link => "Link",
        Kind::Relink => "Re-link",
        Kind::Restore => "Restore",
        Kind::Revoke => "Revoke",
        Kind::Remove => "Remove",
        Kind::CreateGroup => "Create group",
        Kind::RelinkGroup => "Re-link group",
        Kind::RenameGroup => "Rename group",
        Kind::UpdateGroup => "Update group",
        Kind::DeleteGroup => "Delete group",
    }
}

/// Kinds as they are shown: what takes access away first, however much else there is.
const ORDER: [Kind; Kind::ALL.len()] = [
    Kind::Revoke,
    Kind::Remove,
    Kind::DeleteGroup,
    Kind::Invite,
    Kind::Link,
    Kind::Relink,
    Kind::Restore,
    Kind::CreateGroup,
    Kind::RelinkGroup,
    Kind::RenameGroup,
    Kind::UpdateGroup,
];

/// What somebody who approves this kind of change has to know. A server that can't be read (`write_only`)
/// answers an import with success, whatever it did.
fn warning(kind: Kind, write_only: bool) -> Option<&'static str> {
    match kind {
        Kind::Remove => Some(
            "an account without a master password (SSO, trusted devices) can become unrecoverable by \
             this; Revoke is the safe choice",
        ),
        Kind::Restore if write_only => Some(
            "this server doesn't say what it did: a policy of the organization can keep them revoked",
        ),
        Kind::Revoke if write_only => {
            Some("this server doesn't say what it did: the last confirmed owner keeps the access")
        }
        Kind::CreateGroup | Kind::UpdateGroup if write_only => {
            Some("this server doesn't say what it did: groups need ORG_GROUPS_ENABLED=true there")
        }
        _ => None,
    }
}

/// `3 Invite, 1 Revoke`, or that there is nothing.
fn summary(plan: &Plan) -> String {
    let counts: Vec<String> = plan
        .counts_by_kind()
        .into_iter()
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    if counts.is_empty() {
        "nothing to change".into()
    } else {
        counts.join(", ")
    }
}

/// What is special about a change, after its subject and id.
fn detail(change: &Change) -> String {
    let count = |count: usize| match count {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    match &change.action {
        Action::Member(action) => match action {
            MemberAction::Invite { staged: true, .. } => "staged, no invitation yet".into(),
            MemberAction::Invite {
                from: Some(from), ..
            } => format!("in place of the invitation to {from}, which is withdrawn"),
            MemberAction::Relink { from } => format!("was {from}"),
            MemberAction::Revoke { evidence } | MemberAction::Remove { evidence } => {
                evidence.to_string()
            }
            MemberAction::Invite { .. } | MemberAction::Link | MemberAction::Restore => {
                String::new()
            }
        },
        Action::Group(action) => match action {
            GroupAction::Create { add } => count(add.len()),
            GroupAction::Relink { from } => from
                .as_ref()
                .map_or_else(|| "had no external id".into(), |from| format!("was {from}")),
            GroupAction::Rename { from } => format!("was {from}"),
            GroupAction::Update(update) => {
                format!("+{} −{}", update.add.len(), update.remove.len())
            }
            GroupAction::Delete {
                evidence, members, ..
            } => match members {
                Some(all) => format!("{}; {evidence}", count(all.len())),
                None => format!("members unknown; {evidence}"),
            },
        },
    }
}

/// The same, and which limit holds it.
fn detail_of(change: &Change, limit: Option<&str>) -> String {
    let detail = detail(change);
    match limit {
        None => detail,
        Some(limit) if detail.is_empty() => format!("held by {limit}"),
        Some(limit) => format!("{detail}; held by {limit}"),
    }
}

impl Reason {
    /// The reason for a person.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::NewInDirectory => "new in the directory",
            Self::SameEmail => "a member already, by email",
            Self::NewExternalId | Self::NewExternalIdUnseen => "has a new id in the directory",
            Self::MembersRelinked => "has members with new ids",
            Self::ActiveAgain => "active again",
            Self::DisabledInDirectory => "disabled in the directory",
            Self::GoneFromDirectory => "gone from the directory",
            Self::FilteredOut => "filtered out",
            Self::NameChanged => "has a new name",
            Self::MembersChanged => "has other members",
            Self::EmailChanged => "has another address in the directory",
            Self::MembersUnknown => "what was sent before isn't known any more",
            Self::SentInFull => "sent in full",
            Self::SameName => "a group already, by name",
            Self::RevokedLongAgo => "revoked by an earlier run (removeAfter)",
        }
    }
}

/// A text that is cut at whole lines so that it fits.
struct Bounded {
    text: String,
    max: usize,
}

impl Bounded {
    /// `note` is what the caller will want to add when something didn't fit.
    fn new(max: usize, note: usize) -> Self {
        Self {
            text: String::new(),
            max: max.saturating_sub(note),
        }
    }

    /// Adds a line unless it doesn't fit any more.
    fn line(&mut self, line: &str) -> bool {
        let fits = self.text.len() + line.len() < self.max;
        if fits {
            self.text.push_str(line);
            self.text.push('\n');
        }
        fits
    }
}
