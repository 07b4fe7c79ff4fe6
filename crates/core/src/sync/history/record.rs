//! One record: a change that was sent to the organization, why, and what came of it.

use std::fmt;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::directory::Evidence;
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::sync::guard::Digest;
use crate::sync::hash::truncated;
use crate::sync::plan::{Kind, LEFT_GROUP, Nth, Reason, RoleRow};

/// Identifies a run among those of a resource: ten hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Box<str>);

impl RunId {
    /// The id of a run that starts at this time.
    pub fn at(started: Timestamp) -> Self {
        let digest = truncated(&started.as_nanosecond().to_be_bytes());
        Self(HEXLOWER.encode(&digest[..5]).into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What made a run start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunTrigger {
    /// The resource had never been synced.
    First,
    /// The spec was changed.
    SpecChanged,
    /// A Secret or ConfigMap that the spec names was changed.
    ReferenceChanged,
    /// An annotation asked for it.
    Requested,
    /// Held changes were approved.
    Approved,
    /// The schedule.
    Scheduled,
    /// Something may have changed in the directory.
    Signaled,
    /// `directory-sync sync` on a command line.
    Command,
    /// A person takes back what an earlier run did.
    Undo,
    /// Not a run: somebody certainly left, and was revoked at once.
    FastLane,
}

impl RunTrigger {
    /// The trigger in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::First => "first sync",
            Self::SpecChanged => "the spec was changed",
            Self::ReferenceChanged => "a Secret or ConfigMap was changed",
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Signaled => "the directory changed",
            Self::Command => "command line",
            Self::Undo => "undo",
            Self::FastLane => "fast lane",
        }
    }
}

/// One change that was sent to the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When the server answered; before it did, when the run began to make its changes.
    pub time: Timestamp,
    /// The run.
    pub run: RunId,
    /// With the run it identifies the record.
    pub number: u32,
    /// What made the run start.
    pub trigger: RunTrigger,
    /// The run that is taken back, of an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RunId>,
    /// Who had it taken back, of an undo, where that is known: as they said themselves, and the program that
    /// they used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// The resource as `namespace/name`, where one file has the records of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_sync: Option<Box<str>>,
    /// What was done.
    pub action: Kind,
    /// Why it was wanted.
    pub reason: Reason,
    /// Who it is about; `None` where it is about a group, or stands for many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// The group it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// What the new external id, name or address replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<str>>,
    /// What the member was before access was revoked: `Confirmed`, `Accepted`, `Invited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<str>>,
    /// The role that the member got, and the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleRow>,
    /// Which invitation it was of those that are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<Nth>,
    /// To which collections a deleted group gave access, or one that is made again gives it; `None` where
    /// that isn't known, or nothing of it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<CollectionAccess>>,
    /// What changed of a group's access to collections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<AccessChange>,
    /// Who came into the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Person>,
    /// Who left the group; of a deleted one, who was in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// The groups that a removed member was in, as far as they were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// So many more people were invited or linked, or came into the group, whose names aren't kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// What says that somebody or something goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RecordedEvidence>,
    /// The approval, where it was held before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<RecordedApproval>,
    /// What came of it.
    pub result: Outcome,
    /// What the server said, or what is known instead of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<str>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A member, as far as they are known by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The email; `None` where only the id is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// The directory's id; `None` of members that the sync doesn't manage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Box<str>>,
    /// The member's id in Bitwarden, where there was a member before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<Uuid>,
}

impl Person {
    /// The email, or the id where that isn't known.
    pub fn label(&self) -> &str {
        let label = self.email.as_deref().or(self.external_id.as_deref());
        label.unwrap_or("an unknown member")
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupName {
    /// The name.
    pub name: Box<str>,
    /// The directory's id.
    pub external_id: Box<str>,
    /// The group's id in Bitwarden, where it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
}

/// Somebody who left a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// What says so; `None` where the group was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RecordedEvidence>,
}

/// What said that somebody or something goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEvidence {
    /// Which kind of evidence it is.
    pub kind: RecordedEvidenceKind,
    /// The entry, attribute and value, or the rule of the spec.
    pub detail: Box<str>,
}

/// The kinds of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedEvidenceKind {
    /// The entry was read, and says that the account is disabled or deleted.
    Disabled,
    /// In no list, and the list was complete.
    Absent,
    /// Read, and left out by the spec.
    OutOfScope,
    /// A person took back what an earlier run gave.
    Undone,
    /// An invitation wasn't accepted.
    NotAccepted,
}

impl RecordedEvidence {
    /// That of somebody who leaves a group.
    pub(super) fn of_leaving(evidence: &Evidence) -> Self {
        let mut recorded = Self::from(evidence);
        if *evidence == Evidence::Absent {
            recorded.detail = LEFT_GROUP.into();
        }
        recorded
    }
}

impl From<&Evidence> for RecordedEvidence {
    fn from(evidence: &Evidence) -> Self {
        let kind = match evidence {
            Evidence::Disabled(_) => RecordedEvidenceKind::Disabled,
            Evidence::Absent => RecordedEvidenceKind::Absent,
            Evidence::OutOfScope(_) => RecordedEvidenceKind::OutOfScope,
            Evidence::Undone(_) => RecordedEvidenceKind::Undone,
            Evidence::NotAccepted { .. } => RecordedEvidenceKind::NotAccepted,
        };
        Self {
            kind,
            detail: evidence.to_string().into(),
        }
    }
}

/// The approval by which something that was held went ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedApproval {
    /// The id of the hold; `None` where an earlier run used it and it isn't known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Digest>,
    /// Who gave it, where that is known: in a cluster as they said themselves, and the program that set the
    /// annotation; on a command line the login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A run began to make it, and hasn't told yet.
    Pending,
    /// The server accepted it, or it was seen to be made.
    Done,
    /// The server refused it.
    Refused,
    /// The server accepted it, and it couldn't be seen afterwards.
    NotApplied,
    /// It was sent, and the answer was lost.
    Unknown,
    /// An open invitation was withdrawn, and the new one wasn't sent.
    Partly,
    /// It was never sent, or was seen not to be made. Such a record isn't kept.
    NotMade,
}

impl Outcome {
    /// The name: `NotApplied`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Done => "Done",
            Self::Refused => "Refused",
            Self::NotApplied => "NotApplied",
            Self::Unknown => "Unknown",
            Self::Partly => "Partly",
            Self::NotMade => "NotMade",
        }
    }

    /// Whether a later run has to look what came of it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Unknown)
    }
}

impl Record {
    /// Whether it is another version of the same record.
    pub fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.run == other.run
    }

    /// The email or the name of what it is about.
    pub fn label(&self) -> String {
        match (&self.person, &self.group) {
            (Some(person), _) => person.label().to_owned(),
            (None, Some(group)) => group.name.to_string(),
            (None, None) => format!("{} more people", self.more),
        }
    }

    /// `invitation sent again (2 of 3)`.
    pub fn invitation_sent_again(&self) -> String {
        match self.nth {
            Some(nth) => format!("invitation sent again ({nth})"),
            None => "invitation sent again".to_owned(),
        }
    }

    /// Whether an invitation was withdrawn that wasn't accepted in time.
    pub fn withdrew_invitation(&self) -> bool {
        let kind = self.evidence.as_ref().map(|evidence| evidence.kind);
        kind == Some(RecordedEvidenceKind::NotAccepted)
    }

    /// Whether somebody lost something by it.
    pub fn takes_away(&self) -> bool {
        matches!(self.action, Kind::Revoke | Kind::Remove | Kind::DeleteGroup)
            || !self.removed.is_empty()
            || self.action == Kind::SetRole && self.evidence.is_some()
            || self.access.iter().any(AccessChange::takes_away)
    }

    /// The same in records that name at most `max` people each, for whoever takes only short ones.
    pub fn in_parts(&self, max: usize) -> Vec<Self> {
        if self.added.len() + self.removed.len() <= max {
            return vec![self.clone()];
        }
        let empty = Self {
            added: vec![],
            removed: vec![],
            ..self.clone()
        };
        let removed = self.removed.chunks(max).map(|removed| Self {
            removed: removed.to_vec(),
            more: 0,
            ..empty.clone()
        });
        let added = self.added.chunks(max).map(|added| Self {
            added: added.to_vec(),
            more: 0,
            ..empty.clone()
        });
        let mut parts: Vec<Self> = removed.chain(added).collect();
        if let Some(last) = parts.last_mut() {
            last.more = self.more;
        }
        parts
    }
}
