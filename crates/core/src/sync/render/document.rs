//! A plan as it is shown: the changes of a run, or those of a plan that was published.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::Sides;
use crate::directory::hash::{FastMap, RandomState};
use crate::directory::{Email, Evidence, ExternalId, Place};
use crate::organization::collection::AccessChange;
use crate::problem::Problem;
use crate::sync::guard::GuardedPlan;
use crate::sync::plan::{
    Action, Change, Counts, GroupAction, Kind, LEFT_GROUP, MemberAction, Name, Names, Nth,
    OnboardingCounts, Reason, Recognized, RoleRow,
};

/// Kinds as they are shown: what takes access away first, however much else there is.
pub(super) const ORDER: [Kind; Kind::ALL.len()] = [
    Kind::Revoke,
    Kind::Remove,
    Kind::DeleteGroup,
    Kind::UpdateGroup,
    Kind::RenameGroup,
    Kind::SetRole,
    Kind::Restore,
    Kind::Relink,
    Kind::Link,
    Kind::Invite,
    Kind::Reinvite,
    Kind::RelinkGroup,
    Kind::CreateGroup,
    Kind::SetCollections,
    Kind::Unlink,
    Kind::UnlinkGroup,
];

/// The place of each kind in [`ORDER`].
const RANKS: [usize; ORDER.len()] = {
    let mut ranks = [0; ORDER.len()];
    let mut at = 0;
    while at < ORDER.len() {
        ranks[ORDER[at] as usize] = at;
        at += 1;
    }
    ranks
};

/// A plan with the names of everybody in it. Changes are sorted: what takes access away first, then by
/// email or name.
#[derive(Debug, Clone, Default)]
pub struct PlanDocument<'a> {
    /// What isn't about a single change.
    pub head: Head,
    pub(super) changes: Vec<Entry<'a>>,
    pub(super) held: Vec<Entry<'a>>,
    pub(super) problems: Vec<ProblemRow<'a>>,
    /// How many of which list are missing, because not even all parts had room for them.
    pub(super) omitted: BTreeMap<String, usize>,
    /// Only what was asked for is in it.
    pub(super) is_selection: bool,
    emails: Emails<'a>,
}

/// What a plan says as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Head {
    /// The id of the hold where something is held; otherwise the digest of all that is taken away.
    pub digest: String,
    /// The directory, as its source describes itself.
    pub source: String,
    /// The organization, in a few words.
    pub organization: String,
    /// Why changes are held: one text for each limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_because: Vec<String>,
    /// How large both sides are.
    pub sizes: Sizes,
    /// How many problems there are, by reason: more than are listed where there are very many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub problem_counts: BTreeMap<String, usize>,
}

/// Sizes of both sides before the changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sizes {
    /// People of the directory who shall be members.
    pub active: usize,
    /// People of the directory who are disabled there.
    pub disabled: usize,
    /// Groups of the directory that are in scope.
    pub directory_groups: usize,
    /// All members of the organization; `None` where the server can't be read.
    pub members: Option<usize>,
    /// Members that the resource manages.
    pub managed_members: usize,
    /// All groups of the organization; `None` where the server can't be read.
    pub groups: Option<usize>,
    /// Groups that the resource manages.
    pub managed_groups: usize,
    /// By what members are recognized, where some aren't by their ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognized: Option<Recognized>,
    /// Where managed members stand on their way in, where some aren't in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding: Option<OnboardingCounts>,
}

impl Sizes {
    fn new(counts: &Counts, write_only: bool) -> Self {
        Self {
            active: counts.active,
            disabled: counts.disabled,
            directory_groups: counts.groups,
            members: (!write_only).then_some(counts.members),
            managed_members: counts.managed_members,
            groups: (!write_only).then_some(counts.organization_groups),
            managed_groups: counts.managed_groups,
            recognized: Some(counts.recognized)
                .filter(|recognized| recognized.by_former_id + recognized.by_email > 0),
            onboarding: Some(counts.onboarding).filter(OnboardingCounts::is_anybody_waiting),
        }
    }

    /// Whether the server takes imports and can't be read.
    pub fn is_write_only(&self) -> bool {
        self.members.is_none()
    }
}

/// A word that this version knows, or one of another version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// One of ours.
    Known(T),
    /// A word that another version of the program wrote.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRow<'a> {
    /// What is done.
    pub action: Word<Kind>,
    /// The external id of the person or group.
    pub external_id: Cow<'a, str>,
    /// The email of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Cow<'a, str>>,
    /// The name of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// Why it is wanted.
    pub reason: Word<Reason>,
    /// The old external id of a re-link, the old name of a renamed group, the address of an invitation
    /// that is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cow<'a, str>>,
    /// The role that a member gets, and the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<RoleRow>>,
    /// What changes of a group's access to collections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<AccessChange>,
    /// To which collections a group gets access in the next run, once it is made or re-linked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_follows: Vec<AccessChange>,
    /// How many people gain or lose something by that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub people: usize,
    /// Whether no invitation is sent yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staged: bool,
    /// Which invitation it is of those that are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<Nth>,
    /// Who comes into the group; of a group whose new name is held, who does once it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Vec<MemberRow<'a>>>,
    /// Who leaves the group, or loses it with its deletion; `None` of a deleted group: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Vec<MemberRow<'a>>>,
    /// What says that something is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRow<'a>>,
    /// The limit that holds it, by the name of its field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Cow<'a, str>>,
}

/// Somebody who comes into a group or leaves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRow<'a> {
    /// The external id; `None` of members that the resource doesn't manage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Cow<'a, str>>,
    /// The email, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Cow<'a, str>>,
    /// What says that they leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRow<'a>>,
}

/// What says that something is taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceRow<'a> {
    /// `Disabled`, `Absent`, `OutOfScope` or `Undone`.
    pub kind: Cow<'a, str>,
    /// The same for a person.
    pub detail: Cow<'a, str>,
}

/// Something that needs manual action, or is for information.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemRow<'a> {
    /// The kind of problem: `DuplicateEmail`.
    pub reason: Cow<'a, str>,
    /// What is wrong, and what to do.
    pub message: Cow<'a, str>,
    /// The entries at fault.
    #[serde(default)]
    pub external_ids: Vec<Cow<'a, str>>,
}

/// A change, kept in the form that takes the least room.
#[derive(Debug, Clone)]
pub(super) enum Entry<'a> {
    /// Of a run, with the limit that holds it.
    Live(&'a Change, Option<&'static str>),
    /// Of a published plan, or a part of a change.
    Row(Box<ChangeRow<'a>>),
}

/// The emails of people whom changes of groups name.
#[derive(Debug, Clone, Default)]
pub(super) struct Emails<'a> {
    guarded: Option<&'a GuardedPlan>,
    /// The subjects of changes, once somebody asks: many plans are counted or filtered, not shown.
    subjects: OnceLock<FastMap<&'a ExternalId, &'a Email>>,
    /// The same by where ids are held: that of a person is mostly held once, however many groups they are in.
    places: OnceLock<FastMap<Place, &'a Email>>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl<'a> Emails<'a> {
    fn of(guarded: &'a GuardedPlan) -> Self {
        Self {
            guarded: Some(guarded),
            ..Self::default()
        }
    }

    fn names(&self) -> Option<&'a Names> {
        Some(&self.guarded?.approved.names)
    }

    fn access_follows(&self, change: &Change) -> Vec<AccessChange> {
        let is_there_then = matches!(change.kind(), Kind::CreateGroup | Kind::RelinkGroup);
        let guarded = self.guarded.filter(|_| is_there_then);
        let follows =
            guarded.and_then(|guarded| guarded.approved.follows.get(change.external_id()));
        follows.cloned().unwrap_or_default()
    }

    /// Who comes into a group once it gets the name that is held.
    fn kept_out(&self, change: &Change) -> Option<&'a [ExternalId]> {
        let held = self.guarded?.held.as_ref()?;
        let held = (change.kind() == Kind::RenameGroup).then_some(held)?;
        held.kept_out.get(change.external_id()).map(Vec::as_slice)
    }

    /// Ids and emails of those who are the subject of a change. What holds the ids outlives this.
    fn subjects(&self) -> impl Iterator<Item = (&'a ExternalId, &'a Email)> {
        let guarded = self.guarded.into_iter();
        let changes = guarded.flat_map(|guarded| {
            let held = guarded.held.iter().flat_map(|held| &held.changes);
            guarded.approved.changes.iter().chain(held)
        });
        changes.filter_map(|change| Some((change.external_id(), change.subject.email()?)))
    }

    fn subject(&self, id: &ExternalId) -> Option<&'a Email> {
        let places = || {
            // Growing, it would be there twice for a moment.
            let most = self.guarded.map_or(0, |one| one.approved.changes.len());
            let mut places = FastMap::with_capacity_and_hasher(most, RandomState::default());
            places.extend(self.subjects().map(|(id, email)| (id.place(), email)));
            places
        };
        if let Some(email) = self.places.get_or_init(places).get(&id.place()) {
            return Some(email);
        }
        let subjects = || self.subjects().collect();
        self.subjects.get_or_init(subjects).get(id).copied()
    }

    fn get(&self, id: &ExternalId) -> Option<&'a str> {
        let email = self.subject(id).or_else(|| self.names()?.email(id));
        email.map(Email::as_str)
    }

    fn member(&self, id: &'a ExternalId, evidence: Option<&Evidence>) -> MemberRow<'a> {
        MemberRow::new(id, self.get(id), evidence)
    }

    /// These people, by their labels.
    fn members(&self, ids: &'a [ExternalId]) -> Vec<MemberRow<'a>> {
        // Sorted before there are rows, which are large.
        let mut people: Vec<(&ExternalId, Option<&str>)> =
            ids.iter().map(|id| (id, self.get(id))).collect();
        people.sort_by_key(|(id, email)| email.unwrap_or(id.as_str()));
        let rows = people.into_iter();
        rows.map(|(id, email)| MemberRow::new(id, email, None))
            .collect()
    }
}

impl<'a> EvidenceRow<'a> {
    fn new(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Absent => Self {
                kind: "Absent".into(),
                detail: evidence.to_string().into(),
            },
            Evidence::Disabled(_) => Self {
                kind: "Disabled".into(),
                detail: evidence.to_string().into(),
            },
            Evidence::OutOfScope(_) => Self {
                kind: "OutOfScope".into(),
                detail: evidence.to_string().into(),
            },
            Evidence::Undone(_) => Self {
                kind: "Undone".into(),
                detail: evidence.to_string().into(),
            },
            Evidence::NotAccepted { .. } => Self {
                kind: "NotAccepted".into(),
                detail: evidence.to_string().into(),
            },
        }
    }

    /// The same of somebody who leaves a group.
    fn of_leaving(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Absent => Self::left(),
            evidence => Self::new(evidence),
        }
    }

    /// That of somebody whom the directory's group doesn't have.
    pub(super) fn left() -> Self {
        Self {
            kind: "Absent".into(),
            detail: LEFT_GROUP.into(),
        }
    }
}

impl<'a> ChangeRow<'a> {
    fn new(change: &'a Change, held_by: Option<&'static str>, emails: &Emails<'a>) -> Self {
        let (email, name) = match &change.subject.name {
            Name::Email(email) => (Some(email.as_str().into()), None),
            Name::Group(name) => (None, Some((&**name).into())),
        };
        let mut row = Self {
            action: Word::Known(change.kind()),
            external_id: change.external_id().as_str().into(),
            email,
            name,
            reason: Word::Known(change.reason),
            from: None,
            role: None,
            access: vec![],
            access_follows: vec![],
            people: 0,
            staged: false,
            nth: None,
            add: None,
            remove: None,
            evidence: None,
            held_by: held_by.map(Cow::Borrowed),
        };
        match &change.action {
            Action::Member(action) => row.put_member(action),
            Action::Group(action) => {
                row.put_group(action, emails);
                row.access_follows = emails.access_follows(change);
                let kept_out = emails.kept_out(change).filter(|_| held_by.is_some());
                row.add = row.add.or_else(|| kept_out.map(|ids| emails.members(ids)));
            }
        }
        row
    }

    fn put_member(&mut self, action: &'a MemberAction) {
        match action {
            MemberAction::Invite { staged, from } => {
                self.staged = *staged;
                self.from = from.as_ref().map(|from| from.as_str().into());
            }
            MemberAction::Relink { from } => self.from = Some(from.as_str().into()),
            MemberAction::Revoke { evidence } | MemberAction::Remove { evidence } => {
                self.evidence = Some(EvidenceRow::new(evidence));
            }
            MemberAction::SetRole(role) => {
                self.role = Some(Box::new((&**role).into()));
                self.evidence = role.evidence.as_ref().map(EvidenceRow::new);
            }
            MemberAction::Reinvite { nth, .. } => self.nth = Some(*nth),
            MemberAction::Link | MemberAction::Restore | MemberAction::Unlink => {}
        }
    }

    fn put_group(&mut self, action: &'a GroupAction, emails: &Emails<'a>) {
        let members = |ids| emails.members(ids);
        match action {
            GroupAction::Create { add } => self.add = Some(members(add)),
            GroupAction::Relink { from } => {
                self.from = from.as_ref().map(|from| from.as_str().into());
            }
            GroupAction::Unlink => {}
            GroupAction::Rename { from } => self.from = Some((&**from).into()),
            GroupAction::SetCollections(access) => {
                self.access = access.changes.clone();
                self.people = access.people();
                self.evidence = access.evidence.as_ref().map(EvidenceRow::new);
            }
            GroupAction::Update(update) => {
                self.add = Some(members(&update.add));
                let leaving = update.remove.iter();
                let leaving = leaving
                    .map(|leaving| emails.member(&leaving.external_id, Some(&leaving.evidence)));
                self.remove = Some(sorted(leaving.collect()));
            }
            GroupAction::Delete(deletion) => {
                self.evidence = Some(EvidenceRow::new(&deletion.evidence));
                self.remove = deletion.members.as_ref().map(|inside| {
                    let email = |member| emails.names().and_then(|names| names.unmanaged(member));
                    let unmanaged = deletion.unmanaged.iter().map(|member| MemberRow {
                        external_id: None,
                        email: email(member).map(|email| email.as_str().into()),
                        evidence: None,
                    });
                    let mut all = members(inside);
                    all.extend(unmanaged);
                    sorted(all)
                });
            }
        }
    }

    /// The email or the name, else the id.
    pub fn label(&self) -> &str {
        let label = self.email.as_deref().or(self.name.as_deref());
        label.unwrap_or(&self.external_id)
    }

    /// The kind, where this version knows it.
    pub fn kind(&self) -> Option<Kind> {
        match self.action {
            Word::Known(kind) => Some(kind),
            Word::Other(_) => None,
        }
    }

    /// Whether it is about a group.
    pub fn is_of_group(&self) -> bool {
        self.name.is_some()
    }
}

impl<'a> MemberRow<'a> {
    fn new(id: &'a ExternalId, email: Option<&'a str>, evidence: Option<&Evidence>) -> Self {
        Self {
            external_id: Some(id.as_str().into()),
            email: email.map(Cow::Borrowed),
            evidence: evidence.map(EvidenceRow::of_leaving),
        }
    }

    /// The email, else the id.
    pub fn label(&self) -> &str {
        let label = self.email.as_deref().or(self.external_id.as_deref());
        label.unwrap_or("a member whose address isn't known")
    }
}

fn sorted(mut members: Vec<MemberRow<'_>>) -> Vec<MemberRow<'_>> {
    members.sort_by(|a, b| a.label().cmp(b.label()));
    members
}

impl<'a> Entry<'a> {
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Live(change, _) => Some(change.kind()),
            Self::Row(row) => row.kind(),
        }
    }

    pub(super) fn label(&self) -> &str {
        match self {
            Self::Live(change, _) => change.subject.label(),
            Self::Row(row) => row.label(),
        }
    }

    pub(super) fn external_id(&self) -> &str {
        match self {
            Self::Live(change, _) => change.external_id().as_str(),
            Self::Row(row) => &row.external_id,
        }
    }

    pub(super) fn is_of_group(&self) -> bool {
        match self {
            Self::Live(change, _) => change.group().is_some(),
            Self::Row(row) => row.is_of_group(),
        }
    }

    /// How the action is called.
    pub(super) fn action(&self) -> &str {
        match self {
            _ if self.withdraws_invitation() => super::WITHDRAW,
            Self::Live(change, _) => super::title(change.kind()),
            Self::Row(row) => match &row.action {
                Word::Known(kind) => super::title(*kind),
                Word::Other(word) => word,
            },
        }
    }

    /// Where its kind stands in [`ORDER`]; kinds of other versions come last.
    pub(super) fn rank(&self) -> usize {
        self.kind().map_or(ORDER.len(), |kind| RANKS[kind as usize])
    }

    /// Whether it is an invitation that goes because nobody accepted it.
    pub(super) fn withdraws_invitation(&self) -> bool {
        match self {
            Self::Live(change, _) => change.withdraws_invitation(),
            Self::Row(row) => {
                let evidence = row.evidence.as_ref();
                row.kind() == Some(Kind::Remove)
                    && evidence.is_some_and(|evidence| evidence.kind == "NotAccepted")
            }
        }
    }

    /// What has to be known of all changes under its title.
    pub(super) fn warning(&self, write_only: bool) -> Option<&'static str> {
        let kind = self.kind().filter(|_| !self.withdraws_invitation());
        super::warning(kind?, write_only)
    }

    fn removes_nobody(&self) -> bool {
        match self {
            Self::Live(change, _) => !change.takes_away(),
            Self::Row(row) => {
                row.evidence.is_none() && row.remove.as_ref().is_none_or(Vec::is_empty)
            }
        }
    }

    /// By this entries are sorted first, then by their labels.
    fn place(&self) -> u8 {
        let rank = u8::try_from(self.rank()).unwrap_or(u8::MAX >> 2);
        rank << 2 | u8::from(self.withdraws_invitation()) << 1 | u8::from(self.removes_nobody())
    }

    fn sort(entries: &mut [Self]) {
        // Most differ in the beginnings of their labels: these are compared side by side, and not wherever each
        // text is.
        let key = |entry: &Self| beginning(entry.place(), entry.label());
        entries.sort_by_cached_key(key);
        for alike in entries.chunk_by_mut(|a, b| key(a) == key(b)) {
            alike.sort_by(|a, b| a.label().cmp(b.label()));
        }
    }
}

/// A place and the first bytes of a text as one number, in the order of places and then texts. Others may begin the
/// same.
fn beginning(place: u8, text: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes[0] = place;
    let count = text.len().min(bytes.len() - 1);
    bytes[1..=count].copy_from_slice(&text.as_bytes()[..count]);
    u64::from_be_bytes(bytes)
}

impl<'a> PlanDocument<'a> {
    /// The plan of a run.
    pub fn of(guarded: &'a GuardedPlan, sides: &Sides<'_>) -> Self {
        let plan = &*guarded.approved;
        let held = guarded.held.as_ref();
        let live = |change| Entry::Live(change, None);
        let mut changes: Vec<Entry<'a>> = plan.changes.iter().map(live).collect();
        let waiting = held.into_iter().flat_map(|held| held.with_limits());
        let waiting = waiting.map(|(change, limit)| Entry::Live(change, Some(limit)));
        let mut held_rows: Vec<Entry<'a>> = waiting.collect();
        Entry::sort(&mut changes);
        Entry::sort(&mut held_rows);
        let counted = plan.problems.by_reason();
        Self {
            head: Head {
                digest: guarded.digest.0.clone(),
                source: sides.source.to_owned(),
                organization: sides.organization.to_owned(),
                held_because: held
                    .map(|held| held.reasons().collect())
                    .unwrap_or_default(),
                sizes: Sizes::new(&plan.counts, plan.is_write_only()),
                problem_counts: counted
                    .map(|(reason, count, _)| (reason.to_string(), count))
                    .collect(),
            },
            changes,
            held: held_rows,
            problems: plan.problems.iter().map(ProblemRow::new).collect(),
            omitted: BTreeMap::new(),
            is_selection: false,
            emails: Emails::of(guarded),
        }
    }

    /// How many changes go ahead, or went.
    pub fn changes(&self) -> usize {
        self.changes.len() + self.omitted.get("changes").copied().unwrap_or_default()
    }

    /// How many changes are held.
    pub fn held(&self) -> usize {
        self.held.len() + self.omitted.get("held").copied().unwrap_or_default()
    }

    /// Whether every held change is in it.
    pub fn shows_all_held(&self) -> bool {
        !self.omitted.contains_key("held")
    }

    /// How many changes of each kind there are: `3 Invite, 1 Revoke`, or that there is nothing.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for entry in &self.changes {
            let name = match entry.kind() {
                Some(kind) => kind.name(),
                None => entry.action(),
            };
            *counts.entry((entry.rank(), name)).or_default() += 1;
        }
        let counts = counts.into_iter();
        let parts: Vec<String> = counts
            .map(|((_, name), count)| format!("{count} {name}"))
            .collect();
        if !parts.is_empty() {
            return parts.join(", ");
        }
        let said = match (self.is_selection, self.held.is_empty()) {
            (true, true) => "no change is about what you asked for",
            (true, false) => "nothing of what you asked for goes ahead",
            (false, true) => "nothing to change",
            (false, false) => "nothing goes ahead",
        };
        said.into()
    }

    /// How many members get a new ID, and whether that is all that happens; `None` where none does.
    pub(super) fn new_ids(&self) -> Option<String> {
        let kinds = || self.changes.iter().map(Entry::kind);
        let count = kinds()
            .filter(|kind| matches!(kind, Some(Kind::Link | Kind::Relink)))
            .count();
        let keeps = |kind| {
            use Kind::{Link, Relink, RelinkGroup, RenameGroup};
            matches!(kind, Some(Link | Relink | RelinkGroup | RenameGroup))
        };
        let alone = self.held.is_empty() && kinds().all(keeps);
        super::new_ids(count, alone)
    }

    pub(super) fn row<'b>(&'b self, entry: &'b Entry<'a>) -> Cow<'b, ChangeRow<'a>> {
        match entry {
            Entry::Live(change, limit) => Cow::Owned(ChangeRow::new(change, *limit, &self.emails)),
            Entry::Row(row) => Cow::Borrowed(row),
        }
    }

    pub(super) fn rows<'b>(
        &'b self,
        entries: &'b [Entry<'a>],
    ) -> impl Iterator<Item = Cow<'b, ChangeRow<'a>>> {
        entries.iter().map(|entry| self.row(entry))
    }

    /// The problems by reason, each with its count.
    pub(super) fn problems_by_reason(&self) -> Vec<(&str, usize, Vec<&ProblemRow<'a>>)> {
        let mut by_reason: Vec<(&str, usize, Vec<&ProblemRow<'a>>)> = vec![];
        for problem in &self.problems {
            match by_reason
                .iter_mut()
                .find(|(reason, ..)| *reason == problem.reason)
            {
                Some((_, _, rows)) => rows.push(problem),
                None => {
                    let count = self.head.problem_counts.get(&*problem.reason);
                    let count = count.copied().unwrap_or_default();
                    by_reason.push((&problem.reason, count, vec![problem]));
                }
            }
        }
        for (_, count, rows) in &mut by_reason {
            *count = rows.len().max(*count);
        }
        by_reason
    }
}

impl<'a> ProblemRow<'a> {
    fn new(problem: &'a Problem) -> Self {
        let ids = problem.external_ids.iter();
        Self {
            reason: problem.reason.to_string().into(),
            message: (&*problem.message).into(),
            external_ids: ids.map(|id| id.as_str().into()).collect(),
        }
    }
}

/// One list of a plan, each row made when it is written.
struct List<'b, 'a>(&'b PlanDocument<'a>, &'b [Entry<'a>]);

impl Serialize for List<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows(self.1))
    }
}

impl Serialize for PlanDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let head = &self.head;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("digest", &head.digest)?;
        map.serialize_entry("source", &head.source)?;
        map.serialize_entry("organization", &head.organization)?;
        map.serialize_entry("sizes", &head.sizes)?;
        if !head.held_because.is_empty() {
            map.serialize_entry("heldBecause", &head.held_because)?;
        }
        map.serialize_entry("held", &List(self, &self.held))?;
        map.serialize_entry("changes", &List(self, &self.changes))?;
        map.serialize_entry("problems", &self.problems)?;
        if !self.omitted.is_empty() {
            map.serialize_entry("omitted", &self.omitted)?;
        }
        map.end()
    }
}

/// The plan as one JSON object:
/// `{digest, source, organization, sizes, heldBecause?, held: [change], changes: [change], problems:
/// [{reason, message, externalIds}], omitted?}`. A change is `{action, externalId, email|name, reason,
/// from?, role?, access?, accessFollows?, people?, staged?, nth?, add?, remove?, evidence?, heldBy?}`. `add` and `remove` are the members of a group:
/// `{externalId?, email?, evidence?}`. What takes something away has its `evidence`: `{kind:
/// Disabled|Absent|OutOfScope, detail}`. `omitted` counts what a published plan had no room for.
pub fn json(document: &PlanDocument<'_>) -> String {
    serde_json::to_string(document).expect("texts, numbers and lists have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_order_have_beginnings_in_order_and_places_come_first() {
        let mut texts = [
            "",
            "\0",
            "a",
            "a\0",
            "a\0b",
            "ab",
            "b",
            "anna.huber",
            "anna.hubes",
            "anna.h\u{7f}",
            "ähren",
            "\u{10ffff}",
            "1234567",
            "12345670",
            "12345671",
        ];
        texts.sort_unstable();
        for pair in texts.windows(2) {
            assert!(beginning(3, pair[0]) <= beginning(3, pair[1]), "{pair:?}");
        }
        assert!(beginning(3, "anna.i") > beginning(3, "anna.huber"));
        assert!(beginning(3, "\u{10ffff}") < beginning(4, ""));
    }
}
