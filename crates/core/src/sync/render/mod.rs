//! A plan for people and programs: table, Markdown, HTML, JSON, and the form in which it is published.

mod document;
mod html;
mod markdown;
mod published;
mod select;
mod table;

pub use document::{
    ChangeRow, EvidenceRow, Head, MemberRow, PlanDocument, ProblemRow, Sizes, Word, json,
};
pub use html::{
    SCRIPT as HTML_SCRIPT, STYLE as HTML_STYLE, body as html_body, held as html_held, html,
};
pub use markdown::{MarkdownOptions, markdown};
pub use published::{PublishedPlan, ReadPlan, UnreadablePlan, publish, read};
pub use select::{NamePattern, Selection, action};
pub use table::{Order, TableOptions, held_table, table, table_in_parts};

use std::borrow::Cow;

use crate::organization::collection::describe_access;
use crate::sync::plan::{Kind, OnboardingCounts, Reason, Recognized};
use crate::text::plain;

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
        Kind::Reinvite => "Send invitation again",
        Kind::Revoke => "Revoke",
        Kind::Remove => "Remove",
        Kind::CreateGroup => "Create group",
        Kind::RelinkGroup => "Re-link group",
        Kind::RenameGroup => "Rename group",
        Kind::UpdateGroup => "Update group",
        Kind::DeleteGroup => "Delete group",
        Kind::SetRole => "Change role",
        Kind::SetCollections => "Change access to collections",
        Kind::Unlink => "Take out external ID",
        Kind::UnlinkGroup => "Take out external ID of group",
    }
}

/// What somebody who approves this kind of change has to know. A server that can't be read (`write_only`)
/// answers an import with success, whatever it did.
/// The title of invitations that go because nobody accepted them.
const WITHDRAW: &str = "Withdraw invitation";

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
        Kind::CreateGroup if write_only => Some(
            "this server doesn't say what it did: groups need ORG_GROUPS_ENABLED=true there, and a \
             group that was made by hand with the same name gets a twin",
        ),
        Kind::UpdateGroup if write_only => {
            Some("this server doesn't say what it did: groups need ORG_GROUPS_ENABLED=true there")
        }
        _ => None,
    }
}

fn members(count: usize) -> String {
    match count {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    }
}

/// How many members get a new ID, and whether that is all that happens (`alone`); `None` where none does.
pub fn new_ids(count: usize, alone: bool) -> Option<String> {
    let get = match count {
        0 => return None,
        1 => "gets",
        _ => "get",
    };
    let members = members(count);
    Some(match alone {
        true => format!("{members} {get} a new ID; nobody loses or gains anything"),
        false => format!("{members} {get} a new ID, which changes nobody's access"),
    })
}

/// What there is to say about a change beside whom it is about: why, on what evidence, what is special,
/// and which limit holds it.
fn details<'r>(row: &'r ChangeRow<'_>) -> Vec<Cow<'r, str>> {
    let mut details: Vec<Cow<'r, str>> = vec![match &row.reason {
        Word::Known(reason) => reason.describe().into(),
        Word::Other(word) => plain(word),
    }];
    if let Some(role) = &row.role {
        let was = plain(&role.from.to_string()).into_owned();
        details.push(format!("{}, was {was}", role.describe()).into());
        details.extend(role.doubt.as_deref().map(plain));
    }
    if !row.access.is_empty() {
        details.push(describe_access(&row.access).into());
        details.extend(match row.people {
            0 => None,
            1 => Some("1 person".into()),
            people => Some(format!("{people} people").into()),
        });
    }
    if !row.access_follows.is_empty() {
        let follows = describe_access(&row.access_follows);
        details.push(format!("access follows in the next run: {follows}").into());
    }
    let from = row.from.as_deref().map(plain);
    let (add, remove) = (row.add.as_ref(), row.remove.as_ref());
    match (row.kind(), from) {
        (Some(Kind::Invite), Some(from)) => {
            details.push(format!("in place of the invitation to {from}, which is withdrawn").into())
        }
        (Some(Kind::RelinkGroup), None) => details.push("had no external id".into()),
        (kind, Some(from)) => {
            details.push(format!("was {from}").into());
            let waiting = add.filter(|_| kind == Some(Kind::RenameGroup));
            details.extend(waiting.map(|waiting| match waiting.len() {
                1 => "1 member stays out until then".into(),
                several => format!("{several} members stay out until then").into(),
            }));
        }
        (Some(Kind::CreateGroup), None) => {
            details.push(members(add.map_or(0, Vec::len)).into());
        }
        (Some(Kind::DeleteGroup), None) => details.push(match remove {
            Some(all) => members(all.len()).into(),
            None => "members unknown".into(),
        }),
        (_, None) if add.is_some() || remove.is_some() => {
            let (add, remove) = (add.map_or(0, Vec::len), remove.map_or(0, Vec::len));
            details.push(format!("+{add} −{remove}").into());
        }
        (_, None) => {}
    }
    if row.staged {
        details.push("staged, no invitation yet".into());
    }
    details.extend(row.nth.map(|nth| nth.to_string().into()));
    details.extend(
        row.evidence
            .as_ref()
            .map(|evidence| plain(&evidence.detail)),
    );
    details.extend(
        row.held_by
            .as_ref()
            .map(|limit| format!("held by {}", plain(limit)).into()),
    );
    details
}

/// Somebody who leaves a group, with the evidence.
fn leaving<'r>(member: &'r MemberRow<'_>) -> Cow<'r, str> {
    match &member.evidence {
        Some(evidence) => format!("{}: {}", plain(member.label()), plain(&evidence.detail)).into(),
        None => plain(member.label()),
    }
}

/// The sizes of both sides, on two lines, and by what members are recognized, where some aren't by ID.
fn sizes(sizes: &Sizes) -> Vec<String> {
    let mut lines = vec![
        format!(
            "directory: {} active, {} disabled, {} groups",
            sizes.active, sizes.disabled, sizes.directory_groups
        ),
        match (sizes.members, sizes.groups) {
            (Some(members), Some(groups)) => format!(
                "organization: {members} members ({} ours), {groups} groups ({} ours)",
                sizes.managed_members, sizes.managed_groups
            ),
            _ => format!(
                "organization: can't be read; {} members and {} groups by our imports",
                sizes.managed_members, sizes.managed_groups
            ),
        },
    ];
    lines.extend(
        sizes
            .recognized
            .map(|recognized| format!("members recognized: {}", self::recognized(&recognized))),
    );
    lines.extend(
        sizes
            .onboarding
            .map(|counts| format!("not in yet: {}", counts.describe())),
    );
    lines
}

/// By what members are recognized, in a few words.
fn recognized(recognized: &Recognized) -> String {
    format!(
        "{} by ID, {} by former ID (DN), {} by email, {} not at all",
        recognized.by_id, recognized.by_former_id, recognized.by_email, recognized.not
    )
}

impl OnboardingCounts {
    /// Who isn't in yet, in a few words: `12 invited (5 expired), 3 to be confirmed`.
    pub fn describe(&self) -> String {
        let of_these = |parts: &[(usize, &str)]| {
            let parts = parts.iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            match parts.is_empty() {
                true => String::new(),
                false => format!(" ({})", parts.join(", ")),
            }
        };
        let invited = [
            (self.expired, "expired"),
            (self.age_unknown, "of unknown age"),
        ];
        let parts = [
            (self.staged, "staged", String::new()),
            (self.invited, "invited", of_these(&invited)),
            (
                self.accepted,
                "to be confirmed",
                of_these(&[(self.overdue, "overdue")]),
            ),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what, of_these)| format!("{count} {what}{of_these}"))
            .collect();
        parts.join(", ")
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
            Self::ActiveAgainUnseen => "active again; an earlier run may have restored them",
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
            Self::Undone => "taken back by an undo",
            Self::AccessRole => "by access.roles",
            Self::AccessCollections => "by access.collections",
            Self::AccessCollectionsEnded => "no rule of access.collections gives it any more",
            Self::AccessRoleEnded => "left the groups that gave the role",
            Self::NotAcceptedYet => "not accepted yet",
            Self::NotAccepted => "invitation withdrawn",
        }
    }
}
