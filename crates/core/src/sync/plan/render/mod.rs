//! A plan for people and programs: table, Markdown, JSON.

mod json;
mod markdown;
mod table;

pub use json::json;
pub use markdown::markdown;
pub use table::table;

use crate::sync::guard::HeldBecause;
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
    let members = |count: usize| match count {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    match &change.action {
        Action::Member(action) => match action {
            MemberAction::Invite { staged: true } => "staged, no invitation yet".into(),
            MemberAction::Relink { from } => format!("was {from}"),
            MemberAction::Revoke { evidence } | MemberAction::Remove { evidence } => {
                evidence.to_string()
            }
            MemberAction::Invite { .. } | MemberAction::Link | MemberAction::Restore => {
                String::new()
            }
        },
        Action::Group(action) => match action {
            GroupAction::Create { add } => members(add.len()),
            GroupAction::Relink { from } => format!("was {from}"),
            GroupAction::Rename { from } => format!("was {from}"),
            GroupAction::Update(update) => {
                format!("+{} −{}", update.add.len(), update.remove.len())
            }
            GroupAction::Delete { evidence } => evidence.to_string(),
        },
    }
}

impl Reason {
    /// The reason for a person.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::NewInDirectory => "new in the directory",
            Self::SameEmail => "a member already, by email",
            Self::NewExternalId => "has a new id in the directory",
            Self::ActiveAgain => "active again",
            Self::DisabledInDirectory => "disabled in the directory",
            Self::GoneFromDirectory => "gone from the directory",
            Self::FilteredOut => "filtered out",
            Self::NameChanged => "has a new name",
            Self::MembersChanged => "has other members",
            Self::EmailChanged => "has another address in the directory",
            Self::MembersUnknown => "what was sent before isn't known any more",
            Self::SentInFull => "sent in full",
        }
    }
}

impl std::fmt::Display for HeldBecause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OverLimit {
                members,
                members_limit,
                groups,
                groups_limit,
            } => {
                if members > members_limit {
                    write!(
                        f,
                        "{members} members would lose something, {members_limit} may without approval"
                    )?;
                }
                if members > members_limit && groups > groups_limit {
                    f.write_str("; ")?;
                }
                if groups > groups_limit {
                    write!(
                        f,
                        "{groups} groups would be deleted, {groups_limit} may without approval"
                    )?;
                }
                Ok(())
            }
            Self::MembersUnknown { changes } => write!(
                f,
                "this server can't be read, and what was sent to it before isn't known any more: \
                 {changes} changes may take members out of groups, or give access back that was \
                 revoked by hand"
            ),
            Self::EmptyDirectory { members } => write!(
                f,
                "the directory names no one, and the organization has {members} members of ours"
            ),
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
