//! What runs did to the organization, one record for each change that was sent.
//!
//! A run [begins](History::begin) its records before it changes anything and [ends](History::end)
//! them afterwards; whoever runs keeps both ([`History::take_unsaved`]). What a run can't tell, because
//! an answer was lost or the process was killed, the next one [settles](History::settle) by what it
//! reads. Nothing here decides about a change.

mod names;
mod record;
mod select;
mod settle;
mod table;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

pub use crate::organization::collection::CollectionAccess;
pub use record::{
    GroupName, Outcome, Person, Record, RecordedApproval, RecordedEvidence, RecordedEvidenceKind,
    Removed, RunId, RunTrigger,
};
pub use select::Selection;
pub(in crate::sync) use table::{INDENT, wrap, wrap_at};
pub use table::{WIDTH, table};

use crate::directory::ExternalId;
use crate::organization::model::Content;
use crate::sync::fingerprint::FingerprintSet;
use crate::sync::guard::{Digest, GuardedPlan};
use crate::sync::ledger::Ledger;
use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Plan};
use crate::sync::report::{MembershipChange, Outcomes, Sent};
use names::Names;

/// So many invitations of one run are kept by name; of more only the number is.
pub const INVITATIONS_MAX: usize = 500;
/// So many people who come into groups in one run are kept by name; of more only the number is.
pub const ADDED_MAX: usize = 2_000;

/// What a run is, for its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Its id.
    pub id: RunId,
    /// What made it start.
    pub trigger: RunTrigger,
    /// Who gave the approval that it uses, where that is known.
    pub approved_by: Option<Box<str>>,
    /// The run that it takes back, of an undo.
    pub undoes: Option<RunId>,
    /// The resource as `namespace/name`, where records of several are kept together.
    pub directory_sync: Option<Box<str>>,
}

/// The records of a run under way, and those of earlier ones of which it isn't known what came of them.
#[derive(Debug, Default)]
pub struct History {
    run: Option<RunInfo>,
    /// How many numbers the run has given.
    numbers: u32,
    current: Option<Current>,
    /// Earlier ones without an end.
    open: Vec<Record>,
    unsaved: Vec<Record>,
}

/// The records of the changes that are being made.
#[derive(Debug)]
struct Current {
    /// The number of the plan's first change.
    base: u32,
    records: Vec<Record>,
    /// The changes that one record stands for, by their place in the plan.
    bulk: Vec<usize>,
    summary: Option<Record>,
    approvals: Approvals,
}

/// By which approval something may be done.
#[derive(Debug, Default)]
struct Approvals(Vec<(Option<Digest>, FingerprintSet)>);

impl Approvals {
    fn new(guarded: &GuardedPlan, ledger: &Ledger) -> Self {
        let used = guarded.used.as_ref();
        let used = used.map(|hold| (Some(hold.id.clone()), hold.changes.clone()));
        let all = used.into_iter().chain(ledger.approvals_in_progress());
        let changes = &guarded.approved.changes;
        Self(
            all.map(|(id, set)| (id, set.and_what_follows(changes)))
                .collect(),
        )
    }

    fn of(&self, change: &Change) -> Option<&Option<Digest>> {
        let is_in = |set: &FingerprintSet| match change.group() {
            Some(GroupAction::Update(update)) => {
                let group = change.external_id();
                let mut leaving = update.remove.iter();
                leaving.any(|one| set.has_withdrawal(group, &one.external_id))
                    || update.add.iter().any(|one| set.has_join(group, one))
            }
            _ => set.has(change),
        };
        let found = self.0.iter().find(|(_, set)| is_in(set));
        found.map(|(id, _)| id)
    }
}

impl History {
    /// Goes on from records of earlier runs, of which those without an end are looked for.
    pub fn restored(records: impl IntoIterator<Item = Record>) -> Self {
        let mut history = Self::default();
        history.resume(records);
        history
    }

    /// Looks for what came of these records, too, as far as they have no end.
    pub fn resume(&mut self, records: impl IntoIterator<Item = Record>) {
        let records = records.into_iter();
        let open: Vec<Record> = records
            .filter(|record| record.result.is_open())
            .filter(|record| {
                let mut known = self.open.iter().chain(&self.unsaved);
                !known.any(|one| one.is_same(record))
            })
            .collect();
        self.open.extend(open);
    }

    /// The records from here on are those of this run.
    pub fn start(&mut self, run: RunInfo) {
        self.run = Some(run);
        self.numbers = 0;
        self.put_back(vec![]);
    }

    /// Writes down what is about to be sent. To be called before the ledger notes it, and kept before the
    /// first change is made. `known` are the members and groups whom the records name.
    pub fn begin<'o>(
        &mut self,
        guarded: &GuardedPlan,
        known: impl Into<Option<&'o Content>>,
        ledger: &Ledger,
        now: Timestamp,
    ) {
        let run = self.run.get_or_insert_with(|| RunInfo {
            id: RunId::at(now),
            trigger: RunTrigger::Requested,
            approved_by: None,
            undoes: None,
            directory_sync: None,
        });
        let plan = &*guarded.approved;
        let base = self.numbers;
        let total = u32::try_from(plan.changes.len()).unwrap_or(u32::MAX - 1);
        self.numbers = base.saturating_add(total).saturating_add(1);
        let mut current = Current {
            base,
            records: vec![],
            bulk: vec![],
            summary: None,
            approvals: Approvals::new(guarded, ledger),
        };
        let names = Names::new(known.into(), plan);
        let (mut invitations, mut added_left) = (0, ADDED_MAX);
        for (at, change) in plan.changes.iter().enumerate() {
            if change.kind() == Kind::Invite {
                invitations += 1;
                if invitations > INVITATIONS_MAX {
                    current.bulk.push(at);
                    continue;
                }
            }
            let record = new_record(run, &current, plan, at, &names, now);
            current.records.push(shortened(record, &mut added_left));
        }
        if let Some(first) = current.bulk.first() {
            let like = new_record(run, &current, plan, *first, &names, now);
            current.summary = Some(Record {
                number: base.saturating_add(total),
                person: None,
                from: None,
                more: u32::try_from(current.bulk.len()).unwrap_or(u32::MAX),
                ..like
            });
        }
        self.unsaved.extend(current.records.iter().cloned());
        self.unsaved.extend(current.summary.clone());
        self.current = Some(current);
    }

    /// Writes down what came of everything that was begun. `interrupted` says why the run ended early.
    /// Each record that was sent is told in full, also where it isn't kept by name.
    pub fn end<'o>(
        &mut self,
        guarded: &GuardedPlan,
        known: impl Into<Option<&'o Content>>,
        outcomes: &Outcomes,
        interrupted: Option<&str>,
        tell: &mut dyn FnMut(&Record),
    ) {
        let (Some(mut current), Some(run)) = (self.current.take(), &self.run) else {
            return;
        };
        let plan = &*guarded.approved;
        let names = Names::new(known.into(), plan);
        let mut added_left = ADDED_MAX;
        let began = current.records.first().or(current.summary.as_ref());
        let Some(began) = began.map(|record| record.time) else {
            return;
        };
        let mut full = |current: &Current, at: usize| {
            let mut record = new_record(run, current, plan, at, &names, began);
            conclude(&mut record, outcomes.get(at), interrupted, &names);
            if record.result != Outcome::NotMade {
                tell(&record);
            }
            record
        };
        let records = std::mem::take(&mut current.records);
        for begun in records {
            let at = begun.number.saturating_sub(current.base) as usize;
            let record = full(&current, at);
            if record.result == Outcome::Unknown
                || record.result == Outcome::Refused && record.from.is_some()
            {
                self.open.push(record.clone());
            }
            self.unsaved.push(shortened(record, &mut added_left));
        }
        if let Some(mut summary) = current.summary.take() {
            let mut counts: HashMap<&'static str, (Outcome, u32)> = HashMap::new();
            for at in std::mem::take(&mut current.bulk) {
                let result = full(&current, at).result;
                counts.entry(result.name()).or_insert((result, 0)).1 += 1;
                if let Some(Sent::Done { time, .. }) = outcomes.get(at) {
                    summary.time = *time;
                }
            }
            let count = |outcome: Outcome| counts.get(outcome.name()).map_or(0, |one| one.1);
            let (done, unknown) = (count(Outcome::Done), count(Outcome::Unknown));
            let others = summary.more - done - count(Outcome::NotMade);
            summary.result = match (done, unknown) {
                (0, 0) if others == 0 => Outcome::NotMade,
                (0, 0) => Outcome::Refused,
                (0, _) => Outcome::Unknown,
                (_, _) => Outcome::Done,
            };
            summary.more = match summary.result {
                Outcome::Done => done,
                _ => others,
            };
            if others > 0 && done > 0 {
                summary.answer = Some(format!("{others} more weren't taken; see the log").into());
            }
            self.unsaved.push(summary);
        }
    }

    /// The records to keep: each replaces the one of its run and number, where there is one.
    /// [`Outcome::NotMade`] takes it out.
    pub fn take_unsaved(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.unsaved)
    }

    /// The same, without taking them.
    pub fn unsaved(&self) -> &[Record] {
        &self.unsaved
    }

    /// Notes that records couldn't be kept, so that they are written together with the next ones.
    pub fn put_back(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.unsaved);
        // Those of the last runs matter most, and memory is bounded.
        let surplus = records.len().saturating_sub(UNSAVED_MAX);
        records.drain(..surplus);
        self.unsaved = records;
    }

    /// Whether there is something to keep.
    pub fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }
}

/// So many records wait where they can't be written.
const UNSAVED_MAX: usize = 5_000;

fn new_record(
    run: &RunInfo,
    current: &Current,
    plan: &Plan,
    at: usize,
    names: &Names<'_>,
    now: Timestamp,
) -> Record {
    let change = &plan.changes[at];
    let subject = &change.subject;
    let approval = current.approvals.of(change);
    let number = u32::try_from(at).unwrap_or(u32::MAX);
    let mut record = Record {
        time: now,
        run: run.id.clone(),
        number: current.base.saturating_add(number),
        trigger: run.trigger,
        undoes: run.undoes.clone(),
        by: run.approved_by.clone().filter(|_| run.undoes.is_some()),
        directory_sync: run.directory_sync.clone(),
        action: change.kind(),
        reason: change.reason,
        person: None,
        group: None,
        from: None,
        status: None,
        role: None,
        nth: None,
        collections: None,
        access: vec![],
        added: vec![],
        removed: vec![],
        groups: vec![],
        more: 0,
        evidence: change.evidence().map(RecordedEvidence::from),
        approval: approval.map(|hold| RecordedApproval {
            hold: hold.clone(),
            by: run.approved_by.clone(),
        }),
        result: Outcome::Pending,
        answer: None,
    };
    match &change.action {
        Action::Member(action) => {
            record.person = Some(Person {
                email: subject.email().map(|email| email.as_str().into()),
                external_id: Some(subject.external_id.as_str().into()),
                member_id: subject.id,
            });
            match action {
                MemberAction::Invite { from, .. } => {
                    record.from = from.as_ref().map(|email| email.as_str().into());
                }
                MemberAction::Relink { from } => record.from = Some(from.as_str().into()),
                MemberAction::Remove { .. } => record.groups = groups_of(plan, change),
                MemberAction::Revoke { .. } => {
                    record.status = subject.id.and_then(|id| names.status(id)).map(Into::into);
                }
                MemberAction::SetRole(role) => record.role = Some((&**role).into()),
                MemberAction::Reinvite { nth, .. } => record.nth = Some(*nth),
                MemberAction::Unlink => record.from = Some(subject.external_id.as_str().into()),
                MemberAction::Link | MemberAction::Restore => {}
            }
        }
        Action::Group(action) => {
            record.group = Some(GroupName {
                name: subject.label().into(),
                external_id: subject.external_id.as_str().into(),
                group_id: subject.id,
            });
            match action {
                GroupAction::Create { add } => {
                    record.added = add.iter().map(|id| names.person(id)).collect();
                    let undoes = plan.undoes.as_ref();
                    let again = undoes.and_then(|one| one.made_again.get(change.external_id()));
                    if let Some(again) = again {
                        record.collections = Some(again.collections.clone());
                    }
                    record.added.extend(unmanaged_of(plan, change, names));
                }
                GroupAction::Relink { from } => {
                    record.from = from.as_ref().map(|id| id.as_str().into());
                }
                GroupAction::Unlink => record.from = Some(subject.external_id.as_str().into()),
                GroupAction::Rename { from } => record.from = Some(from.clone()),
                GroupAction::SetCollections(access) => record.access = access.changes.clone(),
                GroupAction::Update(update) => {
                    record.added = update.add.iter().map(|id| names.person(id)).collect();
                    record.added.extend(unmanaged_of(plan, change, names));
                    let leaving = update.remove.iter().map(|leaving| Removed {
                        person: names.person(&leaving.external_id),
                        evidence: Some(RecordedEvidence::of_leaving(&leaving.evidence)),
                    });
                    record.removed = leaving.collect();
                }
                GroupAction::Delete(deletion) => {
                    let managed = deletion.members.iter().flatten().map(|id| names.person(id));
                    let unmanaged = deletion.unmanaged.iter().map(|id| names.member(*id));
                    let all = managed.chain(unmanaged).map(|person| Removed {
                        person,
                        evidence: None,
                    });
                    record.removed = all.collect();
                    let collections = subject.id.and_then(|id| plan.collections.get(&id));
                    record.collections = collections.cloned();
                }
            }
        }
    }
    record
}

/// Members without an external id who come back into a group that an undo makes again.
fn unmanaged_of(plan: &Plan, change: &Change, names: &Names<'_>) -> Vec<Person> {
    let undoes = plan.undoes.as_ref();
    let again = undoes.and_then(|one| one.made_again.get(change.external_id()));
    let members = again.into_iter().flat_map(|again| &again.members);
    members.map(|id| names.member(*id)).collect()
}

/// The groups that somebody who is removed leaves by that.
fn groups_of(plan: &Plan, change: &Change) -> Vec<GroupName> {
    let id = change.external_id();
    let groups = plan
        .groups
        .iter()
        .filter(|group| group.leaving.contains(id));
    let groups = groups.map(|group| GroupName {
        name: group.name.clone(),
        external_id: group.external_id.as_str().into(),
        group_id: group.id,
    });
    // By the time that a group is deleted they are out of it.
    let deleted = plan.changes.iter().filter(|change| match change.group() {
        Some(GroupAction::Delete(deletion)) => {
            deletion.members.iter().flatten().any(|one| one == id)
        }
        _ => false,
    });
    let deleted = deleted.map(|change| GroupName {
        name: change.subject.label().into(),
        external_id: change.external_id().as_str().into(),
        group_id: change.subject.id,
    });
    let undoes = plan.undoes.as_ref();
    let others = undoes.and_then(|undoes| undoes.leaves.get(id));
    groups
        .chain(deleted)
        .chain(others.into_iter().flatten().cloned())
        .collect()
}

/// What is kept of a record: of those who come into a group as many names as there is room for.
fn shortened(mut record: Record, added_left: &mut usize) -> Record {
    let kept = record.added.len().min(*added_left);
    *added_left -= kept;
    let more = record.added.len() - kept;
    record.added.truncate(kept);
    record.more += u32::try_from(more).unwrap_or(u32::MAX);
    record
}

/// Puts the end into a record.
fn conclude(
    record: &mut Record,
    sent: Option<&Sent>,
    interrupted: Option<&str>,
    names: &Names<'_>,
) {
    match sent {
        None | Some(Sent::Not) => record.result = Outcome::NotMade,
        Some(Sent::Waiting { membership }) => {
            record.result = Outcome::Unknown;
            record.answer = Some(interrupted.unwrap_or("the answer was lost").into());
            apply_membership(record, membership.as_deref(), names);
        }
        Some(Sent::Done { time, membership }) => {
            record.result = Outcome::Done;
            record.time = *time;
            apply_membership(record, membership.as_deref(), names);
        }
        Some(Sent::Refused { time, answer }) => {
            record.result = Outcome::Refused;
            record.time = *time;
            record.answer = Some(answer.clone());
        }
        Some(Sent::NotApplied { time }) => {
            record.result = Outcome::NotApplied;
            record.time = *time;
        }
    }
}

/// Who really came and left: a group may have held others than the plan was made for.
fn apply_membership(record: &mut Record, actual: Option<&MembershipChange>, names: &Names<'_>) {
    let Some(MembershipChange {
        added,
        removed,
        unmanaged,
        collections_refused,
    }) = actual
    else {
        return;
    };
    if *collections_refused {
        record.collections = Some(vec![]);
    }
    let leaving: HashSet<&str> = removed.iter().map(ExternalId::as_str).collect();
    let id_of = |person: &Person| person.external_id.clone();
    // Whoever has no external id isn't moved by a sync, but leaves a group that is deleted.
    record.removed.retain(|one| {
        let id = one.person.external_id.as_deref();
        id.is_none_or(|id| leaving.contains(id))
    });
    let known: HashSet<Option<Box<str>>> = record
        .removed
        .iter()
        .map(|one| id_of(&one.person))
        .collect();
    let unplanned = removed.iter().map(|id| names.person(id));
    let unplanned = unplanned.filter(|person| !known.contains(&id_of(person)));
    let unplanned = unplanned.map(|person| Removed {
        person,
        evidence: None,
    });
    record.removed.extend(unplanned);
    record.added = added.iter().map(|id| names.person(id)).collect();
    let unmanaged = unmanaged.iter().map(|id| names.member(*id));
    record.added.extend(unmanaged);
}

#[cfg(test)]
mod tests;
