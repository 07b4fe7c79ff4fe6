//! An explanation as it is kept, sent and printed as JSON.

use serde::{Deserialize, Serialize};

use crate::problem::ProblemReason;

/// Why a person or group is, or isn't, as somebody expects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// What was asked for.
    pub asked: String,
    /// The directory, as its source describes itself.
    pub source: String,
    /// The organization, in a few words.
    pub organization: String,
    /// The people that were meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// The groups that were meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// How many more people and groups have that name or address.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// What is known where neither side has anybody of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found: Option<NotFound>,
    /// What holds for the whole run: it is suspended, or its mode is Preview.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Neither side has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NotFound {
    /// What that means.
    pub meaning: String,
    /// Names and addresses that are nearly it.
    pub nearest: Vec<String>,
    /// What earlier runs changed about whoever had that name, by the history: the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_changes: Vec<LastChange>,
}

/// One person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Person {
    /// The address, or else the external ID.
    pub person: String,
    /// All of it in one sentence.
    pub summary: String,
    /// The entry in the directory; `None` where the complete list doesn't have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Whether they are to be members, and why not.
    pub scope: Scope,
    /// The groups of the directory that they are in.
    pub groups: List<InGroup>,
    /// The role that `access.roles` gives them, with the groups: "Admin through bw-admins".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The members of the organization that are theirs; mostly one.
    pub members: Vec<Member>,
    /// What the next run does about them.
    pub next_run: NextRun,
    /// What needs manual action.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What earlier runs took away, as far as it is recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub record: Vec<Recorded>,
    /// The external IDs that are theirs, with the resource's prefix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<String>,
    /// What earlier runs changed about them, by the history: the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_changes: Vec<LastChange>,
}

/// A person's entry in the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// The directory's ID.
    pub id: String,
    /// The entry as its administrators know it (a DN), where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address; `None` where it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `Active`, `Disabled` or `Deleted`, or `Unknown`.
    pub state: String,
    /// What says that it isn't active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// What directory and filters make of a person or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// Which of the verdicts.
    pub verdict: Verdict,
    /// Why it isn't [`Verdict::InScope`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What directory and filters make of a person or group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// To be a member, or synced.
    InScope,
    /// The account is disabled.
    Disabled,
    /// The directory lists the account as deleted.
    Deleted,
    /// A filter of the resource leaves it out.
    OutOfScope,
    /// In scope, and the entry needs manual action first.
    Unusable,
    /// The entry can't be identified.
    Unidentified,
    /// Not in the directory's complete list.
    #[default]
    Absent,
}

/// A list of which the first entries are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// How many there are.
    pub total: usize,
    /// The first of them.
    pub named: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            total: 0,
            named: vec![],
        }
    }
}

impl<T> List<T> {
    /// The first `max` of all.
    pub(super) fn of(mut all: Vec<T>, max: usize) -> Self {
        let total = all.len();
        all.truncate(max);
        Self { total, named: all }
    }
}

/// A group that a person is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InGroup {
    /// The group's name.
    pub name: String,
    /// Its external ID, as in the organization.
    pub external_id: String,
    /// The groups between it and the person, the outermost first; none: the person is in it directly.
    pub through: Vec<String>,
    /// Whether it is synced, and why not.
    pub scope: Scope,
    /// Whether the member is in it in the organization; `None` where that wasn't read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_member: Option<bool>,
}

/// A member of the organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    /// The server's ID; `None` where the server can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The address.
    pub email: String,
    /// `confirmed`, `revoked` and so on.
    pub status: String,
    /// `user`, `owner` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The external ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// By what the member is theirs.
    pub linked: Linked,
    /// The groups of the organization that the member is in; `None` where they weren't read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<List<String>>,
}

/// By what a member belongs to a person of the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Linked {
    /// The external ID: later runs find the member again, whatever the address.
    ExternalId,
    /// The external ID is the name (DN) of the entry: another program kept the member under it.
    FormerId,
    /// The address alone.
    Email,
    /// The address alone, and the external ID is another person's of the directory.
    AnotherPerson,
    /// Nothing: the directory has nobody for this member.
    #[default]
    Nothing,
}

/// What the next run does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NextRun {
    /// The changes, those that are held included.
    pub changes: List<PlannedChange>,
    /// The digest that an approval of all that is held names; of those alone who have a held change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What else there is to know about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether this may be another one by what is in groups that weren't compared: limits count the losses of
    /// all.
    #[serde(skip)]
    pub(super) rests_on_all_groups: bool,
}

impl NextRun {
    /// How many of the named changes are held.
    pub(super) fn held(&self) -> usize {
        let named = self.changes.named.iter();
        named.filter(|change| change.held_by.is_some()).count()
    }
}

/// A change that the next run makes, or holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedChange {
    /// The kind: `Invite`, `UpdateGroup`.
    pub action: String,
    /// What it does to whom was asked for: "add to group Engineering".
    pub what: String,
    /// Why it is wanted.
    pub why: String,
    /// Which limit holds it, and by what; `None`: it goes ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

/// Something that needs manual action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    /// The kind: `DuplicateEmail`.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Something that an earlier run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recorded {
    /// When, in UTC.
    pub at: String,
    /// What.
    pub what: String,
}

/// A change that an earlier run made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastChange {
    /// When the server answered, in UTC.
    pub at: String,
    /// The run, by its ID in the history.
    pub run: String,
    /// What made that run start.
    pub trigger: String,
    /// What was done: "added to group Engineering".
    pub what: String,
    /// Why it was wanted.
    pub why: String,
    /// The approval, where it was held before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// What came of it; `None`: it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// One group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// The name.
    pub name: String,
    /// All of it in one sentence.
    pub summary: String,
    /// The external ID, as in the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether the directory's complete list has it.
    pub in_directory: bool,
    /// Whether it is synced, and why not.
    pub scope: Scope,
    /// The group in the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationGroup>,
    /// Everybody in it on either side: those who are in it on one side only come first.
    pub members: List<GroupMember>,
    /// How many are in it in the directory, directly or through other groups.
    pub in_directory_total: usize,
    /// Groups that it contains, at any depth.
    pub contains: List<String>,
    /// Members of the directory's group who weren't read, or can't be identified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The access to collections that `access.collections` gives it: "View on infra".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<String>,
    /// What the next run does with it.
    pub next_run: NextRun,
    /// What needs manual action.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What earlier runs changed about it, by the history: the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_changes: Vec<LastChange>,
}

/// A group of the organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OrganizationGroup {
    /// The server's ID; `None` where the server can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name there.
    pub name: String,
    /// How many members of ours are in it; `None` where that wasn't read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<usize>,
    /// How many others, whom no run moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmanaged: Option<usize>,
}

/// Somebody in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupMember {
    /// The address, or else the external ID.
    pub person: String,
    /// Whether the directory has them in the group.
    pub in_directory: bool,
    /// Whether the organization has; `None` where that wasn't read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_organization: Option<bool>,
    /// In the directory: the groups between, the outermost first; none: directly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
    /// Why they are in it on one side only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Explanation {
    /// The same in at most `max` bytes of JSON: lists name fewer, and say how many there are.
    #[must_use]
    pub fn within(mut self, max: usize) -> Self {
        let mut rows = super::NAMED_MAX;
        while self.to_json().len() > max && rows > 0 {
            rows /= 2;
            for person in &mut self.people {
                person.groups.named.truncate(rows);
                person.next_run.changes.named.truncate(rows);
                person.problems.truncate(rows.max(1));
                person.record.truncate(rows);
                person.last_changes.truncate(rows);
                for member in &mut person.members {
                    if let Some(groups) = &mut member.groups {
                        groups.named.truncate(rows);
                    }
                }
            }
            for group in &mut self.groups {
                group.members.named.truncate(rows);
                group.contains.named.truncate(rows);
                group.next_run.changes.named.truncate(rows);
                group.problems.truncate(rows.max(1));
                group.last_changes.truncate(rows);
            }
            if let Some(not_found) = &mut self.not_found {
                not_found.last_changes.truncate(rows);
            }
        }
        self
    }

    /// Whether it may be another one by what is in groups that weren't compared.
    pub fn rests_on_all_groups(&self) -> bool {
        let people = self.people.iter().map(|one| (&one.next_run, &one.problems));
        let groups = self.groups.iter().map(|one| (&one.next_run, &one.problems));
        people.chain(groups).any(|(next_run, problems)| {
            // Seats become free by what isn't held.
            let no_seats = ProblemReason::NoSeats.to_string();
            let mut reasons = problems.iter().map(|problem| &problem.reason);
            next_run.rests_on_all_groups || reasons.any(|reason| *reason == no_seats)
        })
    }

    /// Notes what keeps a next run from making its changes, whoever they are about.
    pub fn note_circumstances(&mut self, suspended: bool, preview: bool) {
        if suspended {
            let note = "spec.suspend is true: nothing runs until it is resumed";
            self.notes.push(note.to_owned());
        }
        if preview {
            let note = "spec.mode is Preview: a run plans this and changes nothing";
            self.notes.push(note.to_owned());
        }
    }

    /// As JSON, on several lines.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has texts, numbers and lists alone")
    }
}
