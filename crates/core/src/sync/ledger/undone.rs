//! What people took back: the directory may ask for it again, and it isn't done again by itself.
//!
//! It is kept by name, as hashes, until the directory doesn't ask for it any more, or somebody approves it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EvidenceKind, Key, Ledger, key_of};
use crate::directory::{Evidence, ExternalId};
use crate::organization::collection::CollectionAccess;
use crate::organization::role::AccessRole;
use crate::problem::ProblemReason;
use crate::sync::guard::GuardedPlan;
use crate::sync::history::{Outcome, Person, Record, RecordedEvidenceKind, RunId};
use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Plan};

/// So many are kept one by one. Where there are more, everything counts as taken back, until a run has
/// nothing to do or somebody approves what it would do.
pub const UNDONE_MAX: usize = 3_000;

/// Something that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undone {
    what: Key,
    /// It was done because an account was disabled. What was done on weaker evidence is done again where
    /// the account turns out to be disabled.
    disabled: bool,
}

/// What may have been taken back, and would be done again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Repeat<'a> {
    /// Somebody loses access or membership.
    Access(&'a ExternalId),
    /// Somebody is invited.
    Invite(&'a ExternalId),
    /// Somebody gets access back.
    Restore(&'a ExternalId),
    /// A member gets this external id.
    Relink(&'a ExternalId),
    /// Somebody comes into a group.
    Join(&'a ExternalId, &'a ExternalId),
    /// Somebody leaves a group.
    Leave(&'a ExternalId, &'a ExternalId),
    /// A group is made.
    MakeGroup(&'a ExternalId),
    /// A group is deleted.
    DeleteGroup(&'a ExternalId),
    /// A group gets this external id.
    RelinkGroup(&'a ExternalId),
    /// A group gets this name.
    RenameGroup(&'a ExternalId, &'a str),
    /// A group gets this access to a collection, or loses it.
    Collection(&'a ExternalId, Uuid, Option<CollectionAccess>),
    /// A member gets this role.
    SetRole(&'a ExternalId, AccessRole),
}

impl Repeat<'_> {
    fn key(self) -> Key {
        let detail = match self {
            Self::SetRole(_, role) => role.to_string(),
            Self::Collection(_, id, access) => {
                format!("{id} {}", access.map_or("none", |one| one.right().name()))
            }
            _ => String::new(),
        };
        let (kind, id, more) = match self {
            Self::Access(id) => ("access", id, ""),
            Self::Invite(id) => ("invite", id, ""),
            Self::Restore(id) => ("restore", id, ""),
            Self::Relink(id) => ("relink", id, ""),
            Self::Join(group, id) => ("join", id, group.as_str()),
            Self::Leave(group, id) => ("leave", id, group.as_str()),
            Self::MakeGroup(id) => ("make", id, ""),
            Self::DeleteGroup(id) => ("delete", id, ""),
            Self::RelinkGroup(id) => ("relink group", id, ""),
            Self::RenameGroup(id, name) => ("rename", id, name),
            Self::SetRole(id, _) => ("role", id, detail.as_str()),
            Self::Collection(id, ..) => ("collection", id, detail.as_str()),
        };
        // Lengths before texts: no two of them read the same.
        let mut text = vec![];
        for part in [kind, id.as_str(), more] {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part.as_bytes());
        }
        key_of(&text)
    }

    /// What a change does, part by part, with the evidence of what it takes away.
    fn of(change: &Change) -> Vec<(Repeat<'_>, Option<&Evidence>)> {
        let id = change.external_id();
        let one = |repeat| vec![(repeat, None)];
        match &change.action {
            Action::Member(
                MemberAction::Revoke { evidence } | MemberAction::Remove { evidence },
            ) => {
                vec![(Repeat::Access(id), Some(evidence))]
            }
            // Who isn't found any more would get the id as somebody new.
            Action::Member(MemberAction::Invite { .. }) => {
                vec![(Repeat::Invite(id), None), (Repeat::Relink(id), None)]
            }
            Action::Member(MemberAction::Restore) => one(Repeat::Restore(id)),
            Action::Member(MemberAction::Relink { .. } | MemberAction::Link) => {
                one(Repeat::Relink(id))
            }
            Action::Member(MemberAction::Reinvite { .. } | MemberAction::Unlink) => vec![],
            Action::Member(MemberAction::SetRole(role)) => {
                vec![(Repeat::SetRole(id, role.to), role.evidence.as_ref())]
            }
            Action::Group(GroupAction::Create { .. }) => {
                vec![
                    (Repeat::MakeGroup(id), None),
                    (Repeat::RelinkGroup(id), None),
                ]
            }
            Action::Group(GroupAction::Delete(_)) => one(Repeat::DeleteGroup(id)),
            Action::Group(GroupAction::SetCollections(access)) => {
                let parts = access.changes.iter();
                let parts = parts.map(|one| Repeat::Collection(id, one.id, one.to));
                parts.map(|one| (one, access.evidence.as_ref())).collect()
            }
            Action::Group(GroupAction::Relink { .. }) => one(Repeat::RelinkGroup(id)),
            Action::Group(GroupAction::Unlink) => vec![],
            Action::Group(GroupAction::Rename { .. }) => {
                one(Repeat::RenameGroup(id, change.subject.label()))
            }
            Action::Group(GroupAction::Update(update)) => {
                let joins = update.add.iter().map(|one| (Repeat::Join(id, one), None));
                let leaves = update.remove.iter();
                let leaves =
                    leaves.map(|one| (Repeat::Leave(id, &one.external_id), Some(&one.evidence)));
                joins.chain(leaves).collect()
            }
        }
    }

    /// What was done that this change of an undo takes back.
    fn opposite(change: &Change) -> Vec<Repeat<'_>> {
        let id = change.external_id();
        match &change.action {
            Action::Member(MemberAction::Revoke { .. }) => vec![Repeat::Restore(id)],
            Action::Member(MemberAction::Remove { .. }) => vec![Repeat::Invite(id)],
            Action::Member(MemberAction::Invite { from: None, .. } | MemberAction::Restore) => {
                vec![Repeat::Access(id)]
            }
            Action::Member(MemberAction::Invite { from: Some(_), .. }) => vec![Repeat::Invite(id)],
            Action::Member(MemberAction::Relink { from }) => vec![Repeat::Relink(from)],
            Action::Member(MemberAction::Unlink) => vec![Repeat::Relink(id)],
            Action::Member(MemberAction::Link | MemberAction::Reinvite { .. }) => vec![],
            Action::Member(MemberAction::SetRole(role)) => vec![Repeat::SetRole(id, role.from)],
            Action::Group(GroupAction::Create { .. }) => vec![Repeat::DeleteGroup(id)],
            Action::Group(GroupAction::Delete(_)) => vec![Repeat::MakeGroup(id)],
            Action::Group(GroupAction::SetCollections(access)) => {
                let parts = access.changes.iter();
                parts
                    .map(|one| Repeat::Collection(id, one.id, one.from))
                    .collect()
            }
            Action::Group(GroupAction::Relink { from }) => {
                from.iter().map(Repeat::RelinkGroup).collect()
            }
            Action::Group(GroupAction::Unlink) => vec![Repeat::RelinkGroup(id)],
            Action::Group(GroupAction::Rename { from }) => vec![Repeat::RenameGroup(id, from)],
            Action::Group(GroupAction::Update(update)) => {
                let left = update.add.iter().map(|one| Repeat::Leave(id, one));
                let came = update.remove.iter();
                let came = came.map(|one| Repeat::Join(id, &one.external_id));
                left.chain(came).collect()
            }
        }
    }

    /// As [`of`](Self::of), by the record of the change.
    fn of_record(record: &Record, each: &mut dyn FnMut(Repeat<'_>)) {
        let Some(id) = id_of(record) else { return };
        let id = &id;
        match record.action {
            Kind::Revoke | Kind::Remove => each(Repeat::Access(id)),
            Kind::Invite => {
                each(Repeat::Invite(id));
                each(Repeat::Relink(id));
            }
            Kind::Restore => each(Repeat::Restore(id)),
            Kind::SetRole => {
                let role = record.role.as_ref().and_then(|role| role.to.known());
                role.iter()
                    .for_each(|role| each(Repeat::SetRole(id, *role)));
            }
            Kind::SetCollections => {
                for one in &record.access {
                    each(Repeat::Collection(id, one.id, one.to));
                }
            }
            Kind::Relink | Kind::Link => each(Repeat::Relink(id)),
            Kind::Reinvite | Kind::Unlink | Kind::UnlinkGroup => {}
            Kind::CreateGroup => {
                each(Repeat::MakeGroup(id));
                each(Repeat::RelinkGroup(id));
            }
            Kind::DeleteGroup => each(Repeat::DeleteGroup(id)),
            Kind::RelinkGroup => each(Repeat::RelinkGroup(id)),
            Kind::RenameGroup => each(Repeat::RenameGroup(id, &record.label())),
            Kind::UpdateGroup => {
                for one in record.added.iter().filter_map(id_of_person) {
                    each(Repeat::Join(id, &one));
                }
                for one in record
                    .removed
                    .iter()
                    .filter_map(|one| id_of_person(&one.person))
                {
                    each(Repeat::Leave(id, &one));
                }
            }
        }
    }

    /// As [`opposite`](Self::opposite), by the record of the change.
    fn opposite_of_record(record: &Record, each: &mut dyn FnMut(Repeat<'_>)) {
        let Some(id) = id_of(record) else { return };
        let id = &id;
        let from = record.from.as_deref();
        let former = from.and_then(ExternalId::of_member);
        match record.action {
            Kind::Revoke => each(Repeat::Restore(id)),
            Kind::Remove => each(Repeat::Invite(id)),
            Kind::Invite if from.is_some() => each(Repeat::Invite(id)),
            Kind::Invite | Kind::Restore => each(Repeat::Access(id)),
            Kind::SetRole => {
                let role = record.role.as_ref().and_then(|role| role.from.known());
                role.iter()
                    .for_each(|role| each(Repeat::SetRole(id, *role)));
            }
            Kind::SetCollections => {
                for one in &record.access {
                    each(Repeat::Collection(id, one.id, one.from));
                }
            }
            Kind::Relink => former.iter().for_each(|from| each(Repeat::Relink(from))),
            Kind::Unlink => each(Repeat::Relink(id)),
            Kind::UnlinkGroup => each(Repeat::RelinkGroup(id)),
            Kind::Link | Kind::Reinvite => {}
            Kind::CreateGroup => each(Repeat::DeleteGroup(id)),
            Kind::DeleteGroup => each(Repeat::MakeGroup(id)),
            Kind::RelinkGroup => former
                .iter()
                .for_each(|from| each(Repeat::RelinkGroup(from))),
            Kind::RenameGroup => from
                .iter()
                .for_each(|from| each(Repeat::RenameGroup(id, from))),
            Kind::UpdateGroup => {
                for one in record.added.iter().filter_map(id_of_person) {
                    each(Repeat::Leave(id, &one));
                }
                for one in record
                    .removed
                    .iter()
                    .filter_map(|one| id_of_person(&one.person))
                {
                    each(Repeat::Join(id, &one));
                }
            }
        }
    }

    /// Who loses something by it.
    fn person(self) -> Option<ExternalId> {
        match self {
            Self::Access(id) | Self::Leave(_, id) => Some(id.clone()),
            _ => None,
        }
    }
}

fn id_of_person(person: &Person) -> Option<ExternalId> {
    ExternalId::of_member(person.external_id.as_deref()?)
}

fn id_of(record: &Record) -> Option<ExternalId> {
    match (&record.person, &record.group) {
        (Some(person), _) => id_of_person(person),
        (None, Some(group)) => ExternalId::of_member(&group.external_id),
        (None, None) => None,
    }
}

/// Whether somebody lost something in a run because their account was disabled; also where the records don't
/// say why: then it is held whatever the account is now.
fn lost_as_disabled(records: &[Record], run: &RunId, person: &ExternalId) -> bool {
    let is_them = |one: &Person| one.external_id.as_deref() == Some(person.as_str());
    let of_run = records.iter().filter(|record| record.run == *run);
    let own = of_run
        .clone()
        .filter(|record| record.person.as_ref().is_some_and(is_them));
    let own = own.map(|record| &record.evidence);
    let of_groups = of_run.flat_map(|record| &record.removed);
    let of_groups = of_groups.filter(|one| is_them(&one.person));
    let of_groups = of_groups.map(|one| &one.evidence);
    let mut kinds = own
        .chain(of_groups)
        .flatten()
        .map(|evidence| evidence.kind)
        .peekable();
    kinds.peek().is_none() || kinds.any(|kind| kind == RecordedEvidenceKind::Disabled)
}

/// What was taken back, for the guard.
#[derive(Debug, Default)]
pub(crate) struct UndoneSet {
    /// With whether it was done because an account was disabled.
    keys: HashMap<Key, bool>,
    everything: bool,
}

impl UndoneSet {
    /// Whether nothing was taken back.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.everything
    }

    /// Whether this was taken back. Whoever lost something for another reason loses it again where the
    /// account is disabled now.
    pub fn has(&self, repeat: Repeat<'_>, evidence: Option<&Evidence>) -> bool {
        if self.is_empty() {
            return false;
        }
        let is_disabled = evidence.map(EvidenceKind::from) == Some(EvidenceKind::Disabled);
        match self.keys.get(&repeat.key()) {
            Some(disabled) => *disabled || !is_disabled,
            None => self.everything && !is_disabled,
        }
    }

    /// Whether a change as a whole was taken back; `false` of who comes into and leaves a group.
    pub fn has_change(&self, change: &Change) -> bool {
        if self.is_empty() || matches!(change.group(), Some(GroupAction::Update(_))) {
            return false;
        }
        let parts = Repeat::of(change);
        parts
            .into_iter()
            .any(|(repeat, evidence)| self.has(repeat, evidence))
    }
}

impl Ledger {
    /// What was taken back.
    pub(crate) fn undone(&self) -> UndoneSet {
        UndoneSet {
            keys: self
                .undone
                .iter()
                .map(|one| (one.what, one.disabled))
                .collect(),
            everything: self.everything_undone,
        }
    }

    /// Whether a group with this external id was deleted, and an undo made it again.
    pub fn has_made_again(&self, group: &ExternalId) -> bool {
        self.undone().has(Repeat::DeleteGroup(group), None)
    }

    /// How many things are held because somebody took them back; one more than [`UNDONE_MAX`] where it is
    /// everything.
    pub fn undone_count(&self) -> usize {
        match self.everything_undone {
            true => UNDONE_MAX + 1,
            false => self.undone.len(),
        }
    }

    /// Notes what an undo takes back: it isn't done again by itself. What the undo does itself may be done
    /// again, where it had been taken back before.
    pub(super) fn note_undone(&mut self, plan: &Plan) {
        let Some(undoes) = &plan.undoes else { return };
        let mut keys: HashMap<Key, bool> = self
            .undone
            .iter()
            .map(|one| (one.what, one.disabled))
            .collect();
        let mut order: Vec<Key> = self.undone.iter().map(|one| one.what).collect();
        for change in &plan.changes {
            for (repeat, _) in Repeat::of(change) {
                keys.remove(&repeat.key());
            }
            for repeat in Repeat::opposite(change) {
                let person = repeat.person();
                let disabled = person.is_some_and(|person| undoes.disabled.contains(&person));
                let what = repeat.key();
                if keys.insert(what, disabled).is_none() {
                    order.push(what);
                }
            }
        }
        let kept = order.into_iter().filter_map(|what| {
            let disabled = keys.remove(&what)?;
            Some(Undone { what, disabled })
        });
        self.undone = kept.collect();
        if self.undone.len() > UNDONE_MAX {
            self.undone.clear();
            self.everything_undone = true;
        }
    }

    /// What a record that isn't believed says was taken back: it holds nobody's dismissal, unless the history
    /// says the same.
    pub(super) fn doubted_undone(mut undone: Vec<Undone>) -> Vec<Undone> {
        for one in &mut undone {
            one.disabled = false;
        }
        undone
    }

    /// Whether something may have been taken back that isn't noted here.
    pub fn may_lack_undone(&self) -> bool {
        self.new || self.is_careful()
    }

    /// Holds again what the records say that people took back, where this ledger isn't the one that was
    /// written last: it may have been noted in that one. `known` is how much was, as far as something else
    /// says so; `is_whole`: no record is missing.
    pub fn recall_undone(&mut self, records: &[Record], is_whole: bool, known: usize) {
        if !self.may_lack_undone() {
            return;
        }
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_by_key(|record| (record.time, record.number));
        let mut recalled: HashMap<Key, bool> = HashMap::new();
        let mut without_names = false;
        for record in sorted {
            if record.result == Outcome::Done {
                Repeat::of_record(record, &mut |repeat| {
                    recalled.remove(&repeat.key());
                });
            }
            // Where it isn't known what came of it, it may have been taken back.
            let may_be_made = !matches!(record.result, Outcome::Refused | Outcome::NotMade);
            let Some(run) = record.undoes.as_ref().filter(|_| may_be_made) else {
                continue;
            };
            without_names |= record.more > 0;
            Repeat::opposite_of_record(record, &mut |repeat| {
                let person = repeat.person();
                let disabled = person.is_some_and(|person| lost_as_disabled(records, run, &person));
                recalled.insert(repeat.key(), disabled);
            });
        }
        let own: HashMap<Key, bool> = self
            .undone
            .iter()
            .map(|one| (one.what, one.disabled))
            .collect();
        for (what, disabled) in own {
            *recalled.entry(what).or_default() |= disabled;
        }
        let mut all: Vec<Undone> = recalled
            .into_iter()
            .map(|(what, disabled)| Undone { what, disabled })
            .collect();
        all.sort_unstable_by_key(|one| one.what);
        let too_few = known > 0 && (all.is_empty() || !is_whole);
        if too_few || without_names || all.len() > UNDONE_MAX {
            all.clear();
            self.everything_undone = true;
        }
        self.undone = all;
    }

    /// Forgets what the directory doesn't ask for any more, and what an approval lets go ahead.
    ///
    /// Where entries couldn't be identified or read, a plan leaves out what it would do otherwise, and
    /// nothing is forgotten.
    pub(crate) fn keep_undone(&mut self, guarded: &GuardedPlan) {
        let plan = &*guarded.approved;
        if (self.undone.is_empty() && !self.everything_undone)
            || plan.undoes.is_some()
            || plan.is_write_only()
            || plan.is_partial
            || plan.incremental.is_some()
        {
            return;
        }
        let is_approved = guarded.used.is_some();
        let held = guarded.held.iter().flat_map(|held| &held.changes);
        if self.everything_undone {
            self.everything_undone = !is_approved && held.count() > 0;
            return;
        }
        if is_approved {
            self.undone.clear();
            return;
        }
        if plan.problems.by_reason().any(|(reason, ..)| hides(reason)) {
            return;
        }
        let asked: Vec<Key> = held
            .flat_map(Repeat::of)
            .map(|(repeat, _)| repeat.key())
            .collect();
        let asked: std::collections::HashSet<Key> = asked.into_iter().collect();
        self.undone.retain(|one| asked.contains(&one.what));
    }
}

/// Whether a plan with such a problem may leave out what the directory asks for.
fn hides(reason: ProblemReason) -> bool {
    matches!(
        reason,
        ProblemReason::NoEmail
            | ProblemReason::InvalidEmail
            | ProblemReason::EmailTooLong
            | ProblemReason::DuplicateEmail
            | ProblemReason::InvalidExternalId
            | ProblemReason::SecretInEntry
            | ProblemReason::UnknownAccountState
            | ProblemReason::AmbiguousMember
            | ProblemReason::UnidentifiedEntries
            | ProblemReason::HiddenMembers
            | ProblemReason::UnreadableMember
            | ProblemReason::GroupNameMissing
            | ProblemReason::GroupNameTooLong
            | ProblemReason::IdentityConflict
            | ProblemReason::UnknownMemberStatus
            | ProblemReason::EmptyDirectory
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::directory::{AccountEvidence, Email};
    use crate::sync::plan::{Reason, Subject, Undoes};

    fn id(text: &str) -> ExternalId {
        ExternalId::of_member(text).unwrap()
    }

    fn member(of: &str, action: MemberAction) -> Change {
        let email = Email::of_member("ann@example.com");
        Change {
            subject: Subject::person(id(of), email, Some(Uuid::from_u128(1))),
            reason: Reason::Undone,
            action: Action::Member(action),
        }
    }

    fn group(of: &str, action: GroupAction) -> Change {
        Change {
            subject: Subject::group(id(of), "Staff".into(), Some(Uuid::from_u128(2))),
            reason: Reason::Undone,
            action: Action::Group(action),
        }
    }

    fn assert_held(ledger: &Ledger) {
        let undone = ledger.undone();
        let invite = || MemberAction::Invite {
            staged: false,
            from: None,
        };
        let create = || GroupAction::Create { add: vec![] };
        for held in [
            member("x", MemberAction::Link),
            member("x", MemberAction::Relink { from: id("dn") }),
            // The email is another one by now.
            member("x", invite()),
            group("g", GroupAction::Relink { from: None }),
            // Groups made by hand aren't adopted any more.
            group("g", create()),
        ] {
            assert!(undone.has_change(&held), "{held:?}");
        }
        for free in [
            member("y", invite()),
            member("y", MemberAction::Link),
            group("h", create()),
        ] {
            assert!(!undone.has_change(&free), "{free:?}");
        }
    }

    #[test]
    fn whose_id_was_taken_out_doesnt_come_back_with_it_as_somebody_new() {
        let plan = Plan {
            changes: vec![
                member("x", MemberAction::Unlink),
                group("g", GroupAction::Unlink),
            ],
            undoes: Some(Undoes {
                run: RunId::at(jiff::Timestamp::UNIX_EPOCH),
                disabled: Default::default(),
                leaves: HashMap::new(),
                made_again: HashMap::new(),
            }),
            ..Plan::default()
        };
        let mut ledger = Ledger::begin(jiff::Timestamp::UNIX_EPOCH);
        ledger.note_undone(&plan);
        assert_held(&ledger);
    }

    #[test]
    fn a_record_that_is_not_believed_holds_no_dismissal_unless_the_history_says_the_same() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let plan = Plan {
            changes: vec![member("x", MemberAction::Restore)],
            undoes: Some(Undoes {
                run: RunId::at(now),
                disabled: [id("x")].into(),
                leaves: HashMap::new(),
                made_again: HashMap::new(),
            }),
            ..Plan::default()
        };
        let disabled = Evidence::Disabled(Arc::new(AccountEvidence {
            attribute: "nsAccountLock".into(),
            value: "TRUE".into(),
            entry: "uid=x".into(),
            changed: None,
        }));
        let holds = |ledger: &Ledger, evidence| {
            ledger
                .undone()
                .has(Repeat::Access(&id("x")), Some(evidence))
        };
        let mut ledger = Ledger::begin(now);
        ledger.note_undone(&plan);
        assert!(holds(&ledger, &disabled));

        let mut doubted = ledger.doubted(now);
        assert!(!holds(&doubted, &disabled));
        assert!(holds(&doubted, &Evidence::Absent));

        let person = json!({
            "email": "ann@example.com", "externalId": "x", "memberId": Uuid::from_u128(1).to_string(),
        });
        let record = |run: &str, action: &str, more: serde_json::Value| -> Record {
            let mut json = json!({
                "time": "2026-11-29T12:00:00Z", "run": run, "number": 0, "trigger": "Undo",
                "reason": "Undone", "result": "Done", "action": action, "person": person,
            });
            json.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            serde_json::from_value(json).unwrap()
        };
        let evidence = json!({"evidence": {"kind": "Disabled", "detail": "nsAccountLock is TRUE"}});
        let records = [
            record("run0", "Revoke", evidence),
            record("run1", "Restore", json!({"undoes": "run0"})),
        ];
        doubted.recall_undone(&records, true, 0);
        assert!(holds(&doubted, &disabled));
    }

    #[test]
    fn the_history_tells_whose_id_was_taken_out_where_the_ledger_doesnt() {
        let record = |number: u32, mut json: serde_json::Value| -> Record {
            json["time"] = json!(format!("2026-11-29T12:00:{number:02}Z"));
            json["run"] = json!(format!("run{number}"));
            json["number"] = json!(0);
            json["trigger"] = json!("Undo");
            json["reason"] = json!("Undone");
            json["result"] = json!("Done");
            serde_json::from_value(json).unwrap()
        };
        let person = json!({
            "email": "ann@example.com", "externalId": "x", "memberId": Uuid::from_u128(1).to_string(),
        });
        let staff = json!({
            "name": "Staff", "externalId": "g", "groupId": Uuid::from_u128(2).to_string(),
        });
        let undo = [
            record(
                1,
                json!({"action": "Unlink", "from": "x", "person": person, "undoes": "run0"}),
            ),
            record(
                1,
                json!({"action": "UnlinkGroup", "from": "g", "group": staff, "undoes": "run0"}),
            ),
        ];
        let recalled = |records: &[Record]| {
            let mut ledger = Ledger::begin(jiff::Timestamp::UNIX_EPOCH);
            ledger.recall_undone(records, true, 0);
            ledger
        };
        assert_held(&recalled(&undo));
        // The process was killed in the middle, or the answer was lost.
        for result in [Outcome::Pending, Outcome::Unknown, Outcome::NotApplied] {
            let mut under_way = undo.clone();
            under_way.iter_mut().for_each(|one| one.result = result);
            assert_held(&recalled(&under_way));
        }
        for result in [Outcome::Refused, Outcome::NotMade] {
            let mut not_made = undo.clone();
            not_made.iter_mut().for_each(|one| one.result = result);
            assert!(recalled(&not_made).undone().is_empty(), "{result:?}");
        }
        // Somebody approved it since.
        let again = [
            record(2, json!({"action": "Link", "person": person})),
            record(2, json!({"action": "CreateGroup", "group": staff})),
        ];
        let mut all = [undo.as_slice(), again.as_slice()].concat();
        assert!(recalled(&all).undone().is_empty());
        // Whether it was, isn't known.
        all.iter_mut()
            .skip(2)
            .for_each(|one| one.result = Outcome::Unknown);
        assert_held(&recalled(&all));
    }
}
